"""``untracked()`` and ``@agent(track=False)``: nothing is shown, and what it cost is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import spantally
from spantally.ground.records import COUNTED_KINDS
from spantally.testing import Reply, ScriptedServer, ToolCall, Usage
from watching import Watched

MESSAGES: Any = [{"role": "user", "content": "a secret plan"}]


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer(
        Reply(text="an answer", usage=Usage(input=1_000, output=100), tool_calls=(ToolCall("spy", {"x": 1}),))
    ) as made:
        yield made


@pytest.fixture
def told() -> Iterator[tuple[Watched, InMemoryLogRecordExporter]]:
    """spantally with all content on, and the events that it sends."""
    events = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(events))
    made = Watched(
        capture_content="span_and_event", ledger_content="all", emit_event=True, logger_provider=provider
    )
    yield made, events
    made.close()


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **more)


@spantally.agent(name="hidden", track=False)
def hidden_agent(client: openai.OpenAI) -> Any:
    """An agent nobody sees."""
    return helper(client)


@spantally.agent(name="helper")
def helper(client: openai.OpenAI) -> Any:
    """An agent of its own, beneath the hidden one."""
    with spantally.tool("spy"):
        return ask(client)


@pytest.mark.parametrize("how", ["block", "agent"])
def test_hidden_work_shows_nothing_and_is_counted(
    told: tuple[Watched, InMemoryLogRecordExporter], scripted: ScriptedServer, how: str
) -> None:
    """No span, no event, no content, no names; the session's totals hold its tokens and its cost."""
    watched, events = told
    with (
        openai.OpenAI(base_url=scripted.base_url, api_key="sk-made-up") as client,
        spantally.session("s", user="alice") as session,
        spantally.agent("planner"),
    ):
        if how == "block":
            with spantally.untracked():
                assert helper(client).choices
                list(ask(client, stream=True, stream_options={"include_usage": True}))
                client.embeddings.create(model="text-embedding-3-small", input="x")
                with pytest.raises(openai.APIConnectionError):
                    openai.OpenAI(base_url="http://127.0.0.1:9", api_key="x", max_retries=0).models.list()
        else:
            assert hidden_agent(client).choices
            with spantally.agent("hidden", track=False):
                helper(client)
                helper(client)
    assert [span.name for span in watched.spans] == ["invoke_agent planner"]
    assert events.get_finished_logs() == ()
    assert session.totals.calls == 3
    assert session.totals.cost_nano_usd
    rows = [record for record in watched.records if record.kind != "agent"]
    assert len(rows) == 3
    for row in rows:
        assert row.kind in COUNTED_KINDS
        assert (row.session_id, row.user_id) == ("s", "alice")
        assert row.usage is not None
        assert (row.name, row.agent_path, row.tool, row.run_id, row.parent_call_id) == (
            None,
            (),
            None,
            None,
            None,
        )
        assert (row.trace_id, row.response_id, row.content, row.attributes) == (None, None, None, None)
    assert b"secret plan" not in watched.exported()


def test_results_of_tools_in_hidden_work_give_no_rows(watched: Watched, scripted: ScriptedServer) -> None:
    """A tool that a hidden call asked for, and whose result a hidden call hands back, stays unknown."""
    history: Any = [
        *MESSAGES,
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "spy", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "x"},
    ]
    with openai.OpenAI(base_url=scripted.base_url, api_key="sk-made-up") as client, spantally.untracked():
        client.chat.completions.create(model="gpt-4o", messages=history)
    assert [record.kind for record in watched.records] == ["inference"]


def test_without_cost_nothing_is_kept(watched: Watched, scripted: ScriptedServer) -> None:
    """untracked(cost=False) is as paused(), and nothing inside brings the cost back."""
    with openai.OpenAI(base_url=scripted.base_url, api_key="sk-made-up") as client:
        with spantally.untracked(cost=False), spantally.untracked():
            ask(client)
            hidden_agent(client)
        with spantally.paused():
            hidden_agent(client)
        assert watched.records == []
        ask(client)
    assert len(watched.records) == 1
    assert len(watched.spans) == 1


def test_hidden_work_in_tasks(watched: Watched, scripted: ScriptedServer) -> None:
    """One task's hidden work hides nothing of another's."""

    async def one(client: openai.AsyncOpenAI, number: int) -> None:
        if number % 2:
            async with spantally.untracked():
                await asyncio.sleep(0)
                await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        else:
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=scripted.base_url, api_key="sk-made-up") as client:
            await asyncio.gather(*(one(client, number) for number in range(6)))

    asyncio.run(main())
    assert len(watched.spans) == 3
    assert len(watched.of("inference")) == 6


def test_wrong_arguments() -> None:
    """They are refused before any effect."""
    wrong: Any = 1
    with pytest.raises(ValueError, match="use True or False"):
        spantally.untracked(cost=wrong)
    with pytest.raises(ValueError, match="use True or False"):
        spantally.agent("a", track=wrong)
