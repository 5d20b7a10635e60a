"""Responses over a websocket: told as those over HTTP are, one row for each, on every lane."""

from __future__ import annotations

import json
from typing import Any

import pytest

import spantally
from conformance_kit import of_payloads
from otel_kit import SECRET
from sockets_kit import (
    MODES,
    RESPONSE_USAGE,
    Both,
    SocketServer,
    by_turns,
    message,
    on_create,
    response,
    response_events,
    talk,
)
from watching import Watched, attributes


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Both kinds of client."""
    return str(request.param)


@pytest.fixture(params=["responses", "beta responses"])
def api(request: pytest.FixtureRequest) -> str:
    """Both places where the SDK has it."""
    return str(request.param)


async def ask(connection: Both, **fields: Any) -> None:
    """Ask for a response, and read it to its end."""
    await connection.ask(**{"model": "gpt-4o", "input": "hi", **fields})
    await connection.until("response.completed")


def test_response_is_told_as_one_over_http(api: str, mode: str, watched: Watched) -> None:
    """Request, response, usage and times are on span and row, by the names of the Responses API."""
    conversation: dict[str, Any] = {"conversation": {"id": "conv_7"}, "service_tier": "default"}
    with SocketServer(on_create(*response_events(**conversation))) as server:

        async def program(connection: Both) -> None:
            await ask(
                connection,
                temperature=0.5,
                reasoning={"effort": "low"},
                previous_response_id="resp_0",
                conversation="conv_7",
                max_output_tokens=99,
            )

        talk(mode, server, program, api=api)
    (record,) = watched.records
    assert (record.kind, record.operation, record.status) == ("inference", "chat", "ok")
    assert (record.request_model, record.response_model) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert (record.response_id, record.usage) == ("resp_1", RESPONSE_USAGE)
    assert record.conversation_id == "conv_7"
    assert record.turn
    assert record.price_context is not None
    assert record.price_context["service_tier"] == "default"
    (span,) = watched.spans
    told = attributes(span)
    assert span.name == "chat gpt-4o"
    expected = {
        "openai.api.type": "responses",
        "gen_ai.conversation.id": "conv_7",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 99,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.previous_response.id": "resp_0",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "server.address": "127.0.0.1",
        "server.port": server.port,
    }
    assert {name: told.get(name) for name in expected} == expected
    assert 0 < told["gen_ai.response.time_to_first_chunk"] < 10


def test_models_of_the_sdk_may_be_sent(mode: str, watched: Watched) -> None:
    """An event that is an object of the SDK is read as one that is a dict."""
    from openai.types.responses import responses_client_event

    event_class: Any = responses_client_event.ResponsesClientEvent
    kinds = getattr(event_class, "__args__", (event_class,))
    kinds = getattr(kinds[0], "__args__", kinds)
    create = next(one for one in kinds if "type" in getattr(one, "model_fields", {}))

    async def program(connection: Both) -> None:
        await connection.send(create.construct(type="response.create", model="gpt-4o", temperature=0.25))
        await connection.until("response.completed")

    with SocketServer(on_create(*response_events())) as server:
        talk(mode, server, program, api="responses")
    assert server.received[0]["temperature"] == 0.25
    told = attributes(watched.spans[0])
    assert (told["gen_ai.request.temperature"], told["gen_ai.request.model"]) == (0.25, "gpt-4o")


def test_lanes_keep_apart(mode: str, watched: Watched) -> None:
    """Two responses at once on lanes of their own, with their events mixed, are two rows with their facts."""
    left = response_events("resp_a", "left", "a", model="gpt-4o-a")
    right = response_events("resp_b", "right", "b", model="gpt-4o-b")
    mixed = [event for pair in zip(right, left, strict=True) for event in pair]

    async def program(connection: Both) -> None:
        await connection.ask(model="gpt-4o", input="one", stream_id="a")
        await connection.ask(model="gpt-4o", input="two", stream_id="b", temperature=1.0)
        await connection.until("response.completed")
        await connection.until("response.completed")

    watched.close()
    watched = Watched(capture_content="span_only")
    try:
        with SocketServer(by_turns([], mixed)) as server:
            talk(mode, server, program, api="responses")
        assert [one.response_id for one in watched.records] == ["resp_a", "resp_b"]
        assert [one.response_model for one in watched.records] == ["gpt-4o-a", "gpt-4o-b"]
        assert all(one.first_chunk_ns for one in watched.records)
        told = [attributes(span) for span in watched.spans]
        assert ["gen_ai.request.temperature" in one for one in told] == [False, True]
        assert [json.loads(one["gen_ai.output.messages"])[0]["parts"][0]["content"] for one in told] == [
            "left",
            "right",
        ]
    finally:
        watched.close()


def test_error_ends_the_response_of_its_lane(mode: str, watched: Watched) -> None:
    """An error in the middle of one lane is that lane's."""
    place = {"stream_id": "a", "sequence_number": 1}
    begun = response_events("resp_a", lane="a")[:2]
    broken = {
        "type": "error",
        "status": 500,
        "error": {"type": "server_error", "code": "overloaded"},
        **place,
    }
    script = by_turns(
        begun, [*response_events("resp_b", lane="b")[:2], broken, *response_events("resp_b", lane="b")[2:]]
    )

    async def program(connection: Both) -> None:
        await connection.ask(model="gpt-4o", input="one", stream_id="a")
        await connection.ask(model="gpt-4o", input="two", stream_id="b")
        await connection.until("response.completed")

    with SocketServer(script) as server:
        talk(mode, server, program, api="responses")
    assert [(one.status, one.error_type) for one in watched.records] == [
        ("error", "overloaded"),
        ("ok", None),
    ]


def test_response_that_nobody_here_asked_for(mode: str, watched: Watched) -> None:
    """A successor that the server begins by itself has its row, with what it repeats of its request."""
    second = response_events("resp_2", temperature=0.75, previous_response_id="resp_1")

    async def program(connection: Both) -> None:
        await ask(connection)
        await connection.until("response.completed")

    with SocketServer(on_create(*response_events(), *second)) as server:
        talk(mode, server, program, api="responses")
    assert [one.response_id for one in watched.records] == ["resp_1", "resp_2"]
    told = attributes(watched.spans[1])
    assert told["gen_ai.request.temperature"] == 0.75
    assert told["gen_ai.request.previous_response.id"] == "resp_1"
    assert told["gen_ai.request.model"] == "gpt-4o-2024-08-06"


def test_tools_take_the_ids_that_the_response_gave(mode: str, watched: Watched) -> None:
    """Function calls of a websocket response join with the tool that runs, and its result with the next."""
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "lookup",
        "arguments": "{}",
        "status": "completed",
    }
    asking = [
        {"type": "response.created", "response": response()},
        {"type": "response.output_item.done", "output_index": 0, "item": call},
        {
            "type": "response.completed",
            "response": response(status="completed", output=[call], usage=RESPONSE_USAGE),
        },
    ]

    @spantally.tool
    def lookup() -> str:
        return "found"

    async def program(connection: Both) -> None:
        await ask(connection)
        lookup()
        result = {"type": "function_call_output", "call_id": "call_1", "output": "found"}
        await ask(connection, input=[result], previous_response_id="resp_1")

    with SocketServer(by_turns(asking, response_events("resp_2"))) as server, spantally.session("tools"):
        talk(mode, server, program, api="responses")
    (tool,) = watched.of("tool")
    assert (tool.tool_call_id, tool.inferred) == ("call_1", False)
    assert attributes(watched.spans[0])["gen_ai.response.finish_reasons"] == ["tool_call"]


@pytest.mark.parametrize("capture", ["no_content", "span_only"])
def test_spans_conform_and_keep_secrets(capture: str, api: str, mode: str) -> None:
    """No finding on the spans, and a secret of request or answer in no byte that is exported."""
    watched = Watched(capture_content=capture)
    script = on_create(*response_events(text=f"it is {SECRET}"))
    try:
        with SocketServer(script) as server:

            async def program(connection: Both) -> None:
                await ask(connection, input=f"say {SECRET}", instructions="be brief")

            talk(mode, server, program, api=api)
        exported = watched.exported()
        assert of_payloads(watched.exporter.payloads) == []
        told = attributes(watched.spans[0])
    finally:
        watched.close()
    assert SECRET.encode() not in exported
    assert ("gen_ai.output.messages" in told) == (capture == "span_only")
    if capture == "span_only":
        assert "say [REDACTED" in told["gen_ai.input.messages"]
        assert "it is [REDACTED" in told["gen_ai.output.messages"]


def test_estimate_where_a_response_broke_off(watched: Watched) -> None:
    """With stream_usage="estimate" the pieces that came of a response that was left are counted."""
    watched.close()
    watched = Watched(stream_usage="estimate")
    try:
        begun = response_events(text="one two three four five six seven")[:2]

        async def program(connection: Both) -> None:
            await connection.ask(model="gpt-4o", input="hi")
            for _ in begun:
                await connection.recv()

        with SocketServer(on_create(*begun)) as server:
            talk("sync", server, program, api="responses")
        (record,) = watched.records
        assert record.estimated
        assert record.usage is not None
        assert record.usage["output"] > 3
    finally:
        watched.close()


def test_items_come_before_a_bare_end(watched: Watched) -> None:
    """An end that repeats no output still leaves the tools and texts that came before it."""
    bare = response(status="completed", output=[], usage=RESPONSE_USAGE)
    events = [*response_events()[:2], {"type": "response.completed", "response": bare}]
    assert message("x")["type"] == "message"

    async def program(connection: Both) -> None:
        await ask(connection)

    with SocketServer(on_create(*events)) as server:
        talk("sync", server, program, api="responses")
    assert watched.records[0].usage == RESPONSE_USAGE


def test_sessions_with_lanes_are_metered(watched: Watched) -> None:
    """The newer SDK's own router of lanes, which sends past the connection, loses no response."""
    library = pytest.importorskip("openai.lib.responses_websocket")
    left, right = response_events("resp_a", lane="a"), response_events("resp_b", lane="b")

    async def program(connection: Both) -> None:
        limits = library.ResponsesWebSocketLimits(
            max_events=100,
            max_bytes=1 << 20,
            max_events_per_lane=100,
            max_bytes_per_lane=1 << 20,
            max_lanes=8,
            max_response_bytes=1 << 20,
        )
        with library.ResponsesWebSocketSession(connection.connection, limits=limits) as routed:
            lanes = [routed.lane(name) for name in ("a", "b")]
            for lane in lanes:
                lane.send({"type": "response.create", "model": "gpt-4o", "input": "hi"})
            for lane in lanes:
                assert lane.get_final_response(timeout=10).usage.output_tokens == 7

    with SocketServer(by_turns([], [*right, *left])) as server:
        talk("sync", server, program, api="responses")
    assert {one.response_id: one.status for one in watched.records} == {"resp_a": "ok", "resp_b": "ok"}
    assert [one.usage for one in watched.records] == [RESPONSE_USAGE] * 2
