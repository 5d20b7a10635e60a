"""A worker beside the one of the process, for what may wait for somebody else: an exporter, a pipe."""

from __future__ import annotations

import math

from spantally.ground.worker import Worker, helpers


class HelperWorker(Worker):
    """A worker that never runs its handlers on another thread than its own; forks stop and start it, too.

    Args:
        name: of the thread.
        gather_seconds: how long it gathers after it was woken.
        fork_seconds: how long a fork waits for it.
        overdue_seconds: how late it may be before a caller lets it in; by default nobody waits for it.
    """

    def __init__(
        self, name: str, *, gather_seconds: float, fork_seconds: float, overdue_seconds: float = math.inf
    ) -> None:
        super().__init__(
            gather_seconds=gather_seconds,
            name=name,
            fork_seconds=fork_seconds,
            overdue_seconds=overdue_seconds,
        )
        helpers.append(self)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything handed over so far has been handled.

        Args:
            timeout: seconds to wait at most.
        """
        if not self.running and not self.pending():
            return True
        if not self.running:
            self.start()
        if not self.running:  # the interpreter is shutting down, and starts no thread
            return self.pending() == 0
        return super().flush(timeout)

    def retire(self) -> None:
        """Forks leave it alone from now on."""
        if self in helpers:
            helpers.remove(self)
