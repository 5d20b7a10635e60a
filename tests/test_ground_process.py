"""Which process it is: the same after a look, another one after a fork, gone once it has ended."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger_kit import T0, chat, rate, session
from spantally.ground import process
from spantally.ground.process import identity, is_alive
from spantally.ground.records import Status
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import Ledger

with_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="start times are those of /proc")
posix = pytest.mark.skipif(os.name == "nt", reason="processes are POSIX")

PROGRAM = "from spantally.ground.process import identity; print(identity(), flush=True); input()"


@pytest.fixture
def child() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that waits for a line, and what it says that it is."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as made:
        assert made.stdout is not None
        try:
            yield made, made.stdout.readline().strip()
        finally:
            made.kill()


def _left_behind(pid: int) -> None:
    """Wait until a killed child has ended, and leave it there."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@posix
@with_proc
def test_a_process_that_ended_is_gone(child: tuple[subprocess.Popen[str], str]) -> None:
    """Alive while it runs; gone as soon as it has ended, whether its parent has waited for it or not."""
    made, who = child
    assert who.split(":")[-2] == str(made.pid)
    assert is_alive(who)
    made.kill()
    _left_behind(made.pid)
    os.kill(made.pid, 0)  # there is still such a pid
    assert not is_alive(who)
    made.wait()
    assert not is_alive(who)


@with_proc
def test_a_pid_that_lives_again_is_another_process(child: tuple[subprocess.Popen[str], str]) -> None:
    """A start that is not that of the pid, be it this process's own as in a container, is of one gone."""
    made, who = child
    for alive in (who, identity()):
        assert is_alive(alive)
        before = alive.rpartition(":")[0]
        assert not is_alive(f"{before}:1")
    # One that could not read its start says when it was imported.
    assert is_alive(f"{platform.node()}:{made.pid}:{time.time_ns()}")
    assert not is_alive(f"{platform.node()}:{10**30}:1")
    assert is_alive(f"elsewhere:{made.pid}:1")


@posix
def test_what_proc_does_not_show_is_asked_for_by_signal(
    child: tuple[subprocess.Popen[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without file descriptors, or where /proc hides others, a process that is there is alive."""
    made, who = child
    here = identity()

    def closed(path: Path) -> bytes:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "read_bytes", closed)
    assert is_alive(who)
    assert identity() == here
    assert is_alive(here)
    made.kill()
    made.wait()
    assert not is_alive(who)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_is_another_process() -> None:
    """Its identity is its own, and the parent's is alive for it."""
    here = identity()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, f"{identity()} {is_alive(identity())} {is_alive(here)}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        other, itself, parent = pipe.read().rsplit(" ", 2)
    os.waitpid(pid, 0)
    assert other.rpartition(":")[0] == f"{platform.node()}:{pid}"
    assert (itself, parent) == ("True", "True")
    assert process._own[0] == os.getpid()


@posix
@with_proc
def test_calls_of_a_process_that_ended_are_interrupted(child: tuple[subprocess.Popen[str], str]) -> None:
    """In lists, sessions and what runs; a killed worker of a server that never waits is no exception."""
    made, who = child
    again = f"{who.rpartition(':')[0]}:1"
    running = {"status": Status.RUNNING, "end_ns": None, "usage": None, "start_ns": T0}
    store = SQLiteStore(":memory:")
    store.write(
        [
            session("a", process=who),
            chat("a1", "a", process=who, **running),
            session("b", process=again),
            chat("b1", "b", process=again, **running),
        ],
        rate,
    )
    ledger = Ledger(store, rate=rate)

    def found() -> tuple[dict[str, str], dict[str, str]]:
        return (
            {row.call_id: row.status for row in ledger.calls()},
            {row.session_id: row.status for row in ledger.sessions()},
        )

    assert found() == ({"a1": "running", "b1": "interrupted"}, {"a": "running", "b": "abandoned"})
    made.kill()
    _left_behind(made.pid)
    assert [row.running for row in store.sessions(Filter(session_id="a"))] == [()]
    assert found() == ({"a1": "interrupted", "b1": "interrupted"}, {"a": "abandoned", "b": "abandoned"})
