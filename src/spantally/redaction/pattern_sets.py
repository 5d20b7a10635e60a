"""Which characters an item of a pattern takes, as bits over a sample of all characters.

Two items may take the same character if their bits overlap. The sample holds ASCII, some characters of every
other class, and whatever the pattern itself names with its neighbours, so that ranges are told apart exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

_COMMON: Final = [
    *map(chr, range(128)),
    *"\u00a0\u00b2\u00df\u00e9\u0130\u017f\u0661\u2028\u212a\u4e2d\U0001f600",
]

_CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "DIGIT": str.isdecimal,
    "SPACE": str.isspace,
    "WORD": lambda char: char.isalnum() or char == "_",
}


class Alphabet:
    """The sample of characters of one pattern.

    Args:
        named: code points that the pattern names.
    """

    def __init__(self, named: Iterable[int]) -> None:
        found = dict.fromkeys(_COMMON)
        for code in named:
            for near in (code - 1, code, code + 1):
                if 0 <= near < 0x110000:
                    found[chr(near)] = None
        self.characters = list(found)
        self.all = (1 << len(self.characters)) - 1
        self._known: dict[tuple[str, str, int], int] = {}

    def bits(self, name: str, value: Any, flags: int) -> int:
        """The characters that one item takes.

        Args:
            name: of the item's opcode.
            value: the item's argument.
            flags: in force at the item.
        """
        key = (name, repr(value), flags)
        found = self._known.get(key)
        if found is None:
            takes = _taker(name, value, flags)
            found = sum(1 << place for place, char in enumerate(self.characters) if takes(char))
            self._known[key] = found
        return found


def _taker(name: str, value: Any, flags: int) -> Callable[[str], bool]:
    if name == "ANY":
        return (lambda _: True) if flags & re.DOTALL else (lambda char: char != "\n")
    if name == "NOT_LITERAL":
        # In any case of letters, more is taken than really is: it errs to the safe side.
        return lambda char: char != chr(value)
    if name == "IN":
        return _in(value, flags)
    plain = _plain(name, value, flags)
    return _any_case(plain) if flags & re.IGNORECASE else plain


def _plain(name: str, value: Any, flags: int) -> Callable[[str], bool]:
    if name == "LITERAL":
        return lambda char: ord(char) == value
    if name == "RANGE":
        return lambda char: bool(value[0] <= ord(char) <= value[1])
    if name == "CATEGORY":
        return _category(str(value), flags)
    raise ValueError(name)


def _category(name: str, flags: int) -> Callable[[str], bool]:
    word = name.removeprefix("CATEGORY_")
    negated = word.startswith("NOT_")
    holds = _CLASSES[word.removeprefix("NOT_")]
    if flags & re.ASCII:
        return lambda char: (char.isascii() and holds(char)) is not negated
    return lambda char: holds(char) is not negated


def _in(items: list[Any], flags: int) -> Callable[[str], bool]:
    negated = bool(items) and str(items[0][0]) == "NEGATE"
    parts = [_plain(str(code), value, flags) for code, value in items[negated:]]

    def plain(char: str) -> bool:
        return any(part(char) for part in parts)

    takes = _any_case(plain) if flags & re.IGNORECASE and not negated else plain
    return (lambda char: not takes(char)) if negated else takes


def _any_case(takes: Callable[[str], bool]) -> Callable[[str], bool]:
    # The last two lead from one small letter to another of the same capital: the long s, the final sigma.
    return lambda char: (
        takes(char)
        or any(
            takes(one)
            for other in (
                char.lower(),
                char.upper(),
                char.swapcase(),
                char.upper().lower(),
                char.lower().upper(),
            )
            for one in other
        )
    )
