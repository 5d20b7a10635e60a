"""What runs: a started mark for each operation that is still open a moment after it began.

A mark says that an operation of this process is open, so that others see what runs, and what a killed process
never ended. Calls that end sooner leave none: it would be a second write for each. The worker looks at
:data:`~spantally.calls.operation.open_operations` when the oldest of those that have no mark is due, and only
while there is one; on the caller's thread a start is a look at two flags.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from spantally.calls.operation import Operation, open_operations
from spantally.ground.guard import swallowed
from spantally.ground.process import identity
from spantally.ground.records import CallRecord, Status
from spantally.ground.worker import worker

MARK_SECONDS: Final = 0.7
"""Age at which an operation gets its mark: written, it is in the ledger within a second of its start."""

BATCH: Final = 64
"""Marks handed over at once."""

Taker: TypeAlias = Callable[[Sequence[CallRecord]], None]

_takers: Final[list[Taker]] = []
_marked: Final[set[str]] = set()
"""Call ids of the open operations that have their mark."""
_since_ns = 0
"""What began earlier is no work of the ledger in force: a set-up before it left it open, perhaps for ever."""


def add_taker(taker: Taker) -> None:
    """Give marks of what begins from now on to ``taker``, on the worker."""
    global _since_ns
    if taker not in _takers:
        _since_ns = time.time_ns()
        _takers.append(taker)


def open_now() -> set[str]:
    """Call ids of what is open and began with the ledger in force."""
    return {call_id for call_id, one in list(open_operations.items()) if one.start_ns >= _since_ns}


def remove_taker(taker: Taker) -> None:
    """Stop giving marks to ``taker``."""
    if taker in _takers:
        _takers.remove(taker)


def began() -> None:
    """An operation has begun: the worker must not sleep past the moment when its mark is due."""
    if _takers:
        if worker.sleeping:
            worker.wake()
        elif not worker.running:
            worker.start()


def look() -> float | None:
    """Hand over the marks that are due; runs on the worker.

    Returns:
        Seconds until the next is; None while nothing is open that has none.
    """
    if not _takers:
        return None
    # Their times are taken only where something is open: most looks find nothing.
    opened = list(open_operations.items())
    if not opened:
        _marked.clear()
        return None
    _marked.intersection_update([call_id for call_id, _ in opened])
    now = time.time_ns()
    due: list[Operation] = []
    soonest: float | None = None
    for call_id, operation in opened:
        if call_id in _marked or operation.start_ns < _since_ns:
            continue
        rest = MARK_SECONDS - (now - operation.start_ns) / 1e9
        if rest <= 0:
            due.append(operation)
            _marked.add(call_id)
        elif soonest is None or rest < soonest:
            soonest = rest
    for place in range(0, len(due), BATCH):
        _hand_over(due[place : place + BATCH])
    return soonest


def _hand_over(due: Sequence[Operation]) -> None:
    process = identity()
    marks: list[CallRecord] = []
    for operation in due:
        try:
            if not operation.ended:
                marks.append(mark_of(operation, process))
        except Exception as error:
            swallowed("calls.mark", error)
    for taker in tuple(_takers):
        try:
            if marks:
                taker(marks)
        except Exception as error:
            swallowed("calls.mark_taker", error)


def mark_of(operation: Operation, process: str) -> CallRecord:
    """The started mark of an operation: who, what and when, and nothing that costs or counts."""
    record = operation._record(Status.RUNNING, None, operation.start_ns, operation.telemetry.project)
    return record._replace(
        end_ns=None,
        possibly_billed=False,
        usage=None,
        usage_format=None,
        price_context=None,
        content=None,
        process=process,
    )


worker.watch(look)
