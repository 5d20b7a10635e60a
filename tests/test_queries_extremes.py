"""Times and numbers of rows that no ledger can hold are as far as it can, or all: no query fails."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli_ledger import fill, invoke, research
from spantally import open_ledger

HUGE = 10**23


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with a session in it."""
    found = tmp_path / "extremes.db"
    fill(found, research())
    return found


@pytest.mark.parametrize("command", ["sessions", "calls", "cost", "outcomes", "messages", "search planner"])
@pytest.mark.parametrize("since", ["99999999d", "999999999w", "0001-01-01", "9999-12-31"])
def test_any_time_is_a_time(path: Path, command: str, since: str) -> None:
    """A time beyond 1677 or 2262 chooses everything, or nothing."""
    done = invoke("--ledger", str(path), *command.split(), "--since", since, "--json")
    assert done.exit_code in (0, 1), done.stderr
    assert done.exception is None or isinstance(done.exception, SystemExit)
    if command == "sessions":
        assert (done.stdout.strip() == "[]") is (since == "9999-12-31")


@pytest.mark.parametrize("command", ["sessions", "calls", "events last", "search planner"])
def test_any_number_of_rows(path: Path, command: str) -> None:
    """More rows than there can be are all rows."""
    done = invoke("--ledger", str(path), *command.split(), "--limit", str(HUGE), "--json")
    assert done.exit_code in (0, 1), done.stderr
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_from_python(path: Path) -> None:
    """The same from Python, with datetimes."""
    with open_ledger(path) as ledger:
        assert len(ledger.sessions(since=datetime.min.replace(tzinfo=UTC), limit=HUGE)) == 1
        assert ledger.sessions(since=datetime.max.replace(tzinfo=UTC)) == []
        assert ledger.calls(limit=1, offset=HUGE) == []
