"""From a finished call to whoever wants its record: consumers run on the worker, never on the caller."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from spantally.ground.guard import swallowed
from spantally.ground.records import COUNTED_KINDS, CallRecord, LateEventRecord, LateRecord, Record
from spantally.ground.session_state import known_session
from spantally.ground.worker import Channel, worker

Consumer: TypeAlias = Callable[[Sequence[Record]], None]
Tap: TypeAlias = Callable[[Record | LateRecord | LateEventRecord], None]

METERED_LIMIT: Final = 4096
"""How many metered call ids are remembered, so that the span processor need not read them again."""

_consumers: list[Consumer] = []
_taps: tuple[Tap, ...] = ()
_metered: dict[str, None] = {}
_metered_before: dict[str, None] = {}


def _end_late(batch: Sequence[Callable[[], None]]) -> None:
    for end in batch:
        try:
            end()
        except Exception as error:
            swallowed("calls.end_late", error)


def _hand_out(batch: Sequence[Record | LateRecord | LateEventRecord]) -> None:
    records: list[Record] = []
    for item in batch:
        try:
            records.append(item if isinstance(item, tuple) else item.record())
        except Exception as error:
            swallowed("calls.record", error)
    for consumer in tuple(_consumers):
        try:
            consumer(records)
        except Exception as error:
            swallowed("calls.consumer", error)


late: Final = worker.channel("late_ends", _end_late)
"""Ends that a finaliser, a closing response or a signal could only note; opened first, so run first."""

records: Final[Channel[Record | LateRecord | LateEventRecord]] = worker.channel("records", _hand_out)


def emit(record: Record | LateRecord | LateEventRecord) -> None:
    """Hand a record to the consumers: one append on this thread. Without consumers it goes nowhere."""
    if _consumers:
        records.put(record)
    for tap in _taps:
        try:
            tap(record)
        except Exception as error:
            swallowed("calls.tap", error)


def add_tap(tap: Tap) -> None:
    """Give every record to ``tap`` at once, on the thread that emits it; adding it twice is once.

    Args:
        tap: does one append and nothing else: the thread is the program's.
    """
    global _taps
    if tap not in _taps:
        _taps = (*_taps, tap)


def remove_tap(tap: Tap) -> None:
    """Stop giving records to ``tap``."""
    global _taps
    _taps = tuple(one for one in _taps if one != tap)


def remember_metered(call_id: str) -> None:
    """Note, before its span ends, that a call is metered at the source: its span needs no second reading."""
    global _metered, _metered_before
    _metered[call_id] = None
    if len(_metered) >= METERED_LIMIT:
        # Two generations: at least as many ids as the limit are known, and nothing is taken out one by one.
        _metered_before, _metered = _metered, {}


def emit_foreign(record: Record) -> None:
    """Hand over a record read from a span, and let the live totals of its session know."""
    if isinstance(record, CallRecord) and record.kind in COUNTED_KINDS:
        state = known_session(record.session_id)
        if state is not None:
            state.add(record)
    emit(record)


def is_metered(call_id: str) -> bool:
    """True if a call of this id was metered at the source in this process, lately."""
    return call_id in _metered or call_id in _metered_before


def add_consumer(consumer: Consumer, *, first: bool = False) -> None:
    """Give every record to ``consumer`` from now on; adding it twice is once.

    Args:
        consumer: gets batches, on the worker.
        first: before those that are there, of which one may wait for a lock.
    """
    if consumer not in _consumers:
        _consumers.insert(0 if first else len(_consumers), consumer)


def consumers() -> tuple[Consumer, ...]:
    """Who gets the records."""
    return tuple(_consumers)


def remove_consumer(consumer: Consumer, *, flush: bool = True) -> None:
    """Stop giving records to ``consumer``, after it got those that wait.

    Args:
        consumer: gets no more.
        flush: False where nothing that waits is for it.
    """
    if consumer in _consumers:
        if flush:
            worker.flush(5.0)
        _consumers.remove(consumer)


def end_late_now(wait: float = 0.0) -> None:
    """Run the noted ends on this thread: before totals are read, so that they hold every ended call.

    Args:
        wait: seconds to wait at most for those that the worker has in hand.
    """
    if wait > 0 and worker.running:
        worker.wait_for_batch(wait)
    while batch := late.take(64):
        late.run(batch)


_at_exit: list[Callable[[], Any]] = []


def at_exit(callback: Callable[[], Any]) -> None:
    """Run ``callback`` when the interpreter exits, before the worker drains; the newest first."""
    if callback not in _at_exit:
        _at_exit.append(callback)


def run_exit_callbacks() -> None:
    """What interpreter exit and SIGTERM run: each callback once, guarded."""
    while _at_exit:
        callback = _at_exit.pop()
        try:
            callback()
        except Exception as error:
            swallowed("calls.at_exit", error)


atexit.register(run_exit_callbacks)
