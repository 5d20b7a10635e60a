"""A clock that is set while something runs: durations are those of a clock that nobody sets."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import spantally
from ledger_kit import SECOND, T0, chat, rate, session, tool
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore
from watching import Watched

HOUR = 3600 * SECOND


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the time of day by so many nanoseconds."""
    real, shift = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + shift[0])

    def change(nanoseconds: int) -> None:
        shift[0] += nanoseconds

    return change


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_the_clock_is_set_while_something_runs(
    tmp_path: Path, set_clock: Callable[[int], None], jump: int
) -> None:
    """The duration is what it took, on the row and on the span."""
    watched = Watched(ledger=str(tmp_path / "ledger.db"))
    try:
        with spantally.session("s"), spantally.agent("planner"):
            set_clock(jump)
            time.sleep(0.02)
        assert spantally.flush()
        with spantally.open_ledger() as ledger:
            [row] = ledger.calls()
        assert row.duration_ms is not None
        assert 20 <= row.duration_ms < 60_000
        [span] = [one for one in watched.exporter.spans if "planner" in one.name]
        assert span.end_time_unix_nano - span.start_time_unix_nano == round(row.duration_ms * 1e6)
    finally:
        watched.close()


def test_what_ended_before_it_began_has_no_duration() -> None:
    """As others tell it: no length is known, in lists, sessions and orders."""
    store = SQLiteStore(":memory:")
    odd = {"start_ns": T0 + HOUR, "end_ns": T0}
    store.write(
        [
            session("s", end_ns=T0 - SECOND, status="succeeded"),
            chat("odd", "s", **odd),
            chat("long", "s", end_ns=T0 + HOUR),
            chat("short", "s"),
            tool("read", "s", inferred=True),
        ],
        rate,
    )
    by_duration = Filter(order_by="duration")
    assert [(row.call_id, row.duration_ms) for row in store.calls(by_duration)] == [
        ("short", 1000.0),
        ("long", 3_600_000.0),
        ("read", None),
        ("odd", None),
    ]
    assert [row.duration_ms for row in store.sessions(by_duration)] == [None]
