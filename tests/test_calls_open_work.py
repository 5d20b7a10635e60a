"""Started marks are made when they are due, once, and by a worker that otherwise sleeps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import spantally
from spantally.calls import open_work
from spantally.ground.records import CallRecord
from spantally.ground.worker import IDLE_WAITS, Worker, worker


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[CallRecord]]:
    """What a taker of marks is given, and nobody else."""
    taken: list[CallRecord] = []

    def take(batch: Sequence[CallRecord]) -> None:
        taken.extend(one for one in batch if one.name == "planner")

    monkeypatch.setattr(open_work, "_takers", [take])
    monkeypatch.setattr(open_work, "_marked", set())
    yield taken
    worker.flush(5.0)


def until(condition: object, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_ends_before_its_mark_is_due_leaves_none(marks: list[CallRecord]) -> None:
    """Of a short operation nothing is written but its end."""
    for _ in range(20):
        with spantally.agent("planner"):
            worker.flush(5.0)
    assert marks == []


def test_one_mark_for_each_that_stays_open(marks: list[CallRecord]) -> None:
    """It says who, what and since when, and nothing that costs or counts; the worker makes it once."""
    with spantally.session("s1"), spantally.agent("planner"):
        until(lambda: marks)
        for _ in range(3):
            worker.flush(5.0)
    (mark,) = marks
    assert (mark.status, mark.end_ns, mark.usage, mark.content) == ("running", None, None, None)
    assert (mark.session_id, mark.agent_path) == ("s1", ("planner",))
    assert mark.process is not None
    assert not mark.possibly_billed


def test_the_worker_sleeps_while_what_is_open_has_its_mark(marks: list[CallRecord]) -> None:
    """A timer runs only until the mark is made: afterwards nobody looks until something new begins."""
    with spantally.agent("planner"):
        until(lambda: marks)
        until(lambda: worker.sleeping)
        with spantally.agent("planner"):
            until(lambda: len(marks) == 2)


def test_a_watcher_keeps_the_worker_awake_only_as_long_as_it_waits() -> None:
    """It is asked again at the moment that it names, and no more once it waits for nothing."""
    own = Worker(gather_seconds=0.01)
    asked: list[float] = []

    def look() -> float | None:
        asked.append(time.monotonic())
        return 0.001 if len(asked) <= 3 * IDLE_WAITS else None

    own.watch(look)
    own.start()
    try:
        until(lambda: own.sleeping)
        count = len(asked)
        assert count > 3 * IDLE_WAITS
        time.sleep(0.1)
        assert len(asked) == count
    finally:
        assert own.stop()


def test_what_began_before_instrument_leaves_no_mark(marks: list[CallRecord], tmp_path: Path) -> None:
    """An operation of an earlier set-up that nobody ended is no running work of the ledger in force now."""
    spantally.instrument(ledger=False, summary=False)
    with spantally.agent("planner"):
        spantally.uninstrument()
        spantally.instrument(ledger=tmp_path / "later.db", summary=False)
        try:
            time.sleep(open_work.MARK_SECONDS + 0.1)
            worker.flush(5.0)
            assert marks == []
        finally:
            spantally.uninstrument()
