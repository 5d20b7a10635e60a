"""Calls of the Anthropic SDK in every form, with and without us, and what a program could notice of them."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import anthropic

from openai_forms_kit import Outcome, sent
from openai_forms_kit import plain as plain_value
from spantally.testing import Reply, ScriptedServer, ToolCall, Usage
from spantally.testing.script import ScriptSource
from watching import Watched

KEY = "sk-ant-made-up-for-tests-0001"
MODEL = "claude-sonnet-5-5"
VERSION = tuple(int(part) for part in anthropic.__version__.split(".")[:2])
TRACES_ITSELF = "open_telemetry" in inspect.signature(anthropic.Anthropic.__init__).parameters
"""Whether this version of the SDK makes spans of its own."""

INPUT, OUTPUT, CACHED, THOUGHT = 30, 9, 10, 4
USAGE = Usage(input=INPUT, output=OUTPUT, cached=CACHED, reasoning=THOUGHT)
ASK: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "hello there"}],
}
TOOL: dict[str, Any] = {
    "name": "lookup",
    "description": "Looks a word up.",
    "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}},
}
ANSWER = Reply(text="the answer is four", usage=USAGE, response_id="msg_fixed")
CALLS_TOOL = Reply(tool_calls=(ToolCall("lookup", {"word": "x"}, id="toolu_1"),), usage=USAGE)


def client_of(server: ScriptedServer, **options: Any) -> anthropic.Anthropic:
    """A synchronous client of a scripted server; it traces itself only where asked to."""
    return anthropic.Anthropic(**_options(server, options))


def async_client_of(server: ScriptedServer, **options: Any) -> anthropic.AsyncAnthropic:
    """An asynchronous client of a scripted server."""
    return anthropic.AsyncAnthropic(**_options(server, options))


def _options(server: ScriptedServer, options: dict[str, Any]) -> dict[str, Any]:
    silent = {"open_telemetry": False} if TRACES_ITSELF else {}
    return {"base_url": server.anthropic_url, "api_key": KEY, "max_retries": 0, **silent, **options}


def run_sync(form: Callable[[Any], Any], server: ScriptedServer, **options: Any) -> Outcome:
    """Run a form; what it returns is read to its end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with client_of(server, **options) as client:
            made = form(client)
            kind = type(made)
            if hasattr(made, "http_response"):
                made = [kind.__name__, made.status_code, made.parse()]
            made = [list(one) if isinstance(one, anthropic.Stream) else one for one in _listed(made)]
    return Outcome(plain(made), kind, _texts(caught), sent(server))


def run_async(form: Callable[[Any], Any], server: ScriptedServer, **options: Any) -> Outcome:
    """The same with the asynchronous client."""

    async def run() -> tuple[Any, type]:
        async with async_client_of(server, **options) as client:
            made = form(client)
            if inspect.isawaitable(made):
                made = await made
            kind = type(made)
            if hasattr(made, "http_response"):
                parsed = made.parse()
                parsed = await parsed if inspect.isawaitable(parsed) else parsed
                made = [kind.__name__, made.status_code, parsed]
            read = []
            for one in _listed(made):
                if isinstance(one, anthropic.AsyncStream):
                    read.append([event async for event in one])
                else:
                    read.append(one)
        return read, kind

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made, kind = asyncio.run(run())
    return Outcome(plain(made), kind, _texts(caught), sent(server))


RUNS: dict[str, Callable[..., Outcome]] = {"sync": run_sync, "async": run_async}


def unwatched(
    form: Callable[[Any], Any], script: ScriptSource, run: Callable[..., Outcome], **options: Any
) -> Outcome:
    """The outcome of a form on a fresh server, nothing of ours being active."""
    with ScriptedServer(script) as server:
        return run(form, server, **options)


def watched_run(
    form: Callable[[Any], Any],
    script: ScriptSource,
    run: Callable[..., Outcome],
    *,
    client: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[Outcome, Watched, ScriptedServer]:
    """The outcome of a form on a fresh server under our eyes, and what we saw; all is taken back.

    ``client`` are options of the client, ``options`` those of ``instrument()``.
    """
    with ScriptedServer(script) as server:
        watched = Watched(**options)
        try:
            outcome = run(form, server, **(client or {}))
            assert watched.records is not None  # flushes the worker
        finally:
            watched.close()
    return outcome, watched, server


def native(watched: Watched) -> dict[str, Any]:
    """Options of a client that traces itself where we report to."""
    return {"open_telemetry": {"tracer_provider": watched.provider}}


def _listed(made: Any) -> list[Any]:
    return made if isinstance(made, list) else [made]


def plain(value: Any) -> Any:
    """A result by types and values, its address on this run's server aside."""
    return plain_value(value)


def _texts(caught: list[warnings.WarningMessage]) -> list[str]:
    return [
        f"{one.category.__name__}: {one.message}" for one in caught if one.category is not ResourceWarning
    ]
