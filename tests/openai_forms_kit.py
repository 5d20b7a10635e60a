"""Running one call form with and without us, and everything about it that a program could notice."""

from __future__ import annotations

import asyncio
import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import openai
from pydantic import BaseModel

from spantally.testing import Request, ScriptedServer
from spantally.testing.script import ScriptSource
from watching import Watched

KEY = "sk-made-up-for-tests-0001"
_OWN_TIME = frozenset({"idempotency-key", "host", "x-stainless-idempotency-key"})
_BOUNDARY = re.compile(rb"boundary=([^\s;]+)")


class Outcome(NamedTuple):
    """What a program gets from a form, in comparable form."""

    result: Any
    types: Any
    warnings: list[str]
    sent: list[Any]


def client_of(server: ScriptedServer, **options: Any) -> openai.OpenAI:
    """A synchronous client of a scripted server."""
    return openai.OpenAI(**{"base_url": server.base_url, "api_key": KEY, "max_retries": 0, **options})


def async_client_of(server: ScriptedServer, **options: Any) -> openai.AsyncOpenAI:
    """An asynchronous client of a scripted server."""
    return openai.AsyncOpenAI(**{"base_url": server.base_url, "api_key": KEY, "max_retries": 0, **options})


def run_sync(form: Callable[[Any], Any], server: ScriptedServer) -> Outcome:
    """Run a form; what it returns is read to its end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with client_of(server) as client:
            made = form(client)
            kind = type(made)
            if isinstance(made, openai.Stream):
                made = list(made)
    return Outcome(plain(made), kind, _texts(caught), sent(server))


def run_async(form: Callable[[Any], Any], server: ScriptedServer) -> Outcome:
    """The same with the asynchronous client."""

    async def run() -> tuple[Any, type]:
        async with async_client_of(server) as client:
            made = form(client)
            if inspect.isawaitable(made):
                made = await made
            kind = type(made)
            if isinstance(made, openai.AsyncStream):
                made = [chunk async for chunk in made]
        return made, kind

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made, kind = asyncio.run(run())
    return Outcome(plain(made), kind, _texts(caught), sent(server))


def unwatched(form: Callable[[Any], Any], script: ScriptSource, run: Callable[..., Outcome]) -> Outcome:
    """The outcome of a form on a fresh server, nothing of ours being active."""
    with ScriptedServer(script) as server:
        return run(form, server)


def watched_run(
    form: Callable[[Any], Any], script: ScriptSource, run: Callable[..., Outcome], **options: Any
) -> tuple[Outcome, Watched, ScriptedServer]:
    """The outcome of a form on a fresh server under our eyes, and what we saw; all is taken back.

    ``options`` are those of ``instrument()``.
    """
    with ScriptedServer(script) as server:
        watched = Watched(**options)
        try:
            outcome = run(form, server)
            assert watched.records is not None  # flushes the worker
        finally:
            watched.close()
    return outcome, watched, server


def plain(value: Any) -> Any:
    """A result by types and values."""
    if isinstance(value, BaseModel):
        return type(value).__qualname__, value.model_dump(mode="json", warnings=False)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "http_response"):  # a raw response
        return type(value).__name__, value.status_code, value.content, plain(value.parse())
    if hasattr(value, "content") and hasattr(value, "response"):
        return type(value).__name__, value.content
    return value


def sent(server: ScriptedServer) -> list[Any]:
    """Each request that the server got: all of it, but for what is drawn or told by the clock."""
    return [_normal(request) for request in server.requests]


def _normal(request: Request) -> Any:
    raw, headers = request.raw, dict(request.headers)
    found = _BOUNDARY.search(headers.get("content-type", "").encode())
    if found is not None:
        raw = raw.replace(found.group(1), b"BOUNDARY")
        headers["content-type"] = "multipart/form-data"
    kept = {name: value for name, value in headers.items() if name not in _OWN_TIME}
    return request.method, request.path, request.query, kept, raw


def _texts(caught: list[warnings.WarningMessage]) -> list[str]:
    return [
        f"{one.category.__name__}: {one.message}" for one in caught if one.category is not ResourceWarning
    ]
