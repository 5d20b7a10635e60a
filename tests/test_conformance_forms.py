"""Our own spans and events against the conventions: every call form, judged by the exported bytes."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import openai
import pytest

import spantally
import test_openai_endpoints_forms as endpoints
import test_openai_endpoints_later as later
import test_openai_forms as forms
from conformance_kit import Judged
from spantally.instrumentors.openai import background
from spantally.testing import Reply, ScriptedServer, Usage
from spantally.testing.loopback import Connection, LoopbackServer
from watching import attributes

STATES: dict[str, dict[str, Any]] = {
    f"{profile} {capture}": {"semconv": profile, "capture_content": capture}
    for profile in ("latest", "1.41")
    for capture in ("no_content", "span_and_event")
}
"""Profiles, without content and with all of it, as attributes and as events."""

in_every_state = pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
without_warnings = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Form = Callable[[Any], Any]


@contextmanager
def judged(state: dict[str, Any]) -> Iterator[Judged]:
    """What leaves is judged when the block ends."""
    background.forget()
    seen = Judged(**state)
    try:
        yield seen
        gc.collect()
        assert seen.findings() == []
    finally:
        seen.close()


@contextmanager
def callers(server: Any, mode: str) -> Iterator[Callable[[Form], None]]:
    """What calls a form, with one client for all of them, and reads what comes to its end."""
    if mode == "sync":
        with forms.client_of(server) as client:

            def call(form: Form) -> None:
                made = form(client)
                if isinstance(made, openai.Stream):
                    list(made)

            yield call
        return
    with asyncio.Runner() as runner:
        own = forms.async_client_of(server)

        async def read(form: Form) -> None:
            made = form(own)
            if inspect.isawaitable(made):
                made = await made
            if isinstance(made, openai.AsyncStream):
                async for _ in made:
                    pass

        try:
            yield lambda form: runner.run(read(form))
        finally:
            runner.run(own.close())


def found_on(forms_: Mapping[str, Form], state: dict[str, Any], run: Callable[[Form], Any]) -> dict[str, Any]:
    """The findings on each form, and what was not seen at all; empty where all conform.

    Args:
        forms_: by name.
        state: settings.
        run: calls a form.
    """
    background.forget()
    seen = Judged(**state)
    found: dict[str, Any] = {}
    try:
        for name, form in forms_.items():
            seen.exporter.payloads.clear()
            seen.logs.payloads.clear()
            run(form)
            seen.exported()
            if not seen.exporter.payloads:
                found[name] = "no span"
                continue
            findings = seen.findings()
            if findings:
                found[name] = findings
    finally:
        seen.close()
    return found


ENDPOINTS: dict[str, Form] = {name: form.call for name, form in endpoints.FORMS.items()}
UNANSWERED = "unknown_with_model"
"""What the scripted server does not know."""
FORMS: dict[str, dict[str, Form]] = {
    "sync": {**forms.SYNC_FORMS, **ENDPOINTS},
    "async": {**forms.ASYNC_FORMS, **ENDPOINTS},
}
"""Every form of both kits; those of one name are the same call."""


@without_warnings
@in_every_state
@pytest.mark.parametrize("mode", FORMS)
def test_forms_conform(mode: str, state: dict[str, Any]) -> None:
    """No form has a finding: what its API does not supply is expected of nobody."""
    known = {name: form for name, form in FORMS[mode].items() if name != UNANSWERED}
    reply = Reply(text='{"text": "hi"}', usage=Usage(input=11, output=7))
    with ScriptedServer(reply) as server, callers(server, mode) as call:
        assert found_on(known, state, call) == {}


class Refusing(LoopbackServer):
    """Refuses or fails whatever it is asked, in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    @property
    def base_url(self) -> str:
        """Where a client finds it."""
        return self.url

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Answer."""
        self.asked += 1
        if self.asked % 2:
            connection.answer_json(401, {"error": {"message": "no such key", "code": "invalid_api_key"}})
        else:
            connection.answer_json(500, {"error": {"message": "oops", "type": "server_error"}})


@without_warnings
@in_every_state
@pytest.mark.parametrize("mode", FORMS)
def test_refused_calls_conform(mode: str, state: dict[str, Any]) -> None:
    """A refusal has error.type and the status ERROR on every endpoint, and nothing else to find."""
    with Refusing() as server, callers(server, mode) as call:

        def refused(form: Form) -> None:
            with pytest.raises(openai.APIStatusError):
                call(form)

        assert found_on(FORMS[mode], state, refused) == {}


ENDS = [forms._break, forms._close, forms._with_exit, forms._collected, forms._never_read, forms._raw_closed]


@in_every_state
def test_streams_left_early_conform(state: dict[str, Any]) -> None:
    """A stream that is left early says so in its finish reasons, and nothing more is expected of it."""
    with ScriptedServer(forms.reply()) as server:

        def run(end: Form) -> None:
            with forms.client_of(server) as client:
                end(client)
            gc.collect()

        assert found_on({end.__name__: end for end in ENDS}, state, run) == {}


@in_every_state
def test_broken_streams_conform(state: dict[str, Any]) -> None:
    """A stream whose task is cancelled, a lost connection, and a call that came through after retries."""

    async def cancelled(server: ScriptedServer) -> None:
        begun = asyncio.Event()

        async def read() -> None:
            async with forms.async_client_of(server) as client:
                async for _ in await client.chat.completions.create(**forms.CHAT, stream=True):
                    begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    broken = Reply(status=500, error={"message": "oops"})
    script = [
        Reply(text="one two three four", chunk_delay=5.0),
        Reply(text="one two three four", drop_after_chunks=2),
        broken,
        broken,
        Reply(text="fine"),
    ]
    with judged(state), ScriptedServer(script) as server, forms.client_of(server) as client:
        asyncio.run(cancelled(server))
        with pytest.raises(Exception):
            list(client.chat.completions.create(**forms.CHAT, stream=True))
        client.with_options(max_retries=2).chat.completions.create(**forms.CHAT)


def _cancel(client: openai.OpenAI) -> None:
    made = client.responses.create(model="gpt-4o", input="think", background=True)
    client.responses.cancel(made.id)


def _fetch(client: openai.OpenAI) -> None:
    made = client.chat.completions.create(**forms.CHAT, store=True)
    try:
        client.chat.completions.retrieve(made.id)
    except openai.NotFoundError:
        pass


@without_warnings
@in_every_state
def test_answers_made_later_conform(state: dict[str, Any]) -> None:
    """Background responses, their polls and cancellations, runs of assistants and their polls."""
    known: dict[str, Form] = {
        form.__name__: form for form in (later._poll, _cancel, later._run_and_poll, _fetch)
    }
    reply = Reply(text="thought", usage=Usage(input=11, output=7))
    with ScriptedServer(reply) as server, forms.client_of(server) as client:
        assert found_on(known, state, lambda form: form(client)) == {}


class Videos(LoopbackServer):
    """Takes orders for videos."""

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Answer."""
        job = {"id": "video_1", "object": "video", "model": "sora-2", "status": "queued", "progress": 0}
        connection.answer_json(200, {**job, "created_at": 1, "seconds": "4", "size": "720x1280"})


@without_warnings
@in_every_state
def test_videos_conform(state: dict[str, Any]) -> None:
    """A video that is ordered has its id, model and state; no tokens are expected of it."""
    with (
        judged(state) as seen,
        Videos() as server,
        openai.OpenAI(base_url=server.url, api_key="sk-x", max_retries=0) as client,
    ):
        client.videos.create(model="sora-2", prompt="a cat")
        told = attributes(seen.spans[0])
        assert (told["gen_ai.response.id"], told["gen_ai.response.model"]) == ("video_1", "sora-2")
        assert "gen_ai.response.finish_reasons" not in told


def test_streams_without_usage_have_a_warning_only() -> None:
    """A stream that was not asked for usage is warned of, since its provider sent none."""
    seen = Judged()
    try:
        with ScriptedServer([forms.reply()]) as server, forms.client_of(server) as client:
            list(client.chat.completions.create(**forms.CHAT, stream=True))
        found = {(one.severity.value, one.rule) for one in seen.findings()}
    finally:
        seen.close()
    assert found == {("warning", "GENAI-STREAM-USAGE")}


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
    for state in STATES.values():
        with judged(state), ScriptedServer([forms.reply()]) as server, forms.client_of(server) as client:
            client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)


@spantally.agent(name="failing")
def _fail(client: openai.OpenAI) -> None:
    client.chat.completions.create(**forms.CHAT)
    raise KeyError


def test_agents_and_tools_conform() -> None:
    """Nested agents with calls in threads, streams and failures, and tools that fail, have no finding."""

    @spantally.tool
    def look(at: str) -> str:
        """Look at something."""
        if at == "nothing":
            raise ValueError(at)
        return at

    for state in STATES.values():
        with (
            judged(state),
            ScriptedServer(forms.reply()) as server,
            forms.client_of(server) as client,
        ):
            with spantally.agent("planner", description="plans"), spantally.session("s"):
                client.chat.completions.create(**forms.CHAT)
                with spantally.agent("expert"):
                    thread = threading.Thread(
                        target=lambda: client.embeddings.create(model="text-embedding-3-small", input="a")
                    )
                    thread.start()
                    thread.join()
                look("cat")
                with pytest.raises(ValueError, match="nothing"):
                    look("nothing")
                forms._break(client)
                stream = client.chat.completions.create(**forms.CHAT, stream=True, stream_options=forms.USAGE)
            list(stream)
            with pytest.raises(KeyError):
                _fail(client)
            with spantally.agent("quiet"):
                pass
