"""Clients that trace themselves: their span stands for the call, which is metered and counted once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import spantally
from anthropic_forms_kit import (
    ANSWER,
    ASK,
    CACHED,
    INPUT,
    MODEL,
    OUTPUT,
    THOUGHT,
    TRACES_ITSELF,
    async_client_of,
    client_of,
    native,
)
from spantally.ground import guard
from spantally.testing import Reply, ScriptedServer
from watching import BytesExporter, Watched, attributes

pytestmark = pytest.mark.skipif(not TRACES_ITSELF, reason="this version of the SDK does not trace itself")

NATIVE = "anthropic.messages.create"


def _ask(server: ScriptedServer, **options: Any) -> None:
    """A message, a stream, and a raw one."""
    with client_of(server, **options) as client:
        client.messages.create(**ASK, stop_sequences=["x"])
        list(client.messages.create(**ASK, stream=True))
        with client.messages.stream(**ASK) as stream:
            stream.get_final_message()


@pytest.fixture
def server() -> Any:
    """A server whose every answer has the same usage."""
    with ScriptedServer(ANSWER) as made:
        yield made


def test_one_span_and_one_row_for_each_call(server: ScriptedServer) -> None:
    """The span is the SDK's; it has our call's id, the session, and what the SDK leaves out."""
    watched = Watched()
    try:
        with spantally.session("chat-42", user="alice"):
            _ask(server, **native(watched))
        records, spans = watched.records, watched.spans
    finally:
        watched.close()
    assert [span.name for span in spans] == [NATIVE] * 3
    assert [record.call_id for record in records] == [attributes(span)["spantally.call.id"] for span in spans]
    assert [record.span_id for record in records] == [span.span_id.hex() for span in spans]
    for record, span in zip(records, spans, strict=True):
        told = attributes(span)
        assert (told["session.id"], told["user.id"]) == ("chat-42", "alice")
        assert told["gen_ai.usage.input_tokens"] == INPUT
        assert told["gen_ai.response.finish_reasons"] == ["stop"]
        assert told["gen_ai.conversation.id"] == "chat-42"
        assert (record.kind, record.session_id, record.precedence) == ("inference", "chat-42", 30)
        assert record.usage is not None
        assert record.usage["cache_read_input_tokens"] == CACHED
        assert record.usage["output_tokens_details"] == {"thinking_tokens": THOUGHT}
    assert attributes(spans[0])["gen_ai.request.stop_sequences"] == ["x"]
    assert not guard.failures, guard.failures


def test_asynchronous_clients_too(server: ScriptedServer) -> None:
    """Side by side on one loop, each call has its own span."""
    watched = Watched()

    async def run() -> None:
        async with async_client_of(server, **native(watched)) as client:

            async def stream() -> None:
                assert [event async for event in await client.messages.create(**ASK, stream=True)]

            await asyncio.gather(*(client.messages.create(**ASK) for _ in range(5)), stream(), stream())

    try:
        asyncio.run(run())
        records, spans = watched.records, watched.spans
    finally:
        watched.close()
    assert len(records) == len(spans) == 7
    assert {record.span_id for record in records} == {span.span_id.hex() for span in spans}


def test_without_native_tracing_the_span_is_ours(server: ScriptedServer) -> None:
    """The option that turns it off, and requests that no method of the SDK makes."""
    watched = Watched()
    try:
        _ask(server, open_telemetry=False)
        with client_of(server, **native(watched)) as client:
            client.post("/v1/messages", cast_to=object, body=ASK)
        assert [span.name for span in watched.spans] == [f"chat {MODEL}"] * 4
        assert len(watched.records) == 4
    finally:
        watched.close()


def test_spans_that_go_elsewhere_do_not_stand_for_ours(server: ScriptedServer) -> None:
    """A client with a provider of its own: there its span, here ours, and one row."""
    elsewhere, exporter = TracerProvider(shutdown_on_exit=False), BytesExporter()
    elsewhere.add_span_processor(SimpleSpanProcessor(exporter))
    watched = Watched()
    try:
        _ask(server, open_telemetry={"tracer_provider": elsewhere})
        assert [span.name for span in watched.spans] == [f"chat {MODEL}"] * 3
        assert [span.name for span in exporter.spans] == [NATIVE] * 3
        assert len(watched.records) == 3
    finally:
        watched.close()


def test_coexist_own_makes_ours_as_well(server: ScriptedServer) -> None:
    """Two spans for each call where the setting asks for it, and one row."""
    watched = Watched(coexist="own")
    try:
        _ask(server, **native(watched))
        spans, records = watched.spans, watched.records
    finally:
        watched.close()
    assert [span.name for span in spans] == [f"chat {MODEL}", NATIVE] * 3
    assert len(records) == 3
    ids = [attributes(span)["spantally.call.id"] for span in spans]
    assert ids[::2] == ids[1::2] == [record.call_id for record in records]


def test_another_span_around_and_the_sdks_within_are_one_call(server: ScriptedServer) -> None:
    """An instrumentor around the SDK that traces itself: two spans of others, none of ours, one row."""
    watched = Watched()
    tracer = trace.get_tracer("some.instrumentor", tracer_provider=watched.provider)
    try:
        with client_of(server, **native(watched)) as client:
            asked = {"gen_ai.operation.name": "chat", "gen_ai.request.model": MODEL}
            with tracer.start_as_current_span(f"chat {MODEL}", attributes=asked):
                client.messages.create(**ASK)
        outer, inner = watched.spans
        (record,) = watched.records
    finally:
        watched.close()
    assert (outer.name, inner.name) == (f"chat {MODEL}", NATIVE)
    assert record.span_id == outer.span_id.hex()
    assert attributes(outer)["spantally.call.id"] == attributes(inner)["spantally.call.id"] == record.call_id


@pytest.mark.parametrize("sampler_drops", [True, False])
def test_calls_are_metered_whatever_is_sampled(server: ScriptedServer, sampler_drops: bool) -> None:
    """No span at all, ours or theirs, where the sampler drops; the row is there."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    watched = Watched(sampler=ALWAYS_OFF if sampler_drops else ALWAYS_ON)
    try:
        _ask(server, **native(watched))
        assert len(watched.records) == 3
        assert len(watched.spans) == (0 if sampler_drops else 3)
        assert {(record.usage or {})["output_tokens"] for record in watched.records} == {OUTPUT}
    finally:
        watched.close()


def test_a_failed_call_is_one_row_beside_their_failed_span() -> None:
    """Refused, overloaded: the type of the error is the provider's on both."""
    replies = [Reply(status=529), Reply(status=400, error="no")]
    watched = Watched()
    try:
        with ScriptedServer(replies) as server, client_of(server, **native(watched)) as client:
            for _ in replies:
                with pytest.raises(Exception):
                    client.messages.create(**ASK)
        spans, records = watched.spans, watched.records
    finally:
        watched.close()
    assert [record.error_type for record in records] == ["overloaded_error", "invalid_request_error"]
    assert [attributes(span)["error.type"] for span in spans] == [record.error_type for record in records]
    assert [record.possibly_billed for record in records] == [False, False]


def test_redaction_reaches_their_content(server: ScriptedServer) -> None:
    """Content that the SDK puts onto its own span leaves without its secrets."""
    secret = "sk-proj-" + "Zb2C3d4E" * 5
    watched = Watched()
    options = {"tracer_provider": watched.provider, "traces": {"content_mode": "content"}}
    try:
        with client_of(server, open_telemetry=options) as client:
            client.messages.create(**{**ASK, "messages": [{"role": "user", "content": f"use {secret}"}]})
        exported = watched.exported()
    finally:
        watched.close()
    assert b"gen_ai.input.messages" in exported
    assert secret.encode() not in exported


def test_the_clients_conversation_is_the_calls(server: ScriptedServer) -> None:
    """``conversation_id`` of the client's option, where no session gives one."""
    watched = Watched()
    options = {"tracer_provider": watched.provider, "conversation_id": "conv-7"}
    try:
        with client_of(server, open_telemetry=options) as client:
            client.messages.create(**ASK)
        (record,) = watched.records
        assert record.conversation_id == "conv-7"
        assert attributes(watched.spans[0])["gen_ai.conversation.id"] == "conv-7"
    finally:
        watched.close()
