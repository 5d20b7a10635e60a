"""The processor alone and metering at the source tell the same, on real calls of the openai SDK."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import openai

import spantally
from otel_kit import Bytes
from spantally.ground.worker import worker
from spantally.testing import ScriptedServer
from watching import Watched

MESSAGES: Any = [{"role": "user", "content": "compare these two"}]
_SAME = (
    *("session_id", "implicit", "conversation_id", "user_id", "entity_type", "entity_id", "tags"),
    *("agents", "models", "calls", "errors", "input_tokens", "output_tokens", "cost_nano_usd"),
    *("own_cost_nano_usd", "unpriced_calls", "pending_calls"),
)


@spantally.tool
def search(client: openai.OpenAI) -> int:
    """A tool that embeds."""
    return len(client.embeddings.create(model="text-embedding-3-small", input="a query").data)


@spantally.agent
def planner(client: openai.OpenAI) -> None:
    """An agent with plain, streamed and failing calls, and a tool."""
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    for _ in client.chat.completions.create(
        model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ):
        pass
    client.responses.create(model="gpt-4o", input="hello")
    search(client)


def test_the_processor_alone_gives_the_totals_of_metering_at_the_source(
    tmp_path: Path, server: ScriptedServer
) -> None:
    """Two ledgers of one run, one fed by the instrumentor, one by the spans: rows and sums agree."""
    metered, alone = str(tmp_path / "metered.db"), str(tmp_path / "alone.db")
    watched = Watched(ledger=metered)
    try:
        watched.provider.add_span_processor(spantally.SpanProcessor(ledger=alone))
        watched.provider.add_span_processor(Bytes())
        with (
            openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client,
            spantally.session("chat-42", user="alice", entity=("customer", "acme"), tags={"f": "s"}),
        ):
            planner(client)
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        assert worker.flush(10)
    finally:
        watched.close()
    rows = [spantally.open_ledger(path).sessions() for path in (metered, alone)]
    (by_source,), (by_spans,) = [[asdict(row) for row in found] for found in rows]
    assert {name: by_spans[name] for name in _SAME} == {name: by_source[name] for name in _SAME}
    assert by_source["calls"] == 5
    assert by_source["cost_nano_usd"] > 0
    trees = []
    for path in (metered, alone):
        calls = spantally.open_ledger(path).calls()
        trees.append(
            sorted(
                (one.call_id, one.parent_call_id, one.kind, one.name, one.agent_path, one.cost_nano_usd)
                for one in calls
            )
        )
    assert trees[0] == trees[1]


def test_a_processor_of_the_users_beside_instrument_counts_once(
    tmp_path: Path, server: ScriptedServer
) -> None:
    """With the same ledger a second processor adds nothing, neither to it nor to the live totals."""
    path = str(tmp_path / "one.db")
    watched = Watched(ledger=path)
    try:
        watched.provider.add_span_processor(spantally.SpanProcessor())
        foreign = watched.provider.get_tracer("foreign")
        with (
            openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client,
            spantally.session("chat-43") as session,
        ):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
            foreign.start_span("chat", attributes={"gen_ai.operation.name": "chat"}).end()
            assert worker.flush(10)
            assert session.totals.calls == 2
        assert worker.flush(10)
    finally:
        watched.close()
    (row,) = spantally.open_ledger(path).sessions()
    assert row.calls == 2
