"""The scripted server: OpenAI-compatible and Anthropic APIs over real HTTP, every answer and bill known."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from spantally.testing.chat import chat_body, chat_chunks, completion_body, completion_chunks
from spantally.testing.embeddings import embeddings_body
from spantally.testing.loopback import Connection, LoopbackServer
from spantally.testing.made import (
    Body,
    compaction_body,
    count_body,
    decision_body,
    form_fields,
    image_body,
    image_chunks,
    moderation_body,
    reports_usage,
    speech_body,
    transcript_body,
    transcript_chunks,
)
from spantally.testing.message_batches import MessageBatches
from spantally.testing.messages import (
    as_message_request,
    bedrock_events,
    complete_body,
    complete_events,
    message_body,
    message_error,
    message_events,
)
from spantally.testing.messages import count_body as message_count_body
from spantally.testing.responses import response_body, response_events
from spantally.testing.script import Reply, Request, Script, ScriptSource
from spantally.testing.stored import Found, Stored, is_background, unfinished_response
from spantally.testing.usage import Bill, Billed
from spantally.testing.wire import Answer, answer_for, error_object, sse

_Body = Callable[[Answer], Body]
_Chunks = Callable[[Answer], Iterator[bytes]]

_ENDPOINTS: Final[Mapping[str, tuple[_Body, _Chunks | None]]] = {
    "/chat/completions": (chat_body, chat_chunks),
    "/responses": (response_body, response_events),
    "/embeddings": (embeddings_body, None),
    "/completions": (completion_body, completion_chunks),
    "/responses/compact": (compaction_body, None),
    "/responses/input_tokens": (count_body, None),
    "/images/generations": (image_body, image_chunks),
    "/images/edits": (image_body, image_chunks),
    "/images/variations": (image_body, None),
    "/audio/speech": (speech_body, None),
    "/audio/transcriptions": (transcript_body, transcript_chunks),
    "/audio/translations": (transcript_body, None),
    "/moderations": (moderation_body, None),
    "/decisions": (decision_body, None),
    "/messages": (message_body, message_events),
    "/messages/count_tokens": (message_count_body, None),
    "/complete": (complete_body, complete_events),
    "/invoke-with-response-stream": (message_body, bedrock_events),
}
_ANTHROPIC: Final = frozenset(
    {"/messages", "/messages/count_tokens", "/complete", "/invoke-with-response-stream"}
)
_FREE: Final = frozenset({"/moderations", "/responses/input_tokens", "/messages/count_tokens"})
_WITHOUT_MODEL: Final = frozenset({"/images/", "/moderations", "/responses/compact", "/input_tokens"})
"""Parts of paths whose requests need not name a model."""
MODELS: Final = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "text-embedding-3-small")
"""What ``GET /v1/models`` lists."""


class ScriptedServer(LoopbackServer):
    """A server of OpenAI's and Anthropic's APIs on loopback, for tests and demonstrations.

    It serves ``/v1/chat/completions``, ``/v1/responses``, ``/v1/embeddings``, ``/v1/completions``, images,
    audio, moderations (streamed where asked), ``/v1/models``, and what is stored: responses, files, batches,
    vector-store search, conversations, assistants and runs. Of Anthropic's API: ``/v1/messages``, batches,
    counting tokens and ``/v1/complete``, also by the paths of Bedrock and Vertex. Any prefix in place of
    ``/v1`` works as well, so that clients of other hosts and of Azure can be pointed at it. Without a script
    it echoes the last message and counts tokens by the rule of :mod:`spantally.testing.usage`.

    Example:
        >>> with ScriptedServer([Reply(text="four", usage=Usage(input=9, output=1))]) as server:
        ...     client = openai.OpenAI(base_url=server.base_url, api_key="unused")

    Args:
        script: see :data:`~spantally.testing.script.ScriptSource`.
        host: address to listen at.
        port: 0 takes a free one.

    Attributes:
        requests: every request received, in order of arrival.
        bills: every answer that cost something, in order.
    """

    def __init__(self, script: ScriptSource = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host, port=port)
        self.requests: list[Request] = []
        self.bills: list[Bill] = []
        self._script = Script(script)
        self._answers = itertools.count(1)
        self._lock = threading.Lock()
        self._stored = Stored(self._work, self._batch_body)
        self._message_batches = MessageBatches(self._work)

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL: ``http://127.0.0.1:PORT/v1``."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """What a client of the Anthropic SDK takes as its base URL: ``http://127.0.0.1:PORT``."""
        return self.url

    @property
    def billed(self) -> dict[str, Billed]:
        """What was billed, by the model that answers named; a dropped answer counts, an error does not."""
        return self._sum(reported_only=False)

    @property
    def reported(self) -> dict[str, Billed]:
        """What was billed by answers that were sent with their usage to the end: what a client can know."""
        return self._sum(reported_only=True)

    def reset(self) -> None:
        """Forget requests and bills; the script goes on where it is."""
        with self._lock:
            self.requests.clear()
            self.bills.clear()

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Answer one request by the script."""
        request = self._note(connection, body)
        if request.method == "GET" and request.path.rstrip("/").endswith("/models"):
            connection.answer_json(200, _models())
            return
        batch = self._message_batches.answer(request, self.url)
        if batch is not None:
            self._send(connection, batch)
            return
        endpoint, request = _endpoint_of(request)
        found = None if endpoint is not None and request.method == "POST" else self._stored.answer(request)
        if found is not None:
            self._send(connection, found)
        elif request.method != "POST" or endpoint is None:
            message = f"Invalid URL ({request.method} {request.path})"
            connection.answer_json(404, {"error": error_object(Reply(status=404, error=_invalid(message)))})
        elif request.body is None or not (
            isinstance(request.body.get("model"), str) or any(part in request.path for part in _WITHOUT_MODEL)
        ):
            message = "We could not parse the JSON body of your request, or it names no model."
            connection.answer_json(400, {"error": error_object(Reply(status=400, error=message))})
        else:
            self._reply(connection, request, endpoint)

    def _reply(self, connection: Connection, request: Request, endpoint: str) -> None:
        try:
            reply = self._script.reply_to(request)
        except Exception as error:
            told = Reply(status=500, error=f"the script raised {type(error).__name__}: {error}")
            connection.answer_json(500, {"error": error_object(told)}, {"x-should-retry": "false"})
            return
        answer = answer_for(request, reply, next(self._answers))
        if reply.delay:
            time.sleep(reply.delay)
        headers = _headers(answer)
        make_body, make_chunks = _ENDPOINTS[endpoint]
        if reply.body is not None:
            connection.answer(reply.status, reply.body, headers)
        elif reply.status >= 400:
            connection.answer_json(reply.status, _error_body(endpoint, reply), headers)
        elif request.stream and make_chunks is not None:
            if endpoint == "/responses":
                self._stored.keep_response(answer)  # also where the stream is lost or left
            self._stream(connection, answer, make_chunks(answer), headers)
        elif reply.drop_after_chunks is not None:
            self._bill(answer, reported=False)
            connection.cut()
        elif reply.error is not None and endpoint != "/responses":
            connection.answer_json(reply.status, _error_body(endpoint, reply), headers)
        else:
            # Billed before it is sent: a client that has the answer must find it in `billed`.
            if endpoint not in _FREE:
                self._bill(answer, reported=reports_usage(answer))
            if endpoint == "/responses":
                self._stored.keep_response(answer)
            if endpoint == "/responses" and is_background(request):
                connection.answer_json(reply.status, unfinished_response(answer, "queued"), headers)
                return
            body = make_body(answer)
            if isinstance(body, tuple):
                connection.answer(reply.status, body[0], {**headers, "content-type": body[1]})
            else:
                connection.answer_json(reply.status, body, headers)

    def _send(self, connection: Connection, found: Found) -> None:
        headers = {"x-request-id": "req_scripted_stored"}
        if isinstance(found.body, bytes):
            headers["content-type"] = "application/octet-stream"
            connection.answer(found.status, found.body, headers)
        elif isinstance(found.body, Mapping):
            connection.answer_json(found.status, found.body, headers)
        else:
            headers["content-type"] = "text/event-stream; charset=utf-8"
            try:
                connection.answer_chunks(found.status, found.body, headers)
            except OSError:
                connection.cut()

    def _work(self, request: Request) -> Answer:
        """Make and bill the answer of a run."""
        answer = answer_for(request, self._script.reply_to(request), next(self._answers))
        self._bill(answer, reported=not answer.silent)
        return answer

    def _batch_body(self, request: Request) -> dict[str, Any]:
        """Make and bill the body that answers one request of a batch."""
        endpoint = next(end for end in _ENDPOINTS if request.path.endswith(end))
        body = _ENDPOINTS[endpoint][0](self._work(request))
        return body if isinstance(body, dict) else {}

    def _stream(
        self, connection: Connection, answer: Answer, chunks: Iterator[bytes], headers: dict[str, str]
    ) -> None:
        reply = answer.reply
        if reply.drop_after_chunks == 0:
            self._bill(answer, reported=False)
            connection.cut()
            return
        headers["content-type"] = "text/event-stream; charset=utf-8"
        if answer.request.path.endswith("/invoke-with-response-stream"):
            headers["content-type"] = "application/vnd.amazon.eventstream"
        headers["cache-control"] = "no-cache"
        faulty = (reply.error, reply.drop_after_chunks, reply.malformed_after_chunks) != (None, None, None)
        self._bill(answer, reported=not faulty and _carries_usage(answer))
        try:
            connection.answer_chunks(reply.status, _with_faults(reply, chunks), headers)
        except _Drop:
            connection.cut()
        except OSError:
            connection.cut()  # the client has left: breaking out of a stream is its right

    def _note(self, connection: Connection, raw: bytes) -> Request:
        parts = urlsplit(connection.path)
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = form_fields(raw, connection.headers.get("content-type", ""))
        with self._lock:
            request = Request(
                number=len(self.requests) + 1,
                method=connection.command,
                path=parts.path,
                query=parts.query,
                headers={name.lower(): value for name, value in connection.headers.items()},
                raw=raw,
                body=body if isinstance(body, dict) else None,
            )
            self.requests.append(request)
        return request

    def _bill(self, answer: Answer, *, reported: bool) -> None:
        with self._lock:
            self.bills.append(Bill(answer.model, answer.billed, answer.request.path, reported))

    def _sum(self, *, reported_only: bool) -> dict[str, Billed]:
        with self._lock:
            bills = list(self.bills)
        sums: dict[str, Billed] = {}
        for bill in bills:
            if bill.reported or not reported_only:
                sums[bill.model] = sums.get(bill.model, Billed()).plus(bill.usage)
        return sums


class _Drop(Exception):  # noqa: N818 - a signal between two functions of this file, never an error to a user
    """The script wants the connection to end here."""


def _with_faults(reply: Reply, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for sent, chunk in enumerate(chunks):
        if sent == reply.drop_after_chunks:
            raise _Drop
        if sent == reply.malformed_after_chunks:
            yield sse('{"id": "cut off here')
            return
        if sent and reply.chunk_delay:
            time.sleep(reply.chunk_delay)
        yield chunk


def _carries_usage(answer: Answer) -> bool:
    if answer.silent:
        return False
    if not answer.request.path.endswith("/completions"):
        return reports_usage(answer)
    options = (answer.request.body or {}).get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _endpoint_of(request: Request) -> tuple[str | None, Request]:
    """The endpoint that a request asks for, and the request as that endpoint has it."""
    asked = as_message_request(request) if request.method == "POST" else None
    if asked is not None:
        return asked
    return next((end for end in _ENDPOINTS if request.path.endswith(end)), None), request


def _error_body(endpoint: str, reply: Reply) -> dict[str, Any]:
    return message_error(reply) if endpoint in _ANTHROPIC else {"error": error_object(reply)}


def _headers(answer: Answer) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "x-request-id": f"req_scripted_{answer.number}",
        "request-id": f"req_scripted_{answer.number}",
        "openai-processing-ms": "1",
        "openai-version": "2020-10-01",
    }
    headers.update({name.lower(): value for name, value in answer.reply.headers.items()})
    return headers


def _invalid(message: str) -> dict[str, Any]:
    return {"message": message, "code": None}


def _models() -> dict[str, Any]:
    rows = [
        {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "scripted"} for name in MODELS
    ]
    return {"object": "list", "data": rows}
