"""Results of message batches, and the tool runner: what the server billed is what the ledger adds up to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

import spantally
from anthropic_forms_kit import ASK, INPUT, MODEL, OUTPUT, TRACES_ITSELF, USAGE, async_client_of, client_of
from spantally.ground import guard
from spantally.instrumentors.stainless import batches
from spantally.pricing.rate import rate
from spantally.testing import Reply, Request, ScriptedServer, ToolCall
from test_openai_endpoints_later import totals
from watching import Watched

TRACERS = ["ours", "native"] if TRACES_ITSELF else ["ours"]
HAS_BATCHES = hasattr(anthropic.resources.messages.Messages, "batches")
needs_batches = pytest.mark.skipif(not HAS_BATCHES, reason="this version has batches in beta only")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """No test meets the ids of another."""
    batches.forget()
    yield
    batches.forget()


def _options(watched: Watched, tracer: str) -> dict[str, Any]:
    return {"open_telemetry": {"tracer_provider": watched.provider}} if tracer == "native" else {}


def script(request: Request) -> Reply:
    """One of three requests fails."""
    if "fail" in request.last_text:
        return Reply(status=400, error="no")
    return Reply(text="x", usage=USAGE)


def _asked(*texts: str) -> list[Any]:
    return [
        {"custom_id": f"r{number}", "params": {**ASK, "messages": [{"role": "user", "content": text}]}}
        for number, text in enumerate(texts)
    ]


@needs_batches
@pytest.mark.parametrize("tracer", TRACERS)
def test_results_of_a_batch_are_rows_of_a_batch(watched: Watched, tracer: str, tmp_path: Path) -> None:
    """Each answer is a row beneath the download, at half the price; reading it again adds nothing."""
    with ScriptedServer(script) as server, client_of(server, **_options(watched, tracer)) as client:
        batch = client.messages.batches.create(requests=_asked("a", "fail", "b"))
        assert client.messages.batches.retrieve(batch.id).processing_status == "ended"
        kinds = [line.result.type for line in client.messages.batches.results(batch.id)]
        assert len(list(client.messages.batches.results(batch.id))) == 3
    assert kinds == ["succeeded", "errored", "succeeded"]
    rows = [record for record in watched.records if (record.price_context or {}).get("batch")]
    assert [(row.kind, row.response_model, row.status) for row in rows] == [("inference", MODEL, "ok")] * 2
    download = next(record for record in watched.records if record.operation == "fetch_batch_results")
    assert {row.parent_call_id for row in rows} == {download.call_id}
    assert totals(watched.records, tmp_path) == (2, 2 * INPUT, 2 * OUTPUT)
    usage = {**(rows[0].usage or {}), "service_tier": "standard"}
    whole = rate(rows[0]._replace(usage=usage, price_context={"provider": "anthropic"}))
    half = rate(rows[0])
    assert half.nano_usd is not None
    assert half.nano_usd * 2 == whole.nano_usd
    assert not guard.failures, guard.failures
    assert len(watched.spans) == len([one for one in watched.records if one.operation != "chat"])


@needs_batches
def test_results_read_by_two_processes_count_once(watched: Watched, tmp_path: Path) -> None:
    """A row's id is the message's: a second reader, who knows nothing of the first, adds nothing."""
    with ScriptedServer(script) as server, client_of(server) as client:
        batch = client.messages.batches.create(requests=_asked("a", "b"))
        list(client.messages.batches.results(batch.id))
        assert watched.records
        batches.forget()  # as another process
        list(client.messages.batches.results(batch.id))
    assert totals(watched.records, tmp_path)[0] == 2


@needs_batches
def test_asynchronous_results_and_bytes_are_read_too(watched: Watched, tmp_path: Path) -> None:
    """The asynchronous client, and a program that reads the lines itself in small pieces."""

    async def run(server: ScriptedServer) -> None:
        async with async_client_of(server) as client:
            batch = await client.messages.batches.create(requests=_asked("a", "b"))
            assert len([line async for line in await client.messages.batches.results(batch.id)]) == 2
            batch = await client.messages.batches.create(requests=_asked("c"))
            if hasattr(client.messages.batches.with_streaming_response, "results"):
                async with client.messages.batches.with_streaming_response.results(batch.id) as raw:
                    assert b"".join([piece async for piece in raw.iter_bytes(17)]).count(b"\n") == 1
            else:
                assert len([line async for line in await client.messages.batches.results(batch.id)]) == 1

    with ScriptedServer(script) as server:
        asyncio.run(run(server))
    assert totals(watched.records, tmp_path) == (3, 3 * INPUT, 3 * OUTPUT)


# -- the tool runner -------------------------------------------------------------------------------------


def _tools(asynchronous: bool) -> list[Any]:
    make = anthropic.beta_async_tool if asynchronous else anthropic.beta_tool

    if asynchronous:

        async def lookup(word: str) -> str:
            """Look a word up."""
            return f"found {word}"

        return [make(lookup)]

    def lookup_now(word: str) -> str:
        """Look a word up."""
        return f"found {word}"

    return [make(lookup_now, name="lookup")]


def _rounds() -> list[Reply]:
    calls = (ToolCall("lookup", {"word": "x"}, id="toolu_1"), ToolCall("lookup", {"word": "y"}, id="toolu_2"))
    again = (ToolCall("lookup", {"word": "z"}, id="toolu_3"),)
    return [
        Reply(tool_calls=calls, usage=USAGE),
        Reply(text="more", tool_calls=again, usage=USAGE),
        Reply(text="done", usage=USAGE),
    ]


@pytest.mark.skipif(not hasattr(anthropic, "beta_tool"), reason="this version has no tool runner")
@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_tool_runner_spends_what_the_server_billed(
    asynchronous: bool, stream: bool, tracer: str, watched: Watched, tmp_path: Path
) -> None:
    """Three answers with tools between them: calls, tokens and the live totals are those of the bills."""
    asked: Any = {
        "model": MODEL,
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "go"}],
        "tools": _tools(asynchronous),
        "stream": stream,
    }

    async def run(server: ScriptedServer) -> None:
        async with async_client_of(server, **_options(watched, tracer)) as client:
            async for answer in client.beta.messages.tool_runner(**asked):
                if stream:
                    assert [event async for event in answer]

    with ScriptedServer(_rounds()) as server, spantally.session("s") as session:
        if asynchronous:
            asyncio.run(run(server))
        else:
            with client_of(server, **_options(watched, tracer)) as client:
                for answer in client.beta.messages.tool_runner(**asked):
                    if stream:
                        assert list(answer)
        billed = server.billed[MODEL]
        live = session.totals
    assert (live.calls, live.input_tokens, live.output_tokens) == (3, billed.input, billed.output)
    assert totals(watched.records, tmp_path) == (billed.requests, billed.input, billed.output)
    tools = {record.tool_call_id for record in watched.of("tool")}
    assert tools == {"toolu_1", "toolu_2", "toolu_3"}
    names = [span.name for span in watched.spans]
    assert names.count("anthropic.messages.create" if tracer == "native" else f"chat {MODEL}") == 3
    assert names.count("anthropic.messages.tool_runner") == (1 if tracer == "native" else 0)
    assert not guard.failures, guard.failures


def test_a_tool_of_ours_takes_the_id_that_the_model_gave(watched: Watched) -> None:
    """``@spantally.tool`` after an answer that asks for it, and no second row when its result is sent."""

    @spantally.tool
    def lookup(word: str) -> str:
        return f"found {word}"

    with ScriptedServer(_rounds()[:1] + _rounds()[2:]) as server, client_of(server) as client:
        asked = client.messages.create(**ASK)
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": lookup(**block.input)}
            for block in asked.content
            if block.type == "tool_use"
        ]
        history: list[Any] = [
            *ASK["messages"],
            {"role": "assistant", "content": asked.content},
            {"role": "user", "content": results},
        ]
        client.messages.create(**{**ASK, "messages": history})
    assert [record.tool_call_id for record in watched.of("tool")] == ["toolu_1", "toolu_2"]
    assert [record.turn for record in watched.of("inference")] == [True, False]
