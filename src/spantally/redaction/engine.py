"""The engine: text in, text without secrets out, in linear time, and the same again for what it returned.

Each handler appends spans; the spans are settled and replaced. What stands *after* a replacement may read
differently (a tag ends a value, a further one begins), so the surroundings of every tag are read again until
nothing more is found: a second redaction of the result therefore changes nothing.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Final

from spantally.redaction import registry
from spantally.redaction.columns import find_columns
from spantally.redaction.names import STEMS
from spantally.redaction.pairs import find_pairs
from spantally.redaction.spans import STRUCTURE, Span, replaced, settle
from spantally.redaction.structures import find_structures
from spantally.redaction.tags import OPENING, find_tags
from spantally.redaction.tokens import find_tokens

ROUNDS: Final = 6
"""Most readings of one text; one or two are enough but for texts built to defy the rules."""

SECONDS_PER_CHARACTER: Final = 1e-6
"""What a long text adds to the time budget: about twenty times what it takes."""


class OutOfTimeError(Exception):
    """The time budget of a value is used up."""


class UnsettledError(Exception):
    """A text still changed after the last reading."""


class Clock:
    """The time budget of one value, in seconds of this thread's processor time."""

    __slots__ = ("deadline",)

    def __init__(self, seconds: float) -> None:
        self.deadline = time.thread_time() + seconds

    def grant(self, characters: int) -> None:
        """Add the time that a text of this length may take."""
        self.deadline += characters * SECONDS_PER_CHARACTER

    def check(self) -> None:
        """Raise :class:`OutOfTimeError` when the time is over."""
        if time.thread_time() > self.deadline:
            raise OutOfTimeError


def lowered(text: str) -> str:
    """``text`` in lower case with every character at its place."""
    lower = text.lower()
    if len(lower) != len(text):
        # only a capital I with a dot above gets longer
        lower = text.replace("\u0130", "I").lower()
    return lower


def scan(
    text: str, clock: Clock, patterns: tuple[re.Pattern[str], ...], *, defaults: bool, generic: bool
) -> list[Span]:
    """The settled spans of ``text`` that have to go.

    Args:
        text: what is scanned.
        clock: the time budget.
        patterns: rules of the user; what they match goes.
        defaults: whether the built-in rules are used.
        generic: whether noise behind an unknown prefix goes as well.
    """
    taken: list[Span] = []
    registry.find_literals(text, taken)
    check = clock.check
    if defaults:
        lower = lowered(text)
        find_structures(text, lower, check, taken)
        find_tokens(text, check, taken, generic=generic)
        if STEMS.search(lower) is not None:
            find_pairs(text, lower, check, taken)
            find_columns(text, check, taken)
    for pattern in patterns:
        for number, hit in enumerate(pattern.finditer(text)):
            if not number & 127:
                check()
            taken.append(Span(hit.start(), hit.end(), STRUCTURE, "rule"))
    if not taken:
        return taken
    return settle(taken, find_tags(text))


def redact(
    text: str,
    clock: Clock,
    patterns: tuple[re.Pattern[str], ...],
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
    found: Counter[str] = Counter()
    for _ in range(ROUNDS):
        spans = scan(text, clock, patterns, defaults=defaults, generic=generic)
        if not spans:
            if found:
                counts.update(found)
            return text
        found.update(span.kind for span in spans)
        text = replaced(text, spans)
    raise UnsettledError(OPENING)
