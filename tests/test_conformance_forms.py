"""Our own spans against the conventions: every call form, judged by the bytes that were exported."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import openai
import pytest

import spantally
import test_openai_forms as forms
from conformance_kit import of_payloads
from spantally.conformance import Finding
from spantally.testing import Reply, ScriptedServer
from watching import Watched

UNNAMED = "gen_ai.embeddings.dimension.count is missing; it is expected where the request names it"
"""What is said of embeddings whose request, like those of the forms, names no dimensions."""


def judged(run: Callable[[openai.OpenAI], Any], *replies: Reply, **settings: Any) -> list[Finding]:
    """The findings on what a run exported, but for those that the request itself explains."""

    def call(server: ScriptedServer) -> None:
        with forms.client_of(server) as client:
            run(client)

    return judged_at(call, *replies, **settings)


def judged_at(run: Callable[[ScriptedServer], Any], *replies: Reply, **settings: Any) -> list[Finding]:
    """The same for a run that makes its client itself."""
    with ScriptedServer(list(replies) or [forms.reply()]) as server:
        watched = Watched(**settings)
        try:
            run(server)
            gc.collect()
            watched.exported()
            return [one for one in of_payloads(watched.exporter.payloads) if one.message != UNNAMED]
        finally:
            watched.close()


@pytest.mark.parametrize("capture", ["no_content", "span_only"])
@pytest.mark.parametrize("form", forms.SYNC_FORMS)
def test_sync_form_conforms(form: str, capture: str) -> None:
    """The span of a synchronous form has no finding, without content and with it."""
    assert judged(forms.SYNC_FORMS[form], capture_content=capture) == []


@pytest.mark.parametrize("capture", ["no_content", "span_only"])
@pytest.mark.parametrize("form", forms.ASYNC_FORMS)
def test_async_form_conforms(form: str, capture: str) -> None:
    """The span of an asynchronous form likewise."""

    async def call(server: ScriptedServer) -> None:
        async with forms.async_client_of(server) as client:
            await forms.ASYNC_FORMS[form](client)

    assert judged_at(lambda server: asyncio.run(call(server)), capture_content=capture) == []


def test_dimensions_that_are_asked_for_are_told() -> None:
    """Embeddings whose request names its dimensions have no finding at all."""

    with ScriptedServer() as server, forms.client_of(server) as client:
        watched = Watched()
        try:
            client.embeddings.create(model="text-embedding-3-small", input="a", dimensions=8)
            watched.exported()
            assert of_payloads(watched.exporter.payloads) == []
        finally:
            watched.close()


@pytest.mark.parametrize("end", [forms._break, forms._close, forms._with_exit, forms._collected])
def test_stream_left_early_conforms(end: Callable[[openai.OpenAI], None]) -> None:
    """A stream that is left early says so in its finish reasons, and nothing more is expected of it."""
    assert judged(end) == []


def test_failures_conform() -> None:
    """A refused call and a lost connection give error.type, status ERROR, and nothing else to find."""

    def run(client: openai.OpenAI) -> None:
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(**forms.CHAT)
        with pytest.raises(Exception):
            list(client.chat.completions.create(**forms.CHAT, stream=True))

    refused = Reply(status=429, error={"message": "slow down", "code": "rate_limit_exceeded"})
    assert judged(run, refused, Reply(text="one two three four", drop_after_chunks=2)) == []


def test_stream_without_usage_is_a_warning_only() -> None:
    """A stream that was not asked for usage is warned of, since its provider sent none."""

    def run(client: openai.OpenAI) -> None:
        list(client.chat.completions.create(**forms.CHAT, stream=True))

    assert {(one.severity.value, one.rule) for one in judged(run)} == {("warning", "GENAI-STREAM-USAGE")}


def test_conversation_with_tools_and_media_conforms() -> None:
    """Roles, tool calls, tool results, images and tool definitions have the shape of the schemas."""
    messages: Any = [
        {"role": "developer", "content": "be brief"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "a cat"},
    ]
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]

    def run(client: openai.OpenAI) -> None:
        client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)

    assert judged(run, capture_content="span_only") == []


def test_tools_conform() -> None:
    """Spans of our tool decorator have no finding, also where the tool fails."""

    @spantally.tool
    def look(at: str) -> str:
        """Look at something."""
        if at == "nothing":
            raise ValueError(at)
        return at

    def run(client: openai.OpenAI) -> None:
        look("cat")
        with pytest.raises(ValueError, match="nothing"):
            look("nothing")

    assert judged(run, capture_content="span_only") == []
