"""Deadlines of the program: what its signal handlers raise while our code runs reaches the program."""

from __future__ import annotations

import bdb
import contextvars
import functools
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import openai
import pytest

import spantally
from spantally.ground import guard
from spantally.ground.worker import worker
from spantally.testing import Reply, ScriptedServer

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no such signals on Windows")

ASKED: Any = [{"role": "user", "content": "hello"}]


class Deadline(Exception):
    """As a task queue's soft time limit: an ordinary exception."""


def late(number: int, frame: FrameType | None) -> None:
    raise Deadline


class Watch:
    """Handlers of other forms."""

    def late(self, number: int, frame: FrameType | None) -> None:
        raise Deadline

    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise Deadline


def named(name: str, number: int, frame: FrameType | None) -> None:
    raise Deadline(name)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Path]:
    guard.reset()
    path = tmp_path / "ledger.db"
    before = signal.getsignal(signal.SIGALRM)
    signal.signal(signal.SIGALRM, late)
    spantally.instrument(ledger=str(path))
    yield path
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    spantally.uninstrument()
    guard.reset()


@pytest.fixture
def locked(ledger: Path) -> Iterator[None]:
    """Another program holds the ledger, so that whoever waits for it waits for long."""
    with spantally.session("first"):
        pass
    assert spantally.flush(10)
    other = sqlite3.connect(ledger, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


def _session() -> None:
    with spantally.session("second"):
        signal.setitimer(signal.ITIMER_REAL, 0.05)


def _flush() -> None:
    with spantally.paused():
        spantally.decision("told")
    spantally.session("third").begin()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    spantally.flush(30)


@pytest.mark.parametrize("wait", [_session, _flush])
def test_a_deadline_ends_a_wait_of_ours(locked: None, wait: Callable[[], None]) -> None:
    """At the end of a session, and in flush(): the handler's exception, not a swallowed one."""
    with pytest.raises(Deadline):
        contextvars.copy_context().run(wait)  # the session that it begins is not in force for who comes next
    assert not guard.failures


@pytest.mark.parametrize(
    "handler",
    [late, Watch().late, Watch(), functools.partial(named, "partial")],
    ids=["function", "method", "object", "partial"],
)
def test_a_deadline_in_the_midst_of_a_call_leaves_it(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, handler: Any
) -> None:
    """Whatever form the handler has; the call has its row."""
    signal.signal(signal.SIGALRM, handler)

    def ring(_: object) -> None:
        signal.raise_signal(signal.SIGALRM)

    with (
        ScriptedServer(Reply(text="fine")) as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-0001", max_retries=0) as client,
    ):
        client.chat.completions.create(model="gpt-4o", messages=ASKED)
        with monkeypatch.context() as patch:
            patch.setattr("spantally.ground.turn.Turn.wait", ring)
            worker.turn.late_at = 0.0
            with pytest.raises(Deadline):
                client.chat.completions.create(model="gpt-4o", messages=ASKED)
        worker.turn.expect(0.0)
        client.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert not guard.failures
    assert spantally.flush(10)
    with spantally.open_ledger(str(ledger)) as read:
        assert len(read.calls()) == 3


def test_guards_tell_an_interruption_from_a_failure(ledger: Path) -> None:
    """Only what a handler raised passes, also where it was set for a moment only, or raised by hand."""

    @guard.guarded("test.decorated")
    def decorated(error: type[Exception] | None) -> None:
        if error is None:
            signal.raise_signal(signal.SIGALRM)
        else:
            raise error

    for each in (Deadline, ZeroDivisionError):
        decorated(each)
        with guard.guard("test.block"):
            raise each
    assert sum(guard.failures.values()) == 4
    with pytest.raises(Deadline):
        decorated(None)
    with pytest.raises(Deadline), guard.guard("test.block"):
        decorated(None)
    assert sum(guard.failures.values()) == 4


def test_who_leaves_a_debugger_leaves_the_program(ledger: Path) -> None:
    """``quit`` while stepping through a line of ours: it raises there, and is no failure of ours."""

    @guard.guarded("test.decorated")
    def stepped() -> None:
        pass

    def step(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_name == "stepped" and event == "line":
            raise bdb.BdbQuit
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        with pytest.raises(bdb.BdbQuit):
            stepped()
    finally:
        sys.settrace(before)
    assert not guard.failures


class Final(Exception):
    """An error of the program whose text ends the program."""

    def __str__(self) -> str:
        raise SystemExit(9)


def test_an_error_whose_text_exits_is_the_error_still(ledger: Path) -> None:
    """Its text is asked for where content is captured, and what that raises is nobody's."""
    spantally.instrument(ledger=str(ledger), capture_content="span_and_event")

    @spantally.tool
    def tool() -> None:
        raise Final

    with pytest.raises(Final):
        tool()
