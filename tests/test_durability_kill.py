"""kill -9 in the middle of a run: what ended more than a second before is in the ledger."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from program_kit import Programs
from spantally.testing import Reply, ScriptedServer, Usage

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")

GRACE = 1.0
"""Seconds within which an ended call must be durable."""

SOURCE = """
import time
from concurrent.futures import ThreadPoolExecutor

connection = client()

def work(number):
    made = connection.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    sys.stdout.write(f"call {time.time()} {made.id}\\n")
    sys.stdout.flush()
    time.sleep(0.02)

with ThreadPoolExecutor(3) as pool:
    for number in range(100000):
        with spantally.session(f"session-{number}"), spantally.agent("worker"):
            list(pool.map(work, range(6)))
        sys.stdout.write(f"session {time.time()} session-{number}\\n")
        sys.stdout.flush()
"""


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with ScriptedServer(lambda request: Reply(text="x", usage=Usage(input=11, output=7))) as server:
        yield Programs(tmp_path, server.base_url)


def _killed(programs: Programs, seconds: float) -> tuple[list[list[str]], float]:
    """Kill a run ``seconds`` after its first call; what it said, and when it was killed."""
    env = programs.environment()
    with (programs.folder / "errors").open("w") as errors:
        running = subprocess.Popen(
            [programs.python, str(programs.script(SOURCE))],
            env=env,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert running.stdout is not None
    lines = [running.stdout.readline()]
    reader = threading.Thread(target=lambda: lines.extend(running.stdout or ()))
    reader.start()
    time.sleep(seconds)
    killed_at = time.time()
    running.send_signal(signal.SIGKILL)
    assert running.wait(10) == -signal.SIGKILL
    reader.join(10)
    running.stdout.close()
    return [line.split() for line in lines if line.endswith("\n")], killed_at


def _check(programs: Programs, seconds: float) -> None:
    said, killed_at = _killed(programs, seconds)
    there = programs.ledger.exists()  # a kill soon after the start may come before the first write
    calls = {row.response_id for row in programs.calls()} if there else set()
    sessions = {row.session_id: row for row in programs.sessions()} if there else {}
    due = [name for what, when, name in said if what == "call" and float(when) < killed_at - GRACE]
    assert [name for name in due if name not in calls] == []
    for name in (name for what, _, name in said if what == "session"):
        assert sessions[name].status == "succeeded"
        assert (sessions[name].calls, sessions[name].input_tokens) == (6, 66)
    running = [row for row in sessions.values() if row.status != "succeeded"]
    assert len(running) <= 1
    assert {row.status for row in running} <= {"abandoned"}


@pytest.mark.parametrize("seconds", [0.1, 1.6])
def test_killed_run_keeps_what_ended(programs: Programs, seconds: float) -> None:
    """Killed early (before prices are loaded) and later: every call due and every ended session is there."""
    _check(programs, seconds)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_runs_killed_at_random_moments(programs: Programs) -> None:
    """Thirty runs into one ledger, each killed at a random moment: none loses what was due, none harms it."""
    chance = random.Random(20260801)
    for _ in range(30):
        programs.ledger.unlink(missing_ok=True)
        for suffix in ("-wal", "-shm"):
            Path(f"{programs.ledger}{suffix}").unlink(missing_ok=True)
        _check(programs, chance.uniform(0.0, 2.5))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kills_of_several_writers_leave_a_sound_ledger(programs: Programs) -> None:
    """Three programs write one ledger and are killed in turn: the file is sound, the totals are the rows'."""
    import sqlite3

    for _ in range(3):
        running = [
            subprocess.Popen(
                [programs.python, str(programs.script(SOURCE))],
                env=programs.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(3)
        ]
        time.sleep(4)
        for one in running:
            one.kill()
            one.wait(10)
    with sqlite3.connect(programs.ledger) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows = programs.calls()
    assert sum(row.input_tokens or 0 for row in rows) == 11 * len(rows)
    assert sum(row.calls for row in programs.sessions()) == len(rows)
