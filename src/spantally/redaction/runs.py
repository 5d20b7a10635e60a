"""Runs: where long words and digits stand in a text, found by bytes.

Bytes are found ten times as fast as a pattern matches: one table shows where words are, one what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SHORTEST: Final = 16
"""Characters of a long word; shorter ones are left to the rules that look at names."""

_CHARS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/=.~%"
_WORDS: Final = bytes(97 if code in _CHARS else 32 for code in range(256))
_KINDS: Final = bytes(
    48 if 48 <= code < 58 else 65 if 65 <= code < 91 else code if code in b":*" else 32 for code in range(256)
)
_LONG: Final = b"a" * SHORTEST
_LONG_END: Final = _LONG + b" "
_FILLED: Final = bytes(32 if chr(code).isspace() else 97 for code in range(256))
_UNBROKEN: Final = b"a" * 12
_KEY: Final = b"a" * 16


class Runs:
    """The bytes of one text; a byte for each character, whatever it is.

    Args:
        text: the text.
        tags: start and end of the tags in it, in order: nothing in them is a name or a value.
    """

    __slots__ = ("_filled", "_kinds", "_words", "raw", "tagged")

    def __init__(self, text: str, tags: Sequence[tuple[int, int]] = ()) -> None:
        raw = text.encode("ascii", "replace")
        if tags:
            raw = _without(raw, tags)
        self.tagged = bool(tags)
        self.raw = raw
        self._words = raw.translate(_WORDS) + b" "
        self._kinds = raw.translate(_KINDS)
        self._filled = b""

    def long_words(self) -> list[tuple[int, int, bool]]:
        """Start and end of each long word with a digit, or with two capitals side by side or one apart.

        The third says whether it has a digit.
        """
        found: list[tuple[int, int, bool]] = []
        # By their ends: a space is rarer than a letter, so that the search compares little more than it. And
        # all in one go, since most of them are names and words that nothing more is asked of. The numbers are
        # the length of a long word, without and with the space behind it.
        pieces = self._words.split(_LONG_END)
        pieces.pop()
        if not pieces:
            return found
        kinds = self._kinds
        end = -1
        for piece in pieces:
            end += len(piece) + 17
            start = end - 16 - len(piece.rpartition(b" ")[2])
            kind = kinds[start:end]
            if kind.isspace():
                continue
            if not kind.isupper() or kind.find(b"0") >= 0:
                found.append((start, end, True))
            elif kind.find(b"AA") >= 0 or kind.find(b"A A") >= 0:
                found.append((start, end, False))
        return found

    def may_hold_line(self) -> bool:
        """Whether a colon stands before a port or a star, as in each line of a password file."""
        find = self._kinds.find
        return find(b":0000") >= 0 or (find(b"*") >= 0 and find(b":*:") >= 0)

    def may_hold_value(self, start: int, end: int) -> bool:
        """Whether a secret can stand there that nobody would take for words: a digit, or a long word."""
        return self._kinds.find(b"0", start, end) >= 0 or self._words.find(_LONG, start, end) >= 0

    def has_long(self, start: int, end: int) -> bool:
        """Whether twelve characters without a space between them stand there."""
        return self._unbroken().find(_UNBROKEN, start, end) >= 0

    def has_key(self, start: int, end: int) -> bool:
        """Whether sixteen do."""
        return self._unbroken().find(_KEY, max(0, start), end) >= 0

    def _unbroken(self) -> bytes:
        filled = self._filled
        if not filled:
            filled = self._filled = self.raw.translate(_FILLED)
        return filled


def _without(raw: bytes, tags: Sequence[tuple[int, int]]) -> bytes:
    """The bytes with what stands between the brackets of tags blank: of the rest each keeps its place."""
    pieces: list[bytes] = []
    at = 0
    for start, end in tags:
        pieces.append(raw[at : start + 1])
        pieces.append(b" " * (end - start - 2))
        at = end - 1
    pieces.append(raw[at:])
    return b"".join(pieces)
