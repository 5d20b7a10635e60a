"""A stream of a message in every way that it can end: one span, one row, a true status, no usage lost."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from anthropic_forms_kit import ASK, INPUT, OUTPUT, TRACES_ITSELF, USAGE, async_client_of, client_of
from spantally.ground.money import CostStatus
from spantally.pricing.rate import rate
from spantally.testing import Reply, ScriptedServer
from watching import Watched, attributes

KINDS: dict[str, Callable[[Any], Any]] = {
    "create": lambda c: c.messages.create(**ASK, stream=True),
    "beta": lambda c: c.beta.messages.create(**ASK, stream=True),
}
TRACERS = ["ours", "native"] if TRACES_ITSELF else ["ours"]


class Ended(NamedTuple):
    """What the span and the row of an ending are to say."""

    status: str = "ok"
    abandoned: bool = False
    error: str | None = None
    events: int = 0
    """How many events were read: from the first on the input is known."""


ENDS = {
    "exhausted": Ended(events=99),
    "broken off": Ended(abandoned=True, events=1),
    "closed": Ended(abandoned=True, events=1),
    "left by with": Ended(abandoned=True, events=1),
    "collected": Ended(abandoned=True, events=1),
    "never read": Ended(abandoned=True),
    "lost": Ended("error", error="*", events=1),
    "overloaded": Ended("error", error="overloaded_error", events=1),
}
LEFT = [name for name, ended in ENDS.items() if ended.abandoned]


def _reply(ending: str) -> Reply:
    if ending == "overloaded":
        return Reply(text="one two", usage=USAGE, error={"type": "overloaded_error", "message": "Overloaded"})
    return Reply(text="one two three", usage=USAGE, drop_after_chunks=4 if ending == "lost" else None)


def _options(watched: Watched, tracer: str) -> dict[str, Any]:
    return {"open_telemetry": {"tracer_provider": watched.provider}} if tracer == "native" else {}


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
    elif ending in ("lost", "overloaded"):
        with pytest.raises(Exception):  # which one depends on the SDK
            list(stream)


async def end_async(stream: Any, ending: str) -> None:
    """End an asynchronous stream."""
    if ending == "exhausted":
        assert [event async for event in stream]
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
    elif ending in ("lost", "overloaded"):
        with pytest.raises(Exception):  # which one depends on the SDK
            [event async for event in stream]


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("ending", ENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_ends_once_and_truly(watched: Watched, kind: str, ending: str, tracer: str) -> None:
    """Synchronous, whoever makes the span."""
    with (
        ScriptedServer([_reply(ending)]) as server,
        client_of(server, **_options(watched, tracer)) as client,
    ):
        end_sync(KINDS[kind](client), ending)
        gc.collect()
        check(watched, ending, tracer)


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("ending", ENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_asynchronous_stream_ends_once_and_truly(
    watched: Watched, kind: str, ending: str, tracer: str
) -> None:
    """The same on an event loop."""

    async def run(server: ScriptedServer) -> None:
        async with async_client_of(server, **_options(watched, tracer)) as client:
            stream = await KINDS[kind](client)
            await end_async(stream, ending)
            del stream
            gc.collect()
            await asyncio.sleep(0)

    with ScriptedServer([_reply(ending)]) as server:
        asyncio.run(run(server))
    gc.collect()
    check(watched, ending, tracer)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_cancelled_stream_ends_once_and_truly(watched: Watched, tracer: str) -> None:
    """The task that reads it is cancelled while it waits for more."""
    reply = Reply(text="one two three", usage=USAGE, chunk_delay=20)

    async def run(server: ScriptedServer) -> None:
        async with async_client_of(server, **_options(watched, tracer)) as client:
            waiting = asyncio.Event()

            async def read() -> None:
                stream = await KINDS["create"](client)
                async for _ in stream:
                    waiting.set()

            task = asyncio.create_task(read())
            await waiting.wait()
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with ScriptedServer([reply]) as server:
        asyncio.run(run(server))
    (record,) = watched.records
    assert (record.status, record.usage["input_tokens"]) == ("cancelled", INPUT - 10)  # type: ignore[index]
    assert len(watched.spans) == 1


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_manager_that_is_left_early_is_abandoned(watched: Watched, tracer: str) -> None:
    """``with messages.stream()`` whose body stops reading."""
    with (
        ScriptedServer([_reply("closed")]) as server,
        client_of(server, **_options(watched, tracer)) as client,
    ):
        with client.messages.stream(**ASK) as stream:
            next(iter(stream))
        check(watched, "closed", tracer)


def check(watched: Watched, ending: str, tracer: str) -> None:
    """One row and one span that say so; of what was read the usage is kept, and its rest is unknown."""
    expected = ENDS[ending]
    (record,) = watched.records
    (span,) = watched.spans
    told = attributes(span)
    assert (record.status, record.abandoned) == (expected.status, expected.abandoned)
    assert record.error_type == expected.error or (expected.error == "*" and record.error_type)
    assert record.span_id == span.span_id.hex()
    assert told["spantally.call.id"] == record.call_id
    if tracer == "ours":
        assert span.status.code == (2 if expected.error else 0)
        assert told.get("spantally.call.abandoned") == (True if expected.abandoned else None)
        assert ("error.type" in told) == (expected.error is not None)
    if expected.events > 1:
        assert told["gen_ai.usage.input_tokens"] == INPUT
        assert told["gen_ai.usage.output_tokens"] == OUTPUT
        assert told["gen_ai.response.finish_reasons"] == ["stop"]
        assert rate(record).status == CostStatus.PRICED
    elif expected.events:
        # The first event counts the input; its count of the output is none.
        assert record.usage is not None
        assert record.usage["input_tokens"] == INPUT - 10
        assert "output_tokens" not in record.usage
        assert rate(record).status == "partial:output"
        assert not record.possibly_billed
    else:
        assert record.usage is None
        assert record.possibly_billed


def test_usage_that_had_arrived_unread_is_metered(watched: Watched) -> None:
    """Where the last event came with the first, what was put out is known, though nobody read it."""
    told: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-4-5",
                "content": [],
                "stop_reason": None,
                "usage": {"input_tokens": 11, "output_tokens": 1, "cache_read_input_tokens": 5},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]
    body = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in told)
    reply = Reply(body=body, headers={"content-type": "text/event-stream"})
    with ScriptedServer(reply) as server, client_of(server) as client:
        with client.messages.create(**ASK, stream=True) as stream:
            next(iter(stream))
        (record,) = watched.records
    assert record.abandoned
    assert record.usage == {"input_tokens": 11, "output_tokens": 7, "cache_read_input_tokens": 5}
    assert rate(record).status == CostStatus.PRICED
