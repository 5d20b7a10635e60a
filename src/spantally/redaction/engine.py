"""The engine: text in, text without secrets out, in linear time, and the same again for what it returned.

Each handler appends spans; the spans are settled and replaced. What stands *after* a replacement may read
differently (a tag ends a value, a further one begins), so the surroundings of every tag are read again until
nothing more is found: a second redaction of the result therefore changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from spantally.redaction import registry
from spantally.redaction.clock import Clock
from spantally.redaction.columns import find_columns
from spantally.redaction.inserts import find_inserts
from spantally.redaction.languages import find_named
from spantally.redaction.logins import find_lines, may_be_line
from spantally.redaction.marks import URL, Marks, has_marks, marks_of
from spantally.redaction.pairs import find_pairs
from spantally.redaction.rules import Finders
from spantally.redaction.runs import SHORTEST as SHORTEST_WORD
from spantally.redaction.runs import Runs
from spantally.redaction.spans import Span, replaced, settle
from spantally.redaction.structures import find_structures
from spantally.redaction.tags import OPENING, find_tags
from spantally.redaction.tokens import find_tokens, is_object_id
from spantally.redaction.views import DEEPEST, escapes_of, may_have_views, views_of

__all__ = [
    "UnsettledError",
    "find_tags",
    "is_object_id",
    "is_quiet",
    "redact",
    "scan",
]

ROUNDS: Final = 6
"""Most readings of one text; one or two are enough but for texts built to defy the rules."""

WINDOW: Final = 320
BEHIND: Final = 256
"""Characters before and behind a new tag that are read again.

Of thousands of joined documents none changes more when more is read; with 64 on either side, one in 900 does.
"""
_ADDRESSES: Final = frozenset({URL, "@"})
APART: Final = "\n\n\0\n\n"
"""Keeps parts of a text apart that are read as one: no rule reads over it."""
EDGE: Final = 128
"""Most characters by which a window grows, so that it begins and ends where words and tags do."""
LONG: Final = 640
"""A text longer than this is read again only around its new tags."""


class UnsettledError(Exception):
    """A text still changed after the last reading."""


def is_quiet(text: str, *, generic: bool = True) -> bool:
    """A quick look at a short text: True if no built-in rule can say anything about it.

    Args:
        text: a short text.
        generic: whether noise behind an unknown prefix counts.
    """
    if not text.isascii() or has_marks(text.encode().lower()) or may_have_views(text) or may_be_line(text):
        return False
    if len(text) < SHORTEST_WORD:
        return True
    taken: list[Span] = []
    find_tokens(text, Runs(text), _no_check, taken, generic=generic)
    return not taken


def _no_check() -> None:
    """Short texts need no clock."""


def _find(
    text: str,
    tags: list[tuple[int, int]],
    check: Callable[[], None],
    taken: list[Span],
    *,
    generic: bool,
) -> Marks | None:
    """Append what the built-in rules find in a text as it stands, with tags at ``tags``.

    Returns:
        The marks by which they began to read.
    """
    runs = Runs(text, tags)
    marks = marks_of(runs.raw.lower())
    if marks is not None:
        present, stems = marks
        if present:
            find_structures(text, present, check, taken)
        if stems:
            heads: list[int] = []
            find_pairs(text, stems, runs, check, taken, heads)
            if heads:
                find_columns(text, heads, check, taken)
        if "into" in present:
            find_inserts(text, present["into"], check, taken)
    if runs.may_hold_line():
        find_lines(text, check, taken)
    if not text.isascii():
        find_named(text, check, taken)
    if len(text) >= SHORTEST_WORD:
        find_tokens(text, runs, check, taken, generic=generic)
    return marks


def _places(marks: Marks | None) -> list[int]:
    """Where a rule began to read, in order, but for addresses, which stand in half of all texts."""
    if marks is None:
        return []
    present, stems = marks
    places = [at for mark, found in present.items() if mark not in _ADDRESSES for at in found]
    return sorted([*stems, *places])


def _find_encoded(
    text: str, marks: Marks | None, check: Callable[[], None], taken: list[Span], *, generic: bool, depth: int
) -> None:
    """Append what they find in parts that are encoded, once they are decoded."""
    escapes = escapes_of(text)
    if not escapes:
        return
    for view in views_of(text, escapes, _places(marks)):
        check()
        found: list[Span] = []
        inner = _find(view.text, find_tags(view.text), check, found, generic=generic)
        if depth > 1 and may_have_views(view.text):
            _find_encoded(view.text, inner, check, found, generic=generic, depth=depth - 1)
        taken.extend(span._replace(start=view.origin(span.start), end=view.end(span.end)) for span in found)


def scan(
    text: str, clock: Clock, patterns: Finders | tuple[()], *, defaults: bool, generic: bool
) -> list[Span]:
    """The settled spans of ``text`` that have to go.

    Args:
        text: what is scanned.
        clock: the time budget.
        patterns: rules of the user; what they find goes, and what they allow stays.
        defaults: whether the built-in rules are used.
        generic: whether noise behind an unknown prefix goes as well.
    """
    taken: list[Span] = []
    if not registry.is_empty():
        registry.find_literals(text, taken)
    check = clock.check
    tags = find_tags(text) if "[" in text else []
    if defaults:
        marks = _find(text, tags, check, taken, generic=generic)
        if may_have_views(text):
            _find_encoded(text, marks, check, taken, generic=generic, depth=DEEPEST)
    if patterns:
        patterns.find(text, check, taken)
    if not taken:
        return taken
    spans = settle(taken, tags)
    return patterns.spared(text, spans) if patterns else spans


def redact(
    text: str,
    clock: Clock,
    patterns: Finders | tuple[()],
    counts: Counter[str],
    *,
    defaults: bool,
    generic: bool,
) -> str:
    """``text`` without its secrets; the same object where there were none.

    Raises:
        OutOfTimeError: the budget of ``clock`` is used up.
        UnsettledError: the text is built so that replacing never comes to an end.
    """
    clock.grant(len(text))
    spans = scan(text, clock, patterns, defaults=defaults, generic=generic)
    if not spans:
        return text  # most texts, and a counter costs a microsecond
    found: Counter[str] = Counter()
    for _ in range(ROUNDS):
        if not spans:
            break
        found.update(span.kind for span in spans)
        text, places = replaced(text, spans)
        spans = _scan_again(text, places, clock, patterns, defaults=defaults, generic=generic)
    else:
        raise UnsettledError(OPENING)
    counts.update(found)
    return text


def _scan_again(
    text: str,
    places: list[int],
    clock: Clock,
    patterns: Finders | tuple[()],
    *,
    defaults: bool,
    generic: bool,
) -> list[Span]:
    """The spans of a text with new tags at ``places``; of a long one only what stands around them is read."""
    if len(text) <= LONG:
        return scan(text, clock, patterns, defaults=defaults, generic=generic)
    areas = windows(text, places)
    # All at once first: nearly always there is nothing, and each reading by itself costs a start of its own.
    together = APART.join([text[start:end] for start, end in areas])
    if not scan(together, clock, patterns, defaults=defaults, generic=generic):
        return []
    found: list[Span] = []
    for start, end in areas:
        for span in scan(text[start:end], clock, patterns, defaults=defaults, generic=generic):
            if _is_cut(text, start, start + span.start) or _is_cut(text, start + span.end, end):
                # The end of a word may look like a secret that the word is not.
                return scan(text, clock, patterns, defaults=defaults, generic=generic)
            found.append(span._replace(start=span.start + start, end=span.end + start))
    return found


def _is_cut(text: str, start: int, end: int) -> bool:
    """Whether what stands between an edge of a window and a span may be part of a word that the edge cuts."""
    return start > 0 and end < len(text) and not any(map(str.isspace, text[start:end]))


def windows(text: str, places: list[int]) -> list[tuple[int, int]]:
    """The surroundings of ``places`` in ``text``, from word to word, overlapping ones joined."""
    joined: list[tuple[int, int]] = []
    size = len(text)
    for place in places:
        start = max(0, place - WINDOW)
        low = max(0, start - EDGE)
        start = max(text.rfind(" ", low, start), text.rfind("\n", low, start)) + 1 or low
        end = min(size, place + BEHIND)
        high = min(size, end + EDGE)
        space, line = text.find(" ", end, high), text.find("\n", end, high)
        end = min(space if space >= 0 else high, line if line >= 0 else high)
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
