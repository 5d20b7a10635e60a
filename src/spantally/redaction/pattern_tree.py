"""A compiled pattern as an automaton: one place for each character it takes, and what may follow what.

It is made from the tree that the standard library parses the pattern to. How *often* one place follows
another is kept, too: two ways from one to the other are an ambiguity, of which :mod:`patterns` judges.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from spantally.redaction.pattern_sets import Alphabet

SMALL: Final = 64
"""A repeat of at most so many times is unrolled; one of more counts as one without end."""
_UNROLLED: Final = 8
"""Most copies of a repeat of a fixed number of times within another repeat."""
_FEW: Final = 4
"""From so many times on, a bounded repeat of something with choices counts as one without end."""
MOST_PLACES: Final = 20_000
MOST_LINKS: Final = 60_000


class TooComplicatedError(Exception):
    """The pattern is too large to be judged."""


class DangerousError(Exception):
    """A part of the pattern is catastrophic by itself; the text is that part."""


class Part(NamedTuple):
    """One part of a pattern."""

    first: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    nullable: bool = True
    """It may take nothing."""
    may_fail: bool = False
    """It takes nothing and may fail all the same: ``$``, ``\\b``, a look-ahead."""


_CHARACTERS: Final = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN"})
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


def parser() -> Any:
    """The standard library's parser of patterns; None where this Python has it in another place."""
    for name in ("re._parser", "sre_parse"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                return importlib.import_module(name)
        except ImportError:
            continue
    return None


class Automaton:
    """Places of a pattern and what may follow what; place 0 is the search before the match.

    Args:
        pattern: a compiled pattern of text.
        parse: of the module that :func:`parser` gives.

    Raises:
        DangerousError: for a repeat of something empty.
        TooComplicatedError: for a pattern that is too large.
    """

    def __init__(self, pattern: re.Pattern[str], parse: Callable[..., Any]) -> None:
        flags = pattern.flags & ~re.DEBUG
        tree = parse(pattern.pattern, flags)
        self.shortest = int(tree.getwidth()[0])
        self.varies = has_choice(tree)
        """Whether it may take a text in more than one way, so that a search may go back."""
        self.alphabet = Alphabet(_named(tree))
        self.bits: list[int] = [self.alphabet.all]
        self.shown: list[str] = [""]
        self.follow: list[Counter[int]] = [Counter()]
        self.guarded: set[int] = set()
        """Places behind which a match may still fail without taking a character."""
        self._links = 0
        self._repeat = ""
        whole = self._sequence(list(tree), flags, looped=False)
        self.final = whole.last
        if not _anchored(list(tree), flags):
            self.follow[0][0] = 1
        self._link(frozenset({0}), whole.first)

    def _place(self, bits: int) -> int:
        if len(self.bits) >= MOST_PLACES:
            raise TooComplicatedError
        self.bits.append(bits)
        self.shown.append(self._repeat)
        self.follow.append(Counter())
        return len(self.bits) - 1

    def _link(self, lasts: frozenset[int], firsts: frozenset[int]) -> None:
        self._links += len(lasts) * len(firsts)
        if self._links > MOST_LINKS:
            raise TooComplicatedError
        for last in lasts:
            self.follow[last].update(firsts)

    def _sequence(self, items: Iterable[Any], flags: int, *, looped: bool) -> Part:
        whole = Part()
        for item in items:
            whole = self._joined(whole, self._item(item, flags, looped=looped))
        return whole

    def _joined(self, one: Part, other: Part) -> Part:
        self._link(one.last, other.first)
        if other.may_fail:
            self.guarded |= one.last
        return Part(
            one.first | other.first if one.nullable else one.first,
            other.last | one.last if other.nullable else other.last,
            one.nullable and other.nullable,
            (one.may_fail and other.nullable) or (other.may_fail and one.nullable),
        )

    def _item(self, item: Any, flags: int, *, looped: bool) -> Part:
        code, value = item
        name = str(code)
        if name in _CHARACTERS:
            place = frozenset({self._place(self.alphabet.bits(name, value, flags))})
            return Part(place, place, nullable=False)
        if name in _REPEATS:
            return self._repeated(item, flags, looped=looped)
        if name == "SUBPATTERN":
            _, added, dropped, inner = value
            return self._sequence(inner, (flags | added) & ~dropped, looped=looped)
        if name == "ATOMIC_GROUP":
            return self._sequence(value, flags, looped=looped)
        if name == "BRANCH":
            parts = [self._sequence(one, flags, looped=looped) for one in value[1]]
            if looped and sum(part.nullable for part in parts) > 1:
                raise DangerousError(shown([item]))
            return self._either(parts)
        if name == "GROUPREF_EXISTS":
            both = [self._sequence(one, flags, looped=looped) if one else Part() for one in value[1:]]
            return self._either(both)
        if name in ("ASSERT", "ASSERT_NOT"):
            return self._looked(value, flags, looped=looped)
        if name == "GROUPREF":
            # It may take anything, of any length.
            place = frozenset({self._place(self.alphabet.all)})
            self._link(place, place)
            return Part(place, place, nullable=True, may_fail=True)
        if name in ("AT", "FAILURE"):
            return Part(may_fail=True)
        raise TooComplicatedError

    @staticmethod
    def _either(parts: list[Part]) -> Part:
        return Part(
            frozenset().union(*(part.first for part in parts)),
            frozenset().union(*(part.last for part in parts)),
            any(part.nullable for part in parts),
            any(part.may_fail for part in parts),
        )

    def _looked(self, value: Any, flags: int, *, looped: bool) -> Part:
        """A look-ahead is a way that leads nowhere; one behind has a fixed width and costs nothing."""
        direction, inner = value
        if direction < 0:
            return Part(may_fail=True)
        ahead = self._sequence(inner, flags, looped=looped)
        self.guarded |= ahead.last
        return Part(ahead.first, frozenset(), nullable=True, may_fail=True)

    def _repeated(self, item: Any, flags: int, *, looped: bool) -> Part:
        code, (least, most, body) = item
        most = int(most)
        if most == 0:
            return Part()
        varies = has_choice(body)
        few = 2 if varies and has_choice(body, repeats_only=True) else _FEW
        if least >= _FEW and body.getwidth()[0] == 0:
            raise DangerousError(shown([item]))
        if least == most:
            endless = (varies and most >= few) or (looped and most > _UNROLLED)
            copies = most if looped or varies else 1
        else:
            endless = most > SMALL or (most > 1 and looped) or (varies and most >= few)
            copies = most
        before, self._repeat = self._repeat, self._repeat or (shown([item]) if most > 1 else "")
        try:
            if endless:
                return self._loop(body, flags, least, closed=str(code) == "POSSESSIVE_REPEAT")
            return self._unrolled(body, flags, min(least, copies), copies, looped=looped)
        finally:
            self._repeat = before

    def _loop(self, body: Any, flags: int, least: int, *, closed: bool) -> Part:
        part = self._sequence(body, flags, looped=True)
        if not closed:  # a possessive repeat gives nothing back
            self._link(part.last, part.first)
        return part._replace(nullable=part.nullable or least == 0)

    def _unrolled(self, body: Any, flags: int, least: int, copies: int, *, looped: bool) -> Part:
        whole = Part()
        parts = [self._sequence(body, flags, looped=looped) for _ in range(copies)]
        for number in reversed(range(copies)):
            whole = self._joined(parts[number], whole)
            if number >= least:
                whole = whole._replace(nullable=True)
        return whole


def has_choice(body: Any, *, repeats_only: bool = False) -> bool:
    """Whether a part of a tree may take a text in more than one way.

    Args:
        body: the part.
        repeats_only: only a repeat of several different numbers of times counts.
    """
    for code, value in body:
        name = str(code)
        inner: list[Any] = []
        if name in ("BRANCH", "GROUPREF", "GROUPREF_EXISTS"):
            if not repeats_only:
                return True
            inner = value[1] if name == "BRANCH" else []
        elif name in _REPEATS:
            if value[0] != value[1] and (not repeats_only or int(value[1]) > 1):
                return True
            inner = [value[2]]
        elif name in ("SUBPATTERN", "ATOMIC_GROUP"):
            inner = [value[3] if name == "SUBPATTERN" else value]
        if any(has_choice(one, repeats_only=repeats_only) for one in inner):
            return True
    return False


def _anchored(items: list[Any], flags: int) -> bool:
    """Whether a match can only begin where the text begins."""
    for code, value in items:
        if str(code) == "SUBPATTERN":
            return _anchored(list(value[3]), flags)
        at = str(value) if str(code) == "AT" else ""
        return at == "AT_BEGINNING_STRING" or (at == "AT_BEGINNING" and not flags & re.MULTILINE)
    return False


def _named(tree: Any) -> Iterable[int]:
    """The code points that a tree names."""
    for item in tree:
        if item is None:
            continue
        if isinstance(item, tuple) and len(item) == 2 and str(item[0]) in ("LITERAL", "NOT_LITERAL"):
            yield int(item[1])
        elif isinstance(item, tuple) and len(item) == 2 and str(item[0]) == "RANGE":
            yield from item[1]
        elif not isinstance(item, (int, str)):
            yield from _named(item)


_ESCAPES: Final = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}


def shown(tree: Any) -> str:
    """A part of a tree as a pattern, near enough to be found again."""
    text = ""
    for code, value in tree:
        name = str(code)
        if name in ("LITERAL", "NOT_LITERAL"):
            text += ("[^%s]" if name == "NOT_LITERAL" else "%s") % _escaped(value)
        elif name == "ANY":
            text += "."
        elif name == "IN":
            inner = "".join(map(_shown_item, value))
            text += inner if len(value) == 1 and inner.startswith("\\") else f"[{inner}]"
        elif name in _REPEATS:
            inner = shown(value[2])
            if len(value[2]) > 1 or str(value[2][0][0]) in _REPEATS:
                inner = f"(?:{inner})"
            text += inner + _shown_times(value[0], int(value[1])) + {"MIN_REPEAT": "?"}.get(name, "")
        elif name == "SUBPATTERN":
            text += f"({shown(value[3])})"
        elif name == "BRANCH":
            text += f"({'|'.join(map(shown, value[1]))})"
        elif name in ("ASSERT", "ASSERT_NOT"):
            text += f"(?{'=' if name == 'ASSERT' else '!'}{shown(value[1])})"
        elif name == "ATOMIC_GROUP":
            text += f"(?>{shown(value)})"
        elif name == "GROUPREF":
            text += f"\\{value}"
    return text


def _shown_item(item: Any) -> str:
    code, value = item
    name = str(code)
    if name == "NEGATE":
        return "^"
    if name == "RANGE":
        return f"{chr(value[0])}-{chr(value[1])}"
    if name == "CATEGORY":
        word = str(value).removeprefix("CATEGORY_")
        letter = _ESCAPES.get(word.removeprefix("NOT_"), "w")
        return "\\" + (letter.upper() if word.startswith("NOT_") else letter)
    return re.escape(chr(value))


def _escaped(code: int) -> str:
    char = chr(code)
    return f"\\{char}" if char in ".^$*+?{}[]\\|()" else char


def _shown_times(least: int, most: int) -> str:
    if most > 65_535:
        return {0: "*", 1: "+"}.get(least, f"{{{least},}}")
    if least == most:
        return f"{{{least}}}"
    return "?" if (least, most) == (0, 1) else f"{{{least},{most}}}"
