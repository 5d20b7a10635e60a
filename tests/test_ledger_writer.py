"""The writer keeps what the store cannot take, tries again, stays bounded and never raises."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger_kit import agent, chat, link, not_loaded, rate, session, tool
from spantally.ground import guard
from spantally.ground.errors import LedgerError
from spantally.ground.records import Record
from spantally.ground.worker import Worker
from spantally.ledger.contract import Filter, Rater
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.ledger.writer import LedgerWriter

ALL = Filter()


class Failing(SQLiteStore):
    """A store in memory that refuses while told to."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.error: Exception | None = None
        self.tries = 0

    def write(self, records: Sequence[Record], rate: Rater) -> None:
        """Refuse, or write."""
        self.tries += 1
        if self.error is not None:
            raise self.error
        super().write(records, rate)


def full() -> LedgerError:
    """What a full disk gives."""
    return LedgerError("no room in x.db; free space", slug="disk_full")


def test_what_is_being_written_is_not_written_yet() -> None:
    """A store that takes long, as one that waits for a lock: who asks at the end is told so."""
    waiting: list[int] = []

    class Slow(Failing):
        def write(self, records: Sequence[Record], rate: Rater) -> None:
            waiting.append(writer.kept())
            super().write(records, rate)

    writer = LedgerWriter(Slow(), rate)
    writer.handle([chat("a"), chat("b")])
    assert waiting == [2]
    assert writer.kept() == 0


def test_what_could_not_be_written_is_written_later(caplog: pytest.LogCaptureFixture) -> None:
    """Batches that a full disk refused are written with the next, in order, after one log line."""
    guard.reset()
    store = Failing()
    writer = LedgerWriter(store, rate)
    store.error = full()
    with caplog.at_level(logging.WARNING, "spantally"):
        for n in range(5):
            writer.handle([chat(f"c{n}")])
    assert writer.kept() == 5
    assert caplog.text.count("no room in x.db") == 1
    assert not writer.health().ok
    assert "5 records wait in memory" in " ".join(writer.health().warnings)
    store.error = None
    assert writer.flush()
    assert len(store.calls(ALL)) == 5
    assert writer.health().ok


def test_memory_is_bounded_and_cost_stays() -> None:
    """Above the bound links go first, then agents and tools, then content; calls stay up to ten times it."""
    store = Failing()
    writer = LedgerWriter(store, rate, most_kept=20)
    store.error = full()
    writer.handle([session(), *(link(n, None) for n in range(1, 30)), agent(), tool()])
    assert (writer.kept(), writer.dropped) == (20, 12)
    writer.handle([chat(f"c{n}", content={"output": "long"}) for n in range(40)])
    writer.handle([chat(f"d{n}") for n in range(140)])
    assert (writer.kept(), writer.dropped_calls) == (181, 0)
    writer.handle([chat(f"e{n}") for n in range(40)])
    assert (writer.kept(), writer.dropped_calls) == (200, 20)
    store.error = None
    writer.flush()
    rows = {row.call_id: row for row in store.calls(ALL)}
    assert len(rows) == 200
    assert rows["c30"].content is None


def test_a_store_that_raises_anything_harms_nobody() -> None:
    """An error that is no LedgerError is swallowed and counted, and later batches are written."""
    guard.reset()
    store = Failing()
    writer = LedgerWriter(store, rate)
    store.error = RuntimeError("bug")
    writer.handle([chat("c1")])
    assert (writer.kept(), writer.dropped_calls) == (0, 1)
    assert guard.failures[("ledger.store", "RuntimeError")] == 2
    store.error = None
    writer.handle([chat("c2")])
    assert [row.call_id for row in store.calls(ALL)] == ["c2"]


def test_large_batches_are_parted() -> None:
    """No transaction takes more than 64 records."""
    store = Failing()
    LedgerWriter(store, rate).handle([chat(f"c{n}") for n in range(130)])
    assert store.tries == 3


def test_prices_that_come_late_settle_what_is_pending() -> None:
    """The callback given to on_ready rates all pending rows."""
    callbacks: list[Callable[[], None]] = []
    now: list[Any] = [not_loaded]
    store = Failing()
    writer = LedgerWriter(store, lambda record: now[0](record), on_ready=callbacks.append)
    writer.handle([chat(f"c{n}") for n in range(450)])
    assert writer.settle() == 0
    now[0] = rate
    callbacks[0]()
    assert store.sessions(ALL)[0].pending_calls == 0
    assert store.sessions(ALL)[0].cost_nano_usd == 450 * 16_000


def test_behind_the_worker(tmp_path: Path) -> None:
    """As a channel's handler it stores what is put, and stopping the worker lets the file go."""
    store = SQLiteStore(tmp_path / "ledger.db")
    writer = LedgerWriter(store, rate)
    worker = Worker(gather_seconds=0.01)
    channel = worker.channel("ledger", writer.handle, on_stop=writer.let_go)
    for n in range(200):
        channel.put(chat(f"c{n}"))
    assert worker.stop(10)
    assert store._writer is None
    assert len(store.calls(ALL)) == 200
    writer.close()


def test_nothing_of_it_raises(tmp_path: Path) -> None:
    """Every method keeps its errors to itself, whatever the store does."""
    missing = LedgerWriter(SQLiteStore(tmp_path / "no" / "ledger.db"), rate)
    missing.handle([chat()])
    assert missing.settle() == 0
    assert not missing.flush()
    health = missing.health()
    assert not health.ok
    assert "missing_directory" in health.detail
    missing.close()
    nonsense = LedgerWriter(object(), rate)  # type: ignore[arg-type]
    nonsense.handle([chat()])
    assert nonsense.settle() == 0
    assert not nonsense.health().ok
    nonsense.close()
