"""The pages for users of four other systems: each program does its job, and the CLI reads the facts back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli_ledger import invoke
from spantally.testing import ScriptedServer

DOCS = Path(__file__).resolve().parents[1] / "docs"


def run_page(name: str, server: ScriptedServer) -> None:
    """Run the program of a page, which must end well; its ledger is the default one of the test."""
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python run\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "unused"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def objects(*words: str) -> list[dict[str, Any]]:
    """What a command says in JSON."""
    done = invoke(*words, "--json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def nested(node: dict[str, Any]) -> list[dict[str, Any]]:
    """A node of `show` and all beneath it."""
    return [node, *(one for child in node["children"] for one in nested(child))]


def tokens(server: ScriptedServer) -> tuple[int, int]:
    """What the server billed, in and out."""
    sums = server.billed.values()
    return sum(one.input for one in sums), sum(one.output for one in sums)


def test_infraprism(server: ScriptedServer) -> None:
    """Turns and cost by session, entity and tag are those of the calls, without a word at each call."""
    run_page("from-infraprism", server)
    (chat,) = objects("sessions", "--entity", "customer:acme-corp", "--since", "30d")
    assert chat["session_id"] == "acme-corp:conv-123"
    assert (chat["turn_count"], chat["calls"], chat["conversation_id"]) == (3, 3, "conv-123")
    assert chat["tags"] == {"feature": "chatbot"}
    rows = objects("cost", "--by", "entity,tag:feature")
    assert {(row["entity"], row["tag:feature"], row["calls"]) for row in rows} == {
        ("customer:acme-corp", "chatbot", 3),
        ("customer:globex", "agent", 1),
    }
    spent = tokens(server)
    assert (sum(row["input_tokens"] for row in rows), sum(row["output_tokens"] for row in rows)) == spent
    # gpt-4o: 2,500 nano-USD a token in, 10,000 out.
    assert sum(row["cost_nano_usd"] for row in rows) == 2_500 * spent[0] + 10_000 * spent[1]
    (trip,) = objects("show", "trip-1")
    assert [one["kind"] for one in nested(trip)[1:]] == ["agent", "tool", "inference"]


def test_sentrial(server: ScriptedServer) -> None:
    """Outcome, metrics, metadata, decision and tool call are there, and the cost is measured."""
    run_page("from-sentrial", server)
    (found,) = objects(
        *("sessions", "--user", "user_123", "--agent", "support-agent", "--status", "succeeded")
    )
    assert found["metrics"] == {"satisfaction": 4.5, "resolution_time": 120}
    assert found["metadata"] == {"ticket": "TKT-789", "channel": "web"}
    assert (found["title"], found["name"]) == ("Customer support request", "support")
    assert (found["conversation_id"], found["input"]) == ("conv_456", "How do I reset my password?")
    assert (found["input_tokens"], found["output_tokens"]) == tokens(server)
    assert found["cost_nano_usd"] == 150 * found["input_tokens"] + 600 * found["output_tokens"]
    (shown,) = objects("show", "last", "--content")
    (decision,) = [one for one in shown["events"] if one["type"] == "spantally.decision"]
    assert 0.92 in decision["attributes"].values()
    (tool,) = [one for one in nested(shown) if one.get("kind") == "tool"]
    assert tool["name"] == "search_articles"
    assert "KB-002" in json.dumps(tool["content"])


def test_lazybridge(server: ScriptedServer) -> None:
    """The sum over the whole tree, nested and chained agents alike, the graph, and the tool that failed."""
    run_page("from-lazybridge-session", server)
    (summary,) = objects("summary", "trends")
    assert {row["key"]: row["calls"] for row in summary["by_agent"]} == {
        "reader": 1,
        "researcher": 1,
        "writer": 1,
    }
    total = summary["total"]
    assert total["calls"] == 3
    assert (total["input_tokens"], total["output_tokens"]) == tokens(server)
    assert total["cost_nano_usd"] == sum(row["cost_nano_usd"] for row in summary["by_agent"])
    (graph,) = objects("graph", "trends")
    names = {node["id"]: node["name"] for node in graph["nodes"]}
    edges = {(names[edge["source"]], names[edge["target"]]) for edge in graph["edges"]}
    assert {("researcher", "reader"), ("reader", "lookup"), ("writer", "gpt-4o")} <= edges
    (failed,) = objects("calls", "--kind", "tool", "--status", "error")
    assert (failed["name"], failed["error_type"]) == ("lookup", "TimeoutError")
    (shown,) = objects("show", "trends", "--content")
    kept = json.dumps(shown)
    assert "What is known of trends?" in kept
    assert "EMP-123456" not in kept
    assert "foo@bar" not in kept
    (event,) = [one for one in shown["events"] if one["type"] == "spantally.decision"]
    assert "human" in event["attributes"].values()


def test_session_history_saver(server: ScriptedServer) -> None:
    """Messages, title, labels and metadata are kept, and listed by user and tag."""
    run_page("from-session-history-saver", server)
    (found,) = objects("sessions", "--user", "alice", "--tag", "project=support-bot")
    assert (found["title"], found["labels"]) == ("Billing query", ["billing", "priority"])
    assert found["metadata"] == {"channel": "web"}
    (shown,) = objects("show", "billing-1", "--content")
    (call,) = [one for one in nested(shown) if one.get("kind") == "inference"]
    kept = json.dumps(call["content"])
    assert kept.count("I was charged twice.") == 2  # the question, and the scripted echo of it
    assert call["duration_ms"] is not None
    rows = {row["user"]: row for row in objects("cost", "--by", "user")}
    assert {user: row["calls"] for user, row in rows.items()} == {"alice": 1, "bob": 1}
    assert sum(row["input_tokens"] for row in rows.values()) == tokens(server)[0]


@pytest.mark.parametrize("page", sorted(DOCS.glob("from-*.md")), ids=lambda page: page.stem)
def test_every_page_is_followed(page: Path) -> None:
    """Each page has a test here."""
    assert f'run_page("{page.stem}"' in Path(__file__).read_text(encoding="utf-8")
