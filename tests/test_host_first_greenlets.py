"""Greenlets in the place of threads, as gevent makes them: forks, locks and cancellation."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk import resources
from opentelemetry.sdk.trace import TracerProvider

from spantally.api import children
from spantally.api.session_telling import status_of
from spantally.ground import greenlets, guard
from spantally.ground import worker as module
from spantally.ground.cancelling import is_cancellation
from spantally.ground.joining import join
from spantally.ground.records import SessionStatus
from spantally.ground.worker import Worker
from spantally.otel.provider import build_provider


class _Detector:
    """Tells of the process, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def is_process_dependent(self) -> bool:
        return True

    def detect(self) -> resources.Resource:
        if self.error is not None:
            raise self.error
        return resources.Resource({"made.up": "in the child"})


def _fail(self: object) -> None:
    raise AssertionError("a thread is started")


@pytest.mark.skipif(not hasattr(TracerProvider, "_handle_fork"), reason="this SDK does nothing at a fork")
def test_the_child_of_a_fork_waits_for_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait for a thread is where the program's other greenlets would run in the child."""
    guard.reset()
    provider: Any = build_provider()
    monkeypatch.setattr(threading.Thread, "start", _fail)
    monkeypatch.setattr(resources, "_build_resource_detectors", lambda: [_Detector()])
    provider._handle_fork()
    assert provider.resource.attributes["made.up"] == "in the child"
    monkeypatch.setattr(resources, "_build_resource_detectors", lambda: [_Detector(ValueError("made"))])
    assert not guard.failures
    provider._handle_fork()
    assert guard.failures == {("otel.provider_fork", "ValueError"): 1}
    guard.reset()


def test_a_fork_waits_for_a_thread_that_is_just_made() -> None:
    """``Thread.join`` refuses what has not started."""
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(1))
    assert not join(thread, 0.0)
    starter = threading.Timer(0.05, thread.start)
    starter.start()
    assert join(thread, 20.0)
    assert done == [1]
    starter.join()


class _Foreign:
    """A lock that another kind of thread would use."""

    def __init__(self) -> None:
        self.inner = threading.Lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return self.inner.acquire(blocking, timeout)

    def release(self) -> None:
        self.inner.release()


def test_the_worker_takes_the_locks_of_the_threads_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of before would hold up every greenlet; while the kind stays the same, so do they."""
    got: list[int] = []

    def handler(batch: Sequence[int]) -> None:
        got.extend(batch)

    own = Worker(gather_seconds=0.01)
    channel = own.channel("made", handler)
    before = own._wake
    try:
        channel.put(1)
        assert own.flush(10)
        assert own._wake is before
        assert own.stop()
        monkeypatch.setattr("spantally.ground.worker._thread", SimpleNamespace(allocate_lock=_Foreign))
        channel.put(2)
        assert own.flush(10)
        assert [type(one).__name__ for one in (own._wake, own._urgent)] == ["_Foreign"] * 2
        assert got == [1, 2]
    finally:
        own.stop()


def _made(name: str, base: type[BaseException]) -> BaseException:
    error: BaseException = type(name, (base,), {})()
    return error


@pytest.mark.parametrize(
    ("error", "cancelled"),
    [
        (asyncio.CancelledError(), True),
        (concurrent.futures.CancelledError(), True),
        (_made("Cancelled", BaseException), True),
        (_made("GreenletExit", BaseException), True),
        (_made("Cancelled", Exception), False),
        (ValueError(), False),
    ],
)
def test_what_event_loops_cancel_is_cancelled(error: BaseException, cancelled: bool) -> None:
    """An exception of the program's own that is called so is an error."""
    assert is_cancellation(error) is cancelled
    assert status_of(error) is (SessionStatus.CANCELLED if cancelled else SessionStatus.FAILED)


def test_a_fork_among_greenlets_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hooks of others hold locks meanwhile; in the child the greenlet of before ends by itself."""
    foreign = SimpleNamespace(allocate_lock=_Foreign)
    monkeypatch.setattr("spantally.ground.worker._thread", foreign)
    own = Worker(gather_seconds=0.01)
    got: list[int] = []
    channel = own.channel("made", got.extend)
    monkeypatch.setattr(module, "worker", own)
    monkeypatch.setattr(module, "helpers", [])
    try:
        channel.put(1)
        assert own.flush(10)
        before = own._thread
        assert before is not None
        module._before_fork()
        assert [own.running, own._thread] == [True, before]
        module._after_fork_in_child()
        assert [own.running, own._thread] == [False, None]
        channel.put(2)
        assert own.flush(10)
        assert own._thread is not before
        before.join(20)
        assert not before.is_alive()
        assert own.running
        assert got == [1, 2]
    finally:
        own.stop()


def test_the_parent_of_a_fork_starts_nothing_among_greenlets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is done with the next item."""
    own = Worker(gather_seconds=0.01)
    got: list[int] = []
    own.channel("made", got.extend).put_from_finaliser(1)
    monkeypatch.setattr(module, "worker", own)
    monkeypatch.setattr(module, "helpers", [])
    with monkeypatch.context() as patch:
        patch.setattr("spantally.ground.greenlets._thread", SimpleNamespace(allocate_lock=_Foreign))
        module._after_fork_in_parent()
    assert [own.running, got] == [False, []]
    module._after_fork_in_parent()
    assert own.stop()
    assert got == [1]


@pytest.mark.parametrize("are_threads", [True, False])
def test_the_exit_of_a_child_waits_for_the_tally_but_not_among_greenlets(
    monkeypatch: pytest.MonkeyPatch, are_threads: bool
) -> None:
    """Whether it waits or not, and where the wait fails, the child exits."""
    exits: list[int] = []
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        raise ValueError("made")

    guard.reset()
    busy = SimpleNamespace(running=True, sleeping=False, pending=lambda: 1, flush=wait)
    monkeypatch.setattr(children, "worker", busy)
    monkeypatch.setattr(children, "_ends", [lambda: None])
    monkeypatch.setattr(greenlets, "are_threads", lambda: are_threads)
    made: Any = children._Exit(exits.append)  # type: ignore[arg-type]
    made(3)
    assert exits == [3]
    assert waits == ([] if are_threads else [children.EXIT_SECONDS])
    assert guard.failures == ({} if are_threads else {("api.child_exit", "ValueError"): 1})
    guard.reset()
