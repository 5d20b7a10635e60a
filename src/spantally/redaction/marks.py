"""Marks: the fixed strings at which the handlers begin to read, each looked for, or all in one pass.

With the extra ``fast`` (the wheel ``ahocorasick_rs``) a text is read once for all marks; without it once for
each of them, at several times the cost. Both give the same places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from spantally.ground.guard import swallowed
from spantally.redaction import names

WORTH_A_PASS: Final = 256
"""Characters; in a shorter text setting up costs more than it saves."""

STEP: Final = 131_072
"""Characters that are searched at a time."""

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

_SIGNS: Final = {URL_ESCAPED: "\\", URL_ENCODED: "%", "sas=": "=", " <<<": "<"}
"""Characters of marks that are rare: where one is missing, nobody looks for the whole."""

_RARE_AT: Final = {
    "hooks.slack.com/": 3,
    "/api/webhooks/": 11,
    "webhook.office.com/": 6,
    " -u": 2,
    "--user": 2,
    "--proxy-user": 8,
    "sudo -s": 1,
    "api.telegram.org/bot": 8,
    " login ": 3,
    "code=": 0,
    "jdbc:oracle:": 3,
    "bearer": 0,
    "basic": 0,
    "-----begin ": 5,
    "private-lines:": 0,
    "mysql": 3,
}
"""Marks that the search for stems finds on its way, with the place of a rare letter in each."""
_MET: Final = tuple(_RARE_AT)
_MET_AS_STEMS: Final = {b"kie": ("cookie", b""), b"uth": ("authorization", b"orization")}
"""Marks that begin as a stem does: what has to follow the hit."""


def _by(letter: str) -> str:
    """The marks that are found by this letter: nothing but it is consumed, so that no stem is hidden."""
    choices = []
    for number, (mark, at) in enumerate(_RARE_AT.items(), 1):
        if mark[at] == letter:
            before, after = re.escape(mark[: at + 1]), re.escape(mark[at + 1 :])
            choices.append(
                (f"(?={after})" if after else "") + (f"(?<={before})" if at else "") + f"(?P<m{number}>)"
            )
    return "|".join(choices)


class Marks(Protocol):
    """Where the marks of one text stand."""

    def present(self) -> Iterable[tuple[str, list[int]]]:
        """The marks of :data:`PLACED` that stand in the text, each with where it begins, in order."""

    def stems(self) -> Iterable[int]:
        """Where any stem of a name begins, in order."""


# The usual stems by letters that are rare in texts, with what stands before them looked at from there: a
# search that begins at one letter in eight takes half as long as one at their first letters, one in three.
# Of other marks a letter is met, with a look at what stands around; each choice begins with a letter of its
# own, or the interpreter tries all of them everywhere.
_STEMS_BY_RARE: Final = re.compile(
    (
        f"k(?:ey|en(?<=token)|ie(?<=cookie)|ennwort|{_by('k')})|g(?:(?<=sig)|{_by('g')})"
        f"|w(?:(?<=pw)|achtwoord)|p(?:ass|arola|{_by('p')})|u(?:th(?<=auth)|{_by('u')})"
        f"|c(?:re(?:d|t(?<=secret))|ontrase|{_by('c')})|b(?:{_by('b')})|q(?:{_by('q')})"
    ).encode()
)
_GROUPS: Final = {
    number: (mark, _RARE_AT[mark])
    for name, number in _STEMS_BY_RARE.groupindex.items()
    for mark in (_MET[int(name[1:]) - 1],)
}
"""The mark of a group that took part, and how far before the hit it begins."""
_BEFORE: Final = {b"ken": 2, b"kie": 3, b"g": 2, b"w": 1, b"uth": 1, b"cret": 2}
"""How far before such a hit its stem begins."""
_UNUSUAL: Final = (b"senha", b"heslo")
_ALL_STEMS: Final = re.compile("|".join(names.STEM_WORDS).encode())


class Looked:
    """One search for the stems and most marks; the few others are looked for one by one."""

    __slots__ = ("_met", "_raw", "_stems")

    def __init__(self, lower: bytes) -> None:
        self._raw = lower
        self._met: dict[str, list[int]] = {}
        self._stems: list[int] = []
        self._look()

    def present(self) -> Iterator[tuple[str, list[int]]]:
        """See :class:`Marks`."""
        raw = self._raw
        met = self._met
        for mark, sought, sign in _SOUGHT:
            if sought is None:
                if mark in met:
                    yield mark, met[mark]
                continue
            at = -1 if sign is not None and sign not in raw else raw.find(sought)
            if at < 0:
                continue
            places = []
            while at >= 0:
                places.append(at)
                at = raw.find(sought, at + len(sought))
            yield mark, places

    def stems(self) -> list[int]:
        """See :class:`Marks`."""
        return self._stems

    def _look(self) -> None:
        raw = self._raw
        met = self._met
        found = self._stems
        # In steps: one search over megabytes without a hit would let no other thread run meanwhile.
        for step in range(0, len(raw), STEP):
            end = step + STEP
            for hit in _STEMS_BY_RARE.finditer(raw, step, end + _LONGEST):
                at = hit.start()
                if at >= end:
                    break
                group = hit.lastindex
                if group is not None:
                    mark, before = _GROUPS[group]
                    met.setdefault(mark, []).append(at - before)
                    continue
                word = hit[0]
                at -= _BEFORE.get(word, 0)
                found.append(at)
                if word in _MET_AS_STEMS:
                    mark, rest = _MET_AS_STEMS[word]
                    if raw.startswith(rest, hit.end()):
                        met.setdefault(mark, []).append(at)
        if any(stem in raw for stem in _UNUSUAL):
            found[:] = [
                hit.start()
                for step in range(0, len(raw), STEP)
                for hit in _ALL_STEMS.finditer(raw, step, step + STEP + _LONGEST_STEM - 1)
                if hit.start() < step + STEP
            ]


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

    def present(self) -> Iterable[tuple[str, list[int]]]:
        """See :class:`Marks`."""
        return [(_ALL[index], places) for index, places in self._places.items()]

    def stems(self) -> list[int]:
        """See :class:`Marks`."""
        return self._stems


PLACED: Final = ("cookie", *OTHERS)
"""Marks whose places are told one by one."""
_SOUGHT: Final = tuple(
    (
        mark,
        None if mark in _RARE_AT or mark in ("cookie", "authorization") else mark.encode(),
        _SIGNS[mark].encode() if mark in _SIGNS else None,
    )
    for mark in PLACED
)
_STEMS: Final = tuple(sorted(names.STEM_WORDS, key=lambda stem: stem == "cookie"))
"""The one stem that is a mark as well stands last, beside the other marks."""
_ALL: Final = (*_STEMS, *OTHERS)
_FIRST_OTHER: Final = len(_STEMS)
_FIRST_PLACED: Final = _FIRST_OTHER - 1

_LONGEST_STEM: Final = max(map(len, names.STEM_WORDS))
_LONGEST: Final = max(map(len, _ALL))

_search: list[Callable[[bytes], list[tuple[int, int, int]]] | None] = []


def has_marks(lower: bytes) -> bool:
    """Whether a handler other than that of tokens could say something about a text; quick for a short one.

    Plain ``in`` tests in a chain: on a short text this is three times as fast as one alternation.
    """
    return (
        b"key" in lower
        or b"token" in lower
        or b"pass" in lower
        or b"auth" in lower
        or b"secret" in lower
        or b"://" in lower
        or b"pw" in lower
        or b"cred" in lower
        or b"cookie" in lower
        or b"sig" in lower
        or b"bearer" in lower
        or b"basic" in lower
        or b"-----" in lower
        or b"%3a" in lower
        or b"code=" in lower
        or b":\\/" in lower
        or b" -u" in lower
        or b"--u" in lower
        or b"login" in lower
        or b"identified" in lower
        or b"oracle" in lower
        or b"senha" in lower
        or b"contrase" in lower
        or b"woord" in lower
        or b"kennwort" in lower
        or b"parola" in lower
        or b"heslo" in lower
        or b"sudo" in lower
        or b"mysql" in lower
        or b"sas=" in lower
        or b"<<<" in lower
    )


def marks_of(lower: bytes) -> Marks | None:
    """The marks of a text; None where there are none.

    Args:
        lower: the text in lower case, a byte for each character: places are those of the text, and bytes are
            searched, and put into lower case, as fast as can be.
    """
    size = len(lower)
    if size >= WORTH_A_PASS:
        search = _search[0] if _search else _prepared()
        if search is not None:
            hits = search(lower)
            return Found(hits) if hits else None
        return Looked(lower)
    return Looked(lower) if has_marks(lower) else None


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

            if look(b"a bearer") == [(_ALL.index("bearer"), 2, 8)]:
                search = look
        except Exception as error:
            swallowed("redaction.fast", error)
    _search[:] = [search]
    return search
