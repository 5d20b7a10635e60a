"""Replaying recorded exchanges: a server that answers with the recorded bytes, and the SDK that asks.

The SDK's client has the recorded base URL, so that it takes the provider for what it was; a transport beneath
sends every request to the server on loopback, over real HTTP.
"""

from __future__ import annotations

import asyncio
import contextvars
import email.parser
import email.policy
import importlib
import inspect
import json
import urllib.parse
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import openai
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

import spantally
from openai_forms_kit import KEY, plain
from recordings_kit import Exchange
from spantally.ground.records import CallRecord
from spantally.ledger.contract import CallRow
from spantally.testing.loopback import Connection, LoopbackServer
from watching import Watched, attributes

http: Any = importlib.import_module("httpx" if openai.__version__.startswith("2.") else "httpx2")

NUMBER = "x-recording"
_PIECE = 997
"""Bytes of a recorded stream that are sent at once: events are cut at odd places."""

METHODS: dict[tuple[str, str], tuple[str, str]] = {
    ("POST", "chat/completions"): ("chat.completions", "create"),
    ("POST", "completions"): ("completions", "create"),
    ("POST", "responses"): ("responses", "create"),
    ("POST", "responses/compact"): ("responses", "compact"),
    ("POST", "responses/input_tokens"): ("responses.input_tokens", "count"),
    ("POST", "embeddings"): ("embeddings", "create"),
    ("POST", "images/generations"): ("images", "generate"),
    ("POST", "moderations"): ("moderations", "create"),
    ("POST", "conversations"): ("conversations", "create"),
    ("POST", "vector_stores"): ("vector_stores", "create"),
}
"""The SDK's own method for an endpoint; all others are asked for by path."""


class Outcome(NamedTuple):
    """What a program gets of an exchange, and what it sent for it."""

    result: Any
    warnings: list[str]
    sent: Any


class Seen(NamedTuple):
    """What we saw of an exchange."""

    records: list[CallRecord]
    spans: list[dict[str, Any]]
    """Attributes, and under ``""`` the status code of the span."""
    rows: list[CallRow]


class Recorded(LoopbackServer):
    """Answers a request with the recorded answer that its header names."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        super().__init__()
        self.exchanges = exchanges
        self.received: dict[int, Any] = {}

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Answer."""
        number = int(connection.headers[NUMBER])
        headers = {name.lower(): value for name, value in connection.headers.items()}
        boundary = headers.get("content-type", "").partition("boundary=")[2]
        if boundary:
            body = body.replace(boundary.encode(), b"BOUNDARY")
            headers["content-type"] = "multipart/form-data"
        headers.pop("idempotency-key", None)
        self.received[number] = connection.command, connection.path, headers, body
        exchange = self.exchanges[number]
        if "event-stream" in exchange.headers.get("content-type", ""):
            whole = exchange.body
            pieces = [whole[at : at + _PIECE] for at in range(0, len(whole), _PIECE)]
            connection.answer_chunks(exchange.status, pieces, exchange.headers)
        else:
            connection.answer(exchange.status, exchange.body, exchange.headers)


class _Reroute:
    """Sends requests for anywhere to one port of loopback."""

    def __init__(self, port: int) -> None:
        self.port = port

    def turned(self, request: Any) -> Any:
        url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self.port)
        return http.Request(
            request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )

    def sync(self) -> Any:
        turned = self.turned

        class Transport(http.HTTPTransport):  # type: ignore[misc]
            def handle_request(self, request: Any) -> Any:
                return super().handle_request(turned(request))

        return http.Client(transport=Transport(verify=False), timeout=30)

    def asynchronous(self) -> Any:
        turned = self.turned

        class Transport(http.AsyncHTTPTransport):  # type: ignore[misc]
            async def handle_async_request(self, request: Any) -> Any:
                return await super().handle_async_request(turned(request))

        return http.AsyncClient(transport=Transport(verify=False), timeout=30)


class Mode(NamedTuple):
    """One way to ask, and how we are set meanwhile."""

    asynchronous: bool = False
    raw: bool = False
    """The program reads the bytes itself."""
    sampled: bool = True
    content: str = "no_content"


MODES = {
    "sync": Mode(),
    "async": Mode(asynchronous=True),
    "sync with content": Mode(content="span_and_event"),
    "async with content": Mode(asynchronous=True, content="span_only"),
    "raw": Mode(raw=True),
    "unsampled": Mode(sampled=False),
}


class Replay:
    """A client of each recorded place, and a way to ask again what was asked."""

    def __init__(self, server: Recorded, mode: Mode) -> None:
        self.server = server
        self.mode = mode
        self.loop = asyncio.Runner() if mode.asynchronous else None
        reroute = _Reroute(server.port)
        self.session = reroute.asynchronous() if mode.asynchronous else reroute.sync()

    def close(self) -> None:
        """Let go of connections."""
        if self.loop is not None:
            self.loop.run(self.session.aclose())
            self.loop.close()
        else:
            self.session.close()

    def ask(self, number: int) -> Outcome:
        """Ask what was asked in an exchange."""
        exchange = self.server.exchanges[number]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                if self.loop is not None:
                    asked = self._ask_async(exchange, number)
                    result = self.loop.run(asked, context=contextvars.copy_context())
                else:
                    result = self._ask(exchange, number)
                result = "returned", type(result).__name__, plain(result)
            except Exception as error:
                result = "raised", type(error).__name__, str(error), getattr(error, "body", None)
        texts = [f"{one.category.__name__}: {one.message}" for one in caught]
        return Outcome(result, texts, self.server.received.get(number))

    def _ask(self, exchange: Exchange, number: int) -> Any:
        call = request_of(self._client(exchange, number), exchange, raw=self.mode.raw)
        if self.mode.raw:
            with call() as response:
                return response.status_code, b"".join(response.iter_bytes())
        made = call()
        return list(made) if isinstance(made, openai.Stream) else made

    async def _ask_async(self, exchange: Exchange, number: int) -> Any:
        made = await request_of(self._client(exchange, number), exchange, raw=False)()
        return [chunk async for chunk in made] if isinstance(made, openai.AsyncStream) else made

    def _client(self, exchange: Exchange, number: int) -> Any:
        base, _, query = exchange.place
        asked = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        given: dict[str, Any] = {
            "api_key": KEY,
            "http_client": self.session,
            "max_retries": 0,
            "default_headers": {NUMBER: str(number)},
        }
        origin, found, deployment = base.partition("/openai/deployments/")
        if found and origin.endswith(".azure.com") and asked.get("api-version"):
            kind: Any = openai.AsyncAzureOpenAI if self.mode.asynchronous else openai.AzureOpenAI
            version = asked.pop("api-version")
            return kind(
                azure_endpoint=origin,
                azure_deployment=deployment,
                api_version=version,
                default_query=asked,
                **given,
            )
        kind = openai.AsyncOpenAI if self.mode.asynchronous else openai.OpenAI
        return kind(base_url=base, default_query=asked, **given)


def request_of(client: Any, exchange: Exchange, *, raw: bool) -> Callable[[], Any]:
    """What asks an exchange's question with a client."""
    _, endpoint, _ = exchange.place
    body = exchange.json_request
    known = METHODS.get((exchange.method, endpoint))
    if known is not None and body is not None:
        resource = client
        for name in known[0].split("."):
            resource = getattr(resource, name)
        parameters = inspect.signature(getattr(resource, known[1])).parameters
        required = [one.name for one in parameters.values() if one.default is inspect.Parameter.empty]
        if all(name in body for name in required):
            given = {name: value for name, value in body.items() if name in parameters}
            extra = {name: value for name, value in body.items() if name not in parameters}
            method = getattr(resource.with_streaming_response if raw else resource, known[1])
            return lambda: method(**given, extra_body=extra or None)
    return _by_path(client, exchange, endpoint, body, raw=raw)


def _by_path(client: Any, exchange: Exchange, endpoint: str, body: Any, *, raw: bool) -> Callable[[], Any]:
    stream = bool(body and body.get("stream"))
    asynchronous = isinstance(client, openai.AsyncOpenAI)
    options: dict[str, Any] = {}
    headers: dict[str, str] = {}
    kind = exchange.request_headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        headers["Content-Type"] = "multipart/form-data"
        body, options["files"] = _form(kind, exchange.request)
        if not options["files"]:
            del options["files"]
    if raw:
        headers["X-Stainless-Raw-Response"] = "stream"
    if exchange.method != "GET":
        options["body"] = body
    if not raw:
        options |= {
            "stream": stream,
            "stream_cls": (openai.AsyncStream if asynchronous else openai.Stream)[object],
        }
        if not stream:
            del options["stream_cls"], options["stream"]
    send = getattr(client, exchange.method.lower())
    if exchange.method == "GET":
        options.pop("body", None)
    elif exchange.method == "DELETE":
        options = {"body": body} if body else {}

    def ask() -> Any:
        made = send(f"/{endpoint}", cast_to=object, options={"headers": headers}, **options)
        return _Entered(made) if raw else made

    return ask


class _Entered:
    """A raw response as a context."""

    def __init__(self, response: Any) -> None:
        self.response = response

    def __enter__(self) -> Any:
        return self.response

    def __exit__(self, *_: object) -> None:
        self.response.close()


def _form(kind: str, content: bytes) -> tuple[dict[str, Any], list[Any]]:
    """Fields and files of a multipart body."""
    head = f"content-type: {kind}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + content)
    fields: dict[str, Any] = {}
    files: list[Any] = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload: Any = part.get_payload(decode=True)
        if part.get_filename():
            files.append((name, (part.get_filename(), payload, part.get_content_type())))
        elif name is not None:
            fields[str(name)] = payload.decode()
    return fields, files


def replay(exchanges: Sequence[Exchange], mode: Mode, folder: Path) -> list[tuple[Outcome, Outcome, Seen]]:
    """Ask everything without us and with us.

    Args:
        exchanges: what to ask.
        mode: how.
        folder: where the ledger goes.

    Returns:
        For each: the outcome without us, the one with us, and what we saw.
    """
    with Recorded(exchanges) as server:
        asking = Replay(server, mode)
        try:
            spantally.uninstrument()
            bare = [asking.ask(number) for number in range(len(exchanges))]
            server.received.clear()
            path = folder / "ledger.db"
            watched = Watched(
                ledger=str(path),
                capture_content=mode.content,
                sampler=ALWAYS_ON if mode.sampled else ALWAYS_OFF,
            )
            try:
                ours = []
                for number in range(len(exchanges)):
                    with spantally.session(f"recording-{number}"):
                        ours.append(asking.ask(number))
                seen = _seen(watched, path, len(exchanges))
            finally:
                watched.close()
        finally:
            asking.close()
    return list(zip(bare, ours, seen, strict=True))


def _seen(watched: Watched, path: Path, count: int) -> list[Seen]:
    found = [Seen([], [], []) for _ in range(count)]
    newest = {record.call_id: record for record in watched.records}  # one that goes on is told again
    for record in newest.values():
        if not record.inferred:  # not a tool of the program's, told by its result
            found[_number(record.session_id)].records.append(record)
    for span in watched.spans:
        told = attributes(span)
        found[_number(told["session.id"])].spans.append({**told, "": span.status.code})
    with spantally.open_ledger(path) as ledger:
        for row in ledger.calls(limit=None):
            if not row.inferred:
                found[_number(row.session_id)].rows.append(row)
    return found


def _number(session_id: str) -> int:
    return int(session_id.rpartition("-")[2])


def as_json(value: Any) -> str:
    """A value for a message."""
    return json.dumps(value, default=str)[:600]
