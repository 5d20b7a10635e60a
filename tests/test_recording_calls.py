"""Calls and tools that a program records itself: rows, spans, totals and prices as of automatic ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import spantally
from spantally.api import recorded_calls
from spantally.ground import guard
from spantally.ground.worker import worker
from spantally.ledger.contract import CallRow
from watching import Watched, attributes

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"

EXERCISED = {"api.record_call", "api.record_tool", "api.record_error"}
"""Guards that fail in these tests."""


def rows_of(path: Path, session: str) -> list[CallRow]:
    """Rows of a session."""
    assert worker.flush(10)
    with spantally.open_ledger(path) as ledger:
        return ledger.calls(session=session)


def test_a_recorded_call_is_a_call_like_any_other(tmp_path: Path) -> None:
    """It has a row, a span, a price by its parts, and is in the totals of its session and agent."""
    seen = Watched(ledger=tmp_path / "ledger.db", capture_content="span_only")
    try:
        with spantally.session("s1", user="alice") as session, spantally.agent("planner"):
            made = session.record_call(
                provider="openai",
                model="gpt-4o",
                input_tokens=1000,
                cached_tokens=200,
                output_tokens=100,
                reasoning_tokens=40,
                latency_ms=1500,
                response_id="resp-1",
                finish_reason="stop",
                input=f"my key is {KEY}",
                output=[{"role": "assistant", "content": "noted"}],
            )
            totals = session.totals
        rows = rows_of(tmp_path / "ledger.db", "s1")
    finally:
        seen.close()
    agent, call = sorted(rows, key=lambda row: row.kind)
    assert (call.call_id, call.parent_call_id, call.agent_path) == (made, agent.call_id, ("planner",))
    # 800 at $2.50, 200 at $1.25 and 100 at $10 a million.
    assert (call.cost_nano_usd, call.cost_status) == (800 * 2500 + 200 * 1250 + 100 * 10_000, "priced")
    assert (call.input_tokens, call.cache_read, call.output_tokens, call.reasoning) == (1000, 200, 100, 40)
    assert (call.duration_ms, call.user_id, call.response_id) == (1500, "alice", "resp-1")
    assert (totals.calls, totals.cost_nano_usd) == (1, call.cost_nano_usd)
    assert call.content is not None
    assert call.content["output"][0]["parts"] == [{"type": "text", "content": "noted"}]
    (span,) = [one for one in seen.exporter.spans if one.name == "chat gpt-4o"]
    told = attributes(span)
    assert told["gen_ai.usage.input_tokens"] == 1000
    assert told["gen_ai.usage.cache_read.input_tokens"] == 200
    assert told["spantally.call.id"] == made
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1_500_000_000
    assert "[REDACTED:" in told["gen_ai.input.messages"]
    (around,) = [one for one in seen.exporter.spans if one.name == "invoke_agent planner"]
    assert attributes(around)["gen_ai.usage.input_tokens"] == 1000
    assert KEY.encode() not in b"".join(seen.exporter.payloads)
    assert all(KEY.encode() not in file.read_bytes() for file in tmp_path.glob("ledger.db*"))


@pytest.mark.parametrize(
    ("given", "cost", "status"),
    [
        ({"cost_usd": 0.1}, 100_000_000, "provider_reported"),
        ({"cost_usd": Decimal("0.0000000015"), "input_tokens": 5}, 2, "provider_reported"),
        ({"cost_usd": "1.5"}, 1_500_000_000, "provider_reported"),
        ({"cost_usd": 0}, 0, "provider_reported"),
        ({}, None, "no_usage"),
        ({"output_tokens": 10}, 100_000, "partial:input"),
        ({"input_tokens": 10}, 25_000, "partial:output"),
        ({"usage": {"prompt_tokens": 10, "completion_tokens": 1}}, 35_000, "priced"),
        ({"usage": SimpleNamespace(prompt_tokens=10, completion_tokens=1)}, 35_000, "priced"),
        ({"usage": {"input_tokens": 10, "output_tokens": 1}}, 35_000, "priced"),
        ({"usage": {"uncached_input": 10, "output": 1}}, 35_000, "priced"),
        ({"usage": {"prompt_tokens": 10, "completion_tokens": 1}, "cost_usd": 1}, 10**9, "provider_reported"),
    ],
)
def test_the_cost_is_known_or_says_why_not(
    given: dict[str, Any], cost: int | None, status: str, tmp_path: Path
) -> None:
    """By rates, by the program's word, of the known parts, or absent: never a silent 0."""
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s1") as session:
            session.record_call(provider="openai", model="gpt-4o", **given)
            live = session.totals.cost_nano_usd
        (row,) = rows_of(tmp_path / "ledger.db", "s1")
    finally:
        seen.close()
    assert (row.cost_nano_usd, row.cost_status) == (cost, status)
    assert live == cost
    assert row.duration_ms is None  # nobody said how long it took


@pytest.mark.parametrize(
    ("provider", "usage", "tokens"),
    [
        ("anthropic", {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 100}, (103, 5)),
        ("google", {"promptTokenCount": 7, "candidatesTokenCount": 2, "thoughtsTokenCount": 4}, (7, 6)),
        ("aws.bedrock", {"inputTokens": 7, "outputTokens": 2}, (7, 2)),
        ("cohere", {"billed_units": {"input_tokens": 7, "output_tokens": 2}}, (7, 2)),
    ],
)
def test_usage_objects_are_read_by_their_form(
    provider: str, usage: dict[str, Any], tokens: tuple[int, int], tmp_path: Path
) -> None:
    """Each provider's usage object gives its tokens, counted as that provider counts."""
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s1") as session:
            session.record_call(provider=provider, model="some-model", usage=usage)
        (row,) = rows_of(tmp_path / "ledger.db", "s1")
    finally:
        seen.close()
    assert (row.input_tokens, row.output_tokens) == tokens


def test_the_past_is_priced_by_its_own_rates(tmp_path: Path) -> None:
    """A call that is recorded later has its own time, and the same id twice is one call, in any process."""
    day = datetime(2026, 2, 1, tzinfo=UTC)
    for _ in range(2):
        seen = Watched(ledger=tmp_path / "ledger.db")
        try:
            session = spantally.session("old")
            for _ in range(2):
                for index in range(3):
                    session.record_call(
                        provider="anthropic",
                        model="claude-sonnet-4-6",
                        input_tokens=300_000,
                        output_tokens=0,
                        latency_ms=100,
                        timestamp=day + timedelta(minutes=index),
                        id=f"call-{index}",
                    )
            rows = rows_of(tmp_path / "ledger.db", "old")
            with spantally.open_ledger(tmp_path / "ledger.db") as ledger:
                stored = ledger.session("old")
        finally:
            seen.close()
        assert [row.started_ns for row in rows] == [
            int((day + timedelta(minutes=index)).timestamp()) * 10**9 for index in range(3)
        ]
        assert {row.cost_nano_usd for row in rows} == {1_800_000_000}  # $6 a million until March 2026
        assert stored is not None
        assert (stored.calls, stored.cost_nano_usd, stored.status) == (3, 5_400_000_000, "succeeded")
        assert (stored.started_ns, stored.ended_ns) == (rows[0].started_ns, rows[-1].ended_ns)


def test_a_call_from_before_the_current_span_is_no_part_of_it(watched: Watched) -> None:
    """It belongs to the session and the agent, while its span stands alone."""
    with spantally.session("s1") as session, spantally.agent("planner"):
        session.record_call(model="m", timestamp="2025-01-01T00:00:00Z")
        session.record_call(model="m")
    old, new = (one for one in watched.exporter.spans if one.name == "chat m")
    agent = next(one for one in watched.exporter.spans if one.name == "invoke_agent planner")
    assert old.parent_span_id == b""
    assert old.trace_id != agent.trace_id
    assert new.parent_span_id == agent.span_id
    assert {record.agent_path for record in watched.records if record.kind == "inference"} == {("planner",)}


@pytest.mark.parametrize(
    ("error", "kind", "kept"),
    [
        (ValueError(f"no {KEY}"), "ValueError", None),
        ("RateLimitError", "RateLimitError", None),
        (TimeoutError, "TimeoutError", None),
        (f"it broke at {KEY}", "_OTHER", "it broke at [REDACTED:"),
    ],
)
def test_errors_are_told(error: Any, kind: str, kept: str | None, watched: Watched) -> None:
    """An exception or a name is the type; any other text is content."""
    with spantally.session("s1") as session:
        session.record_call(model="m", error=error)
        session.record_tool("search", error=error)
    for record in watched.records:
        assert (record.status, record.error_type) == ("error", kind)
        text = (record.content or {}).get("error")
        assert text is None if kept is None else str(text).startswith(kept)
    assert KEY.encode() not in b"".join(watched.exporter.payloads)


def test_a_recorded_tool_is_a_tool_like_any_other(tmp_path: Path) -> None:
    """It has a row and a span; what was handed over is kept, redacted, and not exported."""
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s1") as session, spantally.agent("planner"):
            made = session.record_tool(
                "search", {"q": KEY}, {"hits": 3}, reasoning="the user asked", latency_ms=20, id="t1"
            )
            assert session.record_tool("search", id="t1") == made
        (row,) = [one for one in rows_of(tmp_path / "ledger.db", "s1") if one.kind == "tool"]
    finally:
        seen.close()
    assert (row.call_id, row.name, row.tool, row.agent_path) == (made, "search", "search", ("planner",))
    assert row.content is not None
    assert row.content["arguments"]["q"].startswith("[REDACTED:")
    assert (row.content["result"], row.content["reasoning"]) == ({"hits": 3}, "the user asked")
    (span,) = [one for one in seen.exporter.spans if one.name == "execute_tool search"]
    assert not {name for name in attributes(span) if name.startswith("gen_ai.tool.call.")}


def test_content_follows_the_policy(tmp_path: Path) -> None:
    """With `ledger_content="never"` nothing of it is kept; captured it is on spans."""
    seen = Watched(ledger=tmp_path / "ledger.db", ledger_content="never", capture_content="span_only")
    try:
        with spantally.session("s1") as session:
            session.record_tool("search", {"q": 1}, reasoning="because")
        (row,) = rows_of(tmp_path / "ledger.db", "s1")
    finally:
        seen.close()
    assert row.content is None
    told = attributes(seen.exporter.spans[0])
    assert told["gen_ai.tool.call.arguments"] == '{"q":1}'
    assert told["spantally.tool.reasoning"] == "because"


def test_untracked_work_keeps_the_cost_alone(tmp_path: Path) -> None:
    """Inside `untracked()` a recorded call counts and shows nothing; inside `paused()` there is none."""
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s1") as session:
            with spantally.untracked():
                session.record_call(model="m", cost_usd=1, output="text", timestamp="2025-01-01T00:00:00Z")
                session.record_tool("search")
            with spantally.paused():
                session.record_call(model="m", cost_usd=1)
        (row,) = rows_of(tmp_path / "ledger.db", "s1")
    finally:
        seen.close()
    assert (row.cost_nano_usd, row.content, row.started_ns) == (10**9, None, 1_735_689_600 * 10**9)
    assert seen.exporter.spans == []


def test_budgets_count_what_is_recorded(watched: Watched) -> None:
    """A recorded call uses up the session's budget."""
    with spantally.session("s1", budget=spantally.Budget(usd=5)) as session:
        session.record_call(model="m", cost_usd=2)
        assert session.remaining.usd == 3


@pytest.mark.parametrize("broken", ["_messages", "_is_users"])
def test_a_failure_of_ours_stays_ours(broken: str, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks behind the check of the arguments, the call is counted and the program goes on."""

    def boom(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(recorded_calls, broken, boom)
    with spantally.session("s1") as session:
        assert session.record_call(model="m", cost_usd=1, input="x")
        assert session.totals.cost_usd == 1
    assert ("api.record_call", "RuntimeError") in guard.failures


def test_a_failing_policy_keeps_the_tool(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content that cannot be taken up costs the content, not the row."""

    def boom(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(recorded_calls, "_put", boom)
    monkeypatch.setattr(recorded_calls, "_keep_error", boom)
    with spantally.session("s1") as session:
        session.record_tool("search", {"q": 1}, error="it broke down")
    (record,) = watched.records
    assert (record.status, record.content) == ("error", None)
    assert {
        ("api.record_tool", "RuntimeError"),
        ("api.record_error", "RuntimeError"),
    } <= guard.failures.keys()
