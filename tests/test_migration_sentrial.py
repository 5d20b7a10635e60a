"""What a user of Sentrial did: interactions with an outcome, tool calls, decisions, and looking at them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migration_kit import Migration, gpt_4o_mini, nested
from spantally.testing import ScriptedServer


@pytest.fixture
def programs(tmp_path: Path, server: ScriptedServer) -> Migration:
    """The folder's programs, on a server of their own."""
    return Migration("from_sentrial", tmp_path, tmp_path / "ledger.db", server)


def test_an_interaction_has_user_outcome_and_cost(programs: Migration) -> None:
    """What was begun and finished is found by user, agent, status and time, with its cost."""
    programs.run("interaction")
    filters = ("--user", "user_123", "--agent", "support-agent", "--since", "1h")
    good = programs.one("sessions", *filters, "--status", "succeeded")
    assert (good["name"], good["conversation_id"]) == ("chat_message", "conv_456")
    assert good["input"] == "How do I reset my password?"
    assert "How do I reset my password?" in good["output"]  # the server says it again
    assert good["reported"] == {"cost_nano_usd": 23_000_000}
    assert good["cost_nano_usd"] == gpt_4o_mini(good["input_tokens"], good["output_tokens"])
    assert good["duration_ms"] > 0
    bad = programs.one("sessions", *filters, "--status", "failed")
    assert bad["reason"] == "nobody was there"
    assert good["input_tokens"] + bad["input_tokens"] == programs.billed[0]
    raised = programs.one("sessions", "--user", "user_9")
    assert (raised["status"], raised["error_type"]) == ("failed", "LookupError")
    talk = programs.objects("sessions", "--conversation", "conv_456")
    assert {one["session_id"] for one in talk} == {good["session_id"], bad["session_id"]}
    outcome = {row["user"]: row for row in programs.objects("outcomes", "--by", "user")}
    assert (outcome["user_123"]["success_rate"], outcome["user_9"]["success_rate"]) == (0.5, 0)


def test_a_session_has_all_that_the_program_knows(programs: Migration) -> None:
    """Metadata, metrics, own figures, the decision, and tools with input, output, reasoning and error."""
    printed = programs.run("full_control").stdout
    found = programs.one("sessions", "--meta", "ticket_id=TKT-789")
    assert (found["title"], found["user_id"]) == ("Customer Support Request", "user_123")
    assert found["metadata"] == {"ticket_id": "TKT-789", "channel": "web_chat", "priority": "high"}
    assert found["metrics"] == {"satisfaction": 4.5, "resolution_time": 120}
    assert found["reported"] == {"cost_nano_usd": 45_000_000, "input_tokens": 1500, "output_tokens": 500}
    assert (found["input_tokens"], found["output_tokens"]) == (1500, 500)  # measured: not added to
    assert found["cost_nano_usd"] == gpt_4o_mini(1500, 500) + 1_000_000  # the paid tool's
    assert printed.split() == ["1", found["total_cost"]]
    (decision,) = programs.objects("events", "last", "--type", "decision")
    assert decision["agent_path"] == ["support-agent"]
    assert decision["attributes"] == {
        "spantally.decision.by": "agent",
        "spantally.decision.choice": "search the articles",
        "spantally.decision.confidence": 0.92,
        "spantally.decision.alternative_count": 2,
        "spantally.decision.alternatives": ["escalate to a person", "ask a question back"],
        "spantally.decision.reasoning": "The user cannot log in; the articles may help at once.",
    }
    (shown,) = programs.objects("show", "last", "--content")
    tools = {one["name"]: one for one in nested(shown) if one["kind"] == "tool"}
    search, ticket = tools["search_knowledge_base"], tools["open_ticket"]
    kept = str(search["content"])
    assert all(text in kept for text in ("password reset", "KB-002", "The user asked about a password."))
    assert (search["own_cost_nano_usd"], search["cost_status"]) == (1_000_000, "provider_reported")
    (opinion,) = programs.objects("events", "last", "--type", "gen_ai.evaluation.result")
    assert opinion["attributes"]["gen_ai.evaluation.score.label"] == "helpful"
    (outcome,) = programs.objects("outcomes")
    assert outcome["metrics"]["evaluation.feedback"]["mean"] == 1
    assert (search["duration_ms"], search["status"], search["agent_path"]) == (45, "ok", ["support-agent"])
    assert (ticket["status"], ticket["error_type"]) == ("error", "TimeoutError")


def test_a_session_is_replayed_step_by_step(programs: Migration) -> None:
    """The replay has the agent around decision, tools and call, each with what was kept, and how it ended."""
    programs.run("full_control")
    steps = [json.loads(line) for line in programs.command("replay", "last", "--json").splitlines()]
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
    ends = {step["name"] or step["kind"]: step for step in steps if step["what"] == "end"}
    assert set(ends) == {"support-agent", "search_knowledge_base", "open_ticket", "inference"}
    assert "KB-002" in str(ends["search_knowledge_base"]["content"])
    assert (ends["open_ticket"]["status"], ends["inference"]["input_tokens"]) == ("error", 1500)
    (decision,) = [step for step in steps if step.get("type") == "spantally.decision"]
    assert decision["attributes"]["spantally.decision.confidence"] == 0.92
