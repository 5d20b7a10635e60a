"""Broken answers to chats and responses: the program meets what it meets without us, billed truly."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import zlib
from collections.abc import Callable
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from pydantic import BaseModel

from openai_forms_kit import KEY, async_client_of, client_of, plain, sent
from spantally.ground import guard
from spantally.ground.records import possibly_billed
from spantally.testing import Reply, ScriptedServer, Usage
from test_openai_endpoints_faults import ANSWERS, EVENTS, JSON
from watching import Watched, attributes

http: Any = pytest.importorskip("httpx" if openai.__version__.startswith("2.") else "httpx2")

CHAT: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}
ASKED: Any = {"include_usage": True}
CALLS: dict[str, Callable[..., Any]] = {
    "chat": lambda c: c.chat.completions.create(**CHAT),
    "chat stream": lambda c: c.chat.completions.create(**CHAT, stream=True, stream_options=ASKED),
    "chat stream with tools": lambda c: c.chat.completions.create(
        **CHAT, stream=True, tools=[{"type": "function", "function": {"name": "look", "parameters": {}}}]
    ),
    "responses": lambda c: c.responses.create(model="gpt-4o", input="hi"),
    "responses stream": lambda c: c.responses.create(model="gpt-4o", input="hi", stream=True),
    "completions stream": lambda c: c.completions.create(model="davinci-002", prompt="once", stream=True),
}
RAW: dict[str, Callable[..., Any]] = {
    "chat bytes": lambda c: c.chat.completions.with_streaming_response.create(**CHAT, stream=True),
    "responses bytes": lambda c: c.responses.with_streaming_response.create(
        model="gpt-4o", input="hi", stream=True
    ),
    "body bytes": lambda c: c.chat.completions.with_streaming_response.create(**CHAT),
}


def _chunk(**more: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", **more}


def _said(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return _chunk(choices=[{"index": 0, "delta": delta, "finish_reason": reason}])


USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
RESPONSE_USAGE = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
CALLED = [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
CHUNKS = [
    _said({"role": "assistant", "content": ""}),
    _said({"content": "grün ☃"}),
    _said({"tool_calls": CALLED}),
    _said({"content": "."}),
    _said({}, "stop"),
    _chunk(choices=[], usage=USAGE),
]
_RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": []}
RESPONSE_EVENTS = [
    {"type": "response.created", "sequence_number": 0, "response": {**_RESPONSE, "status": "in_progress"}},
    {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "i", "output_index": 0,
     "content_index": 0, "delta": "grün ☃"},
    {"type": "response.output_item.done", "sequence_number": 2, "output_index": 0,
     "item": {"type": "function_call", "id": "f", "call_id": "call_1", "name": "look", "arguments": "{}"}},
    {"type": "response.completed", "sequence_number": 3,
     "response": {**_RESPONSE, "status": "completed", "usage": RESPONSE_USAGE}},
]  # fmt: skip


def sse(events: list[Any]) -> bytes:
    """Events as bytes."""
    return (
        b"".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode() for event in events)
        + b"data: [DONE]\n\n"
    )


WHOLE = sse(CHUNKS)
BROKEN: dict[str, Reply] = {
    "cut in an event": Reply(body=WHOLE[: len(WHOLE) // 2], headers=EVENTS),
    "cut in a character": Reply(body=WHOLE[: WHOLE.index("☃".encode()) + 1], headers=EVENTS),
    "without its end": Reply(body=WHOLE.removesuffix(b"data: [DONE]\n\n"), headers=EVENTS),
    "an error at once": Reply(body=sse([{"error": {"message": "no", "code": "overloaded"}}]), headers=EVENTS),
    "an error later": Reply(
        body=sse([*CHUNKS[:2], {"error": {"message": "no", "type": "server_error"}}]), headers=EVENTS
    ),
    "an error that is a text": Reply(body=sse([*CHUNKS[:2], {"error": "no"}]), headers=EVENTS),
    "null": Reply(body=b"data: null\n\n" + WHOLE, headers=EVENTS),
    "a list": Reply(body=b"data: [1]\n\n" + WHOLE, headers=EVENTS),
    "not text": Reply(body=b"data: \xff\xfe\n\n" + WHOLE, headers=EVENTS),
    "a mark of byte order": Reply(body=b"\xef\xbb\xbf" + WHOLE, headers=EVENTS),
    "other ends of lines": Reply(body=WHOLE.replace(b"\n", b"\r"), headers=EVENTS),
    "gzip events": Reply(body=gzip.compress(WHOLE), headers={**EVENTS, "content-encoding": "gzip"}),
    "deflate events": Reply(body=zlib.compress(WHOLE), headers={**EVENTS, "content-encoding": "deflate"}),
    "half of gzip": Reply(body=gzip.compress(WHOLE)[:-30], headers={**EVENTS, "content-encoding": "gzip"}),
    "broken gzip events": Reply(
        body=gzip.compress(WHOLE)[:60] + b"junk" * 9, headers={**EVENTS, "content-encoding": "gzip"}
    ),
    "events called json": Reply(body=WHOLE, headers=JSON),
    "json called events": Reply(body=b'{"id": "x", "choices": []}', headers=EVENTS),
    "odd fields": Reply(
        body=sse([{**chunk, "id": 7, "model": [], "choices": "none", "usage": "much"} for chunk in CHUNKS]),
        headers=EVENTS,
    ),
    "odd choices": Reply(
        body=sse([_chunk(choices=[None, 3, {"index": "x", "delta": 3, "finish_reason": {}}])]), headers=EVENTS
    ),
    "overloaded": Reply(status=429, error={"message": "slow", "code": "rate_limit_exceeded"}),
    "refused without a body": Reply(status=401, body=b""),
    "an error of html": Reply(status=502, body=b"<html>", headers={"content-type": "text/html"}),
    "a whole list": Reply(status=400, body=b'[{"error": {"code": 3}}]', headers=JSON),
    **ANSWERS,
}


def told(error: Exception, server: ScriptedServer) -> Any:
    """An exception, as a program can tell it from another."""
    return type(error), str(error).replace(str(server.port), "PORT"), repr(getattr(error, "body", None))


def meet(calls: dict[str, Callable[..., Any]], server: ScriptedServer, retries: int = 0) -> list[Any]:
    """What a synchronous program meets that makes these calls, down to what came before something broke."""
    came: list[Any] = []
    with client_of(server, max_retries=retries, timeout=5) as client:
        for name, call in calls.items():
            came.append(name)
            try:
                if name in RAW:
                    with call(client) as response:
                        came.append(b"".join(response.iter_bytes()))
                else:
                    made = call(client)
                    for one in made if isinstance(made, openai.Stream) else [made]:
                        came.append(plain(one))  # noqa: PERF401 - what came before it broke is kept
            except Exception as error:
                came.append(told(error, server))
    return [*came, sent(server)]


def meet_async(calls: dict[str, Callable[..., Any]], server: ScriptedServer, retries: int = 0) -> list[Any]:
    """The same on an event loop."""
    came: list[Any] = []

    async def make(client: Any, name: str) -> None:
        if name in RAW:
            async with calls[name](client) as response:
                came.append(b"".join([piece async for piece in response.iter_bytes()]))
            return
        made = await calls[name](client)
        if isinstance(made, openai.AsyncStream):
            async for chunk in made:
                came.append(plain(chunk))  # noqa: PERF401
        else:
            came.append(plain(made))

    async def run() -> None:
        async with async_client_of(server, max_retries=retries, timeout=5) as client:
            for name in calls:
                came.append(name)
                try:
                    await make(client, name)
                except Exception as error:
                    came.append(told(error, server))

    asyncio.run(run())
    return [*came, sent(server)]


MEET = {"sync": meet, "async": meet_async}
ALL = {**CALLS, **RAW}


@pytest.mark.parametrize("mode", MEET)
@pytest.mark.parametrize("answer", BROKEN)
def test_a_broken_answer_is_the_programs_alone(answer: str, mode: str) -> None:
    """Chats, responses and completions; whole, streamed and as bytes; with content and without."""
    reply, run = BROKEN[answer], MEET[mode]
    with ScriptedServer(reply) as bare:
        expected = run(ALL, bare)
    for capture in ("no_content", "span_and_event"):
        watched = Watched(capture_content=capture)
        try:
            with ScriptedServer(reply) as server:
                assert run(ALL, server) == expected
            assert len(watched.records) == len(watched.spans) == len(ALL)
            assert KEY.encode() not in watched.exported()
            assert not guard.failures, guard.failures
            refused = 400 <= (reply.status or 200) < 500
            assert not (refused and any(record.possibly_billed for record in watched.records))
            assert {record.status for record in watched.records} <= {"ok", "error"}
            # Who decodes bytes breaks off where they do not decode, above where we look.
            assert answer.startswith("broken gzip") or not any(one.abandoned for one in watched.records)
        finally:
            watched.close()


@pytest.mark.parametrize("mode", MEET)
@pytest.mark.parametrize("name", CALLS)
def test_failed_attempts_are_one_call(name: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """429 and 500 before the answer: one row, its attempts told, the usage that of the last."""
    import openai._base_client as base

    monkeypatch.setattr(base, "INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr(base, "MAX_RETRY_DELAY", 0.001)
    script = [
        Reply(status=429, error={"message": "slow", "code": "rate_limit_exceeded"}),
        Reply(status=500, error={"message": "oops"}),
        Reply(text="fine", usage=Usage(input=11, output=7)),
    ]
    with ScriptedServer(list(script)) as bare:
        expected = MEET[mode]({name: CALLS[name]}, bare, retries=3)
    with ScriptedServer(list(script)) as server:
        watched = Watched()
        try:
            assert MEET[mode]({name: CALLS[name]}, server, retries=3) == expected
            (record,) = watched.records
            assert (record.attempts, record.status) == (3, "ok")
            (span,) = watched.spans
            assert len(span.events) == 2
        finally:
            watched.close()


WHOLE_ANSWER = {
    "id": "chatcmpl-9", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}  # fmt: skip
WHOLE_RESPONSE = {**_RESPONSE, "status": "completed", "usage": RESPONSE_USAGE}
INSTEAD: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "chat": ("chat stream", json.dumps(WHOLE_ANSWER).encode(), JSON),
    "indented": ("chat stream", b"\n" + json.dumps(WHOLE_ANSWER, indent=1).encode(), JSON),
    "as text": ("chat stream", json.dumps(WHOLE_ANSWER).encode(), {"content-type": "text/plain"}),
    "as events": ("chat stream", json.dumps(WHOLE_ANSWER).encode(), EVENTS),
    "gzip": (
        "chat stream",
        gzip.compress(json.dumps(WHOLE_ANSWER).encode()),
        {**JSON, "content-encoding": "gzip"},
    ),
    "response": ("responses stream", json.dumps(WHOLE_RESPONSE).encode(), JSON),
}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("name", INSTEAD)
def test_a_whole_answer_instead_of_a_stream_is_metered(name: str, mode: str) -> None:
    """The SDK's Stream object gives no chunk of it, and the provider bills it."""
    call, body, headers = INSTEAD[name]
    reply = Reply(body=body, headers=headers)
    with ScriptedServer(reply) as bare:
        expected = MEET[mode]({call: CALLS[call]}, bare)
    watched = Watched()
    try:
        with ScriptedServer(reply) as server:
            assert MEET[mode]({call: CALLS[call]}, server) == expected
        (record,) = watched.records
        (span,) = watched.spans
        assert not guard.failures, guard.failures
    finally:
        watched.close()
    assert record.first_chunk_ns is not None
    assert attributes(span)["gen_ai.response.time_to_first_chunk"] > 0
    assert record.usage == (RESPONSE_USAGE if name == "response" else USAGE)
    assert (record.status, record.response_id) == ("ok", "resp_1" if name == "response" else "chatcmpl-9")


_PLAIN = {"content-type": "text/plain"}
_CHUNKS = b"".join(
    b"data: " + json.dumps(one).encode() + b"\n\n"
    for one in (_said({"content": "hi"}, "stop"), _chunk(choices=[], usage=USAGE))
)
MISNAMED: dict[str, tuple[bytes, dict[str, str]]] = {
    "an answer as text, packed": (
        gzip.compress(json.dumps(WHOLE_ANSWER).encode()),
        {**_PLAIN, "content-encoding": "gzip"},
    ),
    "events as JSON": (_CHUNKS, JSON),
    "events as JSON, with comments": (b": processing\n\n" + _CHUNKS, JSON),
    "events as JSON, behind the mark of UTF-8": (b"\xef\xbb\xbf" + _CHUNKS, JSON),
    "events as JSON, behind what to wait": (b"retry: 300\n\n" + _CHUNKS, JSON),
    "events as text, packed": (gzip.compress(_CHUNKS), {**_PLAIN, "content-encoding": "gzip"}),
    "indented as text": (b"\n" + json.dumps(WHOLE_ANSWER, indent=1).encode(), _PLAIN),
}


@pytest.mark.parametrize("pieces", [1, 4096])
@pytest.mark.parametrize("name", MISNAMED)
def test_a_body_that_the_program_reads_itself_is_known_by_its_bytes(name: str, pieces: int) -> None:
    """Gateways name it wrongly, in one piece or in many."""
    body, headers = MISNAMED[name]

    def cut(request: Any) -> Any:
        class Cut(http.SyncByteStream):  # type: ignore[misc]
            def __iter__(self) -> Any:
                for start in range(0, len(body), pieces):
                    yield body[start : start + pieces]

        return http.Response(200, headers=headers, stream=Cut())

    watched = Watched()
    try:
        mocked = http.Client(transport=http.MockTransport(cut))
        with (
            openai.OpenAI(api_key=KEY, base_url="http://127.0.0.1:1/v1", http_client=mocked) as client,
            client.chat.completions.with_streaming_response.create(**CHAT) as raw,
        ):
            b"".join(raw.iter_bytes())
        (record,) = watched.records
        assert not guard.failures, guard.failures
    finally:
        watched.close()
    assert (record.status, record.usage, record.finish_reasons) == ("ok", USAGE, ("stop",))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_an_error_instead_of_a_stream_is_one(mode: str) -> None:
    """It came with status 200, and the program gets no chunk and no exception."""
    body = json.dumps({"error": {"message": "no", "code": "overloaded"}}).encode()
    watched = Watched()
    try:
        with ScriptedServer(Reply(body=body, headers=JSON)) as server:
            MEET[mode]({"chat stream": CALLS["chat stream"]}, server)
        (record,) = watched.records
    finally:
        watched.close()
    assert (record.status, record.error_type, record.usage) == ("error", "overloaded", None)


@pytest.mark.parametrize("mode", MEET)
@pytest.mark.parametrize("name", CALLS)
def test_a_timeout_is_possibly_billed(name: str, mode: str) -> None:
    """A provider that is too slow may have done the work."""

    def late(client: Any) -> Any:
        return CALLS[name](client.with_options(timeout=0.15))

    with ScriptedServer([Reply(text="late", delay=5)]) as server:
        watched = Watched()
        try:
            _, came, _ = MEET[mode]({name: late}, server)
            assert came[0] is openai.APITimeoutError
            (record,) = watched.records
            assert (record.status, record.possibly_billed) == ("error", True)
            assert record.error_type == "openai.APITimeoutError"
        finally:
            watched.close()


_FAILS: dict[str, dict[str, Any]] = {
    "server_error": {"type": "server_error", "code": None},
    "rate_limit_exceeded": {"type": "tokens", "code": "rate_limit_exceeded"},
    "context_length_exceeded": {"type": "invalid_request_error", "code": "context_length_exceeded"},
    "502": {"code": 502},
    "429": {"code": 429},
}
_BEGINS = {"chat stream": CHUNKS[:2], "chat bytes": CHUNKS[:2], "responses stream": RESPONSE_EVENTS[:2]}
_STARTS = {"responses stream": RESPONSE_EVENTS[:1]}
"""What comes before anything is made."""


@pytest.mark.parametrize(
    "body", [{"object": "list", "data": []}, {"object": "list", "data": [], "usage": USAGE}]
)
def test_an_answer_that_the_sdk_refuses_is_possibly_billed(body: dict[str, Any], watched: Watched) -> None:
    """It has come, whatever error is raised of it; one that tells its usage is billed for that."""
    reply = Reply(body=json.dumps(body).encode(), headers={"content-type": "application/json"})
    with (
        ScriptedServer(reply) as server,
        client_of(server) as client,
        pytest.raises(ValueError, match="No embedding"),
    ):
        client.embeddings.create(model="text-embedding-3-small", input="hi")
    (record,) = watched.records
    assert (record.status, record.possibly_billed) == ("error", "usage" not in body)


class SoftTimeLimit(Exception):
    """What a worker raises in a task that takes too long, as Celery does."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such signal")
@pytest.mark.parametrize("name", ["chat", "chat stream"])
def test_a_time_limit_of_a_worker_is_possibly_billed(name: str) -> None:
    """It comes up where the program waits for the answer, which is made and billed all the same."""

    def limit(*_: Any) -> None:
        raise SoftTimeLimit

    before = signal.signal(signal.SIGALRM, limit)
    watched = Watched()
    try:
        with ScriptedServer(Reply(delay=3)) as server, client_of(server) as client:
            signal.setitimer(signal.ITIMER_REAL, 1)
            # openai 2 makes an error of its own of it, of which it is the cause.
            with pytest.raises((SoftTimeLimit, openai.APIConnectionError)):
                CALLS[name](client)
        (record,) = watched.records
        assert (record.status, record.possibly_billed) == ("error", True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        watched.close()


@pytest.mark.parametrize("mode", MEET)
@pytest.mark.parametrize("kind", _FAILS)
@pytest.mark.parametrize("begun", [True, False], ids=["later", "at once"])
@pytest.mark.parametrize("name", _BEGINS)
def test_an_answer_that_fails_on_its_way_is_possibly_billed(
    name: str, begun: bool, kind: str, mode: str
) -> None:
    """What came of it was made; an error before that is as the status that stands for it would be."""
    failure = {"error": {"message": "no", **_FAILS[kind]}}
    events = [*(_BEGINS[name] if begun else _STARTS.get(name, [])), failure]
    with ScriptedServer(Reply(body=sse(events), headers=EVENTS)) as server:
        watched = Watched()
        try:
            MEET[mode]({name: ALL[name]}, server)
            (record,) = watched.records
            assert (record.status, record.error_type, record.usage) == ("error", kind, None)
            assert record.possibly_billed is (begun or kind in ("server_error", "502"))
        finally:
            watched.close()


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded"])
@pytest.mark.parametrize("name", ["responses", "responses stream", "responses bytes"])
def test_a_response_that_says_that_it_failed(name: str, code: str) -> None:
    """The same where a whole response has the error: nothing of it was made."""
    response = {**_RESPONSE, "status": "failed", "error": {"code": code, "message": "no"}}
    if name == "responses":
        reply = Reply(body=json.dumps(response).encode(), headers=JSON)
    else:
        failed = {"type": "response.failed", "sequence_number": 1, "response": response}
        reply = Reply(body=sse([RESPONSE_EVENTS[0], failed]), headers=EVENTS)
    with ScriptedServer(reply) as server:
        watched = Watched()
        try:
            meet({name: ALL[name]}, server)
            (record,) = watched.records
            assert (record.status, record.error_type, record.usage) == ("error", code, None)
            assert record.possibly_billed is (code == "server_error")
        finally:
            watched.close()


@pytest.mark.parametrize("mode", MEET)
@pytest.mark.parametrize(
    ("status", "told", "billed"),
    [
        (500, {}, True),
        (503, {"type": "server_error", "code": None}, True),
        (503, {"code": "rate_limit_exceeded"}, False),  # as a gateway tells of what is behind it
        (502, {"type": "invalid_request_error", "code": None}, False),
        (502, {"code": 429}, False),
        (529, {}, False),
        (429, {}, False),
        (409, {}, False),
    ],
)
def test_the_last_attempt_and_those_before_it_are_of_one_rule(
    status: int, told: dict[str, Any], billed: bool, mode: str
) -> None:
    """A server error may have been billed, whichever attempt met it; a rejection never is."""
    call = {"chat": CALLS["chat"]}
    fast = {"retry-after-ms": "1"}
    refused = Reply(status=status, headers=fast, error={"message": "no", **told})
    ends = {"final": [refused], "retried": [refused, Reply(text="x")], "both": [refused] * 2}
    for end, script in ends.items():
        with ScriptedServer(script) as server:
            watched = Watched()
            try:
                MEET[mode](call, server, retries=len(script) - 1)
                (record,) = watched.records
                assert len(server.requests) == record.attempts == len(script)
                assert possibly_billed(record) is record.possibly_billed is billed, end
                (span,) = watched.spans
                attempts = [
                    attributes(event).get("spantally.attempt.possibly_billed")
                    for event in span.events
                    if event.name == "spantally.attempt.failed"
                ]
                assert attempts == [True if billed else None] * (len(script) - 1)
            finally:
                watched.close()


# -- mangled events, through the real SDK ----------------------------------------------------------------


@st.composite
def mangled(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    """The bytes of a stream with things done to them, in pieces, and what asks for it."""
    name = draw(
        st.sampled_from(["chat stream", "chat stream with tools", "responses stream", "completions stream"])
    )
    events: list[Any] = list(RESPONSE_EVENTS if name.startswith("responses") else CHUNKS)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(events) - 1))
        what = draw(st.sampled_from(["drop", "twice", "value", "error", "swap"]))
        if what == "drop" and len(events) > 1:
            del events[at]
        elif what == "twice":
            events.insert(at, events[at])
        elif what == "error":
            events.insert(at, {"error": draw(ODD), "type": draw(st.sampled_from(["error", "x", None]))})
        elif what == "swap":
            events[at], events[-1] = events[-1], events[at]
        elif isinstance(events[at], dict) and events[at]:
            events[at] = {**events[at], draw(st.sampled_from(sorted(events[at]))): draw(ODD)}
    body = bytearray(sse(events))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        what = draw(st.sampled_from(["cut", "insert", "flip", "ends"]))
        if what == "cut":
            del body[at : at + draw(st.integers(1, 40))]
        elif what == "insert":
            body[at:at] = draw(st.sampled_from(NOISE))
        elif what == "flip" and at < len(body):
            body[at] ^= draw(st.integers(1, 255))
        elif what == "ends":
            body = body.replace(b"\n", draw(st.sampled_from([b"\r\n", b"\r", b"\n"])))
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=5)))
    return name, [bytes(body[one:two]) for one, two in zip([0, *cuts], [*cuts, len(body)], strict=True)]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=True) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NOISE = [
    b"\n\n",
    b"data: ",
    b"data: null\n\n",
    b"event: error\n",
    b": x\n",
    b"\xff",
    b"\0",
    b"}",
    b"data: [DONE]\n\n",
]


class Body(http.SyncByteStream, http.AsyncByteStream):  # type: ignore[misc]
    """Pieces of bytes, for either client."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Any:
        yield from self.pieces

    async def __aiter__(self) -> Any:
        for piece in self.pieces:
            yield piece


def _met(name: str, pieces: list[bytes], asynchronous: bool) -> Any:
    """What a program meets that reads mangled events."""
    came: list[Any] = []
    transport = http.MockTransport(lambda request: http.Response(200, headers=EVENTS, stream=Body(pieces)))

    async def read() -> None:
        session = http.AsyncClient(transport=transport)
        async with openai.AsyncOpenAI(api_key=KEY, http_client=session, max_retries=0) as client:
            async for chunk in await CALLS[name](client):
                came.append(_shown(chunk))  # noqa: PERF401

    try:
        if asynchronous:
            asyncio.run(read())
        else:
            session = http.Client(transport=transport)
            with openai.OpenAI(api_key=KEY, http_client=session, max_retries=0) as client:
                for chunk in CALLS[name](client):
                    came.append(_shown(chunk))  # noqa: PERF401
    except Exception as error:
        came.append((type(error).__name__, str(error), repr(getattr(error, "body", None))))
    return came


def _shown(chunk: Any) -> str:
    return f"{type(chunk).__qualname__} {chunk!r}"


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    stream=mangled(), asynchronous=st.booleans(), capture=st.sampled_from(["no_content", "span_and_event"])
)
def test_mangled_events_are_met_as_without_us(
    stream: tuple[str, list[bytes]], asynchronous: bool, capture: str
) -> None:
    """The program meets the same chunks and exception; one row, one span, no failure of ours."""
    name, pieces = stream
    expected = _met(name, pieces, asynchronous)
    watched = Watched(capture_content=capture)
    try:
        assert _met(name, pieces, asynchronous) == expected
        assert len(watched.records) == 1
        assert len(watched.spans) == 1
        assert not guard.failures, guard.failures
    finally:
        watched.close()


# -- a whole answer where events were asked for ----------------------------------------------------------

_WHOLE_CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": USAGE,
}
_WHOLE_ANSWERS: dict[str, Any] = {
    "chat stream": _WHOLE_CHAT,
    "chat bytes": _WHOLE_CHAT,
    "responses stream": {**_RESPONSE, "status": "completed", "usage": RESPONSE_USAGE},
}
_AS: dict[str, Callable[[Any], Reply]] = {
    "json": lambda body: Reply(body=json.dumps(body).encode(), headers=JSON),
    "indented": lambda body: Reply(body=b"\n" + json.dumps(body, indent=1).encode(), headers=JSON),
    "gzip": lambda body: Reply(
        body=gzip.compress(json.dumps(body).encode()), headers={**JSON, "content-encoding": "gzip"}
    ),
    "of no type": lambda body: Reply(body=json.dumps(body).encode(), headers={"content-type": ""}),
}


@pytest.mark.parametrize("mode", MEET)
@pytest.mark.parametrize("form", _AS)
@pytest.mark.parametrize("name", _WHOLE_ANSWERS)
def test_a_whole_answer_to_a_stream_is_metered(name: str, form: str, mode: str) -> None:
    """Some servers stream nothing: the SDK finds no event in their JSON, and the provider bills it."""
    reply = _AS[form](_WHOLE_ANSWERS[name])
    with ScriptedServer(reply) as bare:
        expected = MEET[mode]({name: ALL[name]}, bare)
    for capture in ("no_content", "span_and_event"):
        with ScriptedServer(reply) as server:
            watched = Watched(capture_content=capture)
            try:
                assert MEET[mode]({name: ALL[name]}, server) == expected
                (record,) = watched.records
                assert (record.status, record.usage) == ("ok", _WHOLE_ANSWERS[name]["usage"])
                assert not record.possibly_billed
                told = attributes(watched.spans[0])
                assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (11, 7)
                assert not guard.failures, guard.failures
            finally:
                watched.close()


@pytest.mark.parametrize("name", ["chat stream", "chat bytes"])
def test_a_whole_answer_without_usage_is_estimated(name: str) -> None:
    """Where that is asked for, as of any other answer."""
    answer = {key: value for key, value in _WHOLE_CHAT.items() if key != "usage"}
    with ScriptedServer(_AS["json"](answer)) as server:
        watched = Watched(stream_usage="estimate")
        try:
            meet({name: ALL[name]}, server)
            (record,) = watched.records
            assert record.estimated
            assert record.usage is not None
        finally:
            watched.close()


# -- a whole answer that the SDK cannot parse ------------------------------------------------------------


class Wanted(BaseModel):
    """What the model was to say."""

    number: int


@pytest.mark.parametrize("mode", MEET)
@pytest.mark.parametrize("sampled", [True, False], ids=["recorded", "not recorded"])
@pytest.mark.parametrize("length", [10, 400_000])
def test_usage_of_what_cannot_be_parsed(length: int, sampled: bool, mode: str) -> None:
    """However long it is, and whether or not a span is recorded: the provider bills it."""
    said = {"role": "assistant", "content": "x" * length}
    body = {**_WHOLE_CHAT, "choices": [{"index": 0, "finish_reason": "stop", "message": said}]}
    call = {"parse": lambda client: client.chat.completions.parse(**CHAT, response_format=Wanted)}
    reply = Reply(body=json.dumps(body).encode(), headers=JSON)
    with ScriptedServer(reply) as bare:
        expected = MEET[mode](call, bare)
    for capture in ("no_content", "span_and_event"):
        with ScriptedServer(reply) as server:
            watched = Watched(capture_content=capture, sampler=None if sampled else ALWAYS_OFF)
            try:
                assert MEET[mode](call, server) == expected
                (record,) = watched.records
                assert (record.status, record.usage) == ("error", USAGE)
                assert (record.error_type or "").endswith("ValidationError")
                assert not record.possibly_billed
                assert len(watched.spans) == sampled
                for span in watched.spans:
                    told = attributes(span)
                    assert (told["gen_ai.usage.output_tokens"], told["error.type"]) == (7, record.error_type)
                    assert span.status.code == 2
                assert not guard.failures, guard.failures
            finally:
                watched.close()
