"""Every way in which a response over a websocket can end: one row, one span, and a status that is true."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from opentelemetry import context as otel_context
from websockets.exceptions import ConnectionClosed

import spantally
from sockets_kit import (
    CLOSE,
    CONNECTS,
    DROP,
    MODES,
    RESPONSE_USAGE,
    USAGE,
    Answer,
    Both,
    SocketServer,
    by_turns,
    created,
    done,
    on_create,
    pieces,
    response,
    response_events,
    session,
    settled,
    talk,
    talk_async,
)
from spantally.ground import guard
from spantally.ground.records import CallRecord
from watching import Watched, attributes

HELLO = [session()]
CLOSED = "websockets.exceptions.ConnectionClosedError"
CLOSED_OK = "websockets.exceptions.ConnectionClosedOK"
UNSET, ERROR = 0, 2


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Both kinds of client."""
    return str(request.param)


@pytest.fixture(params=sorted(CONNECTS))
def api(request: pytest.FixtureRequest) -> str:
    """Each websocket of the SDK."""
    return str(request.param)


def begun(api: str) -> list[Any]:
    """What is answered before it breaks off."""
    if "realtime" in api:
        return [created(), *pieces()]
    return response_events()[:2]


def greeting(api: str) -> list[Any]:
    """What a server says first."""
    return HELLO if "realtime" in api else []


async def ask(connection: Both, api: str) -> None:
    """Ask for a response."""
    await connection.ask(**({} if "realtime" in api else {"model": "gpt-4o", "input": "hi"}))


def only(watched: Watched) -> tuple[CallRecord, Any]:
    """The one row and the one span."""
    (record,) = watched.records
    (span,) = watched.spans
    return record, span


def end(api: str, mode: str, watched: Watched, program: Any, script: Answer) -> tuple[CallRecord, Any]:
    """Run a program and give the one row and span that it left."""
    with SocketServer(script, greeting(api)) as server:
        talk(mode, server, program, api=api)
    return only(watched)


async def read_some(connection: Both, api: str) -> None:
    """Ask, and read as far as the answer goes."""
    await ask(connection, api)
    for _ in range(len(greeting(api)) + len(begun(api))):
        await connection.recv()


def test_break_and_exit(api: str, mode: str, watched: Watched) -> None:
    """A loop that is left, and with it the connection: unset, abandoned, possibly billed."""

    async def program(connection: Both) -> None:
        await ask(connection, api)
        async for event in connection.events():
            if event.type.endswith(".delta"):
                break

    record, span = end(api, mode, watched, program, on_create(*begun(api)))
    assert (record.status, record.abandoned, record.possibly_billed) == ("ok", True, True)
    assert record.response_id == "resp_1"
    assert span.status.code == UNSET
    told = attributes(span)
    assert told["spantally.call.abandoned"] is True
    assert told["gen_ai.response.finish_reasons"] == ["error"]
    assert told["gen_ai.response.id"] == "resp_1"


def test_close(api: str, mode: str, watched: Watched) -> None:
    """A connection that the program closes by itself: the same, also before the server said a word."""

    async def program(connection: Both) -> None:
        await ask(connection, api)
        await connection.close()

    record, span = end(api, mode, watched, program, on_create())
    assert (record.status, record.abandoned, record.possibly_billed) == ("ok", True, True)
    assert span.status.code == UNSET


def test_exception_of_the_program(api: str, mode: str, watched: Watched) -> None:
    """A block that is left by an exception of the program's own: that is no failure of the response."""

    async def program(connection: Both) -> None:
        await read_some(connection, api)
        raise KeyError(api)

    with SocketServer(on_create(*begun(api)), greeting(api)) as server, pytest.raises(KeyError):
        talk(mode, server, program, api=api)
    record, span = only(watched)
    assert (record.status, record.abandoned) == ("ok", True)
    assert span.status.code == UNSET


@pytest.mark.parametrize(("cut", "code"), [(CLOSE, CLOSED_OK), (DROP, CLOSED)])
def test_connection_that_ends_beneath(cut: Any, code: str, api: str, mode: str, watched: Watched) -> None:
    """A server that closes, and a line that is cut, with a response open: an error, possibly billed."""

    async def program(connection: Both) -> None:
        await read_some(connection, api)
        with pytest.raises(ConnectionClosed):
            await connection.recv()

    record, span = end(api, mode, watched, program, on_create(*begun(api), cut))
    assert (record.status, record.error_type) == ("error", code)
    assert (record.abandoned, record.possibly_billed) == (False, True)
    assert span.status.code == ERROR
    assert attributes(span)["error.type"] == code


def test_lost_connection_in_the_sdks_iterator(api: str, mode: str, watched: Watched) -> None:
    """The SDK's own loop raises what it raises without us, and the response is in error."""

    async def program(connection: Both) -> None:
        await ask(connection, api)
        with pytest.raises(ConnectionClosed):
            async for _ in connection.events():
                pass

    record, span = end(api, mode, watched, program, on_create(*begun(api), DROP))
    assert (record.status, record.error_type, span.status.code) == ("error", CLOSED, ERROR)


def test_collected_connection(api: str, mode: str, watched: Watched) -> None:
    """A connection that nobody holds any longer: its response is abandoned."""
    kept: list[Any] = []

    async def run(server: SocketServer) -> None:
        client = server.client() if mode == "sync" else server.async_client()
        entered = CONNECTS[api](client).enter()
        connection = Both(entered if mode == "sync" else await entered)
        del entered
        kept.append(connection.connection._connection)
        try:
            await read_some(connection, api)
            assert not watched.records
            del connection
            gc.collect()
            assert [record.status for record in watched.records] == ["ok"]
        finally:
            await settled(kept[0].close())

    with SocketServer(on_create(*begun(api)), greeting(api)) as server:
        asyncio.run(run(server))
    assert not guard.failures
    record, span = only(watched)
    assert (record.abandoned, record.possibly_billed, span.status.code) == (True, True, UNSET)


def test_cancelled_task(api: str, watched: Watched) -> None:
    """A task that is cancelled while it waits for events: cancelled, an error, possibly billed."""

    async def run(server: SocketServer) -> None:
        waiting = asyncio.Event()

        async def program(connection: Both) -> None:
            await read_some(connection, api)
            waiting.set()
            await connection.recv()

        task = asyncio.create_task(talk_async("async", server, program, api=api))
        await waiting.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with SocketServer(on_create(*begun(api)), greeting(api)) as server:
        asyncio.run(run(server))
    assert not guard.failures
    record, span = only(watched)
    assert (record.status, record.error_type) == ("cancelled", "asyncio.exceptions.CancelledError")
    assert (record.possibly_billed, span.status.code) == (True, ERROR)


def test_cancelled_read_is_no_end(watched: Watched) -> None:
    """A program that polls, and so cancels a read, then reads on: the response ends as it should."""
    script = by_turns(begun("realtime"), [done()])

    async def program(connection: Both) -> None:
        await read_some(connection, "realtime")
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.recv(), 0.01)
        await connection.ask(response={"metadata": {"a": "b"}})
        await connection.until("response.done")

    with SocketServer(script, HELLO) as server:
        talk("async", server, program)
    first, second = watched.records
    assert (first.status, first.usage, first.abandoned) == ("ok", USAGE, False)
    assert second.abandoned


@pytest.mark.parametrize("reason", ["turn_detected", "client_cancelled"])
def test_response_that_was_cancelled(reason: str, mode: str, watched: Watched) -> None:
    """A response that user or program cut short was left early, and has the usage that it reports."""
    details = {"type": "cancelled", "reason": reason}
    script = on_create(*begun("realtime"), done(status="cancelled", status_details=details))

    async def program(connection: Both) -> None:
        await connection.ask()
        await connection.until("response.done")

    record, span = end("realtime", mode, watched, program, script)
    assert (record.status, record.abandoned, record.possibly_billed) == ("ok", True, False)
    assert record.usage == USAGE
    told = attributes(span)
    assert span.status.code == UNSET
    assert told["gen_ai.response.status"] == "cancelled"
    assert told["gen_ai.response.finish_reasons"] == ["error"]


def test_response_that_was_cancelled_without_usage(watched: Watched) -> None:
    """One that was cut short before it had any is possibly billed."""
    script = on_create(created(), done(status="cancelled", usage=None, output=[]))

    async def program(connection: Both) -> None:
        await connection.ask()
        await connection.until("response.done")

    record, _ = end("realtime", "sync", watched, program, script)
    assert (record.abandoned, record.possibly_billed, record.usage) == (True, True, None)
    assert record.first_chunk_ns is None


@pytest.mark.parametrize(
    ("status", "details", "reason", "error"),
    [
        ("incomplete", {"reason": "max_output_tokens"}, "length", None),
        ("incomplete", {"reason": "content_filter"}, "content_filter", None),
        ("failed", {"error": {"type": "server_error", "code": "overloaded"}}, "error", "overloaded"),
        ("failed", {"error": {"type": "server_error", "code": None}}, "error", "server_error"),
        ("failed", None, "error", "_OTHER"),
    ],
)
def test_response_that_failed_or_stopped(
    status: str, details: Any, reason: str, error: str | None, mode: str, watched: Watched
) -> None:
    """The provider's code is the error's type; an answer that is too long is none."""

    async def program(connection: Both) -> None:
        await connection.ask()
        await connection.until("response.done")

    script = on_create(created(), done(status=status, status_details=details))
    record, span = end("realtime", mode, watched, program, script)
    assert (record.status, record.error_type) == ("ok" if error is None else "error", error)
    assert record.usage == USAGE
    assert attributes(span)["gen_ai.response.finish_reasons"] == [reason]
    assert span.status.code == (UNSET if error is None else ERROR)


@pytest.mark.parametrize("ending", ["failed", "incomplete"])
def test_websocket_response_that_failed_or_stopped(ending: str, mode: str, watched: Watched) -> None:
    """The same for the Responses API."""
    fields: dict[str, Any] = {"incomplete_details": {"reason": "max_output_tokens"}}
    if ending == "failed":
        fields = {"error": {"code": "server_error", "message": "no"}}
    whole = response(status=ending, usage=RESPONSE_USAGE, **fields)
    script = on_create(*begun("responses"), {"type": f"response.{ending}", "response": whole})

    async def program(connection: Both) -> None:
        await ask(connection, "responses")
        await connection.until(f"response.{ending}")

    record, span = end("responses", mode, watched, program, script)
    assert record.usage == RESPONSE_USAGE
    failed = ending == "failed"
    assert (record.status, record.error_type) == (("error", "server_error") if failed else ("ok", None))
    assert attributes(span)["gen_ai.response.finish_reasons"] == ["error" if failed else "length"]


def test_refused_request(api: str, mode: str, watched: Watched) -> None:
    """A request that the server refuses is an error with the provider's code, and not billed."""
    told = {"type": "invalid_request_error", "code": "model_not_found", "message": "no such model"}
    script = on_create({"type": "error", "event_id": "e", "status": 400, "error": told})

    async def program(connection: Both) -> None:
        await ask(connection, api)
        await connection.until("error")

    record, span = end(api, mode, watched, program, script)
    assert (record.status, record.error_type) == ("error", "model_not_found")
    assert (record.possibly_billed, record.usage, span.status.code) == (False, None, ERROR)


def test_error_of_another_event_ends_no_response(watched: Watched) -> None:
    """An error that names another event, or a parameter of the session, leaves the response alone."""
    others = [
        {"type": "error", "event_id": "e", "error": {"code": "bad", "event_id": "another"}},
        {"type": "error", "event_id": "e", "error": {"code": "bad", "param": "session.voice"}},
        {"type": "error", "event_id": "e", "error": {"code": "input_audio_buffer_commit_empty"}},
    ]

    async def program(connection: Both) -> None:
        await connection.ask()
        await connection.until("response.done")

    record, _ = end("realtime", "sync", watched, program, on_create(*others, created(), done()))
    assert (record.status, record.usage) == ("ok", USAGE)


def test_error_that_names_its_event(mode: str, watched: Watched) -> None:
    """Of two requests the one is refused that the error names."""
    told = {"code": "busy", "event_id": "mine"}
    script = by_turns([], [{"type": "error", "event_id": "e", "error": told}, created(), done()])

    async def program(connection: Both) -> None:
        await connection.ask()
        await connection.ask(event_id="mine")
        await connection.until("response.done")

    with SocketServer(script, HELLO) as server:
        talk(mode, server, program)
    assert [(one.status, one.error_type) for one in watched.records] == [("ok", None), ("error", "busy")]


def test_request_that_cannot_be_sent(api: str, mode: str, watched: Watched) -> None:
    """A request over a connection that is gone is an error, and was not billed."""

    async def program(connection: Both) -> None:
        with pytest.raises(ConnectionClosed):
            await connection.until("never")
        with pytest.raises(ConnectionClosed):
            await ask(connection, api)

    with SocketServer(on_create(), [*greeting(api), CLOSE]) as server:
        talk(mode, server, program, api=api)
    record, span = only(watched)
    assert (record.status, record.possibly_billed, span.status.code) == ("error", False, ERROR)
    assert record.error_type == CLOSED_OK


@pytest.mark.parametrize("api", ["realtime", "responses", "beta responses"])
def test_connection_that_cannot_be_made(api: str, mode: str, watched: Watched) -> None:
    """What was to be sent over a connection that nobody answers is an error; without it there is no row."""

    def connect(client: Any, *, queued: bool) -> Any:
        manager = CONNECTS[api](client)
        if queued:
            manager.send({"type": "response.create"})
        return manager

    async def program(connection: Both) -> None:
        raise AssertionError

    server = SocketServer(on_create())
    with server:
        pass
    for queued in (True, False):
        with pytest.raises(OSError):
            talk(mode, server, program, connect=lambda client: connect(client, queued=queued))
    record, span = only(watched)
    assert (record.status, record.possibly_billed, span.status.code) == ("error", False, ERROR)


def test_responses_that_were_begun_elsewhere(mode: str, watched: Watched) -> None:
    """A response whose beginning was not seen has its row all the same, once."""

    async def program(connection: Both) -> None:
        for _ in range(2):
            await connection.until("response.done")

    with SocketServer(on_create(), [session(), done(), done()]) as server:
        talk(mode, server, program)
    record, _ = only(watched)
    assert (record.status, record.usage) == ("ok", USAGE)


@pytest.mark.parametrize("api", ["realtime", "responses"])
def test_connection_that_the_sdk_makes_again(api: str, mode: str, watched: Watched) -> None:
    """What was open when the line was cut is lost; what comes over the next connection is well."""
    whole = [*begun(api), done()] if api == "realtime" else response_events()
    script = by_turns([*begun(api), DROP])
    again = {"on_reconnecting": lambda event: None, "initial_delay": 0.01}

    def connect(client: Any) -> Any:
        return (
            client.realtime.connect(model="gpt-realtime", **again)
            if api == "realtime"
            else (client.responses.connect(**again))
        )

    async def program(connection: Both) -> None:
        await ask(connection, api)
        async for event in connection.events():
            if event.type in ("response.done", "response.completed"):
                break

    class Asking(SocketServer):
        """Begins a response by itself over its second connection."""

        def greet(self) -> list[Any]:
            return whole if len(self.headers) == 2 else super().greet()

    context = otel_context.get_current()
    with Asking(script, greeting(api)) as server, spantally.session("lost and found"):
        talk(mode, server, program, connect=connect)
    assert otel_context.get_current() == context
    assert len(server.headers) == 2
    first, second = watched.records
    assert (first.status, first.error_type) == ("error", CLOSED)
    assert (second.status, second.usage) == ("ok", USAGE if api == "realtime" else RESPONSE_USAGE)
    assert {one.session_id for one in watched.records} == {"lost and found"}


def test_uninstrument_in_the_middle(mode: str, watched: Watched) -> None:
    """A program that takes us out while a connection is open goes on as before, and leaves what was begun."""

    async def program(connection: Both) -> None:
        await read_some(connection, "realtime")
        spantally.uninstrument()
        await connection.ask()
        await connection.until("response.done")

    with SocketServer(by_turns(begun("realtime"), [done()]), HELLO) as server:
        talk(mode, server, program)
    record, _ = only(watched)
    assert (record.status, record.abandoned) == ("ok", True)


def test_uninstrument_leaves_no_trace(watched: Watched) -> None:
    """What the classes of the SDK had, they have again, and what they inherit they inherit again."""
    from openai.resources.realtime import realtime
    from openai.resources.responses import responses

    classes = [
        getattr(module, name)
        for module in (realtime, responses)
        for name in vars(module)
        if name.endswith(("Connection", "ConnectionManager"))
    ]
    patched = {(one, name): value for one in classes for name, value in vars(one).items() if _is_ours(value)}
    assert len(patched) == 32
    spantally.uninstrument()
    for (one, name), value in patched.items():
        now = vars(one).get(name)
        assert not _is_ours(now)
        assert (now is None) == (value.__qualname__.partition(".")[0] != one.__name__)


def _is_ours(value: Any) -> bool:
    wrapper = getattr(value, "_self_wrapper", None)
    return wrapper is not None and wrapper.__module__.startswith("spantally")
