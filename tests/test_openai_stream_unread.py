"""Usage that had arrived with what a program, or the SDK's helper, did not read of a stream any more."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from openai_forms_kit import async_client_of, client_of
from spantally.ground import guard
from spantally.instrumentors.openai.call import OpenAICall
from spantally.testing import Reply, ScriptedServer
from watching import Watched, attributes

IN, OUT = 11, 7
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
USAGE = {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT}
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}


class Answer(BaseModel):
    """What the helpers parse."""

    number: int


def _lines(events: list[Any]) -> bytes:
    pieces = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return b"".join(b"data: " + piece + b"\n\n" for piece in [*pieces, b"[DONE]"])


def chunks(text: str = "not a number", usage: Any = USAGE, each: Any = None) -> list[Any]:
    """A stream of a chat completion."""
    told: list[tuple[dict[str, Any], str | None]] = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": text}, None),
        ({}, "stop"),
    ]
    made = [
        {**HEAD, "usage": each, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in told
    ]
    return [*made, {**HEAD, "choices": [], "usage": usage}]


def events(text: str = "not a number") -> list[Any]:
    """A stream of the Responses API."""
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
               "content": [{"type": "output_text", "text": text, "annotations": []}]}  # fmt: skip
    whole = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-4o", "status": "completed",
             "output": [message], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
             "usage": {"input_tokens": IN, "output_tokens": OUT, "total_tokens": IN + OUT}}  # fmt: skip
    began = {**whole, "status": "in_progress", "output": [], "usage": None}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": began},
        {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}},
        {"type": "response.content_part.added", **at, "part": part},
        {"type": "response.output_text.delta", **at, "delta": text, "logprobs": []},
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
        {"type": "response.completed", "response": whole},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(told)]


def at_once(told: list[Any]) -> Reply:
    """All of a stream in one piece."""
    return Reply(body=_lines(told), headers={"content-type": "text/event-stream"})


def _until_reason(client: openai.OpenAI) -> None:
    for chunk in client.chat.completions.create(**CHAT, stream=True):
        if chunk.choices[0].finish_reason is not None:
            break


async def _until_reason_async(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(**CHAT, stream=True)
    async for chunk in stream:
        if chunk.choices[0].finish_reason is not None:
            break
    await stream.close()


def _first_event(client: openai.OpenAI) -> None:
    with client.responses.create(model="gpt-4o", input="x", stream=True) as stream:
        next(iter(stream))


def _to_its_end(client: openai.OpenAI) -> None:
    list(client.chat.completions.create(**CHAT, stream=True))


def _parsing_chat(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(**CHAT, response_format=Answer) as stream:
        list(stream)


async def _parsing_chat_async(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(**CHAT, response_format=Answer) as stream:
        _ = [event async for event in stream]


def _parsing(client: openai.OpenAI) -> None:
    with client.responses.stream(model="gpt-4o", input="x", text_format=Answer) as stream:
        list(stream)


async def _parsing_async(client: openai.AsyncOpenAI) -> None:
    async with client.responses.stream(model="gpt-4o", input="x", text_format=Answer) as stream:
        _ = [event async for event in stream]


BROKEN = [*chunks()[:1], b'{"id": "broken', *chunks()[1:]]
FORMS: dict[str, tuple[Callable[[Any], Any], list[Any], str, list[str]]] = {
    "left at its finish reason": (_until_reason, chunks(), "ok", ["stop"]),
    "left at its finish reason, async": (_until_reason_async, chunks(), "ok", ["stop"]),
    "left at its first event": (_first_event, events(), "ok", ["error"]),
    "not parsed": (_parsing_chat, chunks(), "ok", ["error"]),
    "not parsed, async": (_parsing_chat_async, chunks(), "ok", ["error"]),
    "response not parsed": (_parsing, events(), "ok", ["error"]),
    "response not parsed, async": (_parsing_async, events(), "ok", ["error"]),
    "broken on its way": (_to_its_end, BROKEN, "error", ["error"]),
}


def run(form: Callable[[Any], Any], reply: Reply) -> str | None:
    """Run a form; its failure, if any, is the program's."""

    async def run_async(server: ScriptedServer) -> None:
        async with async_client_of(server) as client:
            await form(client)

    with ScriptedServer(reply) as server:
        try:
            if asyncio.iscoroutinefunction(form):
                asyncio.run(run_async(server))
            else:
                with client_of(server) as client:
                    form(client)
        except Exception as error:
            return repr(error)
        finally:
            gc.collect()  # a stream of the SDK is a cycle
    return None


@pytest.mark.parametrize("form", FORMS)
def test_usage_that_had_arrived_is_metered(form: str, watched: Watched) -> None:
    """It is what the provider told; that the stream was left, and what was not read of it, stays so."""
    program, told, status, reasons = FORMS[form]
    raised = run(program, at_once(told))
    (record,), (span,) = watched.records, watched.spans
    assert (record.status, record.abandoned) == (status, status == "ok")
    assert not record.possibly_billed
    seen = attributes(span)
    assert (seen["gen_ai.usage.input_tokens"], seen["gen_ai.usage.output_tokens"]) == (IN, OUT)
    assert seen["gen_ai.response.finish_reasons"] == reasons
    assert "spantally.call.possibly_billed" not in seen
    watched.close()
    assert run(program, at_once(told)) == raised
    assert (raised is None) == ("left" in form)


@pytest.mark.parametrize("policy", ["unknown", "estimate"])
def test_usage_that_had_not_arrived_is_not_known(policy: str) -> None:
    """Nobody waits for it: the call may have been billed, or is estimated where that is asked for."""
    watched = Watched(stream_usage=policy)
    try:
        run(_until_reason, Reply(text="one two three"))
        (record,) = watched.records
        assert (record.abandoned, record.estimated) == (True, policy == "estimate")
        assert record.possibly_billed == (policy == "unknown")
        assert (record.usage is None) == (policy == "unknown")
    finally:
        watched.close()


def test_what_had_arrived_goes_before_an_estimate() -> None:
    """It is exact."""
    watched = Watched(stream_usage="estimate")
    try:
        run(_until_reason, at_once(chunks()))
        (record,) = watched.records
        assert (record.usage, record.estimated) == (USAGE, False)
    finally:
        watched.close()


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, 1),
        ({"prompt_tokens": IN, "completion_tokens": 3, "total_tokens": IN + 3}, 3),
    ],
)
def test_usage_that_grows_with_the_chunks_is_the_newest(
    last: dict[str, int], expected: int, watched: Watched
) -> None:
    """Of hosts that repeat it; zeros that end a stream take nothing back."""
    growing = {"prompt_tokens": IN, "completion_tokens": 1, "total_tokens": IN + 1}
    run(_until_reason, at_once(chunks(usage=last, each=growing)))
    (record,) = watched.records
    assert record.usage is not None
    assert record.usage["completion_tokens"] == expected


def test_a_rest_that_cannot_be_read_changes_nothing(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read stands."""

    def fail(*_: Any) -> Any:
        raise RuntimeError("made up")

    monkeypatch.setattr(OpenAICall, "joined_facts", fail)
    with contextlib.suppress(Exception):
        run(_until_reason, at_once(chunks()))
    (record,) = watched.records
    assert (record.response_id, record.usage, record.possibly_billed) == ("chatcmpl-1", None, True)
    assert {place for place, _ in guard.failures} == {"sdk.unread"}
