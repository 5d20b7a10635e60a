"""Events of calls as exported OTLP log records: details of inferences, exceptions, the standard modes."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import spantally
from conformance_kit import Judged, plain_attributes
from spantally.calls import starting, telemetry
from spantally.calls.exceptions import note_exception
from spantally.calls.plans import Plan
from spantally.ground import guard, semconv
from spantally.ground.records import Kind, Status
from spantally.testing import Reply, ScriptedServer, ToolCall, Usage
from watching import Watched

DETAILS = "gen_ai.client.inference.operation.details"
EXCEPTION = "gen_ai.client.operation.exception"
KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"
CHAT: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": f"my key is {KEY} and my question is blue"}],
    "temperature": 0.5,
    "max_completion_tokens": 50,
    "stop": ["end"],
    "seed": 7,
}
MODES = ("no_content", "span_only", "event_only", "span_and_event")
CONTENT = {"gen_ai.input.messages", "gen_ai.output.messages"}


@contextmanager
def watched(*script: Reply, **settings: Any) -> Iterator[tuple[Judged, openai.OpenAI]]:
    """Everything on, and a client of a server that answers by the script."""
    seen = Judged(**settings)
    try:
        with (
            ScriptedServer(list(script) or Reply(text="violet")) as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as client,
        ):
            yield seen, client
    finally:
        seen.close()


def events(seen: Judged, name: str) -> list[Any]:
    """Exported log records of one event."""
    seen.exported()
    return [record for record in seen.logs.events() if record.event_name == name]


@pytest.mark.parametrize("asked", [None, True, False], ids=["by mode", "true", "false"])
@pytest.mark.parametrize("mode", MODES)
def test_modes_say_where_content_goes(mode: str, asked: bool | None) -> None:
    """Each mode puts content where it says; the event comes by the mode, or as it is asked for."""
    with watched(capture_content=mode, emit_event=asked) as (seen, client):
        client.chat.completions.create(**CHAT)
        found = events(seen, DETAILS)
        span = plain_attributes(seen.spans[0])
        exported = seen.exported() + b"".join(seen.logs.payloads)
    on_events = mode in ("event_only", "span_and_event")
    assert len(found) == int(on_events if asked is None else asked)
    assert (span.keys() >= CONTENT) == (mode in ("span_only", "span_and_event"))
    for event in found:
        assert (plain_attributes(event).keys() >= CONTENT) == on_events
    assert KEY.encode() not in exported
    assert (b"blue" in exported) == (span.keys() >= CONTENT or (on_events and bool(found)))


@pytest.mark.parametrize(
    ("variable", "count"), [("", 0), ("true", 1), ("false", 0)], ids=["unset", "true", "false"]
)
def test_the_standard_variables_are_read(variable: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the variables of the conventions decide, in the words that they have."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", variable)
    with watched() as (seen, client):
        client.chat.completions.create(**CHAT)
        assert len(events(seen, DETAILS)) == count
        assert plain_attributes(seen.spans[0]).keys() >= CONTENT


@pytest.mark.parametrize("profile", ["latest", "1.41"])
def test_details_are_those_of_the_span(profile: str) -> None:
    """The event is DEBUG, of the span, and has the span's attributes, with content in structured form."""
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "total_tokens": 105,
        "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 8},
    }
    with watched(Reply(text="violet", usage=usage), capture_content="span_and_event", semconv=profile) as (
        seen,
        client,
    ):
        with spantally.session("conv", user="alice"):
            client.chat.completions.create(**CHAT)
        (event,) = events(seen, DETAILS)
        (span,) = seen.spans
        urls = seen.logs.schema_urls()
    assert (event.severity_number, event.severity_text) == (5, "DEBUG")
    assert (event.trace_id, event.span_id) == (span.trace_id, span.span_id)
    assert event.time_unix_nano
    assert urls == {semconv.SCHEMA_URLS[profile]}
    told, on_span = plain_attributes(event), plain_attributes(span)
    assert told["gen_ai.input.messages"][0]["parts"][0]["content"].endswith("my question is blue")
    assert told["gen_ai.output.messages"][0]["role"] == "assistant"
    for name in CONTENT:
        assert told.pop(name) == json.loads(on_span.pop(name))
    ours = {name for name in on_span if name.startswith(("spantally.call.", "spantally.cost."))}
    assert told == {name: value for name, value in on_span.items() if name not in ours}
    assert told["gen_ai.conversation.id"] == "conv"
    assert told["gen_ai.request.temperature"] == 0.5
    written = "write" if profile == "latest" else "creation"
    assert told[f"gen_ai.usage.cache_{written}.input_tokens"] == 8


@pytest.mark.parametrize("depth", [14, 40, 5_000])
def test_arguments_of_any_depth_leave_with_the_event(depth: int) -> None:
    """An exporter encodes values of some thirty levels and loses an attribute that has more."""
    arguments = '{"a":' * depth + "1" + "}" * depth
    with watched(Reply(tool_calls=[ToolCall("dig", arguments)]), capture_content="span_and_event") as (
        seen,
        client,
    ):
        client.chat.completions.create(**CHAT)
        (event,) = events(seen, DETAILS)
        (span,) = seen.spans
        (on_event,) = plain_attributes(event)["gen_ai.output.messages"]
        (on_span,) = json.loads(plain_attributes(span)["gen_ai.output.messages"])
        assert seen.findings() == []
    assert on_event == on_span
    told = on_event["parts"][0]["arguments"]
    assert (told if depth > 16 else json.dumps(told).replace(" ", "")) == arguments


def test_details_of_a_failed_call_have_its_error() -> None:
    """A refused inference sends its details with error.type."""
    refused = Reply(status=429, error={"message": f"slow down, {KEY}", "code": "slow_down"})
    with watched(refused, emit_event=True) as (seen, client):
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(**CHAT)
        (event,) = events(seen, DETAILS)
    assert plain_attributes(event)["error.type"] == "slow_down"


def _abandon(client: openai.OpenAI) -> None:
    for _ in client.chat.completions.create(**CHAT, stream=True):
        break
    gc.collect()


ENDS: dict[str, Callable[[openai.OpenAI], Any]] = {
    "stream": lambda c: list(c.chat.completions.create(**CHAT, stream=True)),
    "left early": _abandon,
    "responses": lambda c: c.responses.create(model="gpt-4o", input="my question is blue"),
    "completions": lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="once"),
}


@pytest.mark.parametrize("call", ENDS.values(), ids=ENDS.keys())
def test_every_inference_sends_its_details_once(call: Callable[[openai.OpenAI], Any]) -> None:
    """However an inference ends, its details are sent once."""
    with watched(capture_content="event_only") as (seen, client):
        call(client)
        assert len(events(seen, DETAILS)) == 1


def test_what_is_no_inference_sends_none() -> None:
    """Embeddings, retrieval and listings have no such event."""
    with watched(capture_content="span_and_event", emit_event=True) as (seen, client):
        client.embeddings.create(model="text-embedding-3-small", input="a")
        client.vector_stores.search("vs_1", query="what")
        client.files.list()
        assert events(seen, DETAILS) == []


def test_an_unsampled_call_sends_its_details() -> None:
    """Events do not hang on the sampling of spans."""
    with watched(capture_content="event_only", sampler=ALWAYS_OFF) as (seen, client):
        client.chat.completions.create(**CHAT)
        (event,) = events(seen, DETAILS)
    told = plain_attributes(event)
    assert told["gen_ai.request.temperature"] == 0.5
    assert told["gen_ai.usage.output_tokens"] > 0


REFUSED = Reply(status=400, error={"message": f"bad prompt: blue, {KEY}", "code": "bad"})


@pytest.mark.parametrize("mode", MODES)
def test_an_exception_is_an_event(mode: str) -> None:
    """It is WARN, of the span, with type and stack; its message, which may quote the prompt, is content."""
    with watched(REFUSED, capture_content=mode) as (seen, client):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**CHAT)
        (event,) = events(seen, EXCEPTION)
        (span,) = seen.spans
        exported = b"".join(seen.logs.payloads)
    assert (event.severity_number, event.severity_text) == (13, "WARN")
    assert (event.trace_id, event.span_id) == (span.trace_id, span.span_id)
    told = plain_attributes(event)
    assert told["exception.type"] == "openai.BadRequestError"
    assert "Traceback (most recent call last):" in told["exception.stacktrace"]
    assert "_base_client.py" in told["exception.stacktrace"]
    assert told["exception.stacktrace"].rstrip().splitlines()[-1].startswith("openai.BadRequestError")
    assert KEY.encode() not in exported
    assert ("blue" in told.get("exception.message", "")) == (mode != "no_content")
    assert ("bad prompt" in told["exception.stacktrace"]) == (mode != "no_content")


def test_a_lost_stream_is_an_exception_event() -> None:
    """A connection that is lost in a stream sends one as well, with what it was raised from."""
    with watched(Reply(text="one two three four", drop_after_chunks=2)) as (seen, client):
        with pytest.raises(Exception) as raised:
            list(client.chat.completions.create(**CHAT, stream=True))
        (event,) = events(seen, EXCEPTION)
    told = plain_attributes(event)
    assert told["exception.type"].endswith(type(raised.value).__name__)
    if raised.value.__cause__ is not None:
        assert "During handling" in told["exception.stacktrace"]


def test_nothing_is_made_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a logger provider no stack is formatted for an event that goes nowhere."""

    def fail(*_: Any, **__: Any) -> str:
        raise RuntimeError("planted")

    monkeypatch.setattr("spantally.calls.exceptions._stack_of", fail)
    seen = Watched()
    try:
        with (
            ScriptedServer([REFUSED]) as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as client,
            pytest.raises(openai.BadRequestError),
        ):
            client.chat.completions.create(**CHAT)
        assert ("calls.exception_event", "RuntimeError") not in guard.failures
    finally:
        seen.close()


def test_what_succeeds_or_is_left_sends_no_exception() -> None:
    """No event where there is no exception: an answer, a stream that is left early."""
    with watched() as (seen, client):
        client.chat.completions.create(**CHAT)
        _abandon(client)
        assert events(seen, EXCEPTION) == []


def test_an_exception_whose_text_cannot_be_made_is_told_by_its_type() -> None:
    """An exception that raises when it is printed is told by its type, what it was raised from as well."""

    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with watched(capture_content="event_only") as (seen, _):
        made = starting.start(telemetry.active, Plan(Kind.INFERENCE, "chat"))
        assert made is not None
        try:
            try:
                raise Odd
            except Odd as error:
                raise ValueError("blue") from error
        except ValueError as error:
            note_exception(made, error)
            made.finish(Status.ERROR, error=error)
        (event,) = events(seen, EXCEPTION)
    told = plain_attributes(event)
    assert (told["exception.type"], told["exception.message"]) == ("ValueError", "blue")
    assert "Odd\n" in told["exception.stacktrace"]


def test_usage_policy_changes_nothing_of_the_event() -> None:
    """A stream whose usage was asked for by policy tells it in its details."""
    with watched(
        Reply(text="violet", usage=Usage(input=11, output=7)), emit_event=True, stream_usage="request"
    ) as (seen, client):
        list(client.chat.completions.create(**CHAT, stream=True))
        (event,) = events(seen, DETAILS)
    assert plain_attributes(event)["gen_ai.usage.input_tokens"] == 11
