"""Silence between processes: the ledger that the program names tells it, before anything was written here."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import spantally

PROGRAM = """
import sys
import spantally

spantally.instrument(ledger=sys.argv[1])
with spantally.session("chat", idle_timeout=float(sys.argv[2])) as session:
    print(session.id, session.previous_id)
"""


def run(path: Path, idle: float) -> str:
    """What a process of its own says of its session."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(idle)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_each_process_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    """A path given to instrument() counts as one of the environment does."""
    path = tmp_path / "named.db"
    assert run(path, 60) == "chat None"
    assert run(path, 60) == "chat None"
    time.sleep(0.05)
    assert run(path, 0.01) == "chat~2 chat"
    assert run(path, 60) == "chat~2 chat"


def test_the_named_ledger_is_read_before_it_is_written(tmp_path: Path) -> None:
    """open_ledger() means the ledger of instrument() at once, and never that of the user instead."""
    path = tmp_path / "named.db"
    spantally.instrument(ledger=str(path))
    with pytest.raises(spantally.LedgerError, match=r"named\.db"):
        spantally.open_ledger()
    with spantally.session("first"):
        pass
    spantally.flush()
    spantally.uninstrument()
    spantally.instrument(ledger=str(path))
    with spantally.open_ledger() as ledger:
        assert [row.session_id for row in ledger.sessions()] == ["first"]
