"""Numbers as people read them, never rounded to a silent 0."""

from __future__ import annotations

from spantally.ground.money import usd_text

NONE = "-"
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def count_text(value: int | None) -> str:
    """A count with thousands apart; a dash for what is unknown."""
    return NONE if value is None else f"{value:,}"


def money_text(nano_usd: int | None) -> str:
    """US dollars, exact to the last of nine places; a dash for what is unknown."""
    text = usd_text(nano_usd)
    if text is None:
        return NONE
    return f"-${text[1:]}" if text.startswith("-") else f"${text}"


def gaps(unpriced: int, pending: int) -> list[str]:
    """The calls that a sum of costs does not cover, in words; empty when it covers all."""
    return [f"{number:,} {word}" for number, word in ((unpriced, "unpriced"), (pending, "pending")) if number]


def billed_text(possibly_billed: int) -> str:
    """A note on calls that were sent and ended without usage; they may be among the unpriced ones."""
    return f" ({possibly_billed:,} possibly billed)" if possibly_billed else ""


def cost_text(nano_usd: int | None, unpriced: int, pending: int, possibly_billed: int) -> str:
    """A sum of costs with what it does not cover: ``$1.92 + 4 unpriced + 1 pending (1 possibly billed)``."""
    known = [] if nano_usd is None else [money_text(nano_usd)]
    return (" + ".join(known + gaps(unpriced, pending)) or NONE) + billed_text(possibly_billed)


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
