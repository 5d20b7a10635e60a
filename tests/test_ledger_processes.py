"""Several processes, forks and kills: nothing acknowledged is lost, nothing is counted twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger_kit import chat, kept_totals, rate, recomputed
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite import schema
from spantally.ledger.sqlite.store import SQLiteStore

HERE = str(Path(__file__).parent)
WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from ledger_kit import T0, chat, rate
from spantally.ledger.sqlite.store import SQLiteStore
store = SQLiteStore(sys.argv[2])
who, batches = sys.argv[3], int(sys.argv[4])
for n in range(batches):
    store.write([chat(f"{who}-{n}-{m}", f"s{m % 3}", response_id=f"{who}{n}{m}") for m in range(5)], rate)
    print(n, flush=True)
"""


def start(path: Path, who: str, batches: int) -> subprocess.Popen[str]:
    """A process that writes batches of five and prints the number of each one acknowledged."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, HERE, str(path), who, str(batches)],
        stdout=subprocess.PIPE,
        text=True,
    )


def checked(path: Path) -> int:
    """Calls in the ledger, after totals and integrity were checked."""
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert kept_totals(db) == recomputed(db)
        return int(db.execute("SELECT COUNT(*) FROM call WHERE counted").fetchone()[0])
    finally:
        db.close()


def test_four_processes_write_one_file(tmp_path: Path) -> None:
    """Four processes that start with no file and write at once leave every row and true totals."""
    path = tmp_path / "ledger.db"
    processes = [start(path, f"p{n}", 25) for n in range(4)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert checked(path) == 4 * 25 * 5


def test_a_schema_made_between_two_questions_is_no_stranger(tmp_path: Path) -> None:
    """A new file that another process makes a ledger while this one looks at it is still a ledger."""
    path = tmp_path / "ledger.db"
    path.touch()
    made: list[bool] = []

    def another_process(statement: str) -> None:
        if "user_version" not in statement or made:
            return
        other = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            schema.bring_up(other, str(path))
            made.append(True)
        except sqlite3.OperationalError:
            made.append(False)
        finally:
            other.close()

    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.set_trace_callback(another_process)
        schema.refuse_strangers(db, str(path))
        assert made, "the other process never came between"
        db.set_trace_callback(None)
        schema.bring_up(db, str(path))
        assert not db.in_transaction
    finally:
        db.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is POSIX")
def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """A process killed while it writes loses no acknowledged batch and leaves whole ones only."""
    path = tmp_path / "ledger.db"
    for turn in range(3):
        process = start(path, f"k{turn}", 100_000)
        assert process.stdout is not None
        acknowledged = 0
        deadline = time.monotonic() + 20
        for _ in process.stdout:
            acknowledged += 1
            if acknowledged >= 30 or time.monotonic() > deadline:
                break
        process.send_signal(signal.SIGKILL)
        acknowledged += len(process.stdout.read().split())
        process.wait(10)
        process.stdout.close()
        db = sqlite3.connect(path)
        stored = db.execute("SELECT COUNT(*) FROM call WHERE call_id LIKE ?", (f"k{turn}-%",)).fetchone()[0]
        db.close()
        assert stored in (acknowledged * 5, acknowledged * 5 + 5)
        checked(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_opens_its_own_connection(tmp_path: Path) -> None:
    """Children of a fork write through connections of their own while the parent goes on."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    store.write([chat("before")], rate)
    inherited = store._writer
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for n in range(20):
                    store.write([chat(f"child{number}-{n}")], rate)
                code = 0 if store._writer is not inherited else 2
            finally:
                os._exit(code)
        children.append(child)
    for n in range(20):
        store.write([chat(f"parent-{n}")], rate)
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(store.calls(Filter())) == 81
    assert store._writer is inherited
    store.close()
    assert checked(path) == 81


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_writer_leaves_what_waits_to_the_parent(tmp_path: Path) -> None:
    """Records that wait in memory at a fork are written by the parent alone."""
    from spantally.ledger.writer import LedgerWriter

    (tmp_path / "d").mkdir()
    writer = LedgerWriter(SQLiteStore(tmp_path / "missing" / "ledger.db"), rate)
    writer.handle([chat("parents")])
    assert writer.kept() == 1
    child = os.fork()
    if child == 0:
        code = 1
        try:
            writer.handle([chat("childs")])
            code = 0 if writer.kept() == 1 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert writer.kept() == 1
