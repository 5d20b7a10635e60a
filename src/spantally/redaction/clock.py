"""The time that the redaction of one value may take."""

from __future__ import annotations

import gc
import time
from typing import Final

__all__ = ["TIMED", "Clock", "OutOfTimeError"]

SECONDS_PER_CHARACTER: Final = 2.3e-7
"""What a long text adds to the time budget: about four times what it takes."""

TIMED: Final = 65_536
"""Characters of a text whose time counts from its beginning."""


class OutOfTimeError(Exception):
    """The time budget of a value is used up."""


class Clock:
    """The time budget of one value, in seconds of this thread's processor time.

    It starts when a long text is granted its time, or else at the first :meth:`check`, which short texts
    never reach. The budget is given once more if the interpreter looked for garbage meanwhile: in a program
    with millions of objects that takes this thread longer than the budget, whatever the text is.
    """

    __slots__ = ("_collections", "_deadline", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = 0.0
        self._collections = 0

    def grant(self, characters: int) -> None:
        """Add the time that a text of this length may take."""
        if self._deadline:
            self._deadline += characters * SECONDS_PER_CHARACTER
        else:
            self._seconds += characters * SECONDS_PER_CHARACTER
            if characters >= TIMED:
                # Of a text of marks alone, finding them takes longer than anything that looks at the clock.
                self._start(time.thread_time())

    def check(self) -> None:
        """Raise :class:`OutOfTimeError` when the time is over."""
        now = time.thread_time()
        if not self._deadline:
            self._start(now)
        elif now > self._deadline:
            self._end(now)

    def _start(self, now: float) -> None:
        self._deadline = now + self._seconds
        self._collections = _collections()

    def _end(self, now: float) -> None:
        if self._collections in (_ONCE, _collections()):
            raise OutOfTimeError
        self._deadline = now + self._seconds
        self._collections = _ONCE


_ONCE: Final = -1
"""In the place of a number of collections: the budget was given once more."""


def _collections() -> int:
    """How often the interpreter has looked through all objects; the younger ones take no time to speak of."""
    count: int = gc.get_stats()[-1]["collections"]
    return count
