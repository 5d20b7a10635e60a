"""Websockets with us and without: events, types, exceptions and frames are the same, also where we fail."""

from __future__ import annotations

import asyncio
import gc
import importlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate
from opentelemetry.baggage import set_baggage

import spantally
from sockets_kit import (
    CLOSE,
    DROP,
    MODES,
    Answer,
    Both,
    SocketServer,
    answer_of,
    by_turns,
    created,
    done,
    item_done,
    on_create,
    pieces,
    response_events,
    session,
    talk_async,
    tool_item,
    user_says,
)
from spantally.calls.operation import open_operations
from spantally.ground import guard
from spantally.ground.worker import worker
from spantally.redaction import Redactor
from test_host_first_faults import Boom, Fault, _force
from watching import Watched

SOCKETS = "spantally.instrumentors.openai.sockets"
CONNECTION = "spantally.instrumentors.openai.socket_connection"
REALTIME = "spantally.instrumentors.openai.socket_realtime"
RESPONSES = "spantally.instrumentors.openai.socket_responses"
FRAMES = "spantally.instrumentors.openai.wire.frames"
FACTS = "spantally.instrumentors.openai.wire.realtime"

FAULTS = (
    # entering
    Fault(f"{SOCKETS}:_connection_of", ("openai.socket_enter",), metered=False),
    Fault(f"{SOCKETS}:target_of", ("openai.socket_enter",), metered=False),
    Fault(f"{SOCKETS}:_attach_without_own_baggage", ("openai.socket_enter",)),
    Fault(f"{SOCKETS}:_Entry._leave", ("openai.socket_opened",), metered=False),
    Fault(f"{CONNECTION}:Connection.refused_entry", ("openai.socket_opened",), metered=False),
    Fault(f"{SOCKETS}:plain", ("openai.socket_queue", "openai.socket_enter"), metered=False),
    # sending
    Fault(f"{REALTIME}:RealtimeConnection.sending", ("openai.socket_send",), metered=False),
    Fault(f"{CONNECTION}:begin", ("openai.socket_send", "openai.socket_event"), metered=False),
    Fault(f"{SOCKETS}:_sent_raw", ("openai.socket_send",)),
    Fault(f"{REALTIME}:infer_tool_results", ("openai.socket_send",), metered=False),
    Fault(f"{CONNECTION}:Connection.unsent", ("openai.socket_sent",), metered=False),
    # receiving
    Fault(f"{CONNECTION}:Connection.received", ("openai.socket_event",), metered=False),
    Fault(f"{CONNECTION}:parsed", ("openai.socket_event",), metered=False),
    Fault(f"{FRAMES}:event_type", ("openai.socket_event",), metered=False),
    Fault(f"{FRAMES}:response_id", ("openai.socket_event",)),
    Fault(f"{REALTIME}:expect_tool_calls", ("openai.socket_event",)),
    Fault(f"{FACTS}:response_facts", ("sdk.stream_facts",)),
    Fault(f"{FACTS}:RealtimeFacts.content", ("sdk.stream_facts",)),
    Fault(f"{CONNECTION}:Connection.lost", ("openai.socket_lost",), metered=False),
    # the end
    Fault(f"{CONNECTION}:Connection.closed", ("openai.socket_close",), metered=False),
    Fault(f"{CONNECTION}:Connection.left", ("openai.socket_close", "openai.socket_left"), metered=False),
)


async def _tools(connection: Both) -> Any:
    await connection.send(user_says("hello"))
    await connection.ask()
    seen = await connection.until("response.done")
    result = {"type": "function_call_output", "call_id": "call_1", "output": "found"}
    await connection.send({"type": "conversation.item.create", "item": result})
    await connection.ask()
    return seen + await connection.until("response.done")


async def _loop(connection: Both) -> Any:
    await connection.send_raw('{"type": "response.create"}')
    return [event async for event in connection.events()]


async def _raw(connection: Both) -> Any:
    await connection.ask()
    return [await connection.recv_bytes() for _ in range(4)]


async def _lost(connection: Both) -> Any:
    await connection.ask()
    return [event async for event in connection.events()]


async def _unsent(connection: Both) -> Any:
    async for _ in connection.events():
        pass
    await connection.ask()


async def _broken_off(connection: Both) -> Any:
    await connection.ask()
    return [await connection.recv() for _ in range(4)]


async def _responses(connection: Both) -> Any:
    await connection.ask(model="gpt-4o", input="hi")
    return await connection.until("response.completed")


TOOL = tool_item()
HEARD = {
    "type": "conversation.item.input_audio_transcription.completed",
    "item_id": "item_u",
    "event_id": "event_t",
    "transcript": "hello",
    "usage": {"type": "tokens", "input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
}
PROGRAMS: dict[str, tuple[Any, Any, list[Any], str]] = {
    "tools": (
        _tools,
        lambda: by_turns(
            [created(), *pieces(), item_done(TOOL), done(output=[TOOL]), HEARD], answer_of("resp_2")
        ),
        [session()],
        "realtime",
    ),
    "loop": (_loop, lambda: on_create(*answer_of(), CLOSE), [session()], "realtime"),
    "raw": (_raw, lambda: on_create(*answer_of()), [session()], "realtime"),
    "lost": (_lost, lambda: on_create(created(), *pieces(), DROP), [session()], "realtime"),
    "unsent": (_unsent, lambda: on_create(), [session(), CLOSE], "realtime"),
    "broken off": (_broken_off, lambda: on_create(*answer_of()), [session()], "beta realtime"),
    "responses": (_responses, lambda: on_create(*response_events()), [], "responses"),
}
"""Program, script, greeting, and which websocket it is about."""


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if hasattr(value, "model_dump"):
        return type(value).__qualname__, value.model_dump(warnings=False)
    return type(value).__name__, value


_DRAWN = re.compile(r"127\.0\.0\.1:\d+|port \d+|\[Errno \d+\]|\('127[^)]*\)")


def _run(name: str, mode: str) -> Any:
    """Everything about a program that it, or the server, could notice."""
    program, script, greeting, api = PROGRAMS[name]
    with SocketServer(script(), greeting) as server:
        try:
            outcome = _plain(asyncio.run(talk_async(mode, server, program, api=api)))
        except Exception as error:
            outcome = type(error), _DRAWN.sub("", str(error))
        headers = [
            {key: value for key, value in one.items() if key not in ("Host", "Sec-WebSocket-Key")}
            for one in server.headers
        ]
    return outcome, server.received, headers, server.paths


def _queued(mode: str, *, gone: bool) -> Any:
    def connect(client: Any) -> Any:
        manager = client.realtime.connect(model="gpt-realtime")
        manager.send({"type": "response.create"})
        return manager

    async def program(connection: Both) -> Any:
        return await connection.until("response.done")

    server = SocketServer(on_create(*answer_of()), [session()])
    with server:
        if not gone:
            return _plain(asyncio.run(talk_async(mode, server, program, connect=connect)))
    try:
        asyncio.run(talk_async(mode, server, program, connect=connect))
    except OSError as error:
        return type(error)


def _run_all() -> dict[str, Any]:
    found = {f"{name} {mode}": _run(name, mode) for name in PROGRAMS for mode in MODES}
    for mode in MODES:
        found[f"queued {mode}"] = _queued(mode, gone=False)
        found[f"gone {mode}"] = _queued(mode, gone=True)
    gc.collect()
    return found


@pytest.fixture(scope="module")
def without_us() -> dict[str, Any]:
    """What the programs meet when nothing is instrumented."""
    spantally.uninstrument()
    return _run_all()


@pytest.fixture
def active() -> Iterator[Watched]:
    """spantally with all content on, so that every part runs."""
    before = otel_context.get_current()
    made = Watched(capture_content="span_and_event", ledger_content="all", redact=Redactor())
    yield made
    made.close()
    otel_context.attach(before)  # a forced failure may have kept a context from being left
    open_operations.clear()


def _bill(watched: Watched) -> list[tuple[str, str]]:
    return sorted((record.kind, record.status) for record in watched.records if record.kind == "inference")


@pytest.fixture(scope="module")
def full_bill(without_us: dict[str, Any]) -> list[tuple[str, str]]:
    """What is metered when nothing fails."""
    watched = Watched()
    try:
        assert _run_all() == without_us
        assert not guard.failures
        return _bill(watched)
    finally:
        watched.close()


def test_programs_meet_what_they_meet_without_us(full_bill: list[tuple[str, str]]) -> None:
    """Events by value and type, exceptions, frames and handshakes are the same; every response is metered."""
    # Two responses and a transcript of "tools", and one response of each other program.
    assert len(full_bill) == len(MODES) * (3 + len(PROGRAMS) - 1 + 2)
    assert [status for _, status in full_bill].count("error") == len(MODES) * 3


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.target.removeprefix("spantally."))
def test_failure_of_a_part_stays_ours(
    fault: Fault, active: Watched, without_us: dict[str, Any], full_bill: list[tuple[str, str]]
) -> None:
    """Whatever raises in a hook is counted as ours, and every program goes on as without us."""
    with pytest.MonkeyPatch.context() as patch:
        _force(patch, fault.target)
        got = _run_all()
    assert {name for name in got if got[name] != without_us[name]} == set()
    met = {where for where, kind in guard.failures if kind == Boom.__name__}
    assert set(fault.places) <= met
    if fault.metered:
        assert _bill(active) == full_bill


class _Injecting:
    """A client whose headers carry what the propagators give, as an SDK that propagates would send it."""

    @property
    def auth_headers(self) -> dict[str, str]:
        """The SDK's own, and those of the current context."""
        carrier: dict[str, str] = dict(super().auth_headers)  # type: ignore[misc]
        propagate.inject(carrier)
        return carrier


@pytest.mark.parametrize("api", ["realtime", "beta realtime", "responses"])
@pytest.mark.parametrize("mode", MODES)
def test_no_key_of_ours_goes_over_the_handshake(api: str, mode: str, watched: Watched) -> None:
    """Baggage of the program reaches the server where its client propagates it, ours does not."""
    kit = importlib.import_module("sockets_kit")
    base = kit.openai.OpenAI if mode == "sync" else kit.openai.AsyncOpenAI
    client_class = type(base.__name__, (_Injecting, base), {})

    async def run(server: SocketServer) -> None:
        client = client_class(**server._options({}))
        opened = kit.CONNECTS[api](client)
        entered = opened.enter()
        connection = Both(entered if mode == "sync" else await entered)
        await connection.close()

    token = otel_context.attach(set_baggage("theirs", "kept"))
    try:
        with SocketServer(on_create()) as server:
            with spantally.session("secret-session", user="alice"):
                before = otel_context.get_current()
                asyncio.run(run(server))
                assert otel_context.get_current() is before
            (headers,) = server.headers
    finally:
        otel_context.detach(token)
    assert headers["baggage"] == "theirs=kept"
    assert "secret-session" not in str(headers)
    assert worker.flush(5)


def test_pieces_of_audio_are_parsed_by_the_sdk_alone(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a response with many pieces we parse the few events that carry facts, and no piece."""
    connection = importlib.import_module(CONNECTION)
    read: list[bytes] = []
    real = connection.parsed

    def parsed(frame: bytes) -> Any:
        read.append(frame)
        return real(frame)

    monkeypatch.setattr(connection, "parsed", parsed)
    script: Answer = on_create(created(), *pieces(sounds=200), done())

    async def program(both: Both) -> Any:
        await both.ask()
        await both.until("response.done")

    with SocketServer(script, [session()]) as server:
        asyncio.run(talk_async("sync", server, program))
    assert len(read) == 3
    assert not any(b".delta" in frame for frame in read)
    assert watched.records[0].first_chunk_ns is not None
