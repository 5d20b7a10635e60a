"""Operations that are open when everything is taken back: their rows are written when they end.

A stream that is still read at ``uninstrument()`` has been asked for and is billed. Its row goes to the ledger
that was in force when it began; nothing else of us is left, and that is gone, too, once the last has ended.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from typing import Final

from spantally.api.store import LedgerConsumer
from spantally.calls import open_work, pipeline
from spantally.calls.operation import interrupt, open_operations
from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord, Record
from spantally.ground.worker import worker

EXIT_SECONDS: Final = 5.0
"""How long the end of the process waits for the ledger at most."""

_left: Final[list[Stragglers]] = []
_registered: Final[list[object]] = []


class Stragglers:
    """What was open at one ``uninstrument()``, and the ledger that is to have it."""

    def __init__(self, ledger: LedgerConsumer, call_ids: set[str]) -> None:
        self._ledger = ledger
        self._open = call_ids

    def __call__(self, batch: Sequence[Record]) -> None:
        """Write what has ended of it, on the worker."""
        ended = [one for one in batch if isinstance(one, CallRecord) and one.call_id in self._open]
        if not ended:
            return
        self._open.difference_update(one.call_id for one in ended)
        try:
            self._ledger(ended)
            self._ledger.close()  # it opens again for the next
        finally:
            if not self._open:
                self.forget()
                worker.end_thread()

    def forget(self) -> None:
        """Wait no longer."""
        pipeline.remove_consumer(self, flush=False)
        if self in _left:
            _left.remove(self)

    def end(self) -> None:
        """At the end of the process: end what is still open as interrupted, and have it written."""
        interrupt([one for call_id in tuple(self._open) if (one := open_operations.get(call_id))])
        worker.flush(EXIT_SECONDS)


def _at_exit() -> None:
    """Registered once and never taken back: CPython does not bear that while it runs such functions."""
    try:
        if _left:
            pipeline.end_late_now()
        for one in tuple(_left):
            one.end()
    except Exception as error:
        swallowed("api.stragglers", error)


def wait_for_open(ledger: LedgerConsumer) -> None:
    """Let ``ledger`` have what is open now, once it ends; to be called before it is taken out.

    Args:
        ledger: one that outlives its use here; what is kept in memory only would be read by nobody.
    """
    call_ids = open_work.open_now()
    if not call_ids or not ledger.outlives:
        return
    if not _registered:
        _registered.append(atexit.register(_at_exit))
    made = Stragglers(ledger, call_ids)
    _left.append(made)
    pipeline.add_consumer(made)


def are_left() -> bool:
    """Whether something is waited for."""
    return bool(_left)


def hand_over() -> None:
    """Another ledger is in force, and takes whatever ends from now on."""
    for one in tuple(_left):
        one.forget()
