"""Odd requests: they reach the provider as without us and are traced, with content and without."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from openai_forms_kit import (
    KEY,
    Outcome,
    async_client_of,
    client_of,
    run_async,
    run_sync,
    unwatched,
    watched_run,
)
from spantally.calls.telemetry import Telemetry
from spantally.instrumentors.openai import beginning
from spantally.instrumentors.openai.wire.operation import CHAT as WIRE_CHAT
from spantally.instrumentors.openai.wire.request import quick_shape
from spantally.instrumentors.stainless.places import Place
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched, attributes

RUNS: dict[str, Callable[..., Outcome]] = {"sync": run_sync, "async": run_async}
MODES = pytest.mark.parametrize("mode", RUNS)
CAPTURES = pytest.mark.parametrize("capture", ["no_content", "span_and_event"])
FINE = Reply(text="fine", usage=Usage(input=11, output=7))
ASKED: Any = {"include_usage": True}
CHAT: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}
PICTURE = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 6000).decode()


def _said() -> Iterator[Any]:
    yield {"role": "system", "content": "be brief"}
    yield {"role": "user", "content": "hello"}


class Hostile(dict[str, Any]):
    """A message that is read by its items and raises whenever somebody looks at it otherwise."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("get", "role", "content", "copy", "__class__"):
            message = "leave me alone"
            raise RuntimeError(message)
        return super().__getattribute__(name)


class Guarded(BaseModel):
    """A message that is a model, as those that an answer has, and raises when it is looked at."""

    role: str = "user"
    content: str = "hello"

    def __getattribute__(self, name: str) -> Any:
        if name in ("role", "content", "get"):
            message = "leave me alone"
            raise RuntimeError(message)
        return super().__getattribute__(name)


class Parts(list[Any]):
    """A list that can be walked through once."""

    def __iter__(self) -> Iterator[Any]:
        yield from [self.pop(0) for _ in range(len(self))]


def _picture() -> Any:
    part = {"type": "image_url", "image_url": {"url": PICTURE}}
    return [{"role": "user", "content": [{"type": "text", "text": "what is it"}, part]}]


def _picture_input() -> Any:
    part = {"type": "input_image", "image_url": PICTURE, "detail": "auto"}
    return [{"role": "user", "content": [{"type": "input_text", "text": "what is it"}, part]}]


REQUESTS: dict[str, Callable[[Any], Any]] = {
    "generator": lambda c: c.chat.completions.create(model="gpt-4o", messages=_said()),
    "generator streamed": lambda c: c.chat.completions.create(
        model="gpt-4o", messages=_said(), stream=True, stream_options=ASKED
    ),
    "generator of responses": lambda c: c.responses.create(model="gpt-4o", input=_said()),
    "map": lambda c: c.chat.completions.create(model="gpt-4o", messages=map(dict, CHAT["messages"])),
    "tuple": lambda c: c.chat.completions.create(model="gpt-4o", messages=tuple(CHAT["messages"])),
    "list that empties": lambda c: c.chat.completions.create(
        model="gpt-4o", messages=Parts(CHAT["messages"])
    ),
    "list that empties, by path": lambda c: c.post(
        "/chat/completions", body={"model": "gpt-4o", "messages": Parts(CHAT["messages"])}, cast_to=object
    ),
    "input that empties, by path": lambda c: c.post(
        "/responses", body={"model": "gpt-4o", "input": Parts(CHAT["messages"])}, cast_to=object
    ),
    "hostile": lambda c: c.chat.completions.create(
        model="gpt-4o", messages=[Hostile(role="user", content="hello")]
    ),
    "hostile model": lambda c: c.chat.completions.create(model="gpt-4o", messages=[Guarded()]),
    "hostile input": lambda c: c.responses.create(
        model="gpt-4o", input=[Hostile(role="user", content="hello")]
    ),
    "large picture": lambda c: c.chat.completions.create(model="gpt-4o", messages=_picture()),
    "large picture streamed": lambda c: c.chat.completions.create(
        model="gpt-4o", messages=_picture(), stream=True, stream_options=ASKED
    ),
    "large picture of responses": lambda c: c.responses.create(model="gpt-4o", input=_picture_input()),
    "iterator of embeddings": lambda c: c.embeddings.create(
        model="text-embedding-3-small", input=(text for text in ("a", "b"))
    ),
    "unserialisable": lambda c: c.chat.completions.create(model="gpt-4o", messages=[object()]),
    "message of bytes": lambda c: c.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": b"\xff"}]
    ),
    "lone surrogate": lambda c: c.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "a\ud800"}]
    ),
    "extra body": lambda c: c.chat.completions.create(**CHAT, extra_body={"model": "gpt-4o-mini", "x": 1}),
    "no model": lambda c: c.chat.completions.create(model=None, messages=CHAT["messages"]),
}


def _either(run: Callable[..., Outcome], form: Callable[[Any], Any]) -> Callable[..., Outcome]:
    """A run whose outcome may be an exception."""

    def ran(_: Any, server: ScriptedServer) -> Outcome:
        try:
            return run(form, server)
        except Exception as error:
            return Outcome((type(error).__name__, str(error)), None, [], [len(server.requests)])

    return ran


@MODES
@pytest.mark.parametrize("name", REQUESTS)
def test_an_odd_request_is_sent_as_without_us_and_traced(name: str, mode: str) -> None:
    """Same bytes sent, same result or exception, one row, one span, and no megabytes in what is exported."""
    form, run = REQUESTS[name], _either(RUNS[mode], REQUESTS[name])
    expected = unwatched(form, FINE, run)
    for capture in ("no_content", "span_only", "span_and_event"):
        outcome, watched, server = watched_run(form, FINE, run, capture_content=capture)
        assert outcome == expected
        check(name, capture, watched, server)


def check(name: str, capture: str, watched: Watched, server: ScriptedServer) -> None:
    """One row and one span, with the usage that was billed, and content only where it is wanted."""
    (record,) = watched.records
    (span,) = watched.spans
    assert (record.usage is not None) == bool(server.bills)
    assert record.status == ("ok" if server.bills else "error")
    assert len(watched.exported()) < 20_000
    if name == "large picture":
        assert len(server.requests[0].raw) > 2_000_000
    if name in ("generator", "generator streamed"):
        body = server.requests[0].body or {}
        assert [one["role"] for one in body["messages"]] == ["system", "user"]
    told = attributes(span)
    answered = capture != "no_content" and bool(server.bills) and record.kind == "inference"
    assert ("gen_ai.output.messages" in told) == answered


# -- clients ---------------------------------------------------------------------------------------------


class OwnClient(openai.OpenAI):
    """A client of the program's, with a request of its own around the SDK's."""

    seen = 0

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Count, and go on."""
        type(self).seen += 1
        return super().request(*args, **kwargs)


class OwnAsyncClient(openai.AsyncOpenAI):
    """The same, asynchronous."""

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        """Go on."""
        return await super().request(*args, **kwargs)


@CAPTURES
def test_a_client_of_the_programs_own_class_is_traced_once(capture: str) -> None:
    """Also where it overrides the very method that we watch."""
    watched = Watched(capture_content=capture)
    try:
        with ScriptedServer(FINE) as server:
            with OwnClient(base_url=server.base_url, api_key=KEY) as client:
                client.chat.completions.create(**CHAT)
                list(client.with_options(timeout=9).chat.completions.create(**CHAT, stream=True))

            async def run() -> None:
                async with OwnAsyncClient(base_url=server.base_url, api_key=KEY) as made:
                    await made.chat.completions.create(**CHAT)
                    assert type(made.copy()) is OwnAsyncClient

            asyncio.run(run())
        assert OwnClient.seen >= 2
        assert len(watched.records) == len(watched.spans) == 3
    finally:
        watched.close()


def _answer(http: Any, request: Any) -> Any:
    import json

    chunk: dict[str, Any] = {"id": "x-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    if json.loads(request.content).get("stream"):
        delta = {**chunk, "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
        events = (
            f"data: {json.dumps(delta)}\n\ndata: {json.dumps({**chunk, 'choices': [], 'usage': usage})}\n\n"
        )
        return http.Response(
            200, text=events + "data: [DONE]\n\n", headers={"content-type": "text/event-stream"}
        )
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    whole = {**chunk, "object": "chat.completion", "choices": [choice], "usage": usage}
    return http.Response(200, json=whole)


@CAPTURES
@pytest.mark.parametrize("stream", [False, True])
def test_a_mocked_transport_is_traced(capture: str, stream: bool) -> None:
    """What programs put in the place of the network in their tests, for both clients."""
    http: Any = pytest.importorskip("httpx" if openai.__version__.startswith("2.") else "httpx2")
    transport = http.MockTransport(lambda request: _answer(http, request))
    form: Any = {**CHAT, "stream": stream}

    def sync() -> Any:
        with openai.OpenAI(api_key=KEY, http_client=http.Client(transport=transport)) as client:
            made = client.chat.completions.create(**form)
            return list(made) if stream else made

    async def asynchronous() -> Any:
        async with openai.AsyncOpenAI(
            api_key=KEY, http_client=http.AsyncClient(transport=transport)
        ) as client:
            made = await client.chat.completions.create(**form)
            return [chunk async for chunk in made] if stream else made

    expected = sync(), asyncio.run(asynchronous())
    watched = Watched(capture_content=capture)
    try:
        assert (sync(), asyncio.run(asynchronous())) == expected
        assert [record.usage is not None for record in watched.records] == [True, True]
        assert len(watched.spans) == 2
        assert all(attributes(span)["server.address"] == "api.openai.com" for span in watched.spans)
    finally:
        watched.close()


@CAPTURES
def test_methods_bound_before_instrument_are_traced(capture: str) -> None:
    """Whatever the program took from the client beforehand: methods, resources, views, managers."""
    with ScriptedServer(FINE) as server, client_of(server) as client:
        completions = client.chat.completions
        kept: list[Callable[..., Any]] = [
            completions.create,
            completions.with_raw_response.create,
            client.with_options(timeout=9).chat.completions.create,
            lambda **given: client.post("/chat/completions", body=given, cast_to=object),
        ]
        post = client.post
        manager = completions.with_streaming_response.create(**CHAT)

        async def run() -> None:
            async with async_client_of(server) as other:
                create = other.chat.completions.create
                begun = other.chat.completions.create(**CHAT)  # a coroutine from before
                watched = Watched(capture_content=capture)
                try:
                    await create(**CHAT)
                    await begun
                    for one in kept:
                        one(**CHAT)
                    post("/chat/completions", body=CHAT, cast_to=object)
                    with manager as response:
                        response.parse()
                    assert len(watched.records) == len(watched.spans) == 8
                    assert all(record.usage is not None for record in watched.records)
                finally:
                    watched.close()
                await create(**CHAT)
                assert len(watched.records) == 8

        asyncio.run(run())


@pytest.mark.parametrize("form", ["raw", "plain"])
def test_usage_of_a_large_answer(watched: Watched, form: str) -> None:
    """Beyond what is parsed again at once, also where the program asked for the raw response."""
    with (
        ScriptedServer() as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client,
    ):
        asked: Any = {"model": "text-embedding-3-small", "input": ["word"] * 60, "dimensions": 1536}
        source: Any = client.embeddings.with_raw_response if form == "raw" else client.embeddings
        made = source.create(**asked, encoding_format="float")
        assert len((made.parse() if form == "raw" else made).data) == 60
    (record,) = watched.records
    assert record.usage is not None
    assert record.response_model == "text-embedding-3-small"
    assert attributes(watched.spans[0])["gen_ai.usage.input_tokens"] > 0


def test_requests_of_ever_other_keys_fill_no_memory() -> None:
    """A program that sends other keys each time has as many shapes kept as any."""
    telemetry, place = Telemetry(), Place("h", 1, "openai", lambda: None)
    for number in range(3000):
        body = {"model": "gpt-4o", f"key-{number % 1500}": 1}
        shape = beginning._shape_of(telemetry, place, WIRE_CHAT, body, None, quick_shape(WIRE_CHAT, body))
        assert shape.model == "gpt-4o"
    assert 1 < len(place.shapes) <= beginning._MOST_SHAPES
