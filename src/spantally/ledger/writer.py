"""The handler between the worker's channel and the store: keeps what the store cannot take, never raises."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from spantally.ground.errors import LedgerError
from spantally.ground.guard import say_once, swallowed
from spantally.ground.records import (
    COUNTED_KINDS,
    CallRecord,
    EventRecord,
    LinkRecord,
    Record,
    is_mark,
    is_paid,
)
from spantally.ledger.contract import Health, Rater, Store

SUB_BATCH: Final = 64
"""Records of one transaction: a larger one holds up the program's other threads."""

MOST_KEPT: Final = 10_000
"""Records kept in memory while the store takes none; above it those without cost go first."""

MOST_COSTED: Final = 10 * MOST_KEPT
"""Records with cost kept at the very most; above :data:`MOST_KEPT` without their content."""

SETTLE_BATCH: Final = 200


class LedgerWriter:
    """Writes batches of records; keeps and retries those that the store could not take."""

    def __init__(
        self,
        store: Store,
        rate: Rater,
        *,
        on_ready: Callable[[Callable[[], None]], object] | None = None,
        most_kept: int = MOST_KEPT,
    ) -> None:
        """Bind a store to a rater.

        Args:
            store: takes the records.
            rate: prices them; may answer ``pending``.
            on_ready: takes a callback that is to run once prices can be told; pending rows are rated then.
            most_kept: records kept while the store takes none.
        """
        self.store = store
        self.rate = rate
        self.dropped = 0
        """Records given up for want of memory, none of them with a cost."""
        self.dropped_calls = 0
        """Records with a cost given up; only beyond ten times ``most_kept``."""
        self._most = most_kept
        self._pid = os.getpid()
        self._kept: deque[Record] = deque()
        self._lock = threading.RLock()
        self._error: LedgerError | None = None
        if on_ready is not None:
            try:
                on_ready(self._prices_ready)
            except Exception as error:
                swallowed("ledger.writer.on_ready", error)

    def handle(self, batch: Sequence[Record]) -> None:
        """Write a batch, after what was kept from earlier ones. Never raises.

        Args:
            batch: records in the order in which they came.
        """
        try:
            if self._pid != os.getpid():
                # The child of a fork: what waits is the parent's, and so may be who holds the lock.
                self._pid, self._lock, self._kept = os.getpid(), threading.RLock(), deque()
            with self._lock:
                self._kept.extend(batch)
                self._drain()
        except Exception as error:
            swallowed("ledger.writer", error)

    def flush(self) -> bool:
        """Try again to write what was kept.

        Returns:
            True if nothing is left.
        """
        self.handle(())
        return not self._kept

    def settle(self) -> int:
        """Rate pending rows as far as prices are known; returns how many were rated. Never raises."""
        done = 0
        if self.locked():
            return done  # each try waits for the lock; the next batch finds out whether it is free
        try:
            while True:
                now = self.store.settle(self.rate, SETTLE_BATCH)
                done += now
                if now < SETTLE_BATCH:
                    return done
        except LedgerError as error:
            if self._error is None:  # else it is known that the ledger cannot be used, and said why
                self._complain(error)
        except Exception as error:
            swallowed("ledger.settle", error)
        return done

    def _prices_ready(self) -> None:
        self.settle()

    def _drain(self) -> None:
        while self._kept:
            # Taken out once they are written: who asks meanwhile is told that they are not.
            chunk = list(islice(self._kept, SUB_BATCH))
            try:
                self.store.write(chunk, self.rate)
            except LedgerError as error:
                self._complain(error)
                self._bound()
                return
            except Exception as error:
                # Not the ledger but its store object is at fault; one record may be the reason.
                swallowed("ledger.store", error)
                self._write_singly(chunk)
            else:
                self._error = None
            for record in chunk:
                if self._kept and self._kept[0] is record:
                    self._kept.popleft()

    def _write_singly(self, chunk: Iterable[Record]) -> None:
        for record in chunk:
            try:
                self.store.write([record], self.rate)
            except Exception as error:
                swallowed("ledger.store", error)
                self._count_dropped(record)

    def _complain(self, error: LedgerError) -> None:
        self._error = error
        say_once(
            f"ledger:{error.slug}",
            "spantally: %s. Until then the tally is kept in memory; the program is not affected",
            error,
        )

    def _bound(self) -> None:
        """Keep memory bounded: what carries no cost goes first, then content, then the oldest."""
        over = len(self._kept) - self._most
        if over <= 0:
            return
        for is_spare in (_is_context, _is_structure):
            kept: deque[Record] = deque()
            for record in self._kept:
                if over > 0 and is_spare(record):
                    over -= 1
                    self._count_dropped(record)
                else:
                    kept.append(record)
            self._kept = kept
        if over <= 0:
            return
        self._kept = deque(
            record._replace(content=None, attributes=None) if isinstance(record, CallRecord) else record
            for record in self._kept
        )
        while len(self._kept) > self._most * (MOST_COSTED // MOST_KEPT):
            self._count_dropped(self._kept.popleft())

    def _count_dropped(self, record: Record) -> None:
        if isinstance(record, CallRecord) and not is_mark(record) and not _is_structure(record):
            self.dropped_calls += 1
        else:
            self.dropped += 1
        say_once(
            "ledger:dropped",
            "spantally: records had to be given up while the ledger could not be written; "
            "`spantally doctor` counts them",
        )

    def health(self) -> Health:
        """The store's health, with what waits in memory and what was given up. Never raises."""
        try:
            found = self.store.health()
        except Exception as error:
            swallowed("ledger.health", error)
            found = Health(target=type(self.store).__name__, ok=False, detail=type(error).__name__)
        warnings = list(found.warnings)
        if self._kept:
            cause = "" if self._error is None else f": {self._error}"
            warnings.append(f"{len(self._kept)} records wait in memory{cause}")
        if self.dropped or self.dropped_calls:
            warnings.append(
                f"{self.dropped} records without cost and {self.dropped_calls} calls were given up "
                "while the ledger could not be written"
            )
        return replace(found, ok=found.ok and not self._kept, warnings=tuple(warnings))

    def kept(self) -> int:
        """Records that wait in memory."""
        return len(self._kept)

    def let_go(self) -> None:
        """Let go of the store's connections; it opens them again when it is used again. Never raises."""
        try:
            self.store.close()
        except Exception as error:
            swallowed("ledger.close", error)

    def close(self) -> None:
        """Write what was kept if possible, and let go of the store. Never raises."""
        if not self.locked():
            self.flush()  # else it was tried a moment ago, and waiting again would hold up the process's end
        self.let_go()

    def locked(self) -> bool:
        """Whether another process has locked the ledger: each try waits for it."""
        return self._error is not None and self._error.slug == "locked"


def _is_context(record: Record) -> bool:
    if isinstance(record, CallRecord):
        return is_mark(record)
    return isinstance(record, (LinkRecord, EventRecord))


def _is_structure(record: Record) -> bool:
    """Agents, tools and workflows that carry no cost."""
    return isinstance(record, CallRecord) and record.kind not in COUNTED_KINDS and not is_paid(record)
