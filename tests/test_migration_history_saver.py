"""What a user of session-history-saver did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migration_kit import Migration, nested
from spantally.testing import ScriptedServer


@pytest.fixture
def programs(tmp_path: Path, server: ScriptedServer) -> Migration:
    """The folder's programs, on a server of their own."""
    return Migration("from_session_history_saver", tmp_path, tmp_path / "ledger.db", server)


def test_session_history_saver(programs: Migration) -> None:
    """Messages, title, labels and metadata are kept, and listed by user and tag."""
    programs.run("billing")
    (found,) = programs.objects("sessions", "--user", "alice", "--tag", "project=support-bot")
    assert (found["title"], found["labels"]) == ("Billing query", ["billing", "priority"])
    assert found["metadata"] == {"channel": "web"}
    (shown,) = programs.objects("show", "billing-1", "--content")
    (call,) = [one for one in nested(shown) if one.get("kind") == "inference"]
    kept = json.dumps(call["content"])
    assert kept.count("I was charged twice.") == 2  # the question, and the scripted echo of it
    assert call["duration_ms"] is not None
    rows = {row["user"]: row for row in programs.objects("cost", "--by", "user")}
    assert {user: row["calls"] for user, row in rows.items()} == {"alice": 1, "bob": 1}
    assert sum(row["input_tokens"] for row in rows.values()) == programs.billed[0]
