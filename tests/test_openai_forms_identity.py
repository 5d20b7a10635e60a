"""What a program holds in its hands is the SDK's own: types, classes, copies, pickles, signatures."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from openai_forms_kit import async_client_of, client_of
from spantally.testing import Reply, ScriptedServer
from watching import Watched

CHAT: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}
ANSWER: Any = {"model": "gpt-4o", "input": "hi"}
MADE: dict[str, Callable[[Any], Any]] = {
    "chat": lambda c: c.chat.completions.create(**CHAT),
    "chat stream": lambda c: c.chat.completions.create(**CHAT, stream=True),
    "chat raw": lambda c: c.chat.completions.with_raw_response.create(**CHAT),
    "chat raw stream": lambda c: c.chat.completions.with_raw_response.create(**CHAT, stream=True),
    "chat streaming": lambda c: c.chat.completions.with_streaming_response.create(**CHAT, stream=True),
    "chat helper": lambda c: c.chat.completions.stream(**CHAT),
    "responses": lambda c: c.responses.create(**ANSWER),
    "responses stream": lambda c: c.responses.create(**ANSWER, stream=True),
    "responses streaming": lambda c: c.responses.with_streaming_response.create(**ANSWER, stream=True),
    "responses helper": lambda c: c.responses.stream(**ANSWER),
    "completions stream": lambda c: c.completions.create(model="davinci-002", prompt="once", stream=True),
    "embeddings": lambda c: c.embeddings.create(model="text-embedding-3-small", input="a"),
    "images": lambda c: c.images.generate(model="gpt-image-1", prompt="a cat"),
    "images stream": lambda c: c.images.generate(model="gpt-image-1", prompt="a cat", stream=True),
    "speech": lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="hi"),
}
PARTS = ("response", "http_response", "http_request", "_response", "_iterator", "_raw_stream", "_decoder")
"""Attributes of results, streams and managers that a program may look at."""


def _types(thing: Any) -> dict[str, Any]:
    """Of a thing and its parts: the type, with every base, by name."""
    found = {"": [base.__qualname__ for base in type(thing).__mro__], "class": thing.__class__.__qualname__}
    for name in PARTS:
        part = getattr(thing, name, None)
        if part is not None:
            found[name] = [base.__qualname__ for base in type(part).__mro__]
    return found


def _attempt(act: Callable[[], Any]) -> Any:
    """What comes of something: the type of its result or its error."""
    try:
        made = act()
    except Exception as error:
        return "raised", type(error).__name__
    return "returned", type(made).__name__, made if isinstance(made, (str, int, bool)) else None


def _seen(thing: Any) -> dict[str, Any]:
    """What a program can find out about a thing without using it up."""
    found: dict[str, Any] = {"types": _types(thing)}
    http: Any = getattr(thing, "response", None) or getattr(thing, "http_response", None)
    acts: dict[str, Callable[[], Any]] = {
        "copy": lambda: copy.copy(thing),
        # That of a stream fails half-way without us, too, and the half of a client complains when collected.
        "deep copy": lambda: copy.deepcopy(thing) if isinstance(thing, BaseModel) else None,
        "pickle": lambda: pickle.loads(pickle.dumps(thing)),
        "equal to its copy": lambda: copy.copy(thing) == thing,
        "pickle of the response": lambda: pickle.loads(pickle.dumps(http)),
        "copy of the response": lambda: copy.copy(http),
        "vars": lambda: ",".join(sorted(vars(thing))),
        "dir": lambda: ",".join(sorted(dir(thing))),
        "is a stream": lambda: isinstance(thing, (openai.Stream, openai.AsyncStream)),
        "state of the response": lambda: ",".join(sorted(http.__getstate__())),
        "closed": lambda: http.is_closed,
        "consumed": lambda: http.is_stream_consumed,
        "has no such attribute": lambda: thing.no_such_attribute,
    }
    for name, act in acts.items():
        found[name] = _attempt(act)
    return found


def _sync(make: Callable[[Any], Any]) -> Any:
    with ScriptedServer(Reply(text="the answer")) as server, client_of(server) as client:
        thing = make(client)
        found = [_seen(thing)]
        if hasattr(thing, "__enter__"):
            with thing as entered:
                found.append(_seen(entered))
                found.append(_attempt(lambda: len(list(entered))))
        elif hasattr(thing, "close"):
            thing.close()
    return found


def _async(make: Callable[[Any], Any]) -> Any:
    async def look(server: ScriptedServer) -> Any:
        async with async_client_of(server) as client:
            thing = make(client)
            found = [inspect.isawaitable(thing), type(thing).__qualname__]
            if inspect.isawaitable(thing):
                thing = await thing
            found.append(_seen(thing))
            if hasattr(thing, "__aenter__"):
                async with thing as entered:
                    found.append(_seen(entered))
                    if hasattr(entered, "__aiter__"):
                        found.append([type(item).__name__ async for item in entered])
            return found

    with ScriptedServer(Reply(text="the answer")) as server:
        return asyncio.run(look(server))


@pytest.mark.parametrize("run", [_sync, _async])
@pytest.mark.parametrize("name", MADE)
def test_what_the_program_holds_is_as_without_us(name: str, run: Callable[..., Any]) -> None:
    """Types with their bases, attributes, copies and pickles of results, streams, responses, managers."""
    expected = run(MADE[name])
    watched = Watched(capture_content="span_and_event")
    try:
        assert run(MADE[name]) == expected
        gc.collect()  # one that was neither read nor closed
        assert len(watched.records) == 1
    finally:
        watched.close()


def test_a_result_is_pickled_with_its_value(watched: Watched, server: ScriptedServer) -> None:
    """A completion survives pickling and copying whole."""
    with client_of(server) as client:
        made = client.chat.completions.create(**CHAT)
        raw = client.chat.completions.with_raw_response.create(**CHAT)
    assert pickle.loads(pickle.dumps(made)) == made
    assert copy.deepcopy(made) == made
    assert pickle.loads(pickle.dumps(raw.http_response)).content == raw.content


def _surface() -> dict[str, Any]:
    """How the SDK's functions and classes look, those that are patched among them."""
    from openai import _base_client, _streaming

    found: dict[str, Any] = {}
    for owner, name in (
        (_base_client.SyncAPIClient, "request"),
        (_base_client.AsyncAPIClient, "request"),
        (_base_client.SyncAPIClient, "_process_response"),
        (_base_client.AsyncAPIClient, "_process_response"),
        (_streaming.Stream, "__init__"),
        (_streaming.AsyncStream, "__init__"),
        (openai.OpenAI, "request"),
        (openai.AsyncOpenAI, "request"),
    ):
        function = getattr(owner, name)
        found[f"{owner.__name__}.{name}"] = (
            str(inspect.signature(function)),
            inspect.iscoroutinefunction(function),
            inspect.isfunction(function),
            inspect.ismethod(function),
            function.__name__,
            function.__qualname__,
            function.__module__,
            function.__doc__,
            bool(inspect.getsource(function)),
        )
    client: Any
    with openai.OpenAI(api_key="sk-made-up") as client:
        found["bound"] = (
            client.request.__self__ is client,
            inspect.ismethod(client.request),
            client.request == client.request,
            str(inspect.signature(client.request)),
            _attempt(lambda: copy.copy(client)),
            _attempt(lambda: pickle.dumps(client)),
            type(client.with_options(timeout=3)).__name__,
        )
    return found


def test_the_sdks_functions_look_as_without_us() -> None:
    """Names, signatures, kinds: what a program (or another library) asks of the functions that we wrap."""
    expected = _surface()
    watched = Watched()
    try:
        found = _surface()
    finally:
        watched.close()
    assert found == expected
