"""Numbers as people read them, never rounded to a silent 0."""

from __future__ import annotations

from spantally.ground.money import Uncovered, dollar_text, uncovered

NONE = "-"
MOST_QUOTED = 400
"""Characters of a message that quotes what came in."""
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def count_text(value: int | None) -> str:
    """A count with thousands apart; a dash for what is unknown."""
    return NONE if value is None else f"{value:,}"


def so_many(count: int, noun: str, nouns: str | None = None) -> str:
    """A count of something: ``1 span``, ``1,200 spans``.

    Args:
        count: of them.
        noun: for one.
        nouns: for any other number, where that is not the noun and an s.
    """
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def money_text(nano_usd: int | None) -> str:
    """US dollars, exact to the last of nine places; a dash for what is unknown."""
    return dollar_text(nano_usd) or NONE


def cost_text(nano_usd: int | None, totals: Uncovered) -> str:
    """A sum of costs with what it does not cover: ``$1.92 + 4 possibly billed + 1 unpriced + 1 pending``."""
    known = [] if nano_usd is None else [money_text(nano_usd)]
    return " + ".join(known + [f"{count:,} {word}" for count, word in uncovered(totals)]) or NONE


def safe(text: str, *, lines: bool = False) -> str:
    """Foreign text for a terminal: control and direction characters become visible escapes.

    Args:
        text: what a program or a provider wrote.
        lines: leave line breaks and tabs as they are.
    """
    if text.isprintable() and text.isascii():
        return text
    kept = "\n\t" if lines else ""
    return "".join(
        character
        if character in kept
        or (ord(character) >= 32 and not 127 <= ord(character) < 160 and character not in _BIDI)
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def quoting(text: str) -> str:
    """A text that quotes what came in, such as a word that is no number: without secrets, of some length."""
    from spantally.redaction import redact

    told = redact(text)
    return told if len(told) <= MOST_QUOTED else f"{told[:MOST_QUOTED]}..."
