"""What a user of InfraPrism did: sessions of customers, their turns, cost and averages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from migration_kit import Migration, gpt_4o, gpt_4o_mini, nested
from spantally.testing import Reply, Request, ScriptedServer, ToolCall


def script(request: Request) -> Reply | None:
    """Where tools are offered, the model wants two of them first; the first message is refused once."""
    if request.path.endswith("/messages") and request.headers.get("x-stainless-retry-count") == "0":
        return Reply(status=529, error="overloaded", headers={"retry-after-ms": "1"})
    if not (request.body or {}).get("tools") or '"role": "tool"' in request.raw.decode().replace(":", ": "):
        return None
    return Reply(tool_calls=[ToolCall("weather", {"city": "Oslo"}), ToolCall("trains", {"city": "Oslo"})])


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Migration]:
    """The folder's programs, on a server of their own."""
    with ScriptedServer(script) as server:
        yield Migration("from_infraprism", tmp_path, tmp_path / "ledger.db", server)


def test_conversations_have_their_turns_and_cost(programs: Migration) -> None:
    """A session of each customer's conversation, with turns, exact cost and tags, and log lines name it."""
    done = programs.run("chatbot")
    acme = programs.one("sessions", "--entity", "customer:acme-corp", "--since", "30d")
    assert (acme["session_id"], acme["conversation_id"]) == ("acme-corp:conv-123", "conv-123")
    assert (acme["turn_count"], acme["calls"], acme["tags"]) == (3, 3, {"feature": "chatbot"})
    assert "session=acme-corp:conv-123 answered turn 2" in done.stderr.splitlines()
    globex = programs.one("sessions", "--entity", "customer:globex")
    assert (globex["turn_count"], globex["session_id"]) == (1, "globex:conv-9")
    rows = programs.objects("cost", "--by", "entity,model,day,tag:feature")
    assert {(row["entity"], row["model"], row["tag:feature"], row["calls"]) for row in rows} == {
        ("customer:acme-corp", "gpt-4o", "chatbot", 3),
        ("customer:globex", "gpt-4o", "chatbot", 1),
    }
    assert sum(row["cost_nano_usd"] for row in rows) == gpt_4o(*programs.billed)
    assert acme["cost_nano_usd"] + globex["cost_nano_usd"] == gpt_4o(*programs.billed)
    # The list with the costliest first, the calls of one, and its timeline.
    costs = [row["cost_nano_usd"] for row in programs.objects("sessions", "--order", "-cost")]
    assert costs == sorted(costs, reverse=True)
    assert [one["model"] for one in programs.objects("calls", "--session", "acme-corp:conv-123")] == [
        "gpt-4o"
    ] * 3
    assert programs.command("show", "acme-corp:conv-123", "--timeline").count("chat gpt-4o") == 3


def test_ids_are_made_given_or_put_together_and_end_with_silence(programs: Migration) -> None:
    """Each way to an id gives the session that it says, and silence begins another one."""
    made = programs.run("session_ids").stdout.strip()
    sessions = {row["session_id"]: row for row in programs.objects("sessions")}
    assert set(sessions) == {made, "ticket-8841", "initech:c/1", "helpdesk", "helpdesk~2"}
    assert (sessions[made]["turn_count"], sessions[made]["tags"]) == (2, {"id": "made"})
    assert sessions["helpdesk~2"]["previous_id"] == "helpdesk"
    talk = programs.objects("sessions", "--conversation", "helpdesk")
    assert {row["session_id"]: row["turn_count"] for row in talk} == {"helpdesk": 1, "helpdesk~2": 1}


def test_an_agent_with_tools_is_one_turn_of_one_session(programs: Migration) -> None:
    """Calls and tools of the loop are beneath the agent, and its cost is that of them all."""
    programs.run("tool_loop")
    trip = programs.one("show", "trip-1")
    assert [(one["kind"], one["name"]) for one in nested(trip)] == [
        ("agent", "run_agent"),
        ("inference", None),
        ("tool", "weather"),
        ("tool", "trains"),
        ("inference", None),
    ]
    assert (trip["turn_count"], trip["calls"], trip["tags"]) == (1, 2, {"feature": "agent"})
    assert trip["cost_nano_usd"] == gpt_4o(*programs.billed)


def test_the_analytics_are_those_of_the_command_line(programs: Migration) -> None:
    """Turns, cost, the costliest session, averages and groups are the same from Python and in JSON."""
    programs.run("chatbot")
    programs.run("tool_loop")
    printed = programs.run("analytics").stdout.splitlines()
    rows = programs.objects("sessions", "--entity", "customer:acme-corp", "--since", "2025-01-01T00:00:00Z")
    assert {row["session_id"] for row in rows} == {"acme-corp:conv-123", "trip-1"}
    for row in rows:
        assert f"{row['session_id']}: {row['turn_count']} turns, ${row['total_cost']}" in printed
    (most,) = programs.objects("sessions", "--order", "-cost", "--limit", "1")
    assert f"costliest: {most['session_id']}" in printed
    acme, globex = programs.objects("outcomes", "--by", "entity")
    assert (acme["entity"], acme["sessions"], acme["per_session"]["turns"]["mean"]) == (
        "customer:acme-corp",
        2,
        2,
    )
    mean = acme["per_session"]["cost_nano_usd"]["mean"]
    assert mean == sum(row["cost_nano_usd"] for row in rows) / 2
    assert f"customer:acme-corp 2 {mean} 2.0" in printed
    assert (globex["per_session"]["calls"]["p95"], globex["per_session"]["turns"]["count"]) == (1, 1)


def test_clients_of_two_providers_share_a_session(programs: Migration) -> None:
    """Asynchronous, streamed and retried calls of two SDKs are counted once each, by provider and model."""
    programs.run("other_clients")
    found = programs.one("sessions", "--entity", "customer:acme-corp")
    assert (found["session_id"], found["calls"], found["turn_count"]) == ("compare-1", 3, 3)
    assert found["models"] == ["claude-sonnet-4-6", "gpt-4o-mini"]
    rows = {row["provider"]: row for row in programs.objects("cost", "--by", "provider,tag:feature")}
    billed = programs.server.billed
    small, large = billed["gpt-4o-mini"], billed["claude-sonnet-4-6"]
    assert rows["openai"]["cost_nano_usd"] == gpt_4o_mini(small.input, small.output)
    # $3 a million tokens in, $15 out.
    assert rows["anthropic"]["cost_nano_usd"] == 3_000 * large.input + 15_000 * large.output
    assert sum(row["cost_nano_usd"] for row in rows.values()) == found["cost_nano_usd"]
    calls = {row["provider"]: row for row in programs.objects("calls", "--session", "compare-1")}
    assert (calls["anthropic"]["attempts"], calls["anthropic"]["status"]) == (2, "ok")
    assert calls["openai"]["time_to_first_chunk_ms"] > 0
