"""Realtime sessions: one row and one span for each response, with just the usage that its last event told."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import openai
import pytest

import spantally
from conformance_kit import of_payloads
from otel_kit import SECRET
from sockets_kit import (
    CLOSE,
    CONNECTS,
    MODES,
    NANO,
    SOUND,
    USAGE,
    Both,
    SocketServer,
    answer_of,
    by_turns,
    created,
    done,
    item_done,
    on_create,
    pieces,
    session,
    talk,
    tool_item,
    user_says,
)
from watching import Watched, attributes

HELLO = [session()]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Both kinds of client."""
    return str(request.param)


async def one_answer(connection: Both) -> list[Any]:
    """Say something, ask for a response, and read it to its end."""
    await connection.send(user_says("hello there"))
    await connection.ask()
    return await connection.until("response.done")


@pytest.mark.parametrize("api", ["realtime", "beta realtime"])
def test_response_is_one_call_with_its_facts(api: str, mode: str, watched: Watched) -> None:
    """A response has one row and one span: model, ids, finish reason, usage by modality, first chunk."""
    with SocketServer(on_create(*answer_of()), HELLO) as server:
        talk(mode, server, one_answer, api=api)
    (record,) = watched.records
    assert (record.kind, record.operation, record.status) == ("inference", "chat", "ok")
    assert (record.request_model, record.response_model) == ("gpt-realtime", "gpt-realtime")
    assert (record.response_id, record.usage) == ("resp_1", USAGE)
    assert record.turn
    assert not record.possibly_billed
    assert record.first_chunk_ns is not None
    assert record.end_ns is not None
    assert 0 < record.first_chunk_ns <= record.end_ns - record.start_ns
    (span,) = watched.spans
    told = attributes(span)
    assert span.name == "chat gpt-realtime"
    assert span.kind == span.SPAN_KIND_CLIENT
    assert span.status.code == 0
    assert told["gen_ai.conversation.id"] == "conv_1"
    assert told["gen_ai.response.finish_reasons"] == ["stop"]
    assert told["gen_ai.response.status"] == "completed"
    assert told["gen_ai.output.type"] == "speech"
    assert told["server.port"] == server.port
    assert told["gen_ai.response.time_to_first_chunk"] == record.first_chunk_ns / 1e9
    assert {name: value for name, value in told.items() if name.startswith("gen_ai.usage.")} == {
        "gen_ai.usage.input_tokens": 132,
        "gen_ai.usage.output_tokens": 121,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.usage.text.input_tokens": 119,
        "gen_ai.usage.text.output_tokens": 30,
        "gen_ai.usage.text.cache_read.input_tokens": 60,
        "gen_ai.usage.audio.input_tokens": 13,
        "gen_ai.usage.audio.output_tokens": 91,
        "gen_ai.usage.audio.cache_read.input_tokens": 4,
        "gen_ai.usage.image.input_tokens": 0,
        "gen_ai.usage.image.cache_read.input_tokens": 0,
    }


def test_cost_tells_text_audio_and_cached_audio_apart(mode: str) -> None:
    """The cost of a response is what the price list says of each of its parts, to the nano-dollar."""
    spantally.instrument()
    try:
        with SocketServer(on_create(*answer_of()), HELLO) as server, spantally.session("spoken") as made:
            talk(mode, server, one_answer)
        totals = made.totals
        assert totals.calls == 1
        assert totals.cost_usd == Decimal(NANO) / 1_000_000_000
    finally:
        spantally.uninstrument()


def test_each_response_of_a_connection_is_a_call(mode: str, watched: Watched) -> None:
    """Three responses, one of which the server began by itself after the user spoke, are three rows."""
    spoke = {"type": "input_audio_buffer.committed", "event_id": "e", "item_id": "item_u"}
    unasked = [spoke, *answer_of("resp_3")]
    script = by_turns(answer_of("resp_1"), [*answer_of("resp_2"), *unasked])

    async def program(connection: Both) -> None:
        await one_answer(connection)
        await connection.ask()
        await connection.until("response.done")
        await connection.until("response.done")

    with SocketServer(script, HELLO) as server:
        talk(mode, server, program)
    assert [record.response_id for record in watched.records] == ["resp_1", "resp_2", "resp_3"]
    assert [record.turn for record in watched.records] == [True, False, True]
    assert len(watched.spans) == 3
    assert {record.status for record in watched.records} == {"ok"}


def test_parallel_responses_keep_apart(mode: str, watched: Watched) -> None:
    """Out-of-band responses beside the conversation's: each has its own usage, times and first chunk."""
    aside: dict[str, Any] = {
        "conversation_id": None,
        "output_modalities": ["text"],
        "metadata": {"topic": "aside"},
    }
    usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    last = [
        created("resp_b", **aside),
        created("resp_a"),
        *pieces("resp_a"),
        done("resp_b", usage=usage, **aside),
        done("resp_a"),
    ]

    async def program(connection: Both) -> None:
        await connection.ask()
        await connection.ask(
            response={
                "conversation": "none",
                "metadata": {"topic": "aside"},
                "output_modalities": ["text"],
                "input": [user_says("aside")["item"]],
            }
        )
        await connection.until("response.done")
        await connection.until("response.done")

    with SocketServer(by_turns([], last), HELLO) as server:
        talk(mode, server, program)
    first, second = watched.records
    assert (first.response_id, first.usage) == ("resp_a", USAGE)
    assert (second.response_id, second.usage) == ("resp_b", usage)
    assert second.turn
    told = [attributes(span) for span in watched.spans]
    assert told[0]["gen_ai.conversation.id"] == "conv_1"
    assert "gen_ai.conversation.id" not in told[1]
    assert [one["gen_ai.output.type"] for one in told] == ["speech", "text"]


def test_responses_belong_to_where_the_connection_was_entered(mode: str, watched: Watched) -> None:
    """Session, agent and parent span are those in force at connect; what the program does is not beneath."""

    async def program(connection: Both) -> None:
        with spantally.session("elsewhere"):
            await connection.ask()
            async for event in connection.events():
                with watched.provider.get_tracer("program").start_as_current_span("work"):
                    pass
                if event.type == "response.done":
                    break

    with (
        SocketServer(on_create(*answer_of()), HELLO) as server,
        spantally.session("voice"),
        spantally.agent("operator"),
    ):
        talk(mode, server, program)
    (record,) = watched.of("inference")
    (agent,) = watched.of("agent")
    assert (record.session_id, record.parent_call_id) == ("voice", agent.call_id)
    assert record.agent_path == ("operator",)
    spans = {span.name: span for span in watched.spans}
    around = spans["invoke_agent operator"]
    assert spans["chat gpt-realtime"].parent_span_id == around.span_id
    assert {span.parent_span_id for span in watched.spans if span.name == "work"} == {around.span_id}


def test_paused_programs_are_left_alone(mode: str, watched: Watched) -> None:
    """A response that is asked for, or a connection that is entered, inside paused() leaves nothing."""

    async def program(connection: Both) -> None:
        with spantally.paused():
            await connection.ask()
        await connection.until("response.done")

    with SocketServer(on_create(*answer_of()), HELLO) as server:
        talk(mode, server, program)
        with spantally.paused():
            talk(mode, server, one_answer)
    assert not watched.records
    assert not watched.spans


def test_tools_take_the_ids_that_the_response_gave(mode: str, watched: Watched) -> None:
    """A tool that runs before the response is done has its id; a result nobody saw made is inferred once."""
    item, other = tool_item(), tool_item("call_2", "elsewhere")
    asked = [created(), item_done(item, kind="added"), item_done(item), item_done(other)]
    script = by_turns([*asked, done(output=[item, other])], answer_of("resp_2"))

    @spantally.tool
    def lookup(word: str) -> str:
        return word

    async def program(connection: Both) -> None:
        await connection.ask()
        await connection.until("response.output_item.done")
        assert lookup("x") == "x"
        await connection.until("response.done")
        assert lookup("a run that nobody asked for")
        for call_id in ("call_1", "call_2"):
            result = {"type": "function_call_output", "call_id": call_id, "output": "found"}
            await connection.send({"type": "conversation.item.create", "item": result})
        await connection.ask()
        await connection.until("response.done")

    with SocketServer(script, HELLO) as server, spantally.session("tools"):
        talk(mode, server, program)
    tools = {record.tool_call_id: record for record in watched.of("tool")}
    assert {call_id: (one.name, one.inferred) for call_id, one in tools.items()} == {
        "call_1": ("lookup", False),
        None: ("lookup", False),
        "call_2": ("elsewhere", True),
    }
    told = [attributes(span) for span in watched.spans if span.name.startswith("chat")]
    assert [one["gen_ai.response.finish_reasons"] for one in told] == [["tool_call"], ["stop"]]
    assert not any(record.turn for record in watched.of("inference"))


HEARD = {
    "type": "conversation.item.input_audio_transcription.completed",
    "event_id": "event_t",
    "item_id": "item_u",
    "content_index": 0,
    "transcript": f"my key is {SECRET}",
}
TRANSCRIPT_USAGE = {
    "type": "tokens",
    "total_tokens": 48,
    "input_tokens": 38,
    "input_token_details": {"text_tokens": 10, "audio_tokens": 28},
    "output_tokens": 10,
}
LISTENING: dict[str, Any] = {"audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}}


@pytest.mark.parametrize(
    "settings", [LISTENING, {"input_audio_transcription": {"model": "gpt-4o-mini-transcribe"}}]
)
def test_transcription_is_a_call_of_its_own(settings: Any, mode: str, watched: Watched) -> None:
    """The model that writes down what was said has a row with its usage, from when the audio was whole."""
    committed = {"type": "input_audio_buffer.committed", "event_id": "e", "item_id": "item_u"}
    script = on_create(committed, *answer_of(), {**HEARD, "usage": TRANSCRIPT_USAGE}, HEARD)
    greeting = [session(), session("session.updated", **settings)]

    async def program(connection: Both) -> None:
        await connection.ask()
        await connection.until(HEARD["type"])  # type: ignore[arg-type]
        await connection.recv()

    with SocketServer(script, greeting) as server:
        talk(mode, server, program)
    written, spoken_one = sorted(watched.records, key=lambda record: record.operation, reverse=True)
    assert (spoken_one.operation, written.operation) == ("chat", "generate_content")
    assert (written.request_model, written.response_id) == ("gpt-4o-mini-transcribe", "item_u")
    assert written.usage is not None
    assert (written.usage["input_tokens"], written.usage["output_tokens"]) == (38, 10)
    assert written.end_ns is not None
    assert spoken_one.end_ns is not None
    assert written.start_ns < spoken_one.end_ns < written.end_ns


@pytest.mark.parametrize("capture", ["no_content", "span_only"])
def test_spans_conform(capture: str, mode: str) -> None:
    """Responses, transcripts and refused requests have no finding."""
    failed = {"type": "failed", "error": {"type": "server_error", "code": "overloaded", "message": "no"}}
    turns = by_turns(
        [*answer_of(), {**HEARD, "usage": TRANSCRIPT_USAGE}],
        [created("resp_2"), done("resp_2", "failed", usage=None, output=[], status_details=failed)],
        [{"type": "error", "event_id": "e", "error": {"type": "invalid_request_error", "code": "bad"}}],
    )

    async def program(connection: Both) -> None:
        await one_answer(connection)
        await connection.ask()
        await connection.until("response.done")
        await connection.ask()
        await connection.until("error")

    watched = Watched(capture_content=capture)
    try:
        with SocketServer(turns, [session(**LISTENING)]) as server:
            talk(mode, server, program)
        watched.exported()
        assert len(watched.spans) == 4
        assert of_payloads(watched.exporter.payloads) == []
    finally:
        watched.close()


def test_session_without_a_model_takes_what_the_server_says(watched: Watched) -> None:
    """A connection to a call that runs already names no model: the session does."""
    with SocketServer(on_create(*answer_of()), HELLO) as server:

        async def program(connection: Both) -> None:
            await connection.until("session.created")
            await one_answer(connection)

        talk("sync", server, program, connect=lambda client: client.realtime.connect(call_id="rtc_1"))
    assert watched.records[0].request_model == "gpt-realtime"
    assert watched.spans[0].name == "chat gpt-realtime"


def test_events_may_be_read_and_sent_as_bytes(mode: str, watched: Watched) -> None:
    """A program that reads frames and sends its own JSON is metered as one that uses events."""
    seen: list[bytes] = []

    async def program(connection: Both) -> None:
        await connection.send_raw(json.dumps({"type": "input_audio_buffer.append", "audio": SOUND}))
        await connection.send_raw(json.dumps({"response": {}, "type": "response.create"}).encode())
        while b"response.done" not in b"".join(seen):
            seen.append(await connection.recv_bytes())

    with SocketServer(on_create(*answer_of()), HELLO) as server:
        talk(mode, server, program)
    assert [record.usage for record in watched.records] == [USAGE]
    assert all(type(frame) is bytes for frame in seen)


class _Through:
    """A transport that sends through the connection's own ``send_raw``, as another SDK's ``send`` might."""

    def __init__(self, owner: Any) -> None:
        self.owner, self.real, self.inside = owner, owner._connection, False

    def send(self, data: Any) -> None:
        """Send, once around."""
        if self.inside:
            self.real.send(data)
            return
        self.inside = True
        self.owner.send_raw(data)
        self.inside = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def test_an_event_that_passes_two_taps_counts_once(watched: Watched) -> None:
    """An SDK whose send() goes through its send_raw() asks once for a response, not twice."""

    async def program(connection: Both) -> None:
        connection.connection._connection = _Through(connection.connection)
        await one_answer(connection)

    with SocketServer(on_create(*answer_of()), HELLO) as server:
        talk("sync", server, program)
    assert [record.status for record in watched.records] == ["ok"]
    assert len(server.received) == 2


def test_frames_with_sorted_keys_are_read(watched: Watched) -> None:
    """A server that sorts the keys of its events, so that nested types come first, is read as well."""
    events = [json.dumps(event, sort_keys=True) for event in answer_of()]
    with SocketServer(on_create(*events), [json.dumps(session(), sort_keys=True)]) as server:
        talk("sync", server, one_answer)
    (record,) = watched.records
    assert record.usage == USAGE
    assert record.first_chunk_ns is not None


def test_events_queued_before_the_connection_count(mode: str, watched: Watched) -> None:
    """What is sent through the manager before it is entered is sent, and asked for, when it is."""

    def connect(client: Any) -> Any:
        manager = client.realtime.connect(model="gpt-realtime")
        manager.send(user_says("early"))
        manager.send({"type": "response.create"})
        return manager

    async def program(connection: Both) -> None:
        await connection.until("response.done")

    with SocketServer(on_create(*answer_of()), HELLO) as server:
        talk(mode, server, program, connect=connect)
    (record,) = watched.records
    assert record.turn
    assert record.usage == USAGE


def test_handlers_and_reader_threads_see_their_events(watched: Watched) -> None:
    """Handlers that are registered for events get them, each once, in both kinds of client."""
    for mode in MODES:
        seen: list[str] = []

        async def program(connection: Both, seen: list[str] = seen) -> None:
            connection.connection.on("event", lambda event: seen.append(event.type))
            await connection.ask()
            dispatching = connection.connection.dispatch_events()
            if asyncio.iscoroutine(dispatching):
                await dispatching

        events = answer_of()
        with SocketServer(on_create(*events, CLOSE), HELLO) as server:
            talk(mode, server, program)
        assert seen == [event["type"] for event in (*HELLO, *events)]
    assert [record.status for record in watched.records] == ["ok", "ok"]


@pytest.mark.parametrize("queued", [False, True])
def test_a_bound_client_carries_its_session_over_a_websocket(
    queued: bool, mode: str, watched: Watched
) -> None:
    """What a client is bound to holds for the responses of its connections, too."""

    def connect(client: Any) -> Any:
        bound = spantally.bind(client, session="mine", user="alice", tags={"feature": "voice"})
        manager = CONNECTS["realtime"](bound)
        if queued:
            manager.send({"type": "response.create"})
        return manager

    async def program(connection: Both) -> None:
        if not queued:
            await connection.ask()
        await connection.until("response.done")

    with SocketServer(on_create(*answer_of()), HELLO) as server, spantally.session("outer"):
        talk(mode, server, program, connect=connect)
    (record,) = watched.records
    assert (record.session_id, record.user_id, dict(record.tags)) == ("mine", "alice", {"feature": "voice"})
    told = attributes(watched.spans[0])
    assert (told["session.id"], told["user.id"]) == ("mine", "alice")


class House(openai.AzureOpenAI):
    """A client class of a program's own."""


def test_the_provider_of_a_derived_client_is_that_of_its_base(watched: Watched) -> None:
    """As it is over HTTP."""
    with SocketServer(on_create(*answer_of()), HELLO) as server:
        at = f"127.0.0.1:{server.port}"
        client = House(
            azure_endpoint=f"http://{at}",
            websocket_base_url=f"ws://{at}/openai",
            api_key="made-up",
            api_version="2025-01-01",
        )
        with client, CONNECTS["realtime"](client) as connection:
            connection.send({"type": "response.create"})
            while connection.recv().type != "response.done":
                pass
    assert [record.provider for record in watched.records] == ["azure.ai.openai"]
    assert attributes(watched.spans[0])["gen_ai.provider.name"] == "azure.ai.openai"
