"""Patterns of the user: refused where a text could keep them busy for ever, and run in windows of a text.

A search by ``re`` cannot be interrupted, so that a pattern is judged when the redactor is made, by its shape
and never by trying. What is asked of the automaton of a pattern:

- Can a loop take one text in two ways, as in ``(a+)+`` or ``(a|a)*``? Then the time doubles with each
  character, and the pattern is refused.
- How many loops can share one run of characters, the search for the start among them? ``[0-9]+x`` has two
  (where to begin, where to end), and its time grows with the square of a run; three or more, as in ``a*a*b``,
  are refused.
- How many ways do repeats with an end leave, as in ``(a?){25}``? Too many are refused.

What remains needs at most the square of a run, so that long texts are searched in windows, with a look at the
clock between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from spantally.ground.errors import ArgumentError
from spantally.redaction.pattern_loops import components, degree_of, doubled, most_ways
from spantally.redaction.pattern_tree import Automaton, DangerousError, TooComplicatedError, parser

HALF: Final = 4_096
"""Half of a window, in characters: a match of up to this length is found wherever it stands."""
MOST_SHARED: Final = 2
"""Most loops that may share a run of characters."""
MOST_WAYS: Final = 5_000
"""Most ways in which repeats with an end may take a run of one character."""
MOST_WAYS_BEHIND: Final = 64
"""The same where the run begins in a repeat without end."""

_NESTED: Final = re.compile(r"\)\s*[*+{]")
_SHOWN: Final = 200


def check(pattern: re.Pattern[str]) -> bool:
    """Judge a pattern.

    Args:
        pattern: a compiled pattern of text.

    Returns:
        True if a search may have to go back, so that long texts are to be searched in windows.

    Raises:
        ArgumentError: it may match the empty text, or take time without end; the text names pattern and part.
    """
    name = f"the pattern {pattern.pattern[:_SHOWN]!r}"
    if pattern.search("") is not None:
        raise ArgumentError(f"{name} matches the empty text, and would hide nothing; make it take something")
    module = parser()
    if module is None:  # another Python than those this was written for
        found = _NESTED.search(pattern.pattern)
        if found:
            raise ArgumentError(f"{name} repeats a group ({found[0]}), which cannot be judged on this Python")
        return True
    try:
        made = Automaton(pattern, module.parse)
        danger = _danger(made)
    except DangerousError as error:
        danger, made = f"{error} repeats what may be empty", None
    except (TooComplicatedError, RecursionError):
        raise ArgumentError(
            f"{name} is too complicated to be judged safe; use several patterns, or a callable"
        ) from None
    if danger:
        raise ArgumentError(
            f"{name} could take time without end on some text: {danger}; "
            "let repeats that stand in or beside each other take different characters, as in ([^,]+,)+"
        )
    if made is None or made.shortest == 0:
        raise ArgumentError(f"{name} may match the empty text, which hides nothing; make it take something")
    return made.varies


def _danger(made: Automaton) -> str | None:
    """What is dangerous about an automaton; None if nothing is."""
    groups = components(made.follow)
    for group in groups:
        place = doubled(made, group)
        if place is not None:
            return f"{made.shown[place] or 'a repeat'} can take one text in many ways"
    shared = degree_of(made, groups)
    if len(shared) > MOST_SHARED:
        names = [made.shown[place] for place in shared if place]
        return f"{' and '.join(dict.fromkeys(names))} can share the same characters"
    for limit, behind_loops in ((MOST_WAYS, False), (MOST_WAYS_BEHIND, True)):
        place = most_ways(made, groups, limit, behind_loops=behind_loops)
        if place is not None:
            return f"there are too many ways to come to {made.shown[place] or 'its end'}"
    return None


def find(
    pattern: re.Pattern[str],
    text: str,
    hit: Callable[[int, int], None],
    check_time: Callable[[], None],
    *,
    windowed: bool,
) -> None:
    """Tell every match of a pattern.

    Args:
        pattern: that :func:`check` found safe.
        text: what is searched.
        hit: told start and end of each match.
        check_time: raises when the time is over.
        windowed: what :func:`check` said of the pattern.
    """
    size = len(text)
    if size <= 2 * HALF or not windowed:
        for number, found in enumerate(pattern.finditer(text)):
            if not number & 127:
                check_time()
            hit(found.start(), found.end())
        return
    at = 0
    while at < size:
        check_time()
        limit, end = at + HALF, min(size, at + 2 * HALF)
        for found in pattern.finditer(text, at, end):
            start, stop = found.span()
            if start >= limit and end < size:
                break  # the next window has it, and what follows it
            if stop == end < size:
                stop = _longer(pattern, text, start, end, check_time)
            hit(start, stop)
            limit = max(limit, stop)
        at = limit


def _longer(pattern: re.Pattern[str], text: str, start: int, end: int, check_time: Callable[[], None]) -> int:
    """The end of a match that reaches the end of its window, perhaps beyond."""
    stop = end
    while stop == end < len(text):
        check_time()
        end = min(len(text), end + 2 * HALF)
        found = pattern.match(text, start, end)
        if found is None:
            break  # the window's end was taken for the text's end; what was seen goes nevertheless
        stop = found.end()
    return max(stop, start)
