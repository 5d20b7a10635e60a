"""The ledger of this process: opened on the worker with the first record, so that start-up pays nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from spantally.api.kept_records import KeptRecords, RedactorNow
from spantally.calls import pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.calls.telemetry import RedactorLike
from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord, Record
from spantally.ground.settings import from_argument, from_environment
from spantally.ground.worker import worker

_used: set[LedgerConsumer] = set()
"""Those that may hold something, or have their file open."""

MOST_WAITING: Final = 10_000
"""Records kept while there is not even a writer; of more the oldest go."""


class LedgerConsumer:
    """Hands records to the ledger's writer; opens the store when the first record comes.

    Args:
        target: a path, ``":memory:"``, a store object, or None for the user's default ledger.
        synchronous: ``normal`` or ``full``.
        redactor: what the records pass; that of the process by default.
    """

    def __init__(self, target: object | None, synchronous: str, redactor: RedactorNow | None = None) -> None:
        self._kept = KeptRecords(redactor or _active_redactor)
        self.target = target
        self.synchronous = synchronous
        self.writer: Any = None
        self._waiting: list[Record] = []
        self._lost = 0

    def __call__(self, batch: Sequence[Record]) -> None:
        """Take a batch, on the worker; it waits for the next one where no writer can be made.

        Making one imports a lot, which fails in a program that has no file descriptor left just now.
        """
        waiting = self._waiting
        waiting.extend(batch)
        if self.writer is None:
            _used.add(self)
            if len(waiting) > MOST_WAITING:
                self._lost += len(waiting) - MOST_WAITING
                del waiting[:-MOST_WAITING]
        writer = self.open()
        taken = self._kept(waiting)
        self._waiting = []
        writer.handle(taken)

    def take_marks(self, marks: Sequence[CallRecord]) -> None:
        """Take started marks, on the worker; only a store that knows what they are is given any."""
        writer = self.open()
        if getattr(writer.store, "keeps_marks", False):
            writer.handle(self._kept(marks))

    def open(self) -> Any:
        """The writer, made at the first need; a store that cannot be opened is the writer's to report."""
        if self.writer is None:
            from spantally import pricing
            from spantally.ledger.opening import open_store
            from spantally.ledger.writer import LedgerWriter
            from spantally.queries.ledger import begin_store

            store = begin_store(self.target, lambda: open_store(self.target, synchronous=self.synchronous))
            self.writer = LedgerWriter(store, pricing.rate_if_loaded)
            _used.add(self)
            pricing.on_loaded(self._loaded)
            pricing.ensure_loading()
        return self.writer

    def _loaded(self) -> None:
        """The price data is there: let the worker rate what is pending."""
        settle_channel.put(self)

    @property
    def outlives(self) -> bool:
        """Whether the ledger is there once the process has ended."""
        return self.target != ":memory:"

    def unwritten(self) -> int:
        """Records that the store has not taken: they wait in memory, or were given up."""
        waiting = len(self._waiting) + self._lost
        if self.writer is None:
            return waiting
        return int(waiting + self.writer.kept() + self.writer.dropped + self.writer.dropped_calls)

    def settle(self) -> None:
        """Write what waits and rate pending rows, on the worker."""
        self._write_waiting()
        if self.writer is not None:
            if self.writer.kept() and not self.writer.locked():
                self.writer.flush()
            self.writer.settle()

    def try_again(self) -> None:
        """Have the worker try to write what the store has not taken."""
        if self.holds_records():
            settle_channel.put(self)

    def holds_records(self) -> bool:
        """Whether records wait in memory."""
        return bool(self._waiting) or (self.writer is not None and self.writer.kept() > 0)

    def close(self) -> None:
        """Write what waits and let go of the store."""
        self._write_waiting()
        if self.writer is None:
            if not self.outlives:
                self._forget_asked()
            return
        try:
            from spantally.queries.ledger import set_active_store

            self.writer.close()
            _used.discard(self)
            set_active_store(None)
        except Exception as error:
            swallowed("api.ledger_close", error)

    def stop(self) -> None:
        """Write what waits and close the file, before a fork and at exit."""
        self._write_waiting()
        if self.writer is not None:
            self.writer.close()

    def _write_waiting(self) -> None:
        if self._waiting:
            try:
                self(())
            except Exception as error:
                swallowed("api.ledger_waiting", error)

    @staticmethod
    def _forget_asked() -> None:
        """Whoever opened it for reading has one that nothing will be written to."""
        queries = sys.modules.get("spantally.queries.ledger")
        if queries is not None:
            queries.forget_asked()


def _forget_in_child() -> None:
    """What waits at a fork is its parent's to write."""
    for consumer in tuple(_used):
        consumer._waiting = []


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_forget_in_child)


def _settle(batch: Sequence[LedgerConsumer]) -> None:
    for consumer in dict.fromkeys(batch):
        try:
            consumer.settle()
        except Exception as error:
            swallowed("api.settle", error)


def _stop() -> None:
    """Before a fork and at exit: no connection is carried across."""
    for consumer in tuple(_used):
        try:
            consumer.stop()
        except Exception as error:
            swallowed("api.ledger_stop", error)


settle_channel = worker.channel("settle", _settle, on_stop=_stop)


def _active_redactor() -> RedactorLike:
    return telemetry_module.active.redactor


def sink_of(ledger: object, redactor: RedactorNow | None = None) -> Callable[[Record], None]:
    """Where a span processor that stands alone hands its records.

    Args:
        ledger: its argument; None means the process's active ledger, else the default one.
        redactor: its redactor, at any time.

    Raises:
        SettingsError: for a value that is no ledger.
    """
    target = from_argument("ledger", ledger)
    if target is False:
        return _nowhere
    consumer = LedgerConsumer(target, from_environment("synchronous"), redactor)
    alone = worker.channel("span_processor", consumer)

    def put(record: Record) -> None:
        if ledger is None and any(isinstance(one, LedgerConsumer) for one in pipeline.consumers()):
            pipeline.emit_foreign(record)
        else:
            alone.put(record)

    return put


def _nowhere(record: Record) -> None:
    return None


__all__ = ["LedgerConsumer", "settle_channel", "sink_of"]
