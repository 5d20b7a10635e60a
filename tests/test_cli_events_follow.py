"""`spantally events SESSION --follow`: each event once, as it comes, until the session has ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import spantally
from watching import Watched


def test_events_come_while_the_session_runs(tmp_path: Path) -> None:
    """One object a line, read while the program goes on; the command ends with the session."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        session = spantally.session("s1").begin()
        session.event("cart.opened", {"items": 1})
        assert spantally.flush(10)
        command = [sys.executable, "-m", "spantally.cli", "--ledger", str(path), "events", "s1"]
        reader = subprocess.Popen([*command, "--follow", "--json"], stdout=subprocess.PIPE, text=True)
        assert reader.stdout is not None
        first = json.loads(reader.stdout.readline())
        session.event("cart.closed", {"items": 2})
        assert spantally.flush(10)
        second = json.loads(reader.stdout.readline())
        assert reader.poll() is None
        session.event("last", {})
        session.finish()
        assert spantally.flush(10)
        rest, _ = reader.communicate(timeout=20)
    finally:
        seen.close()
    assert [one["type"] for one in (first, second)] == ["cart.opened", "cart.closed"]
    assert [json.loads(line)["type"] for line in rest.splitlines()] == ["last"]
    assert reader.returncode == 0


def test_work_begins_once_and_ends_once(tmp_path: Path) -> None:
    """What runs is told with its start while it runs, once, and with its end once it has one."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        session = spantally.session("s1").begin()
        assert spantally.flush(10)
        command = [sys.executable, "-m", "spantally.cli", "--ledger", str(path), "events", "s1"]
        reader = subprocess.Popen([*command, "--follow", "--json"], stdout=subprocess.PIPE, text=True)
        assert reader.stdout is not None
        with spantally.agent("planner"):
            began = json.loads(reader.stdout.readline())  # comes while the agent runs, or never
            assert reader.poll() is None
        session.finish()
        assert spantally.flush(10)
        rest, _ = reader.communicate(timeout=20)
    finally:
        seen.close()
    found = [began, *map(json.loads, rest.splitlines())]
    assert [one["type"] for one in found] == ["spantally.agent.start", "spantally.agent.finish"]
    assert [one["event_id"].partition(":")[0] for one in found] == [began["call_id"]] * 2
    assert all(one["derived"] for one in found)
