"""Every supported call form of the openai SDK, over real HTTP: one span, true usage, nothing changed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from pydantic import BaseModel

import spantally
from openai_forms_kit import run_async, run_sync, unwatched, watched_run
from spantally.testing import Reply, ScriptedServer
from watching import Watched, attributes

MESSAGES: Any = [{"role": "user", "content": "hello there"}]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
USAGE: Any = {"include_usage": True}


class Answer(BaseModel):
    """A shape to parse into."""

    text: str


_clients: list[openai.OpenAI] = []


@pytest.fixture(autouse=True)
def _closed_clients() -> Iterator[None]:
    """No client's connection is left for a later test to be blamed for."""
    yield
    while _clients:
        _clients.pop().close()


def client_of(server: ScriptedServer) -> openai.OpenAI:
    made = openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-for-tests-0001", max_retries=0)
    _clients.append(made)
    return made


def async_client_of(server: ScriptedServer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-made-up-for-tests-0001", max_retries=0)


def _lines(client: openai.OpenAI) -> list[str]:
    with client.chat.completions.with_streaming_response.create(
        **CHAT, stream=True, stream_options=USAGE
    ) as raw:
        return [line for line in raw.iter_lines() if line]


def _streaming_parse(client: openai.OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(**CHAT) as raw:
        return raw.parse()


def _stream_helper(client: openai.OpenAI) -> Any:
    with client.chat.completions.stream(**CHAT, stream_options=USAGE) as stream:
        return [event.type for event in stream], stream.get_final_completion()


def _responses_helper(client: openai.OpenAI) -> Any:
    with client.responses.stream(model="gpt-4o", input="hi") as stream:
        return [event.type for event in stream], stream.get_final_response().usage


def _responses_bytes(client: openai.OpenAI) -> Any:
    with client.responses.with_streaming_response.create(model="gpt-4o", input="hi", stream=True) as raw:
        return b"".join(raw.iter_bytes())


SYNC_FORMS: dict[str, Callable[[openai.OpenAI], Any]] = {
    "chat": lambda c: c.chat.completions.create(**CHAT),
    "chat_stream": lambda c: list(c.chat.completions.create(**CHAT, stream=True, stream_options=USAGE)),
    "chat_raw": lambda c: c.chat.completions.with_raw_response.create(**CHAT).parse(),
    "chat_raw_stream": lambda c: list(
        c.chat.completions.with_raw_response.create(**CHAT, stream=True, stream_options=USAGE).parse()
    ),
    "chat_streaming_response": _streaming_parse,
    "chat_streaming_lines": _lines,
    "chat_helper": _stream_helper,
    "chat_parse": lambda c: c.chat.completions.parse(**CHAT, response_format=Answer),
    "chat_with_options": lambda c: c.with_options(timeout=30).chat.completions.create(**CHAT),
    "chat_by_path": lambda c: c.post("/chat/completions", body=CHAT, cast_to=object),
    "responses": lambda c: c.responses.create(model="gpt-4o", input="hi"),
    "responses_parse": lambda c: c.responses.parse(model="gpt-4o", input="hi", text_format=Answer),
    "responses_stream": lambda c: list(c.responses.create(model="gpt-4o", input="hi", stream=True)),
    "responses_helper": _responses_helper,
    "responses_raw": lambda c: c.responses.with_raw_response.create(model="gpt-4o", input="hi").parse(),
    "responses_bytes": _responses_bytes,
    "embeddings": lambda c: c.embeddings.create(model="text-embedding-3-small", input=["a", "b"]),
    "embeddings_floats": lambda c: c.embeddings.create(
        model="text-embedding-3-small", input="a", encoding_format="float"
    ),
}


async def _collect(stream: AsyncIterator[Any]) -> list[Any]:
    return [chunk async for chunk in stream]


async def _async_stream(client: openai.AsyncOpenAI) -> Any:
    return await _collect(await client.chat.completions.create(**CHAT, stream=True, stream_options=USAGE))


async def _async_raw(client: openai.AsyncOpenAI) -> Any:
    return (await client.chat.completions.with_raw_response.create(**CHAT)).parse()


async def _async_raw_stream(client: openai.AsyncOpenAI) -> Any:
    raw = await client.chat.completions.with_raw_response.create(**CHAT, stream=True, stream_options=USAGE)
    return await _collect(raw.parse())


async def _async_streaming_response(client: openai.AsyncOpenAI) -> Any:
    async with client.chat.completions.with_streaming_response.create(**CHAT) as raw:
        return await raw.parse()


async def _async_lines(client: openai.AsyncOpenAI) -> Any:
    async with client.chat.completions.with_streaming_response.create(
        **CHAT, stream=True, stream_options=USAGE
    ) as raw:
        return [line async for line in raw.iter_lines() if line]


async def _async_helper(client: openai.AsyncOpenAI) -> Any:
    async with client.chat.completions.stream(**CHAT, stream_options=USAGE) as stream:
        return [event.type async for event in stream], await stream.get_final_completion()


async def _async_responses_stream(client: openai.AsyncOpenAI) -> Any:
    return await _collect(await client.responses.create(model="gpt-4o", input="hi", stream=True))


async def _async_responses_helper(client: openai.AsyncOpenAI) -> Any:
    async with client.responses.stream(model="gpt-4o", input="hi") as stream:
        return [event.type async for event in stream], (await stream.get_final_response()).usage


async def _async_responses_raw(client: openai.AsyncOpenAI) -> Any:
    return (await client.responses.with_raw_response.create(model="gpt-4o", input="hi")).parse()


async def _async_responses_bytes(client: openai.AsyncOpenAI) -> Any:
    async with client.responses.with_streaming_response.create(
        model="gpt-4o", input="hi", stream=True
    ) as raw:
        return b"".join([piece async for piece in raw.iter_bytes()])


ASYNC_FORMS: dict[str, Callable[[openai.AsyncOpenAI], Any]] = {
    "chat": lambda c: c.chat.completions.create(**CHAT),
    "chat_stream": _async_stream,
    "chat_raw": _async_raw,
    "chat_raw_stream": _async_raw_stream,
    "chat_streaming_response": _async_streaming_response,
    "chat_streaming_lines": _async_lines,
    "chat_helper": _async_helper,
    "chat_parse": lambda c: c.chat.completions.parse(**CHAT, response_format=Answer),
    "chat_with_options": lambda c: c.with_options(timeout=30).chat.completions.create(**CHAT),
    "chat_by_path": lambda c: c.post("/chat/completions", body=CHAT, cast_to=object),
    "responses": lambda c: c.responses.create(model="gpt-4o", input="hi"),
    "responses_parse": lambda c: c.responses.parse(model="gpt-4o", input="hi", text_format=Answer),
    "responses_stream": _async_responses_stream,
    "responses_helper": _async_responses_helper,
    "responses_raw": _async_responses_raw,
    "responses_bytes": _async_responses_bytes,
    "embeddings": lambda c: c.embeddings.create(model="text-embedding-3-small", input=["a", "b"]),
    "embeddings_floats": lambda c: c.embeddings.create(
        model="text-embedding-3-small", input="a", encoding_format="float"
    ),
}


def reply() -> Reply:
    """An answer that every form can take, the parsed one too."""
    return Reply(text='{"text": "hi"}')


def test_both_clients_have_the_same_forms() -> None:
    """What one client can do the other is tried with, too."""
    assert SYNC_FORMS.keys() == ASYNC_FORMS.keys()


@pytest.mark.parametrize("form", SYNC_FORMS)
def test_sync_form_is_seen_once_and_unchanged(form: str) -> None:
    """One row with the usage that was billed; result, type, warnings and request are those without us."""
    expected = unwatched(SYNC_FORMS[form], [reply()], run_sync)
    for capture in ("no_content", "span_and_event"):
        outcome, watched, server = watched_run(SYNC_FORMS[form], [reply()], run_sync, capture_content=capture)
        assert outcome == expected
        check_once(watched, server)


@pytest.mark.parametrize("form", ASYNC_FORMS)
def test_async_form_is_seen_once_and_unchanged(form: str) -> None:
    """An asynchronous form likewise."""
    expected = unwatched(ASYNC_FORMS[form], [reply()], run_async)
    for capture in ("no_content", "span_and_event"):
        outcome, watched, server = watched_run(
            ASYNC_FORMS[form], [reply()], run_async, capture_content=capture
        )
        assert outcome == expected
        check_once(watched, server)


def check_once(watched: Watched, server: ScriptedServer) -> None:
    """One row and one span, with the usage the server billed."""
    records = watched.records
    assert len(records) == 1, records
    record = records[0]
    assert record.status == "ok"
    assert record.usage is not None
    billed = next(iter(server.billed.values()))
    tokens_in = record.usage.get("prompt_tokens", record.usage.get("input_tokens"))
    tokens_out = record.usage.get("completion_tokens", record.usage.get("output_tokens", 0))
    assert (tokens_in, tokens_out) == (billed.input, billed.output)
    spans = watched.spans
    assert len(spans) == 1
    span = attributes(spans[0])
    assert span["spantally.call.id"] == record.call_id
    assert span["gen_ai.usage.input_tokens"] == billed.input
    assert record.finish_reasons == tuple(span.get("gen_ai.response.finish_reasons", ()))
    assert bool(record.finish_reasons) is (record.kind == "inference")
    assert spans[0].name == f"{record.operation} {record.request_model}"
    assert spans[0].kind == 3  # CLIENT


def test_method_bound_before_instrument_is_traced(server: ScriptedServer) -> None:
    """A bound method that the program kept from before instrument() is seen, and later let through."""
    create = client_of(server).chat.completions.create
    watched = Watched()
    create(**CHAT)
    assert len(watched.records) == 1
    watched.close()
    create(**CHAT)
    assert len(server.requests) == 2


def test_uninstrument_leaves_no_trace() -> None:
    """After uninstrument() the SDK's functions are the very objects they were."""
    from openai import _base_client, _streaming

    places = [
        (_base_client.SyncAPIClient, "request"),
        (_base_client.AsyncAPIClient, "request"),
        (_base_client.SyncAPIClient, "_process_response"),
        (_base_client.AsyncAPIClient, "_process_response"),
        (_streaming.Stream, "__init__"),
        (_streaming.AsyncStream, "__init__"),
    ]
    before = [owner.__dict__[name] for owner, name in places]
    watched = Watched()
    assert all(owner.__dict__[name] is not old for (owner, name), old in zip(places, before, strict=True))
    spantally.instrument(ledger=False)
    watched.close()
    assert [owner.__dict__[name] for owner, name in places] == before


def test_stream_types_are_the_sdks(watched: Watched, server: ScriptedServer) -> None:
    """A stream is the SDK's own Stream, its response the HTTP library's own."""
    stream = client_of(server).chat.completions.create(**CHAT, stream=True)
    assert type(stream) is openai.Stream
    assert type(stream.response).__module__.startswith("httpx")
    list(stream)


def _break(client: openai.OpenAI) -> None:
    for _ in client.chat.completions.create(**CHAT, stream=True):
        break
    gc.collect()


def _close(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(**CHAT, stream=True)
    next(iter(stream))
    stream.close()


def _with_exit(client: openai.OpenAI) -> None:
    with client.chat.completions.create(**CHAT, stream=True) as stream:
        next(iter(stream))


def _collected(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(**CHAT, stream=True)
    next(stream)
    del stream
    gc.collect()


def _never_read(client: openai.OpenAI) -> None:
    client.chat.completions.create(**CHAT, stream=True)
    gc.collect()


def _raw_closed(client: openai.OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as raw:
        next(raw.iter_lines())


@pytest.mark.parametrize("end", [_break, _close, _with_exit, _collected, _never_read, _raw_closed])
def test_stream_left_early_is_abandoned(
    watched: Watched, server: ScriptedServer, end: Callable[[openai.OpenAI], None]
) -> None:
    """A stream that is left early gives one row: abandoned, possibly billed; its span's status is unset."""
    end(client_of(server))
    gc.collect()
    (record,) = watched.records
    assert record.abandoned
    assert record.possibly_billed
    assert record.usage is None
    assert record.status == "ok"
    (span,) = watched.spans
    assert span.status.code == 0
    assert attributes(span)["spantally.call.abandoned"] is True


def test_cancelled_stream_is_an_error(watched: Watched) -> None:
    """A task cancelled while it reads a stream gives a cancelled row and an ERROR span."""
    with ScriptedServer([Reply(text="one two three four", delay=0.0, chunk_delay=5.0)]) as server:

        async def read() -> None:
            async with async_client_of(server) as client:
                async for _ in await client.chat.completions.create(**CHAT, stream=True):
                    pass

        async def main() -> None:
            task = asyncio.create_task(read())
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
    (record,) = watched.records
    assert record.status == "cancelled"
    assert record.possibly_billed
    assert watched.spans[0].status.code == 2


def test_lost_connection_is_an_error(watched: Watched) -> None:
    """A connection dropped in the middle of a stream raises what it raises without us, and gives an ERROR."""
    with (
        ScriptedServer([Reply(text="one two three four five", drop_after_chunks=2)]) as server,
        pytest.raises(Exception) as raised,
    ):
        list(client_of(server).chat.completions.create(**CHAT, stream=True))
    assert "spantally" not in type(raised.value).__module__
    (record,) = watched.records
    assert record.status == "error"
    assert record.possibly_billed
    assert watched.spans[0].status.code == 2


def test_rejection_is_not_billed(watched: Watched) -> None:
    """A 429 raises the SDK's error and gives an error row that is not possibly billed."""
    refused = Reply(status=429, error={"message": "slow down", "code": "rate_limit_exceeded"})
    with ScriptedServer([refused]) as server, pytest.raises(openai.RateLimitError):
        client_of(server).chat.completions.create(**CHAT)
    (record,) = watched.records
    assert (record.status, record.error_type) == ("error", "rate_limit_exceeded")
    assert not record.possibly_billed
    assert attributes(watched.spans[0])["error.type"] == "rate_limit_exceeded"


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("length", [8, 60_000, 400_000])
def test_usage_is_metered_when_parsing_fails(mode: str, sampled: bool, length: int) -> None:
    """An answer that does not fit the asked-for shape raises, and its tokens are still in the tally.

    So they are where no span records, and the worker was to read the body, and where it is long.
    """

    def parse(client: Any) -> Any:
        return client.chat.completions.parse(**CHAT, response_format=Answer)

    run = run_sync if mode == "sync" else run_async
    watched = Watched(sampler=ALWAYS_ON if sampled else ALWAYS_OFF)
    try:
        server = ScriptedServer([Reply(text="not json" * (length // 8))])
        with server, pytest.raises(ValueError, match="Answer"):
            run(parse, server)
        (record,) = watched.records
    finally:
        watched.close()
    assert record.status == "error"
    assert record.usage is not None
    assert record.response_id is not None
    assert not record.possibly_billed


def test_retries_are_one_call(watched: Watched) -> None:
    """A call that the SDK retried is one row and one span, with the number of attempts."""
    replies = [Reply(status=500, error={"message": "oops"}), Reply(text="fine")]
    with ScriptedServer(replies) as server, client_of(server).with_options(max_retries=1) as client:
        client.chat.completions.create(**CHAT)
    (record,) = watched.records
    assert record.attempts == 2
    assert len(watched.spans) == 1
