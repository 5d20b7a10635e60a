"""Counts that are true under threads, and may be added to from within a finaliser."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, Final

_lock = threading.Lock()


class Tally(Counter[str]):
    """A counter whose :meth:`update` loses nothing when threads meet, and waits for nobody.

    Adding to a ``Counter`` reads and writes in two steps. Here an addition is appended to a queue, which is
    atomic, and whoever gets the lock adds up the queue: also what others appended meanwhile. A finaliser that
    runs while this very thread adds up only appends.
    """

    def __init__(self, within: Tally | None = None) -> None:
        """Make an empty one.

        Args:
            within: a sum over several tallies, which gets whatever this one gets.
        """
        self._waiting: deque[tuple[str, int]] = deque()
        self._within = within
        dict.__init__(self)  # a Counter's begins with an update

    def update(self, found: Mapping[str, int], /) -> None:  # type: ignore[override]
        """Add the counts of ``found``."""
        waiting = self._waiting
        waiting.extend(found.items())
        while waiting and _lock.acquire(blocking=False):
            lock = _lock
            try:
                while waiting:
                    kind, count = waiting.popleft()
                    self[kind] = self.get(kind, 0) + count
            finally:
                lock.release()
        if self._within is not None:
            self._within.update(found)

    def __reduce__(self) -> Any:
        return Counter, (dict(self),)


redacted: Final = Tally()
"""What all redactors of this process took out, by type."""
failures: Final = Tally()
"""What failed in all redactors of this process, by the type of the error."""


def _after_fork_in_child() -> None:
    """A lock that another thread of the parent held at the fork would be held in the child for ever."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
