"""Odd answers and odd requests at every endpoint: the program meets what it meets without us, once a row."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import openai
import pytest

from openai_forms_kit import KEY, Outcome, async_client_of, client_of, run_async, run_sync, sent, watched_run
from spantally.ground import guard
from spantally.instrumentors.openai import background
from spantally.testing import Reply, Request, ScriptedServer
from test_openai_endpoints_forms import CHAT, FORMS
from watching import Watched

RUNS: dict[str, Callable[..., Outcome]] = {"sync": run_sync, "async": run_async}
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}


def _gzipped(body: bytes) -> Reply:
    return Reply(body=gzip.compress(body), headers={**JSON, "content-encoding": "gzip"})


USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "input_tokens": 11, "output_tokens": 7}
WHOLE = json.dumps({"id": "x-1", "model": "m", "choices": [], "data": [], "output": [], "usage": USAGE})

ANSWERS: dict[str, Reply] = {
    "empty": Reply(body=b"", headers=JSON),
    "truncated": Reply(body=WHOLE.encode()[:-20], headers=JSON),
    "null": Reply(body=b"null", headers=JSON),
    "list": Reply(body=b"[1, [2], {}]", headers=JSON),
    "number": Reply(body=b"17", headers=JSON),
    "html": Reply(body=b"<html>sorry</html>", headers={"content-type": "text/html"}),
    "no json under its name": Reply(body=b"\xff\xfe\x00", headers=JSON),
    "json under another name": Reply(body=WHOLE.encode(), headers={"content-type": "text/plain"}),
    "gzip": _gzipped(WHOLE.encode()),
    "broken gzip": Reply(body=b"\x1f\x8b\x08nonsense", headers={**JSON, "content-encoding": "gzip"}),
    "odd usage": Reply(body=b'{"usage": [1], "id": 7, "model": {}, "choices": 3, "data": "x"}', headers=JSON),
    "usage of nonsense": Reply(
        body=b'{"usage": {"input_tokens": "many", "output_tokens_details": 3}, "status": []}', headers=JSON
    ),
    "deep": Reply(body=b'{"usage": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}", headers=JSON),
    "malformed events": Reply(body=b'data: {"id": "cut off\n\ndata: [DONE]\n\n', headers=EVENTS),
    "no events": Reply(body=b"", headers=EVENTS),
    "lost": Reply(drop_after_chunks=0),
    "server error": Reply(status=500),
    "error of a sentence": Reply(status=400, error={"message": "no", "code": f"key {KEY} is not valid"}),
}


def outcome_of(run: Callable[..., Outcome], call: Callable[[Any], Any], server: ScriptedServer) -> Any:
    """What the program meets: a result or an exception, and what was sent."""
    try:
        return run(call, server)
    except Exception as error:
        return type(error), str(error).replace(str(server.port), "PORT"), sent(server)


@pytest.mark.parametrize("mode", RUNS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_an_odd_answer_is_the_programs_alone(answer: str, mode: str) -> None:
    """Every endpoint that is scripted: same result or exception as without us, one row, one span."""
    reply, run = ANSWERS[answer], RUNS[mode]
    for name in (
        "completions_stream",
        "responses_compact",
        "images_generate",
        "speech_events",
        "transcription_stream",
        "transcription_text",
    ):
        call = FORMS[name].call
        with ScriptedServer(reply) as bare:
            expected = outcome_of(run, call, bare)

        def judged(made: Any, server: ScriptedServer, call: Callable[[Any], Any] = call) -> Outcome:
            return Outcome(outcome_of(run, call, server), dict(guard.failures), [], [])

        outcome, watched, _ = watched_run(call, reply, judged)
        assert outcome.result == expected, name
        assert len(watched.records) == 1, name
        assert len(watched.spans) == 1, name
        assert KEY.encode() not in watched.exported()
        billed = watched.records[0].possibly_billed
        assert not (billed and answer == "error of a sentence"), name


# -- failures of ours ------------------------------------------------------------------------------------


def _work(client: openai.OpenAI) -> list[Any]:
    """A program that meets every part of the shell that another test of faults does not."""
    outcomes: list[Any] = []
    chunks = list(client.chat.completions.create(**CHAT, stream=True))
    outcomes.append([chunk.choices[0].delta.content for chunk in chunks if chunk.choices])
    outcomes.append(client.chat.completions.create(**CHAT).choices[0].message.content)
    made = client.responses.create(model="gpt-4o", input="think", background=True)
    for _ in range(2):
        made = client.responses.retrieve(made.id)
    outcomes.append(made.output_text)
    file = client.files.create(file=("a.jsonl", b'{"custom_id": "a", "response": {}}'), purpose="batch")
    outcomes.append(client.files.content(file.id).content)
    with client.files.with_streaming_response.content(file.id) as response:
        outcomes.append(response.read())
    return outcomes


OURS = "spantally.instrumentors.openai"
SHELL = "spantally.instrumentors.stainless"
PARTS = (
    (f"{SHELL}.call.retries.note_failed_attempt", "unknown"),
    (f"{OURS}.call.background.learn", "unknown"),
    (f"{OURS}.call.background.expect", "unknown"),
    (f"{OURS}.background._complete", "unknown"),
    (f"{OURS}.call.batches.read_file", "unknown"),
    (f"{SHELL}.batches.hand_over", "unknown"),
    (f"{OURS}.batches.batch_line", "unknown"),
    (f"{SHELL}.batches.ResultLines.feed", "unknown"),
    (f"{SHELL}.batches.ResultLines.close", "unknown"),
    (f"{OURS}.call.headers.head_facts", "unknown"),
    (f"{OURS}.beginning.path_attributes", "unknown"),
    (f"{OURS}.beginning.stream_usage.with_usage", "request"),
    (f"{OURS}.call.is_extra", "request"),
    (f"{OURS}.beginning.estimate.input_tokens", "estimate"),
    (f"{SHELL}.call.estimate.output_tokens", "estimate"),
)


@pytest.mark.parametrize(("part", "policy"), PARTS)
def test_a_failing_part_of_ours_is_ours_alone(
    part: str, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails, the program gets what it gets without us, and both chats are in the tally."""
    import openai._base_client as base

    monkeypatch.setattr(base, "INITIAL_RETRY_DELAY", 0.001)
    failures = iter([Reply(status=500)])

    def script(request: Request) -> Reply:
        return next(failures, Reply(text="the answer"))

    with ScriptedServer(Reply(text="the answer")) as bare, client_of(bare) as client:
        expected = _work(client)
    background.forget()
    watched = Watched(stream_usage=policy)
    try:

        def fail(*args: Any, **kwargs: Any) -> Any:
            message = "a failure of ours"
            raise ValueError(message)

        with (
            ScriptedServer(script) as server,
            client_of(server, max_retries=1) as client,
            monkeypatch.context() as patch,
        ):
            patch.setattr(part, fail)
            assert _work(client) == expected
            chats = [record for record in watched.records if record.operation == "chat"]
        assert len({record.call_id for record in chats}) == 3
    finally:
        watched.close()
        background.forget()


# -- cancellation at every await point -------------------------------------------------------------------


class Step:
    """An awaitable that gives control back once."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Steps:
    """A transport of the program's own that gives control back at every step of a request."""

    def __init__(self, http: Any, pieces: list[bytes]) -> None:
        self.http = http
        self.pieces = pieces

    def make(self) -> Any:
        """The transport, of the HTTP library's own base class."""
        http, pieces = self.http, self.pieces

        class Body(http.AsyncByteStream):  # type: ignore[name-defined, misc]
            async def __aiter__(self) -> Any:
                for piece in pieces:
                    await Step()
                    yield piece

            async def aclose(self) -> None:
                await Step()

        class Transport(http.AsyncBaseTransport):  # type: ignore[name-defined, misc]
            async def handle_async_request(self, request: Any) -> Any:
                await Step()
                kind = EVENTS if pieces[0].startswith(b"data") else JSON
                return http.Response(200, headers=kind, stream=Body())

        return Transport()


def _events(events: list[Any]) -> list[bytes]:
    return [f"data: {json.dumps(event)}\n\n".encode() for event in events] + [b"data: [DONE]\n\n"]


def _halves(body: dict[str, Any]) -> list[bytes]:
    whole = json.dumps(body).encode()
    return [whole[:40], whole[40:]]


FRAME: dict[str, Any] = {"id": "c-1", "created": 1, "model": "gpt-4o"}
CHUNK: dict[str, Any] = {**FRAME, "object": "chat.completion.chunk"}
MESSAGE = {"role": "assistant", "content": "hi"}
CHAT_BODY = _halves(
    {
        **FRAME,
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}],
        "usage": USAGE,
    }
)
CHAT_EVENTS = _events(
    [
        {**CHUNK, "choices": [{"index": 0, "delta": MESSAGE, "finish_reason": None}]},
        {**CHUNK, "choices": [{"index": 0, "delta": {"content": "i"}, "finish_reason": None}]},
        {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**CHUNK, "choices": [], "usage": USAGE},
    ]
)
RESPONSE: dict[str, Any] = {
    "id": "r-1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4o",
    "output": [],
}
DONE: dict[str, Any] = {**RESPONSE, "status": "completed", "usage": USAGE}
RESPONSE_EVENTS = _events(
    [
        {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "status": "in_progress"}},
        {"type": "response.completed", "sequence_number": 1, "response": DONE},
    ]
)


async def _chat(client: Any) -> Any:
    return (await client.chat.completions.create(**CHAT)).id


async def _chat_stream(client: Any) -> Any:
    return [chunk.id async for chunk in await client.chat.completions.create(**CHAT, stream=True)]


async def _chat_bytes(client: Any) -> Any:
    async with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as raw:
        return [line async for line in raw.iter_lines()]


async def _chat_helper(client: Any) -> Any:
    async with client.chat.completions.stream(**CHAT) as stream:
        return [event.type async for event in stream]


async def _response(client: Any) -> Any:
    return (await client.responses.create(model="gpt-4o", input="hi")).id


async def _response_stream(client: Any) -> Any:
    async with await client.responses.create(model="gpt-4o", input="hi", stream=True) as stream:
        return [event.type async for event in stream]


AWAITED: dict[str, tuple[Callable[[Any], Coroutine[Any, Any, Any]], list[bytes]]] = {
    "chat": (_chat, CHAT_BODY),
    "chat stream": (_chat_stream, CHAT_EVENTS),
    "chat bytes": (_chat_bytes, CHAT_EVENTS),
    "chat helper": (_chat_helper, CHAT_EVENTS),
    "responses": (_response, _halves(DONE)),
    "responses stream": (_response_stream, RESPONSE_EVENTS),
}


class Driven:
    """A coroutine into which a cancellation is thrown at one of its await points."""

    def __init__(self, made: Coroutine[Any, Any, Any], cancel_at: int) -> None:
        self.made = made
        self.cancel_at = cancel_at
        self.points = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            waited = self.made.send(None)
            while True:
                self.points += 1
                if self.points == self.cancel_at:
                    if waited is not None:
                        waited._asyncio_future_blocking = False
                    waited = self.made.throw(asyncio.CancelledError())
                else:
                    yield waited
                    waited = self.made.send(None)
        except StopIteration as done:
            return done.value


def drive(make: Callable[[], Coroutine[Any, Any, Any]], cancel_at: int) -> tuple[int, Any]:
    """Run a coroutine, cancelled at one of its await points.

    Returns:
        How many points it passed, and what it ended with.
    """

    async def counted() -> tuple[int, Any]:
        driven = Driven(make(), cancel_at)
        try:
            ended: Any = ("returned", await driven)
        except BaseException as error:
            ended = ("raised", type(error).__name__)
        return driven.points, ended

    return asyncio.run(counted())


@pytest.mark.parametrize("capture", ["no_content", "span_and_event"])
@pytest.mark.parametrize("form", AWAITED)
def test_a_cancellation_at_any_await_point_ends_the_call_once(form: str, capture: str) -> None:
    """Wherever it strikes: the program's outcome is the same, and there is one row, ended."""
    http: Any = pytest.importorskip("httpx" if openai.__version__.startswith("2.") else "httpx2")
    use, pieces = AWAITED[form]

    async def call() -> Any:
        session = http.AsyncClient(transport=Steps(http, pieces).make())
        client = openai.AsyncOpenAI(api_key=KEY, base_url="http://h/v1", http_client=session, max_retries=0)
        return await use(client)

    points = 0
    bare: list[Any] = []
    while True:
        passed, ended = drive(call, points + 1)
        bare.append(ended)
        if passed < points + 1:
            break
        points += 1
    assert points >= 4
    for at in range(1, points + 2):
        watched = Watched(capture_content=capture)
        try:
            _, ended = drive(call, at)
            assert ended == bare[at - 1], at
            gc.collect()
            assert len(watched.spans) <= 1, at
            assert len(watched.records) == len(watched.spans), at
            for record in watched.records:
                raised = ended[0] == "raised"
                # Struck while the response is closed after its last byte, the call has its whole answer.
                assert record.status == "cancelled" if raised and record.usage is None else True, at
                assert record.status in (("cancelled", "ok") if raised else ("ok",)), at
                assert record.possibly_billed == (record.usage is None), at
            assert not guard.failures, at
        finally:
            watched.close()


@pytest.mark.parametrize("form", AWAITED)
def test_a_cancellation_over_http_ends_the_call_once(form: str) -> None:
    """A sample on real connections: before the answer, and while it comes."""
    use, _ = AWAITED[form]
    slow = Reply(text="one two three four", delay=0.05, chunk_delay=0.1)

    async def run(server: ScriptedServer, after: float) -> None:
        async with async_client_of(server) as client:
            task = asyncio.create_task(use(client))
            await asyncio.sleep(after)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    for after in (0.0, 0.02, 0.12, 0.2):
        with ScriptedServer([slow]) as server:
            watched = Watched()
            try:
                asyncio.run(run(server, after))
                gc.collect()
                assert len(watched.records) == len(watched.spans) <= 1
                for record in watched.records:
                    assert record.status == ("ok" if record.usage is not None else "cancelled"), after
                    assert record.possibly_billed == (record.usage is None)
            finally:
                watched.close()
