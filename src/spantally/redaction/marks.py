"""Marks: the fixed strings at which the handlers begin to read, each looked for, or all in one pass.

With the extra ``fast`` (the wheel ``ahocorasick_rs``) a text is read once for all marks; without it once for
each of them, at several times the cost. Both give the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from spantally.ground.guard import swallowed
from spantally.redaction import names

WORTH_A_PASS: Final = 256
"""Characters; in a shorter text setting up costs more than it saves."""

STEP: Final = 131_072
"""Characters that are searched at a time."""

UNMARKED: Final = 4_096
"""In a longer text some mark will stand: to look whether one does would be for nothing."""

URL: Final = "://"
URL_ESCAPED: Final = ":\\/\\/"
URL_ENCODED: Final = "%3a%2f%2f"
OTHERS: Final = (
    URL,
    URL_ESCAPED,
    URL_ENCODED,
    "code=",
    "hooks.slack.com/",
    "/api/webhooks/",
    "webhook.office.com/",
    "api.telegram.org/bot",
    "-----begin ",
    "bearer",
    "basic",
    "authorization",
    "private-lines:",
    " -u",
    "--user",
    "--proxy-user",
    "into",
    "identified",
    "jdbc:oracle:",
    " <<<",
    " login ",
    "sudo -s",
    "mysql",
    "sas=",
)
"""Beside the stems of names; all in lower case, none of which can overlap itself."""

_SIGNS: Final = {
    URL_ESCAPED: "\\",
    URL_ENCODED: "%",
    "hooks.slack.com/": "hook",
    "/api/webhooks/": "hook",
    "webhook.office.com/": "hook",
    " -u": "-u",
    "--user": "-u",
    "--proxy-user": "-u",
}
"""Parts of marks that are rare or shared: where one is missing, nobody looks for the whole."""


class Marks(Protocol):
    """Where the marks of one text stand."""

    def places(self, mark: str) -> Iterable[int]:
        """Where a mark of :data:`OTHERS`, or a stem, begins, in order."""

    def stems(self) -> Iterable[int]:
        """Where any stem of a name begins, in order."""


class Looked:
    """Each mark is looked for when it is asked for."""

    __slots__ = ("_lower", "_signs")

    def __init__(self, lower: str) -> None:
        self._lower = lower
        self._signs: dict[str, bool] = {}

    def places(self, mark: str) -> Iterator[int]:
        """See :class:`Marks`."""
        lower = self._lower
        sign = _SIGNS.get(mark)
        if sign is not None:
            there = self._signs.get(sign)
            if there is None:
                there = self._signs[sign] = sign in lower
            if not there:
                return
        at = lower.find(mark)
        while at >= 0:
            yield at
            at = lower.find(mark, at + len(mark))

    def stems(self) -> Iterator[int]:
        """See :class:`Marks`."""
        lower = self._lower
        size = len(lower)
        if size <= STEP:
            for hit in names.STEMS.finditer(lower):
                yield hit.start()
            return
        # In steps: one search over megabytes without a hit would let no other thread run meanwhile.
        for step in range(0, size, STEP):
            end = step + STEP
            for hit in names.STEMS.finditer(lower, step, end + _LONGEST_STEM - 1):
                if hit.start() < end:
                    yield hit.start()


class Found:
    """All marks were found in one pass."""

    __slots__ = ("_places", "_stems")

    def __init__(self, hits: list[tuple[int, int, int]]) -> None:
        places: dict[int, list[int]] = {}
        stems: list[int] = []
        for index, start, _ in hits:
            if index < _FIRST_OTHER:
                stems.append(start)
            if index >= _FIRST_PLACED:
                places.setdefault(index, []).append(start)
        stems.sort()  # they come by their ends
        self._places = places
        self._stems = stems

    def places(self, mark: str) -> list[int]:
        """See :class:`Marks`."""
        return self._places.get(_INDEX[mark], _NOWHERE)

    def stems(self) -> list[int]:
        """See :class:`Marks`."""
        return self._stems


_NOWHERE: Final[list[int]] = []
_STEMS: Final = tuple(sorted(names.STEM_WORDS, key=lambda stem: stem == "cookie"))
"""The one stem that is a mark as well stands last, beside the other marks."""
_ALL: Final = (*_STEMS, *OTHERS)
_INDEX: Final = {mark: index for index, mark in enumerate(_ALL)}
_FIRST_OTHER: Final = len(_STEMS)
_FIRST_PLACED: Final = _FIRST_OTHER - 1

_LONGEST_STEM: Final = max(map(len, names.STEM_WORDS))

_search: list[Callable[[bytes], list[tuple[int, int, int]]] | None] = []


def has_marks(lower: str) -> bool:
    """Whether a handler other than that of tokens could say something about a text; quick for a short one.

    Plain ``in`` tests in a chain: on a short text this is three times as fast as one alternation.
    """
    return (
        "key" in lower
        or "token" in lower
        or "pass" in lower
        or "auth" in lower
        or "secret" in lower
        or "://" in lower
        or "pw" in lower
        or "cred" in lower
        or "cookie" in lower
        or "sig" in lower
        or "bearer" in lower
        or "basic" in lower
        or "-----" in lower
        or "%3a" in lower
        or "code=" in lower
        or ":\\/" in lower
        or " -u" in lower
        or "--u" in lower
        or "login" in lower
        or "identified" in lower
        or "oracle" in lower
        or "senha" in lower
        or "contrase" in lower
        or "woord" in lower
        or "kennwort" in lower
        or "parola" in lower
        or "heslo" in lower
        or "sudo" in lower
        or "mysql" in lower
        or "sas=" in lower
        or "<<<" in lower
    )


def marks_of(lower: str) -> Marks | None:
    """The marks of a text; None where there are none.

    Args:
        lower: the text in lower case, each character at its place.
    """
    size = len(lower)
    if size >= WORTH_A_PASS:
        search = _search[0] if _search else _prepared()
        if search is not None:
            # A byte for each character, so that places are those of the text.
            hits = search(lower.encode("ascii", "replace"))
            return Found(hits) if hits else None
    return Looked(lower) if size > UNMARKED or has_marks(lower) else None


def is_fast() -> bool:
    """Whether the extra ``fast`` is there and works."""
    return (_search[0] if _search else _prepared()) is not None


def _prepared() -> Callable[[bytes], list[tuple[int, int, int]]] | None:
    search: Callable[[bytes], list[tuple[int, int, int]]] | None = None
    try:
        import ahocorasick_rs
    except ImportError:
        pass
    else:
        try:
            automaton: Any = ahocorasick_rs.BytesAhoCorasick(
                [mark.encode() for mark in _ALL], implementation=ahocorasick_rs.Implementation.DFA
            )

            def look(raw: bytes) -> list[tuple[int, int, int]]:
                found: list[tuple[int, int, int]] = automaton.find_matches_as_indexes(raw, overlapping=True)
                return found

            if look(b"a bearer") == [(_INDEX["bearer"], 2, 8)]:
                search = look
        except Exception as error:
            swallowed("redaction.fast", error)
    _search[:] = [search]
    return search
