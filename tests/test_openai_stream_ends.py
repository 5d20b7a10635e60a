"""Every kind of stream in every way that it can end: one span, one row, a true status, no money forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from openai_forms_kit import async_client_of, client_of
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched, attributes

ASKED: Any = {"include_usage": True}
MESSAGES: Any = [{"role": "user", "content": "hello there"}]
PICTURE = ("one.png", b"\x89PNG" + bytes(64), "image/png")
SOUND = ("speech.wav", b"RIFF" + bytes(64), "audio/wav")
USAGE = Usage(input=11, output=7)

KINDS: dict[str, Callable[[Any], Any]] = {
    "chat": lambda c: c.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, stream=True, stream_options=ASKED
    ),
    "responses": lambda c: c.responses.create(model="gpt-4o", input="hi", stream=True),
    "completions": lambda c: c.completions.create(
        model="davinci-002", prompt="once", stream=True, stream_options=ASKED
    ),
    "images": lambda c: c.images.generate(model="gpt-image-1", prompt="a cat", stream=True, partial_images=2),
    "image edits": lambda c: c.images.edit(
        model="gpt-image-1", image=PICTURE, prompt="a hat", stream=True, partial_images=2
    ),
    "transcription": lambda c: c.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=SOUND, stream=True
    ),
}
RAW: dict[str, Callable[[Any], Any]] = {
    "chat lines": lambda c: c.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=MESSAGES, stream=True, stream_options=ASKED
    ),
    "responses lines": lambda c: c.responses.with_streaming_response.create(
        model="gpt-4o", input="hi", stream=True
    ),
    "speech events": lambda c: c.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="hi", stream_format="sse"
    ),
    "speech": lambda c: c.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="hi"
    ),
}


class Ended(NamedTuple):
    """What the span and the row of an ending are to say."""

    status: str = "ok"
    abandoned: bool = False
    lost: bool = False


WHOLE = Ended()
LEFT = Ended(abandoned=True)
LOST = Ended("error", lost=True)
CANCELLED = Ended("cancelled", lost=True)
ENDS = {
    "exhausted": WHOLE,
    "broken off": LEFT,
    "closed": LEFT,
    "left by with": LEFT,
    "collected": LEFT,
    "never read": LEFT,
    "lost": LOST,
}


def end_sync(stream: Any, ending: str) -> None:
    """End a synchronous stream."""
    if ending == "exhausted":
        assert list(stream)
    elif ending == "broken off":
        for _ in stream:
            break
    elif ending == "closed":
        next(iter(stream))
        stream.close()
    elif ending == "left by with":
        with stream:
            next(iter(stream))
    elif ending == "collected":
        next(stream)
    elif ending == "lost":
        with pytest.raises(Exception):  # which one depends on the SDK
            list(stream)


async def end_async(stream: Any, ending: str) -> None:
    """End an asynchronous stream."""
    if ending == "exhausted":
        assert [item async for item in stream]
    elif ending == "broken off":
        async for _ in stream:
            break
    elif ending == "closed":
        await anext(aiter(stream))
        await stream.close()
    elif ending == "left by with":
        async with stream:
            await anext(aiter(stream))
    elif ending == "collected":
        await anext(stream)
    elif ending == "lost":
        with pytest.raises(Exception):  # which one depends on the SDK
            [item async for item in stream]


def _reply(ending: str) -> Reply:
    return Reply(text="one two three", usage=USAGE, drop_after_chunks=1 if ending == "lost" else None)


@pytest.mark.parametrize("ending", ENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_ends_once_and_truly(watched: Watched, kind: str, ending: str) -> None:
    """Synchronous: exhausted, broken off, closed, left by its context, collected, never read, lost."""
    with ScriptedServer([_reply(ending)]) as server, client_of(server) as client:
        end_sync(KINDS[kind](client), ending)
        gc.collect()
        check(watched, ENDS[ending])


@pytest.mark.parametrize("ending", ENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_asynchronous_stream_ends_once_and_truly(watched: Watched, kind: str, ending: str) -> None:
    """The same on an event loop."""

    async def run(server: ScriptedServer) -> None:
        async with async_client_of(server) as client:
            stream = await KINDS[kind](client)
            await end_async(stream, ending)
            del stream
            gc.collect()
            await asyncio.sleep(0)

    with ScriptedServer([_reply(ending)]) as server:
        asyncio.run(run(server))
    gc.collect()
    check(watched, ENDS[ending])


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancelled_stream_ends_once_and_truly(watched: Watched, kind: str) -> None:
    """The task that reads it is cancelled while it waits for more."""
    reply = Reply(text="one two three", usage=USAGE, chunk_delay=20)

    async def run(server: ScriptedServer) -> None:
        async with async_client_of(server) as client:
            waiting = asyncio.Event()

            async def read() -> None:
                stream = await KINDS[kind](client)
                waiting.set()
                async for _ in stream:
                    pass

            task = asyncio.create_task(read())
            await waiting.wait()
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with ScriptedServer([reply]) as server:
        asyncio.run(run(server))
    check(watched, CANCELLED)


@pytest.mark.parametrize("ending", ["exhausted", "closed", "left by with", "lost"])
@pytest.mark.parametrize("kind", RAW)
def test_bytes_that_the_program_reads_end_once_and_truly(watched: Watched, kind: str, ending: str) -> None:
    """A response whose bytes the program reads itself, events or sound."""
    with ScriptedServer([_reply(ending)]) as server, client_of(server) as client:
        raised: Any = contextlib.nullcontext() if ending != "lost" else pytest.raises(Exception)
        with raised, RAW[kind](client) as response:
            pieces = response.iter_bytes(1 if ending in ("closed", "left by with") else None)
            if ending in ("exhausted", "lost"):
                assert list(pieces)
            else:
                next(pieces)
                if ending == "closed":
                    response.close()
        gc.collect()
        if kind == "speech":
            # It tells no usage, and what is lost of it cannot be told from its bytes.
            assert len(watched.records) == len(watched.spans) == 1
            return
        check(watched, ENDS[ending])


def check(watched: Watched, expected: Ended) -> None:
    """One row and one span that say so."""
    (record,) = watched.records
    (span,) = watched.spans
    told = attributes(span)
    assert (record.status, record.abandoned) == (expected.status, expected.abandoned)
    assert span.status.code == (2 if expected.lost else 0)
    assert told.get("spantally.call.abandoned") == (True if expected.abandoned else None)
    assert ("error.type" in told) == expected.lost
    if expected == WHOLE:
        assert told["gen_ai.usage.input_tokens"] == USAGE.input
        assert told["gen_ai.usage.output_tokens"] == USAGE.output
        assert record.usage is not None
    assert record.possibly_billed == (record.usage is None)
    assert span.end_time_unix_nano >= span.start_time_unix_nano
    assert told["gen_ai.request.model"] == record.request_model


@pytest.mark.parametrize("kind", RAW)
def test_the_first_end_of_a_stream_is_its_end(watched: Watched, kind: str) -> None:
    """A response that was left early stays so, though its loop closes with a reader of it still suspended."""

    async def run(server: ScriptedServer) -> None:
        client = async_client_of(server)
        async with RAW[kind](client) as response:
            reader = response.http_response.stream.__aiter__()
            assert await anext(reader)
        task = asyncio.create_task(reader.athrow(asyncio.CancelledError()))
        with pytest.raises((asyncio.CancelledError, StopAsyncIteration)):
            await task
        await client.close()

    with ScriptedServer([_reply("closed")]) as server:
        asyncio.run(run(server))
    (record,) = watched.records
    assert (record.status, record.abandoned) == ("ok", True)
    assert watched.spans[0].status.code == 0


def _left_to_the_loop(kind: str) -> list[str]:
    """Which generators the event loop has to close after the program has closed its own."""
    left: list[str] = []

    async def main(server: ScriptedServer) -> None:
        before = sys.get_asyncgen_hooks()

        def finalizer(generator: Any) -> None:
            left.append(generator.__qualname__)
            if before.finalizer is not None:
                before.finalizer(generator)

        sys.set_asyncgen_hooks(before.firstiter, finalizer)
        async with async_client_of(server) as client, RAW["chat lines"](client) as response:
            chunks = getattr(response.http_response, kind)()
            await anext(chunks)
            await chunks.aclose()

    with ScriptedServer(Reply(text="one two three four", chunk_delay=0.05)) as server:
        asyncio.run(main(server))
    return sorted(left)


@pytest.mark.parametrize("kind", ["aiter_raw", "aiter_bytes"])
def test_closing_an_iterator_closes_what_it_reads(kind: str) -> None:
    """At once, as far as the HTTP library does so: of what is left to it trio, for one, complains."""
    expected = _left_to_the_loop(kind)
    watched = Watched()
    try:
        assert _left_to_the_loop(kind) == expected
        assert [record.abandoned for record in watched.records] == [True]
    finally:
        watched.close()
