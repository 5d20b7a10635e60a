"""A program that never waits lets the worker in, and waits for nothing else than its turn."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from spantally.ground.turn import LOOP_TURN_SECONDS, OVERDUE_SECONDS, TURN_SECONDS
from spantally.ground.worker import Channel, Worker
from spantally.sinks.sink import QUEUE, Sink


@contextmanager
def opened(
    handler: Callable[[Sequence[int]], None], overdue: float = OVERDUE_SECONDS
) -> Iterator[tuple[Worker, Channel[int]]]:
    """A worker of its own with one channel."""
    own = Worker(gather_seconds=0.02, overdue_seconds=overdue)
    try:
        yield own, own.channel("let in", handler)
    finally:
        own.stop()


def _never_idle(channel: Channel[int], seconds: float) -> int:
    """Put an item each millisecond, and let go of the interpreter lock for a system call only."""
    end = time.monotonic() + seconds
    put = 0
    while time.monotonic() < end:
        busy = time.monotonic() + 0.001
        while time.monotonic() < busy:
            pass
        os.urandom(16)
        channel.put(put)
        put += 1
    return put


def _hold(until: threading.Event) -> None:
    until.wait(10)


def _statements(batch: Sequence[int]) -> None:
    """A handler that lets go of the lock again and again, as sqlite3 does at each step of a statement."""
    for _ in range(15):
        os.urandom(16)


def test_the_worker_gets_its_turn_beside_a_program_that_never_waits() -> None:
    done: list[int] = []

    def handler(batch: Sequence[int]) -> None:
        _statements(batch)
        done.extend(batch)

    with opened(handler) as (own, channel):
        put = _never_idle(channel, 1.5)
        assert len(done) > put / 2, (len(done), put, own.pending())
        assert done == sorted(done)


def test_the_worker_gets_its_turn_among_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is overdue they all stand still: the lock that one of them lets go of is another's otherwise.

    Whether it starves beside threads that go on is up to the system's scheduler; that they stand is not.
    """
    monkeypatch.setattr("spantally.ground.turn.TURN_SECONDS", 30.0)
    put = itertools.count()
    stood: list[bool] = []
    stop = threading.Event()

    def so_far() -> int:
        return int(repr(put)[6:-1])  # what it counts next, without counting on

    def handler(batch: Sequence[int]) -> None:
        for _ in range(0 if any(stood) else 100):
            before = so_far()
            time.sleep(0.1)
            stood.append(so_far() == before)
            if stood[-1]:
                return

    def run() -> None:
        while not stop.is_set():
            busy = time.monotonic() + 0.0003
            while time.monotonic() < busy:
                pass
            os.urandom(16)
            channel.put(next(put))

    with opened(handler) as (_, channel):
        threads = [threading.Thread(target=run) for _ in range(8)]
        for one in threads:
            one.start()
        try:
            end = time.monotonic() + 30
            while not any(stood) and len(stood) < 100 and time.monotonic() < end:
                time.sleep(0.01)
            stood_at = so_far()
            while so_far() == stood_at and time.monotonic() < end:
                time.sleep(0.01)  # once it has done its batch they go on
            assert so_far() > stood_at
        finally:
            stop.set()
            for one in threads:
                one.join()
        assert any(stood), "somebody always went on beside a worker that was late"


def test_an_event_loop_waits_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spantally.ground.turn.TURN_SECONDS", 10.0)
    held = threading.Event()
    with opened(lambda batch: _hold(held), overdue=0.0) as (own, channel):

        async def run() -> float:
            own.turn.late_at = 0.0
            began = time.monotonic()
            channel.put(1)
            return time.monotonic() - began

        channel.put(0)
        time.sleep(0.1)  # until the worker has it in hand
        took = asyncio.run(run())
        held.set()
        assert LOOP_TURN_SECONDS / 2 < took < 5.0, took


def test_who_waits_for_a_worker_that_is_held_up_waits_ever_more_rarely() -> None:
    """A ledger locked by another program: nothing that a caller could let the worker do."""
    held = threading.Event()
    with opened(lambda batch: _hold(held)) as (own, channel):
        channel.put(0)
        end = time.monotonic() + 1.0
        waited = slowest = 0.0
        while time.monotonic() < end:
            began = time.monotonic()
            channel.put(1)
            took = time.monotonic() - began
            waited += took if took > TURN_SECONDS / 2 else 0.0
            slowest = max(slowest, took)
            time.sleep(0.001)
        held.set()
        assert waited < 0.5, (waited, slowest)  # without a thought it were three quarters of the time
        assert own.turn.late_at > time.monotonic() or own.flush(5)


def test_an_exporter_beside_a_program_that_never_waits_gets_every_span() -> None:
    class Counting:
        """Takes spans, and lets go of the interpreter lock as one that writes a file does."""

        def __init__(self) -> None:
            self.spans = 0

        def export(self, spans: Sequence[object]) -> None:
            os.urandom(16)
            self.spans += len(spans)

        def shutdown(self) -> None:
            """Nothing to do."""

    exporter = Counting()
    sink = Sink(exporter, lambda: None)
    offered = 0
    while offered < QUEUE + 1000:
        busy = time.monotonic() + 0.0005
        while time.monotonic() < busy:
            pass
        os.urandom(16)
        sink.offer(object())
        offered += 1
    assert sink.flush(10)
    sink.begin_close()
    assert sink.flush(10)
    assert exporter.spans == offered


def test_a_worker_that_may_wait_for_others_is_let_in_by_nobody() -> None:
    held = threading.Event()
    with opened(lambda batch: _hold(held), overdue=float("inf")) as (own, channel):
        channel.put(0)
        time.sleep(0.1)
        began = time.thread_time(), time.monotonic()
        for number in range(100):
            channel.put(number)
        assert own.turn.late_at == float("inf")
        assert time.monotonic() - began[1] < 0.5
        held.set()


def test_a_channel_that_feeds_another_does_not_wait_for_itself() -> None:
    own = Worker(gather_seconds=0.01, overdue_seconds=0.0)
    second: list[int] = []
    took: list[float] = []

    def feed(batch: Sequence[int]) -> None:
        own.turn.late_at = 0.0  # overdue at this very moment
        began = time.monotonic()
        for item in batch:
            after.put(item)
        took.append(time.monotonic() - began)

    first = own.channel("first", feed)
    after: Channel[int] = own.channel("second", second.extend)
    first.put(7)
    assert own.flush(5)
    own.stop()
    assert second == [7]
    assert own.turn._apart == 0.01, "it waited for its own turn"
    assert max(took) < TURN_SECONDS


def test_the_process_has_its_worker_let_in_and_ends_its_thread_with_uninstrument(tmp_path: Path) -> None:
    import spantally
    from spantally.ground.worker import worker

    assert worker.turn._overdue == OVERDUE_SECONDS
    for _ in range(2):
        spantally.instrument(ledger=str(tmp_path / "ledger.db"))
        with spantally.session(name="let in"):
            pass
        assert spantally.flush(5)
        assert worker.name in {thread.name for thread in threading.enumerate()}
        spantally.uninstrument()
        assert worker.name not in {thread.name for thread in threading.enumerate()}
    with spantally.open_ledger(str(tmp_path / "ledger.db")) as ledger:
        assert [one.name for one in ledger.sessions()] == ["let in", "let in"]


def test_a_turn_that_raises_is_nobodys_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program gets its answer, and the call its row: it was handed over before."""
    import openai

    import spantally
    from spantally.ground import guard
    from spantally.ground.worker import worker
    from spantally.testing import Reply, ScriptedServer

    def fail(_: object) -> None:
        raise RuntimeError("broken for the test")

    path = str(tmp_path / "ledger.db")
    asked: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
    guard.reset()
    spantally.instrument(ledger=path)
    try:
        with (
            ScriptedServer(Reply(text="fine")) as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-0001", max_retries=0) as client,
        ):
            client.chat.completions.create(model="gpt-4o", messages=asked)
            monkeypatch.setattr("spantally.ground.turn.Turn.wait", fail)
            worker.turn.late_at = 0.0
            answer = client.chat.completions.create(model="gpt-4o", messages=asked)
            assert answer.choices[0].message.content == "fine"
            assert ("calls.record", "RuntimeError") in guard.failures
        worker.turn.expect(0.0)
        assert spantally.flush(5)
    finally:
        spantally.uninstrument()
        guard.reset()
    with spantally.open_ledger(path) as ledger:
        assert len(ledger.calls()) == 2
