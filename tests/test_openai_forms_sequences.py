"""Programs of several calls, each needing what the one before gave: nothing changed, a span a request."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import openai
import pytest

from openai_forms_kit import KEY, Outcome, plain, run_async, run_sync, unwatched, watched_run
from spantally.testing import Reply, Usage
from watching import attributes

Step: TypeAlias = Callable[[Any, list[Any]], Any]
"""A call of either client, with the results so far."""

CHAT: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}
LINE = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": CHAT}).encode()
THINK: Any = {"model": "gpt-4o", "input": "think", "background": True}


def _azure(client: Any) -> Any:
    """An Azure client on the connections of another."""
    kind: Any = openai.AzureOpenAI if isinstance(client, openai.OpenAI) else openai.AsyncAzureOpenAI
    return kind(
        azure_endpoint=str(client.base_url).removesuffix("/v1/"),
        api_key=KEY,
        api_version="2025-01-01-preview",
        http_client=client._client,
        max_retries=0,
    )


SEQUENCES: dict[str, list[Step]] = {
    "a response that is polled": [
        lambda c, so_far: c.responses.create(**THINK),
        lambda c, so_far: c.responses.retrieve(so_far[0].id),
        lambda c, so_far: c.responses.retrieve(so_far[0].id),
        lambda c, so_far: c.responses.retrieve(so_far[0].id, include=["reasoning.encrypted_content"]),
    ],
    "a response that is polled as a stream": [
        lambda c, so_far: c.responses.create(**THINK),
        lambda c, so_far: c.responses.retrieve(so_far[0].id, stream=True),
        lambda c, so_far: c.responses.retrieve(so_far[0].id, stream=True, starting_after=1),
    ],
    "a response that is cancelled": [
        lambda c, so_far: c.responses.create(**THINK),
        lambda c, so_far: c.responses.cancel(so_far[0].id),
        lambda c, so_far: c.responses.retrieve(so_far[0].id),
    ],
    "a response that is read again": [
        lambda c, so_far: c.responses.create(model="gpt-4o", input="hi"),
        lambda c, so_far: c.responses.with_raw_response.retrieve(so_far[0].id),
        lambda c, so_far: c.responses.retrieve(so_far[0].id, stream=True),
        lambda c, so_far: c.responses.input_items.list(so_far[0].id),
        lambda c, so_far: c.responses.create(
            model="gpt-4o", input="go on", previous_response_id=so_far[0].id
        ),
        lambda c, so_far: c.responses.delete(so_far[0].id),
        lambda c, so_far: c.responses.retrieve(so_far[0].id),
    ],
    "a background stream": [
        lambda c, so_far: c.responses.create(**THINK, stream=True),
        lambda c, so_far: c.responses.retrieve(so_far[0][0].response.id),
    ],
    "a stored chat": [
        lambda c, so_far: c.chat.completions.create(**CHAT, store=True),
        lambda c, so_far: c.chat.completions.retrieve(so_far[0].id),
    ],
    "a conversation": [
        lambda c, so_far: c.conversations.create(),
        lambda c, so_far: c.conversations.items.create(
            so_far[0].id, items=[{"role": "user", "content": "hi"}]
        ),
        lambda c, so_far: c.responses.create(model="gpt-4o", input="hi", conversation=so_far[0].id),
        lambda c, so_far: c.conversations.items.list(so_far[0].id),
        lambda c, so_far: c.conversations.delete(so_far[0].id),
    ],
    "a batch": [
        lambda c, so_far: c.files.create(file=("in.jsonl", LINE), purpose="batch"),
        lambda c, so_far: c.batches.create(
            input_file_id=so_far[0].id, endpoint="/v1/chat/completions", completion_window="24h"
        ),
        lambda c, so_far: c.batches.retrieve(so_far[1].id),
        lambda c, so_far: c.files.content(so_far[2].output_file_id),
        lambda c, so_far: c.batches.list(),
        lambda c, so_far: c.batches.cancel(so_far[1].id),
    ],
    "a file": [
        lambda c, so_far: c.files.create(file=("a.txt", b"text"), purpose="user_data"),
        lambda c, so_far: c.files.retrieve(so_far[0].id),
        lambda c, so_far: c.files.content(so_far[0].id),
        lambda c, so_far: c.files.delete(so_far[0].id),
    ],
    "a run of an assistant": [
        lambda c, so_far: c.beta.threads.runs.create("thread_1", assistant_id="asst_1", model="gpt-4o"),
        lambda c, so_far: c.beta.threads.runs.retrieve(so_far[0].id, thread_id="thread_1"),
        lambda c, so_far: c.beta.threads.runs.retrieve(so_far[0].id, thread_id="thread_1"),
    ],
    "Azure": [
        lambda c, so_far: _azure(c).chat.completions.create(**CHAT),
        lambda c, so_far: _azure(c).chat.completions.create(**CHAT, stream=True),
        lambda c, so_far: _azure(c).chat.completions.with_raw_response.create(**CHAT),
        lambda c, so_far: _azure(c).responses.create(model="gpt-4o", input="hi"),
        lambda c, so_far: _azure(c).embeddings.create(model="text-embedding-3-small", input="a"),
        lambda c, so_far: _azure(c).images.generate(model="gpt-image-1", prompt="a cat"),
        lambda c, so_far: _azure(c).with_options(timeout=9).chat.completions.create(**CHAT),
    ],
}


async def _go_async(client: Any, steps: list[Step]) -> Any:
    so_far: list[Any] = []
    for step in steps:
        try:
            made = step(client, so_far)
            if inspect.isawaitable(made):
                made = await made
            if isinstance(made, openai.AsyncStream):
                made = [event async for event in made]
        except openai.APIStatusError as error:
            made = type(error).__name__, str(error)
        so_far.append(made)
    return plain(so_far)


def _go(client: Any, steps: list[Step]) -> Any:
    so_far: list[Any] = []
    for step in steps:
        try:
            made = step(client, so_far)
            if isinstance(made, openai.Stream):
                made = list(made)
        except openai.APIStatusError as error:
            made = type(error).__name__, str(error)
        so_far.append(made)
    return plain(so_far)


RUNS: dict[str, tuple[Callable[..., Outcome], Callable[..., Any]]] = {
    "sync": (run_sync, _go),
    "async": (run_async, _go_async),
}


@pytest.mark.parametrize("mode", RUNS)
@pytest.mark.parametrize("name", SEQUENCES)
def test_a_program_of_several_calls_is_as_without_us(name: str, mode: str) -> None:
    """Same results, types, warnings and requests; a span and a call id for each request."""
    run, go = RUNS[mode]
    reply = Reply(text="the answer", usage=Usage(input=11, output=7))

    def form(client: Any) -> Any:
        return go(client, SEQUENCES[name])

    expected = unwatched(form, reply, run)
    for capture in ("no_content", "span_only"):
        outcome, watched, server = watched_run(form, reply, run, capture_content=capture)
        assert outcome == expected
        assert len(watched.spans) == len(server.requests) == len(SEQUENCES[name])
        called = {attributes(span)["spantally.call.id"] for span in watched.spans}
        assert len(called) == len(watched.spans)
        provider = {record.provider for record in watched.records}
        assert provider <= {"azure.ai.openai" if name == "Azure" else "openai"}
