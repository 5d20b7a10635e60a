"""Instrumentors of others, made by hand: each wraps the openai SDK in the way that a real one does."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
import wrapt
from openai.resources.chat.completions import Completions
from openai.resources.responses import Responses
from opentelemetry.trace import SpanKind, TracerProvider

from openai_forms_kit import client_of
from spantally.testing import ScriptedServer

ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello there"}]}
STREAM: dict[str, Any] = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": ASK["model"],
}
USAGE: dict[str, Any] = {
    "gen_ai.usage.input_tokens": 5,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.response.model": "m",
}
LATE = "opentelemetry.instrumentation.openai.v1.responses_wrappers"


def ask(server: ScriptedServer, **given: Any) -> Any:
    """A chat completion; a stream is read to its end."""
    with client_of(server) as client:
        made = client.chat.completions.create(**{**ASK, **given})
        return list(made) if given.get("stream") else made


def methods(patch: pytest.MonkeyPatch, provider: TracerProvider, *, at_start: bool = True) -> None:
    """Wraps the method of the resource, like most; without ``at_start`` its attributes come later."""
    name = "opentelemetry.instrumentation.genai.openai" if at_start else "openlit.instrumentation.openai"
    tracer = provider.get_tracer(name)
    original = Completions.create

    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        with tracer.start_as_current_span(
            "chat", kind=SpanKind.CLIENT, attributes=CHAT if at_start else None
        ) as span:
            span.set_attributes(CHAT)
            made = original(self, *args, **kwargs)
            span.set_attributes(USAGE)
            return made

    patch.setattr(Completions, "create", create)


def late(patch: pytest.MonkeyPatch, provider: TracerProvider) -> None:
    """Wraps a method and begins its span when the call has returned, with the time from before it."""
    code = """
def wrapper(original, tracer, clock):
    def create(self, *args, **kwargs):
        began = clock()
        made = original(self, *args, **kwargs)
        span = tracer.start_span("openai.response", start_time=began)
        span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"})
        span.set_attributes({"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 5})
        span.end()
        return made
    return create
"""
    module: Any = types.ModuleType(LATE)
    exec(code, module.__dict__)
    patch.setitem(sys.modules, LATE, module)
    tracer = provider.get_tracer("opentelemetry.instrumentation.openai.v1")
    patch.setattr(Responses, "create", module.wrapper(Responses.create, tracer, time.time_ns))


@contextmanager
def closure(provider: TracerProvider) -> Iterator[None]:
    """Sets a function on the client class that keeps the original in its closure (Logfire's way)."""
    tracer = provider.get_tracer("logfire.openai")
    original: Callable[..., Any] = openai.OpenAI.request
    openai.OpenAI._original_request_method = original  # type: ignore[attr-defined]

    def request(*args: Any, **kwargs: Any) -> Any:
        attributes = {**CHAT, "logfire.span_type": "span"}
        with tracer.start_as_current_span("Chat Completion", attributes=attributes) as span:
            made = original(*args, **kwargs)
            if not kwargs.get("stream"):
                span.set_attributes(USAGE)
                return made
        inner = made._iterator

        def chunks() -> Iterator[Any]:
            yield from inner
            log = {**CHAT, **USAGE, "logfire.span_type": "log", "gen_ai.response.id": "other-id"}
            tracer.start_span("streaming response", attributes=log).end()

        made._iterator = chunks()
        return made

    openai.OpenAI.request = request  # type: ignore[method-assign]
    try:
        yield
    finally:
        openai.OpenAI.request = openai.OpenAI._original_request_method  # type: ignore[attr-defined, method-assign]
        del openai.OpenAI._original_request_method  # type: ignore[attr-defined]


@contextmanager
def subclass(provider: TracerProvider) -> Iterator[None]:
    """Wraps ``request`` on the client class by wrapt and puts back what it found (OpenInference's way)."""
    tracer = provider.get_tracer("openinference.instrumentation.openai")
    found = openai.OpenAI.request

    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        attributes = {"openinference.span.kind": "LLM", "llm.system": "openai"}
        with tracer.start_as_current_span("ChatCompletion", attributes=attributes) as span:
            made = wrapped(*args, **kwargs)
            span.set_attributes({"llm.token_count.prompt": 5, "llm.token_count.completion": 5})
            return made

    wrapt.wrap_function_wrapper("openai", "OpenAI.request", wrapper)
    try:
        yield
    finally:
        openai.OpenAI.request = found  # type: ignore[method-assign]
