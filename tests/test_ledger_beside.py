"""Several calls within one span of somebody else's: each of them counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry import trace

import spantally
from export_kit import command
from otlp_files_kit import as_file_json, lines
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched

ASKED: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
THEIRS: Any = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 10,
}


def in_turn(url: str) -> None:
    with openai.OpenAI(api_key="x", base_url=url, max_retries=0) as client:
        for _ in range(2):
            client.chat.completions.create(**ASKED)


def at_once(url: str) -> None:
    async def run() -> None:
        async with openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0) as client:
            await asyncio.gather(*(client.chat.completions.create(**ASKED) for _ in range(2)))

    asyncio.run(run())


def calls_of(ledger: Path) -> Any:
    (total,) = json.loads(command(ledger, "cost", "--by", "session", "--json").stdout)
    return total["calls"], total["input_tokens"], total["output_tokens"]


@pytest.mark.parametrize("ask", [in_turn, at_once])
def test_each_call_in_a_span_of_a_framework_counts(tmp_path: Path, ask: Callable[[str], None]) -> None:
    """A framework's model span with a request made again inside of it: the first one has its span, and the
    other is none of its parts. A ledger that ingests the spans, in any order, says the same."""
    home = tmp_path / "home.db"
    watched = Watched(ledger=home)
    try:
        replies = [Reply(usage=Usage(input=10, output=5)) for _ in range(2)]
        with ScriptedServer(replies) as server, spantally.session("s") as session:
            tracer = watched.provider.get_tracer("some.framework")
            span = tracer.start_span("chat gpt-4o", kind=trace.SpanKind.CLIENT, attributes=THEIRS)
            with trace.use_span(span, end_on_exit=True):
                ask(server.base_url)
        assert spantally.flush()
        payloads = list(watched.exporter.payloads)
    finally:
        watched.close()
    assert session.totals.calls == 2
    assert calls_of(home) == (2, 20, 10)
    for name, some in (("there", payloads), ("back", payloads[::-1])):
        wire, team = tmp_path / f"{name}.jsonl", tmp_path / f"{name}.db"
        wire.write_bytes(lines(as_file_json(one) for one in some))
        command(team, "ingest", str(wire))
        assert calls_of(team)[0] == 2
