"""A scripted provider that speaks websockets on loopback, and programs that talk to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import inspect
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from typing import Any, Self

import openai
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request
from websockets.sync.server import ServerConnection, serve

from spantally.ground import guard

KEY = "sk-made-up-for-tests-0001"
MODEL = "gpt-realtime"

CLOSE = object()
"""In the place of an event: the server closes the connection in order."""
DROP = object()
"""The server cuts the connection off."""

Events = Iterable[Any]
Answer = Callable[[dict[str, Any]], Events]


class SocketServer:
    """Answers each event of a client by a script; the connection's first events come by themselves."""

    def __init__(self, answer: Answer, greeting: Events = ()) -> None:
        self.answer = answer
        self.greeting = list(greeting)
        self.received: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.paths: list[str] = []
        self._open: set[ServerConnection] = set()

    def __enter__(self) -> Self:
        self._server = serve(self._play, "127.0.0.1", 0, process_request=self._note)
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed before it had begun to listen
            self._server.serve_forever()

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        for connection in tuple(self._open):  # a test that failed may have left one
            connection.close_socket()

    def _note(self, connection: ServerConnection, request: Request) -> None:
        """Keep the handshake, before it is answered."""
        self.headers.append(dict(request.headers.raw_items()))
        self.paths.append(request.path)

    def _play(self, connection: ServerConnection) -> None:
        self._open.add(connection)
        try:
            self._send(connection, self.greet())
            for frame in connection:
                event = json.loads(frame)
                self.received.append(event)
                self._send(connection, self.answer(event))
        except (ConnectionClosed, OSError):
            pass
        finally:
            self._open.discard(connection)

    def greet(self) -> list[Any]:
        """What a new connection gets first."""
        return self.greeting

    def _send(self, connection: ServerConnection, events: Events) -> None:
        for event in events:
            if event is CLOSE:
                connection.close()
            elif event is DROP:
                connection.socket.shutdown(socket.SHUT_RDWR)
            else:
                connection.send(event if isinstance(event, (str, bytes)) else json.dumps(event))

    def client(self, **options: Any) -> openai.OpenAI:
        """A synchronous client of this server."""
        return openai.OpenAI(**self._options(options))

    def async_client(self, **options: Any) -> openai.AsyncOpenAI:
        """An asynchronous client of this server."""
        return openai.AsyncOpenAI(**self._options(options))

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        at = f"127.0.0.1:{self.port}/v1"
        given = {"base_url": f"http://{at}", "websocket_base_url": f"ws://{at}", "api_key": KEY}
        return {**given, **options}


# -- events of the Realtime API --------------------------------------------------------------------------

USAGE: dict[str, Any] = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
NANO = (119 - 60) * 4_000 + 60 * 400 + (13 - 4) * 32_000 + 4 * 400 + 30 * 16_000 + 91 * 64_000
"""What USAGE costs with gpt-realtime, by hand: text, cached text, audio, cached audio; text and audio out."""

SOUND = base64.b64encode(b"\x00\x01" * 2000).decode()


def session(kind: str = "session.created", **fields: Any) -> dict[str, Any]:
    """The session as the server sees it."""
    made = {"type": "realtime", "id": "sess_1", "object": "realtime.session", "model": MODEL, **fields}
    return {"type": kind, "event_id": "event_s", "session": made}


def created(response_id: str = "resp_1", **fields: Any) -> dict[str, Any]:
    """A response begins."""
    made: dict[str, Any] = {
        "object": "realtime.response",
        "id": response_id,
        "status": "in_progress",
        "output": [],
    }
    made |= {"conversation_id": "conv_1", "output_modalities": ["audio"], "metadata": None, "usage": None}
    return {"type": "response.created", "event_id": "event_c", "response": {**made, **fields}}


def pieces(response_id: str = "resp_1", text: str = "the answer", sounds: int = 3) -> list[dict[str, Any]]:
    """Sound and its transcript."""
    place = {"response_id": response_id, "item_id": f"item_{response_id}", "output_index": 0}
    place |= {"content_index": 0, "event_id": "event_p"}
    heard = [{"type": "response.output_audio.delta", **place, "delta": SOUND}] * sounds
    half = len(text) // 2
    said = [
        {"type": "response.output_audio_transcript.delta", **place, "delta": piece}
        for piece in (text[:half], text[half:])
    ]
    return said[:1] + heard + said[1:]


def spoken(text: str = "the answer", response_id: str = "resp_1") -> dict[str, Any]:
    """An output item that was spoken."""
    part = {"type": "output_audio", "transcript": text}
    return {"id": f"item_{response_id}", "type": "message", "role": "assistant", "content": [part]}


def tool_item(call_id: str = "call_1", name: str = "lookup", arguments: str = '{"word": "x"}') -> Any:
    """An output item that asks for a tool."""
    return {
        "id": f"item_{call_id}",
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def item_done(item: Any, response_id: str = "resp_1", kind: str = "done") -> dict[str, Any]:
    """An output item is complete."""
    return {
        "type": f"response.output_item.{kind}",
        "event_id": "event_i",
        "response_id": response_id,
        "output_index": 0,
        "item": item,
    }


def done(response_id: str = "resp_1", status: str = "completed", **fields: Any) -> dict[str, Any]:
    """A response ends."""
    usage = fields.pop("usage", USAGE)
    made = created(response_id, status=status, usage=usage, **{"output": [spoken()], **fields})["response"]
    return {"type": "response.done", "event_id": "event_d", "response": made}


def answer_of(response_id: str = "resp_1", text: str = "the answer", **fields: Any) -> list[dict[str, Any]]:
    """A whole answer."""
    return [
        created(response_id, **fields),
        *pieces(response_id, text),
        done(response_id, output=[spoken(text, response_id)], **fields),
    ]


def user_says(text: str) -> Any:
    """The event with which a program adds a message of the user."""
    part = {"type": "input_text", "text": text}
    return {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [part]},
    }


def on_create(*events: Any) -> Answer:
    """A script that answers the first request for a response, and later ones, with the same events."""

    def answer(event: dict[str, Any]) -> Events:
        return events if event["type"] == "response.create" else ()

    return answer


def by_turns(*turns: Events) -> Answer:
    """A script that answers each request for a response with events of its own."""
    left = list(turns)

    def answer(event: dict[str, Any]) -> Events:
        return left.pop(0) if event["type"] == "response.create" and left else ()

    return answer


# -- events of the Responses API -------------------------------------------------------------------------

RESPONSE_USAGE: dict[str, Any] = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 18,
}


def response(response_id: str = "resp_1", status: str = "in_progress", **fields: Any) -> dict[str, Any]:
    """A response object."""
    made: dict[str, Any] = {
        "id": response_id,
        "object": "response",
        "created_at": 1,
        "model": "gpt-4o-2024-08-06",
        "status": status,
        "output": [],
        "usage": None,
        "tools": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
    }
    return {**made, **fields}


def message(text: str) -> dict[str, Any]:
    """An output item that is a message."""
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def response_events(
    response_id: str = "resp_1", text: str = "the answer", lane: str | None = None, **fields: Any
) -> list[dict[str, Any]]:
    """A whole answer of the Responses API."""
    place = {"sequence_number": 1} | ({} if lane is None else {"stream_id": lane})
    delta = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    whole = response(response_id, "completed", output=[message(text)], usage=RESPONSE_USAGE, **fields)
    return [
        {"type": "response.created", "response": response(response_id, **fields), **place},
        {"type": "response.output_text.delta", "delta": text, **delta, **place},
        {"type": "response.output_item.done", "output_index": 0, "item": message(text), **place},
        {"type": "response.completed", "response": whole, **place},
    ]


# -- programs --------------------------------------------------------------------------------------------

MODES = ("sync", "async")
CONNECTS: dict[str, Callable[[Any], Any]] = {
    "realtime": lambda client: client.realtime.connect(model=MODEL),
    "beta realtime": lambda client: client.beta.realtime.connect(model=MODEL),
    "responses": lambda client: client.responses.connect(),
    "beta responses": lambda client: client.beta.responses.connect(),
}
"""How each of the SDK's websockets is opened."""


class Both:
    """A connection of either kind behind one asynchronous face, so that a program is written once."""

    def __init__(self, connection: Any) -> None:
        self.connection: Any = connection

    async def send(self, event: Any) -> None:
        """Send an event."""
        await settled(self.connection.send(event))

    async def send_raw(self, data: Any) -> None:
        """Send a frame."""
        await settled(self.connection.send_raw(data))

    async def recv(self) -> Any:
        """The next event."""
        return await settled(self.connection.recv())

    async def recv_bytes(self) -> Any:
        """The next frame."""
        return await settled(self.connection.recv_bytes())

    async def close(self) -> None:
        """Close the connection."""
        await settled(self.connection.close())

    async def events(self) -> AsyncIterator[Any]:
        """The connection's own iterator."""
        if hasattr(self.connection, "__aiter__"):
            async for event in self.connection:
                yield event
        else:
            for event in self.connection:
                yield event

    async def until(self, kind: str) -> list[Any]:
        """Events up to the first of a type."""
        found: list[Any] = []
        while not found or found[-1].type != kind:
            found.append(await self.recv())
        return found

    async def ask(self, **fields: Any) -> None:
        """Ask for a response."""
        await self.send({"type": "response.create", **fields})


async def settled(value: Any) -> Any:
    """A value, or what it gives when it is awaited."""
    return await value if inspect.isawaitable(value) else value


Program = Callable[[Both], Coroutine[Any, Any, Any]]


async def talk_async(
    mode: str, server: SocketServer, program: Program, *, api: str = "realtime", connect: Any = None
) -> Any:
    """Run a program inside the ``with`` block of a connection."""
    opened = connect or CONNECTS[api]
    if mode == "async":
        async with server.async_client() as waiting, opened(waiting) as connection:
            return await program(Both(connection))
    with server.client() as client, opened(client) as connection:
        return await program(Both(connection))


def talk(mode: str, server: SocketServer, program: Program, **options: Any) -> Any:
    """The same from outside any loop; no part of ours fails unnoticed."""
    try:
        return asyncio.run(talk_async(mode, server, program, **options))
    finally:
        gc.collect()
        assert not guard.failures
