"""What a user of LazyBridge's Session did: sums over the tree, events, sinks, the graph, the live view."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from migration_kit import Migration, gpt_4o, gpt_4o_mini, nested
from spantally.testing import OtlpReceiver, ScriptedServer


@pytest.fixture
def programs(tmp_path: Path, server: ScriptedServer) -> Migration:
    """The folder's programs, on a server of their own."""
    return Migration("from_lazybridge_session", tmp_path, tmp_path / "ledger.db", server)


def test_the_live_view_shows_what_was_asked_for(programs: Migration) -> None:
    """A session on the console, and one agent with all beneath it; what is beside them is not shown."""
    lines = programs.run("dev_tracing").stderr.splitlines()
    seen = [re.sub(r" (?:took|status)=.*", "", line.split(" ", 2)[2]).strip() for line in lines]
    assert seen == [
        "> session dev",
        "> agent chat",
        "> chat gpt-4o-mini",
        "< chat gpt-4o-mini",
        "< agent chat",
        "< session dev",
        "> agent inspected",
        "> agent chat",
        "> chat gpt-4o-mini",
        "< chat gpt-4o-mini",
        "< agent chat",
        "< agent inspected",
    ]
    assert [row["calls"] for row in programs.objects("sessions", "--order", "started")] == [1, 2]


def test_the_sum_is_that_of_the_whole_tree(programs: Migration) -> None:
    """Nested and chained agents count, by agent, run and model, in a ledger opened by its path."""
    with OtlpReceiver() as collector:
        printed = programs.run("pipeline", COLLECTOR=collector.url).stdout
        sent = collector.spans()
    programs.ledger = programs.folder / "events.db"
    summary = programs.one("summary", "trends")
    agents = {row["key"]: row for row in summary["by_agent"]}
    assert {name: row["calls"] for name, row in agents.items()} == {"reader": 1, "researcher": 1, "writer": 1}
    assert summary["total"]["calls"] == 3
    assert (summary["total"]["input_tokens"], summary["total"]["output_tokens"]) == programs.billed
    by_model = programs.server.billed
    large, small = by_model["gpt-4o"], by_model["gpt-4o-mini"]
    assert summary["total"]["cost_nano_usd"] == gpt_4o(large.input, large.output) + gpt_4o_mini(
        small.input, small.output
    )
    for part in ("by_agent", "by_run", "by_model"):
        assert sum(row["cost_nano_usd"] for row in summary[part]) == summary["total"]["cost_nano_usd"]
    assert f"total {summary['total']['total_cost']}" in printed
    assert agents["reader"]["cost_nano_usd"] == gpt_4o_mini(small.input, small.output)
    graph = programs.one("graph", "trends")
    names = {node["id"]: node["name"] for node in graph["nodes"]}
    edges = {(names[edge["source"]], names[edge["target"]]) for edge in graph["edges"]}
    assert {("researcher", "reader"), ("reader", "lookup"), ("writer", "gpt-4o")} <= edges
    assert programs.command("graph", "trends", "--mermaid").strip() in printed
    failed = programs.one("calls", "--kind", "tool", "--status", "error")
    assert (failed["name"], failed["error_type"]) == ("lookup", "TimeoutError")
    assert "[('lookup', 'TimeoutError')]" in printed
    (error,) = programs.objects("events", "trends", "--type", "tool.error")
    assert error["agent_path"] == ["researcher", "reader"]
    steps = programs.objects("events", "trends", "--type", "loop.step")
    turns = [(step["agent_path"][-1], step["attributes"]["spantally.loop.turn"]) for step in steps]
    assert turns == [("reader", 1), ("researcher", 1), ("writer", 1)]
    assert f"{turns}" in printed
    kinds = [step["type"] for step in programs.objects("events", "trends")]
    for kind, times in {
        "agent.start": 3,
        "agent.finish": 3,
        "call.start": 3,
        "call.finish": 3,
        "tool.call": 1,
    }.items():
        assert kinds.count(f"spantally.{kind}") == times
    # The collector came later and has the second half, as OpenTelemetry's spans of the same trace ids.
    assert [span.name for span in sent] == ["chat gpt-4o", "invoke_agent writer"]
    (shown,) = programs.objects("show", "trends")
    assert {span.trace_id for span in sent} <= {one["trace_id"] for one in nested(shown)}


def test_own_redaction_holds_everywhere(programs: Migration) -> None:
    """A rule of the program's and personal data are out of ledger and sinks, which keep the rest."""
    with OtlpReceiver() as collector:
        programs.run("pipeline", COLLECTOR=collector.url)
    programs.ledger = programs.folder / "events.db"
    (shown,) = programs.objects("show", "trends", "--content")
    (decision,) = [one for one in shown["events"] if one["type"] == "spantally.decision"]
    assert decision["attributes"]["spantally.decision.by"] == "human"
    assert decision["agent_path"] == ["writer"]
    kept = json.dumps(shown)
    assert "What is known of trends?" in kept
    lines = (programs.folder / "events.jsonl").read_text().splitlines()
    names = [item["name"] for item in map(json.loads, lines) if item["type"] == "span"]
    assert names == [
        "execute_tool lookup",
        "chat gpt-4o-mini",
        "invoke_agent reader",
        "chat gpt-4o",
        "invoke_agent researcher",
        "chat gpt-4o",
        "invoke_agent writer",
    ]
    for text in (kept, "\n".join(lines)):
        assert "EMP-123456" not in text
        assert "foo@bar" not in text


def test_each_sink_gets_its_own_and_a_failing_one_hurts_nobody(programs: Migration) -> None:
    """Lines of JSON, log and function get what is theirs; the failing one is said once and at the end."""
    done = programs.run("sinks")
    assert done.stdout.splitlines() == ["failed: execute_tool fetch FileNotFoundError"]
    items = [json.loads(line) for line in (programs.folder / "spans.jsonl").read_text().splitlines()]
    spans = [item["name"] for item in items if item["type"] == "span"]
    assert spans == ["execute_tool fetch"] * 3 + ["invoke_agent shop"]
    log = (programs.folder / "program.log").read_text()
    assert 1 <= log.count("ConnectionError") <= 2
    assert "spantally.events: " in log


def test_own_events_are_read_by_type_and_hidden_work_costs(programs: Migration) -> None:
    """An event of the program's has its agent and no secret; what shows nothing is in the total."""
    programs.run("sinks")
    (missing,) = programs.objects("events", "shop", "--type", "page.missing", "--agent", "shop")
    assert missing["attributes"]["page"] == "b"
    assert missing["attributes"]["token"].startswith("[REDACTED:")
    (score,) = programs.objects("events", "shop", "--type", "gen_ai.evaluation.result")
    assert score["attributes"]["gen_ai.evaluation.score.value"] == 0.67
    (shown,) = programs.objects("show", "shop")
    assert "secret_shopper" not in json.dumps(shown)
    assert shown["agents"] == ["shop"]
    assert shown["cost_nano_usd"] == gpt_4o_mini(1000, 0)
