"""What of the calls of an Anthropic client may have been billed, by the same rule as those of OpenAI's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import anthropic
import pytest

from anthropic_forms_kit import ASK, async_client_of, client_of
from spantally.ground.records import possibly_billed
from spantally.testing import Reply, ScriptedServer
from watching import Watched, attributes

EVENTS = {"content-type": "text/event-stream"}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m"}
STARTED: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "stop_reason": None, "stop_sequence": None}}
]
BEGUN: list[dict[str, Any]] = [
    *STARTED,
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one"}},
]


@pytest.fixture
def watched() -> Iterator[Watched]:
    """An active spantally."""
    made = Watched()
    yield made
    made.close()


def sse(events: Sequence[dict[str, Any]]) -> bytes:
    """Events as bytes."""
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


def ask(server: ScriptedServer, mode: str, *, stream: bool, retries: int = 0) -> None:
    """One call, read to its end, whatever that is."""
    if mode == "bytes":
        with client_of(server, max_retries=retries) as client:
            asked = client.messages.with_streaming_response.create(**ASK, stream=stream)
            with asked as response:
                assert b"".join(response.iter_bytes())
        return

    with pytest.raises(anthropic.APIError):
        (_ask_async if mode == "async" else _ask)(server, stream, retries)


def _ask(server: ScriptedServer, stream: bool, retries: int) -> None:
    with client_of(server, max_retries=retries) as client:
        made: Any = client.messages.create(**ASK, stream=stream)
        assert not stream or list(made)


def _ask_async(server: ScriptedServer, stream: bool, retries: int) -> None:
    async def call() -> None:
        async with async_client_of(server, max_retries=retries) as client:
            made: Any = await client.messages.create(**ASK, stream=stream)
            assert not stream or [event async for event in made]

    asyncio.run(call())


@pytest.mark.parametrize("mode", ["sync", "async", "bytes"])
@pytest.mark.parametrize("kind", ["overloaded_error", "rate_limit_error", "api_error"])
@pytest.mark.parametrize("before", ["nothing", "start", "content"])
def test_a_stream_that_tells_of_an_error(before: str, kind: str, mode: str, watched: Watched) -> None:
    """What came was made; where nothing had come, the kind of the error says whether anybody worked on it."""
    error = {"type": "error", "error": {"type": kind, "message": "no"}}
    came = {"nothing": [], "start": STARTED, "content": BEGUN}[before]
    with ScriptedServer(Reply(body=sse([*came, error]), headers=EVENTS)) as server:
        ask(server, mode, stream=True)
    (record,) = watched.records
    assert (record.status, record.error_type, record.usage) == ("error", kind, None)
    assert record.possibly_billed is (before == "content" or kind == "api_error")


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "billed"), [(500, True), (529, False), (429, False)])
def test_the_last_attempt_and_those_before_it_are_of_one_rule(
    status: int, billed: bool, stream: bool, mode: str, watched: Watched
) -> None:
    """A server error may have been billed, whichever attempt met it; a rejection never is."""
    refused = Reply(status=status, headers={"retry-after-ms": "1"}, error={"message": "no"})
    with ScriptedServer([refused, refused]) as server:
        ask(server, mode, stream=stream, retries=1)
    (record,) = watched.records
    assert (record.status, record.attempts) == ("error", 2)
    assert possibly_billed(record) is billed
    (span,) = watched.spans
    (failed,) = [attributes(event) for event in span.events if event.name == "spantally.attempt.failed"]
    assert failed.get("spantally.attempt.possibly_billed", False) is billed


@pytest.mark.parametrize("mode", ["sync", "async", "bytes"])
def test_a_whole_answer_to_a_stream_is_metered(mode: str, watched: Watched) -> None:
    """A server that streams nothing: the SDK finds no event in its JSON, and the provider bills it."""
    usage = {"input_tokens": 11, "output_tokens": 7}
    body = json.dumps({**MESSAGE, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}).encode()
    with ScriptedServer(Reply(body=body, headers={"content-type": "application/json"})) as server:
        if mode == "async":

            async def call() -> list[Any]:
                async with async_client_of(server) as client:
                    return [event async for event in await client.messages.create(**ASK, stream=True)]

            assert asyncio.run(call()) == []
        elif mode == "sync":
            with client_of(server) as client:
                assert list(client.messages.create(**ASK, stream=True)) == []
        else:
            ask(server, mode, stream=True)
    (record,) = watched.records
    assert (record.status, record.usage, record.possibly_billed) == ("ok", usage, False)
