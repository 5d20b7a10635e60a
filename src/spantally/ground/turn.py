"""The turn of the worker: how it gets the interpreter lock beside a program that never waits.

CPython hands the lock over 5 ms after a thread has asked for it, and counts anew each time the lock is let go
of meanwhile, however briefly. Beside a program that never waits but makes a system call now and then (a
transport that answers in place, an event loop that always has something to do) a thread therefore waits for
ever, and the program pays for a wake-up at each of these calls. So who hands something over while the worker
is overdue waits for one batch of it, without the lock.
"""

from __future__ import annotations

import _thread
import math
from collections import deque
from time import monotonic
from typing import Final

from spantally.ground.event_loop import in_event_loop

OVERDUE_SECONDS: Final = 0.02
"""How much later than it meant to the worker may go on before a caller lets it in: four times what CPython
keeps a thread waiting in other programs."""

TURN_SECONDS: Final = 0.03
"""How long that caller waits at most. A batch of calls without content takes 5 ms; where many threads of the
program want the interpreter lock, the worker gets it when they all wait."""

LOOP_TURN_SECONDS: Final = 0.01
"""The same in an event loop, which nothing of ours holds up for longer."""

APART_SECONDS: Final = 0.01
"""Rest after such a batch: while the worker asks for nothing, the program pays nothing."""


MOST_APART_SECONDS: Final = 5.0
"""The longest time between two waits for a worker that is held up by something else."""


class Turn:
    """When the worker is overdue, and how a caller lets it in."""

    __slots__ = ("_apart", "_not_before", "_overdue", "_waiting", "late_at")

    def __init__(self, overdue_seconds: float) -> None:
        """Bind it.

        Args:
            overdue_seconds: how late the worker may be; infinite for one that nobody is to wait for.
        """
        self._overdue = overdue_seconds
        self.late_at = math.inf
        """From when on the worker is overdue, by :func:`time.monotonic`."""
        self._apart = APART_SECONDS
        self._not_before = 0.0
        """Until then nobody tries, since it did not help the last time."""
        self._waiting: deque[_thread.LockType] = deque()
        """A lock for each caller who waits: bare ones, since a signal handler may come in between."""

    def renew(self) -> None:
        """In the child of a fork: locks are new, and nobody waits."""
        self.__init__(self._overdue)  # type: ignore[misc]

    def expect(self, seconds: float) -> None:
        """The worker means to go on in so many seconds."""
        self.late_at = max(monotonic() + seconds + self._overdue, self._not_before)

    def wait(self) -> None:
        """On a caller's thread: let the worker do one batch.

        Every caller who comes meanwhile waits, too: the lock that one of them lets go of would be another's.
        """
        mine = _thread.allocate_lock()
        mine.acquire()
        self._waiting.append(mine)
        most = LOOP_TURN_SECONDS if in_event_loop() else TURN_SECONDS
        if mine.acquire(timeout=most):
            return
        try:
            self._waiting.remove(mine)
        except (ValueError, IndexError):
            pass  # it came to an end at this very moment
        if monotonic() > self.late_at:
            # It is held up by something else than the interpreter lock: a ledger that somebody has locked, an
            # exporter that waits for its receiver. It is let in ever more rarely, until that helps again.
            self.late_at = self._not_before = monotonic() + self._apart
            self._apart = min(2 * self._apart, MOST_APART_SECONDS)

    def done(self, rest: float) -> float:
        """On the worker, after a batch: let those go on who waited.

        Args:
            rest: how many seconds the worker means to rest where nobody waited.

        Returns:
            How many it is to rest.
        """
        if not self._waiting:
            self.expect(rest)
            return rest
        self._apart, self._not_before = APART_SECONDS, 0.0
        self.late_at = monotonic() + APART_SECONDS
        self.end_wait()
        return APART_SECONDS

    def end_wait(self) -> None:
        """Let those go on who wait."""
        waiting = self._waiting
        try:
            while True:
                waiting.popleft().release()
        except IndexError:
            return
