"""Live sessions: one row and one span for the session, by its length, and one for each delegated response."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import wrapt
from opentelemetry import context as otel_context
from websockets.exceptions import ConnectionClosed

import spantally
from conformance_kit import of_payloads
from live_kit import CONNECTS, delegated, nested, on_events, over, said, sound, start, started, used
from sockets_kit import (
    CLOSE,
    DROP,
    MODES,
    RESPONSE_USAGE,
    Both,
    SocketServer,
    response,
    settled,
    talk,
    tool_item,
)
from spantally.ground import guard
from spantally.ground.records import CallRecord
from spantally.instrumentors.openai.socket_places import socket_places
from watching import Watched, attributes

pytest.importorskip("openai.resources.live", reason="a version of the SDK without the Live API")

CLOSED = "websockets.exceptions.ConnectionClosedError"
RESPONSE_NANO = (11 - 3) * 2_500 + 3 * 1_250 + 7 * 10_000
"""What RESPONSE_USAGE costs with gpt-4o: input, cached input, output."""


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Both kinds of client."""
    return str(request.param)


@pytest.fixture(params=sorted(CONNECTS))
def api(request: pytest.FixtureRequest) -> str:
    """Each websocket over which a session is started."""
    return str(request.param)


async def whole(connection: Both) -> list[Any]:
    """Start a session, close it, and read to its end."""
    await connection.send(start())
    seen = await connection.until("session.started")
    await connection.send({"type": "session.close"})
    return seen + await connection.until("session.closed")


def run(mode: str, program: Any, api: str = "live", **script: Any) -> Any:
    """Run a program with a server that answers by the types of events."""
    with SocketServer(on_events(**script)) as server:
        return talk(mode, server, program, connect=CONNECTS[api])


def only(watched: Watched) -> tuple[CallRecord, Any]:
    """The one row and the one span."""
    (record,) = watched.records
    (span,) = watched.spans
    return record, span


def test_session_is_one_call_by_its_length(api: str, mode: str, watched: Watched) -> None:
    """The seconds of the last event count, and those of the ones before it do not."""
    last = over(60)
    run(mode, whole, api, session_start=[started(), used(15), sound(), used(30)], session_close=[last])
    record, span = only(watched)
    assert (record.kind, record.operation, record.status) == ("inference", "chat", "ok")
    assert (record.request_model, record.response_model) == ("gpt-live-1", "gpt-live-1")
    assert (record.response_id, record.usage) == ("sess_1", {"type": "duration", "seconds": 60})
    assert not record.possibly_billed
    assert not record.abandoned
    assert not record.estimated
    told = attributes(span)
    assert span.name == "chat gpt-live-1"
    assert span.kind == span.SPAN_KIND_CLIENT
    assert span.status.code == 0
    assert told["gen_ai.conversation.id"] == "sess_1"
    assert told["gen_ai.response.finish_reasons"] == ["stop"]
    assert told["spantally.usage"] == '{"audio_seconds": 60.0}'


def test_cost_of_session_and_delegated_responses(mode: str, tmp_path: Path) -> None:
    """Each by its own price, once, also in the ledger: the length of the session, the tokens of responses."""
    watched = Watched(ledger=tmp_path / "ledger.db")
    nano = 60 * 3_000_000_000 // 3_600 + 2 * RESPONSE_NANO
    try:
        with spantally.session("voice") as made:
            first = [started(), *delegated(), used(30), *delegated("resp_2", "del_2")]
            run(mode, whole, session_start=first, session_close=[used(59), over(60)])
        assert made.totals.calls == 3
        assert made.totals.cost_usd == Decimal(nano) / 1_000_000_000
        assert made.totals.unpriced_calls == 0
        assert made.totals.input_tokens == 2 * 11
        assert spantally.flush(10)
    finally:
        watched.close()
    with spantally.open_ledger(tmp_path / "ledger.db") as ledger:
        (row,) = ledger.sessions()
        assert (row.calls, row.cost_usd) == (3, Decimal(nano) / 1_000_000_000)
        (session,) = ledger.calls(model="gpt-live-1")
        assert (session.cost_nano_usd, session.cost_status) == (50_000_000, "priced")


def test_delegated_responses_are_calls_beside_the_session(api: str, mode: str, watched: Watched) -> None:
    """Two that are made at once, told by their ids and lanes; each has its usage, once.

    They are not beneath it: a call above another one counts for nothing, and the session is billed.
    """
    one, two = delegated(), delegated("resp_2", "del_2")
    mixed = [event for pair in zip(one, two, strict=True) for event in pair]
    run(mode, whole, api, session_start=[started(), *mixed, one[-1]], session_close=[over(7)])
    session, first, second = watched.records
    spans = {attributes(span)["gen_ai.response.id"]: span for span in watched.spans}
    assert len(spans) == 3
    for record in (first, second):
        assert (record.kind, record.status, record.usage) == ("inference", "ok", RESPONSE_USAGE)
        assert record.parent_call_id is None
        assert record.response_model == "gpt-4o-2024-08-06"
        assert record.response_id is not None
        span = spans[record.response_id]
        assert span.parent_span_id == spans["sess_1"].parent_span_id
        assert attributes(span)["gen_ai.conversation.id"] == "sess_1"
        assert attributes(span)["gen_ai.response.finish_reasons"] == ["stop"]
        assert record.first_chunk_ns is not None
    assert {first.response_id, second.response_id} == {"resp_1", "resp_2"}
    assert session.response_id == "sess_1"


def test_delegated_tools(mode: str, watched: Watched) -> None:
    """A tool that a delegated response asks for: its result is told, and the next response goes on."""

    async def program(connection: Both) -> None:
        await connection.send(start())
        events = 5
        for _ in range(events):
            await connection.recv()
        result = {"type": "function_call_output", "call_id": "call_1", "output": "found"}
        await connection.send({"type": "response.item.create", "item": result})
        await connection.ask()
        for _ in range(events):
            await connection.recv()

    asked = delegated(item=tool_item())
    answers = [*delegated("resp_2"), over(3)]
    run(mode, program, session_start=[started(), *asked], response_create=answers)
    kinds = [(record.kind, record.name) for record in watched.records]
    assert kinds.count(("inference", None)) == 3
    assert [name for kind, name in kinds if kind == "tool"] == ["lookup"]


def test_an_error_within_a_delegated_response_is_its_own(mode: str, watched: Watched) -> None:
    """The response ends with the error that it tells, the session goes on."""
    begun = nested({"type": "response.created", "response": response()})
    failed = nested({"type": "error", "code": "server_error", "message": "no", "param": None})
    run(mode, whole, session_start=[started(), begun, failed], session_close=[over(5)])
    session, inner = watched.records
    assert (session.status, inner.status, inner.error_type) == ("ok", "error", "server_error")


def test_a_decision_is_a_call(mode: str, watched: Watched) -> None:
    """A decision that the session asked another model for tells its tokens."""
    usage = {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6}
    decision = {"id": "dec_1", "model": "gpt-decide", "answers": [], "usage": usage}
    event = {"decision": decision, "type": "decision.completed"}
    told = {"delegation_id": None, "event": event, "event_id": "event_d", "type": "decision.event"}
    run(mode, whole, session_start=[started(), told], session_close=[over(5)])
    session, inner = watched.records
    assert (inner.response_id, inner.usage, inner.request_model) == ("dec_1", usage, "gpt-decide")
    assert (session.usage, inner.status) == ({"type": "duration", "seconds": 5}, "ok")


# -- ends ------------------------------------------------------------------------------------------------


async def begin(connection: Both) -> None:
    """Start a session and read until its usage is told."""
    await connection.send(start())
    await connection.until("session.usage.updated")


@pytest.mark.parametrize(
    ("reason", "finish", "error"),
    [
        ("expired", "length", None),
        ("content", "content_filter", None),
        ("remote_hangup", "stop", None),
        ("connection_lost", "error", "connection_lost"),
    ],
)
def test_reason_of_the_end(reason: str, finish: str, error: str | None, mode: str, watched: Watched) -> None:
    """Why the server closed the session; its usage is whole in each case."""
    run(mode, whole, session_start=[started()], session_close=[over(9, reason)])
    record, span = only(watched)
    assert (record.status, record.error_type) == ("ok" if error is None else "error", error)
    assert record.usage == {"type": "duration", "seconds": 9}
    assert not record.estimated
    assert attributes(span)["gen_ai.response.finish_reasons"] == [finish]


def test_left_before_it_is_closed(api: str, mode: str, watched: Watched) -> None:
    """A block that is left without the last event: what was told last is an estimate."""
    run(mode, begin, api, session_start=[started(), used(40)])
    record, span = only(watched)
    assert (record.status, record.abandoned, record.estimated) == ("ok", True, True)
    assert record.usage == {"type": "duration", "seconds": 40}
    assert span.status.code == 0


def test_left_before_anything_was_told(mode: str, watched: Watched) -> None:
    """No usage at all: none is made up, and it may have been billed."""

    async def program(connection: Both) -> None:
        await connection.send(start())
        await connection.until("session.started")
        await connection.close()

    run(mode, program, session_start=[started()])
    record, _ = only(watched)
    assert (record.usage, record.estimated, record.possibly_billed) == (None, False, True)
    assert record.abandoned


@pytest.mark.parametrize("cut", [DROP, CLOSE])
def test_connection_that_ends_beneath(cut: Any, mode: str, watched: Watched) -> None:
    """A line that is cut ends the session and what it had delegated; each is an error."""
    begun = nested({"type": "response.created", "response": response()})

    async def program(connection: Both) -> None:
        await connection.send(start())
        with contextlib.suppress(ConnectionClosed):
            async for _ in connection.events():
                pass

    run(mode, program, session_start=[started(), used(20), begun, cut])
    session, inner = watched.records
    code = CLOSED if cut is DROP else "websockets.exceptions.ConnectionClosedOK"
    assert (session.status, session.error_type, session.estimated) == ("error", code, True)
    assert (inner.status, inner.error_type, inner.possibly_billed) == ("error", code, True)
    assert inner.end_ns is not None
    assert session.end_ns is not None
    assert inner.end_ns <= session.end_ns


def test_collected_connection(mode: str, watched: Watched) -> None:
    """A connection that nobody closes: its session ends when it is collected."""

    async def leave(server: SocketServer) -> None:
        client = server.client() if mode == "sync" else server.async_client()
        connection = Both(await settled(client.live.connect().enter()))
        await begin(connection)
        raw = connection.connection._connection
        del connection
        gc.collect()
        assert watched.records[0].abandoned
        await settled(raw.close())
        await settled(client.close())

    with SocketServer(on_events(session_start=[started(), used(3)])) as server:
        asyncio.run(leave(server))
    record, _ = only(watched)
    assert (record.estimated, record.usage) == (True, {"type": "duration", "seconds": 3})
    assert not guard.failures


def test_cancelled_task(watched: Watched) -> None:
    """A task that is cancelled while it waits for events: cancelled."""

    async def run_it(server: SocketServer, waiting: asyncio.Event) -> None:
        async with server.async_client() as client, client.live.connect() as connection:
            await begin(Both(connection))
            waiting.set()
            await connection.recv()

    async def outer() -> None:
        with SocketServer(on_events(session_start=[started(), used(3)])) as server:
            waiting = asyncio.Event()
            task = asyncio.create_task(run_it(server, waiting))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(outer())
    record, _ = only(watched)
    assert record.status == "cancelled"
    assert not guard.failures


def test_session_that_is_refused(api: str, mode: str, watched: Watched) -> None:
    """An error instead of the start ends it, unbilled; a second try over the same connection is another."""

    async def program(connection: Both) -> None:
        await connection.send({**start(), "event_id": "mine"})
        await connection.until("error")
        await whole(connection)

    refused = {
        "type": "invalid_request_error",
        "code": "bad_voice",
        "message": "no",
        "client_event_id": "mine",
    }
    tries = [[{"type": "error", "event_id": "event_e", "error": refused}], [started()]]

    def answer(event: dict[str, Any]) -> Any:
        return tries.pop(0) if event["type"] == "session.start" else [over(2)]

    with SocketServer(answer) as server:
        talk(mode, server, program, connect=CONNECTS[api])
    first, second = watched.records
    assert (first.status, first.error_type, first.possibly_billed) == ("error", "bad_voice", False)
    assert (second.status, second.usage) == ("ok", {"type": "duration", "seconds": 2})


def test_an_error_of_another_command_ends_nothing(mode: str, watched: Watched) -> None:
    """The session goes on where the server refuses something else."""
    refused = {"type": "invalid_request_error", "code": "no", "message": "no", "client_event_id": "other"}
    error = {"type": "error", "event_id": "event_e", "error": refused}
    late = {**error, "error": {**refused, "client_event_id": None}}
    run(mode, whole, session_start=[error, started(), late], session_close=[over(2)])
    record, _ = only(watched)
    assert (record.status, record.usage) == ("ok", {"type": "duration", "seconds": 2})


@pytest.mark.parametrize("seconds", [None, "40", float("nan")])
def test_a_usage_that_is_none_tells_nothing(seconds: Any, mode: str, watched: Watched) -> None:
    """What was told before it stays, and is not whole."""
    run(mode, whole, session_start=[started(), used(8)], session_close=[over(seconds)])
    record, _ = only(watched)
    assert (record.usage, record.estimated) == ({"type": "duration", "seconds": 8}, True)


def test_session_that_cannot_be_started(mode: str, watched: Watched) -> None:
    """Nobody listens: the queued start is a call that was not sent."""

    def connect(client: Any) -> Any:
        manager = client.live.connect()
        manager.send(start())
        return manager

    server = SocketServer(on_events())
    with server:
        pass
    with pytest.raises(OSError, match=r"."):
        talk(mode, server, whole, connect=connect)
    record, _ = only(watched)
    assert (record.status, record.possibly_billed) == ("error", False)


# -- whose it is -----------------------------------------------------------------------------------------


def test_paused(mode: str, watched: Watched) -> None:
    """A session that is started while metering is paused, and what it delegates, are none of ours."""

    async def program(connection: Both) -> None:
        with spantally.paused():
            await connection.send(start())
        await connection.until("session.started")
        await connection.send({"type": "session.close"})
        await connection.until("session.closed")

    run(mode, program, session_start=[started(), *delegated()], session_close=[over(5)])
    assert watched.records == []


def test_bound_client(mode: str, watched: Watched) -> None:
    """Session and delegated responses are whose the client is."""
    with SocketServer(on_events(session_start=[started(), *delegated()], session_close=[over(5)])) as server:
        talk(
            mode,
            server,
            whole,
            connect=lambda client: spantally.bind(client, session="mine", user="alice").live.connect(),
        )
    session, inner = watched.records
    assert {session.session_id, inner.session_id} == {"mine"}
    assert {session.user_id, inner.user_id} == {"alice"}


def test_nothing_stays_current(mode: str, watched: Watched) -> None:
    """Neither the session nor a delegated response is current in the program."""

    async def program(connection: Both) -> None:
        before = otel_context.get_current()
        await connection.send(start())
        for _ in range(3):
            await connection.recv()
            assert otel_context.get_current() == before

    run(mode, program, session_start=[started(), *delegated()])
    assert len(watched.records) == 2


@pytest.mark.parametrize("raw", [False, True])
def test_session_beyond_the_budget_is_not_started(raw: bool, mode: str, watched: Watched) -> None:
    """The event that would start it is not sent; what was refused is no call."""

    async def program(connection: Both) -> Any:
        send = connection.send_raw if raw else connection.send
        with pytest.raises(spantally.BudgetExceeded):
            await send(json.dumps(start()) if raw else start())

    with (
        SocketServer(on_events()) as server,
        spantally.session("socket", budget=spantally.Budget(calls=0, on_exceed="hard")),
    ):
        talk(mode, server, program, connect=CONNECTS["live"])
        assert server.received == []
    assert [(row.kind, row.status) for row in watched.records] == [("other", "error")]


def test_content() -> None:
    """Instructions, history and what was said, where content is wanted."""
    watched = Watched(capture_content="span_only")
    history = [{"role": "user", "content": [{"type": "input_text", "text": "before"}]}]

    async def program(connection: Both) -> None:
        await connection.send(start(instructions="be kind", input=history))
        await connection.until("session.started")
        await connection.send({"type": "session.close"})
        await connection.until("session.closed")

    try:
        run("sync", program, session_start=[started(), said("good "), said("day")], session_close=[over(5)])
        told = attributes(watched.spans[0])
        assert "be kind" in told["gen_ai.system_instructions"]
        assert "before" in told["gen_ai.input.messages"]
        assert "good day" in told["gen_ai.output.messages"]
    finally:
        watched.close()


def test_without_content_none_is_read(watched: Watched) -> None:
    """Neither transcript nor sound is parsed where nobody wants content."""
    run("sync", whole, session_start=[started(), said("secret")], session_close=[over(5)])
    assert b"secret" not in watched.exported()


def test_a_session_that_is_started_again_after_the_line_was_cut(watched: Watched) -> None:
    """The SDK connects anew, the program starts anew: each session is a call of its own."""
    answers = [[started(), used(20), DROP], [started(id="sess_2"), used(3), over(4), CLOSE]]

    def answer(event: dict[str, Any]) -> Any:
        return answers.pop(0) if event["type"] == "session.start" else ()

    def connect(client: Any) -> Any:
        return client.live.connect(on_reconnecting=lambda _: None, initial_delay=0.001)

    async def program(connection: Both) -> None:
        await connection.send(start())
        reads = connection.events()
        seen = [await anext(reads), await anext(reads)]
        # The next read connects anew and waits for what nobody has asked for yet.
        task = asyncio.create_task(_restart(connection))
        seen += [event async for event in reads]
        await task
        assert [event.type for event in seen].count("session.started") == 2

    async def _restart(connection: Both) -> None:
        while len(server.paths) < 2:  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0.01)
        await connection.send(start())

    with SocketServer(answer) as server:
        talk("async", server, program, connect=connect)
    first, second = watched.records
    assert (first.status, first.usage, first.estimated) == (
        "error",
        {"type": "duration", "seconds": 20},
        True,
    )
    assert (second.status, second.usage) == ("ok", {"type": "duration", "seconds": 4})


def test_spans_follow_the_conventions() -> None:
    """Of session, delegated response and decision, with content and without."""
    for capture in ("no_content", "span_and_event"):
        watched = Watched(capture_content=capture)
        try:
            run("sync", whole, session_start=[started(), said("x"), *delegated()], session_close=[over(5)])
            assert len(watched.spans) == 2
            assert of_payloads(watched.exporter.payloads) == []
        finally:
            watched.close()


def test_pieces_are_not_parsed_by_us(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many pieces of sound, transcript and delegated text none is parsed after the first."""
    module = importlib.import_module("spantally.instrumentors.openai.socket_live")
    read: list[bytes] = []
    real = module.parsed

    def parsed(frame: bytes) -> Any:
        read.append(frame)
        return real(frame)

    monkeypatch.setattr(module, "parsed", parsed)
    begun, piece, *rest = delegated()
    events = [started(), begun, *[sound(), said("x"), piece] * 50, *rest]
    run("sync", whole, session_start=events, session_close=[over(5)])
    assert sum(b".delta" in frame for frame in read) == 1
    assert len(read) == 6


def test_the_resources_of_a_connection(mode: str, watched: Watched) -> None:
    """What the SDK's own methods send is seen as well as the events themselves."""

    async def program(connection: Both) -> None:
        own = connection.connection
        await settled(own.session.start(session={"model": "gpt-live-1"}, event_id="mine"))
        await connection.until("session.started")
        await settled(own.session.close())
        await connection.until("session.closed")

    run(mode, program, session_start=[started()], session_close=[over(5)])
    record, _ = only(watched)
    assert (record.request_model, record.usage) == ("gpt-live-1", {"type": "duration", "seconds": 5})


def test_every_place_is_there() -> None:
    """Each method that is tapped exists in a version of the SDK that has the API."""
    for place in socket_places():
        if ".live." in place.module:
            wrapt.resolve_path(importlib.import_module(place.module), place.path)


OPEN_AT_THE_END = """
import sys, openai, spantally
spantally.instrument(ledger=sys.argv[1])
place = {"base_url": f"http://{sys.argv[2]}", "websocket_base_url": f"ws://{sys.argv[2]}"}
client = openai.OpenAI(api_key="made-up", **place)
connection = client.live.connect().enter()
connection.send({"type": "session.start", "session": {"model": "gpt-live-1"}})
while connection.recv().type != "session.usage.updated":
    pass
"""


def test_a_process_that_ends_with_a_session_open(tmp_path: Path) -> None:
    """Its row has what was told by then, and a cost that does not pass for the whole."""
    path = tmp_path / "ledger.db"
    with SocketServer(on_events(session_start=[started(), used(30)])) as server:
        command = [sys.executable, "-c", OPEN_AT_THE_END, str(path), f"127.0.0.1:{server.port}/v1"]
        done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    with spantally.open_ledger(path) as ledger:
        (row,) = ledger.calls()
    assert (row.response_id, row.status) == ("sess_1", "interrupted")
    assert (row.cost_nano_usd, row.cost_status) == (30 * 3_000_000_000 // 3_600, "partial:interrupted")
