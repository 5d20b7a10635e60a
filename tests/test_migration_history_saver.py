"""What a user of session-history-saver did: messages in and out, lists, search, exports, settings."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from migration_kit import Migration, gpt_4o_mini
from spantally.testing import ScriptedServer


@pytest.fixture
def programs(tmp_path: Path, server: ScriptedServer) -> Migration:
    """The folder's programs, on a server of their own."""
    return Migration("from_session_history_saver", tmp_path, tmp_path / "ledger.db", server)


def test_messages_come_back_as_they_were_handed_over(programs: Migration) -> None:
    """Role, text, tokens, model, latency, status, metadata, id and time; block and decorator likewise."""
    programs.run("history")
    found = programs.objects("messages", "billing-1")
    assert [(one["role"], one["at"]) for one in found] == [
        ("system", "2026-03-01T09:30:00.000000Z"),
        ("user", "2026-03-01T09:31:00.000000Z"),
        ("assistant", "2026-03-01T09:31:02.000000Z"),
        ("user", "2026-03-01T09:32:00.000000Z"),
    ]
    _, asked, answered, last = found
    assert (asked["content"], asked["message_id"]) == ("I was double-charged.", "m-1")
    assert asked["metadata"] == {"client": "browser"}
    assert (answered["tokens"], answered["model"], answered["latency_ms"]) == (18, "claude-3-sonnet", 410)
    assert (answered["status"], last["status"]) == ("delivered", "pending")
    onboarding = programs.objects("messages", "onboarding-1")
    assert [one["role"] for one in onboarding] == ["user", "assistant"]
    query = programs.objects("messages", "--user", "carol")
    assert [(one["role"], one["content"]) for one in query] == [
        ("user", "What is quantum entanglement?"),
        ("assistant", "What is quantum entanglement? That is a long story."),
    ]
    ended = programs.objects("sessions", "--status", "succeeded")
    assert len(ended) == 3


def test_messages_of_model_calls_stand_once_each(programs: Migration) -> None:
    """The history that each call sends again is not said again, and answers have tokens and cost."""
    programs.run("metered")
    found = programs.objects("messages", "metered-1")
    assert [one["role"] for one in found] == ["user", "assistant", "user", "assistant"]
    assert found[0]["content"] == "I was charged twice."
    assert sum(one["tokens"] or 0 for one in found) == programs.billed[1]
    assert sum(one["cost_nano_usd"] or 0 for one in found) == gpt_4o_mini(*programs.billed)


def test_retrieval_from_python_is_that_of_the_command_line(programs: Migration) -> None:
    """A session, its messages, filtered lists, search and figures are the same from both."""
    programs.run("history")
    printed = programs.run("retrieval").stdout.splitlines()
    (shown,) = programs.objects("show", "billing-1")
    sums = [f"{one['role']} {one['messages']} {one['message_tokens']}" for one in shown["messages"]]
    assert printed[1:4] == sums
    del printed[1:4]
    found = programs.one("sessions", "--user", "alice", "--tag", "project=support-bot", "--label", "billing")
    assert printed[0] == f"{found['title']} alice ('billing', 'priority') {found['metadata']}"
    messages = programs.objects("messages", "billing-1")
    assert printed[1] == f"{[one['role'] for one in messages]} {sum(one['tokens'] or 0 for one in messages)}"
    assert printed[2] == f"{[found['session_id']]}"
    (hit,) = programs.objects("search", "double-charged", "--limit", "20")
    assert printed[3] == f"{hit['session_id']} {hit['role']} {hit['content']}"
    everything = programs.objects("messages")
    assert printed[4] == f"{len(programs.objects('sessions'))} {len(everything)} 0"
    assert [one["session_id"] for one in programs.objects("search", "GET", "started")] == ["onboarding-1"]
    assert programs.objects("search", "50%") == []
    assert programs.objects("search", "charged", "--user", "bob") == []
    pages = [programs.objects("sessions", "--order", "started", "--limit", str(n)) for n in (1, 2)]
    assert pages[1][:1] == pages[0]


def test_conversations_are_exported_in_each_form(programs: Migration) -> None:
    """JSON, lines for training, CSV without formulas, Markdown and plain text hold the same messages."""
    programs.run("history")
    found = programs.objects("messages", "billing-1")
    table = list(csv.DictReader(io.StringIO(programs.command("messages", "billing-1", "--format", "csv"))))
    assert [row["role"] for row in table] == [one["role"] for one in found]
    assert (table[2]["tokens"], json.loads(table[1]["metadata"])) == ("18", {"client": "browser"})
    assert table[3]["content"] == "'=SUM(A1:A9) it says"
    lines = programs.command("messages", "--tag", "project=support-bot", "--format", "chat").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"messages": [{"role": one["role"], "content": one["content"]} for one in found]}
    ]
    report = programs.command("messages", "billing-1", "--format", "markdown")
    assert report.startswith("# Billing query\n")
    assert '- metadata: {"channel": "web"}' in report
    assert report.count("\n## ") == 4
    text = programs.command("messages", "billing-1").splitlines()
    assert text[1] == "2026-03-01T09:31:00.000000Z user: I was double-charged."


def test_settings_come_from_the_environment_and_stores_are_exchangeable(programs: Migration) -> None:
    """Ledger, user and tags need no line of the program; memory and a store of one's own need no file."""
    programs.run("own_store")
    assert "spantally.message" in (programs.folder / "copied.txt").read_text().splitlines()
    assert not programs.ledger.exists()
    other = programs.folder / "other.db"
    programs.run("metered", SPANTALLY_LEDGER=str(other), SPANTALLY_USER="system", SPANTALLY_TAGS="env=prod")
    programs.ledger = other
    found = programs.one("sessions")
    assert (found["user_id"], found["session_id"]) == ("alice", "metered-1")
