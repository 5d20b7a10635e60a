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
from time import monotonic
from typing import Final

OVERDUE_SECONDS: Final = 0.02
"""How much later than it meant to the worker may go on before a caller lets it in: four times what CPython
keeps a thread waiting in other programs."""

TURN_SECONDS: Final = 0.01
"""How long that caller waits at most; a batch of calls without content takes half of it."""

APART_SECONDS: Final = 0.01
"""Rest after such a batch: while the worker asks for nothing, the program pays nothing."""


class Turn:
    """When the worker is overdue, and how a caller lets it in."""

    __slots__ = ("_apart", "_done", "_overdue", "_waiting", "late_at")

    def __init__(self, overdue_seconds: float) -> None:
        """Bind it.

        Args:
            overdue_seconds: how late the worker may be; infinite for one that may have to wait for others,
                whom no caller can help.
        """
        self._overdue = overdue_seconds
        self.late_at = math.inf
        """From when on the worker is overdue, by :func:`time.monotonic`."""
        self._waiting = False
        self._apart = APART_SECONDS
        self._done = _thread.allocate_lock()
        self._done.acquire()

    def renew(self) -> None:
        """In the child of a fork: locks are new, and nobody waits."""
        self.__init__(self._overdue)  # type: ignore[misc]

    def expect(self, seconds: float) -> None:
        """The worker means to go on in so many seconds."""
        self.late_at = monotonic() + seconds + self._overdue

    def wait(self) -> None:
        """On the caller's thread: let the worker do one batch, for :data:`TURN_SECONDS` at most."""
        self.late_at = monotonic() + TURN_SECONDS + self._apart
        self._waiting = True
        if not self._done.acquire(timeout=TURN_SECONDS):
            # It is held up by something else than the interpreter lock (a ledger that somebody has locked).
            self._waiting = False
            self._apart *= 2

    def done(self, rest: float) -> float:
        """On the worker, after a batch: let the caller go on who waited.

        Args:
            rest: how many seconds the worker means to rest where nobody waited.

        Returns:
            How many it is to rest.
        """
        self._apart = APART_SECONDS
        if not self.end_wait():
            self.expect(rest)
            return rest
        self.late_at = monotonic() + APART_SECONDS
        return APART_SECONDS

    def end_wait(self) -> bool:
        """Let the caller go on who waits; True if there was one."""
        if not self._waiting:
            return False
        self._waiting = False
        try:
            self._done.release()
        except RuntimeError:
            pass  # the one before waits no longer, and nobody has taken it since
        return True
