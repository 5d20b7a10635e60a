"""What a user of LazyBridge's Session did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migration_kit import Migration
from spantally.testing import ScriptedServer


@pytest.fixture
def programs(tmp_path: Path, server: ScriptedServer) -> Migration:
    """The folder's programs, on a server of their own."""
    return Migration("from_lazybridge_session", tmp_path, tmp_path / "ledger.db", server)


def test_lazybridge(programs: Migration) -> None:
    """The sum over the whole tree, nested and chained agents alike, the graph, and the tool that failed."""
    programs.run("trends")
    (summary,) = programs.objects("summary", "trends")
    assert {row["key"]: row["calls"] for row in summary["by_agent"]} == {
        "reader": 1,
        "researcher": 1,
        "writer": 1,
    }
    total = summary["total"]
    assert total["calls"] == 3
    assert (total["input_tokens"], total["output_tokens"]) == programs.billed
    assert total["cost_nano_usd"] == sum(row["cost_nano_usd"] for row in summary["by_agent"])
    (graph,) = programs.objects("graph", "trends")
    names = {node["id"]: node["name"] for node in graph["nodes"]}
    edges = {(names[edge["source"]], names[edge["target"]]) for edge in graph["edges"]}
    assert {("researcher", "reader"), ("reader", "lookup"), ("writer", "gpt-4o")} <= edges
    (failed,) = programs.objects("calls", "--kind", "tool", "--status", "error")
    assert (failed["name"], failed["error_type"]) == ("lookup", "TimeoutError")
    (shown,) = programs.objects("show", "trends", "--content")
    kept = json.dumps(shown)
    assert "What is known of trends?" in kept
    assert "EMP-123456" not in kept
    assert "foo@bar" not in kept
    (event,) = [one for one in shown["events"] if one["type"] == "spantally.decision"]
    assert "human" in event["attributes"].values()
