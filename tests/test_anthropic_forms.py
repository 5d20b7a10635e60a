"""Every form of a message: the program gets what it gets without us, and one row and one span tell of it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import anthropic
import pytest
from pydantic import BaseModel

from anthropic_forms_kit import (
    ANSWER,
    ASK,
    CACHED,
    CALLS_TOOL,
    INPUT,
    MODEL,
    OUTPUT,
    RUNS,
    THOUGHT,
    TOOL,
    VERSION,
    async_client_of,
    client_of,
    unwatched,
    watched_run,
)
from spantally.ground import guard
from spantally.testing import Reply, ScriptedServer
from watching import Watched, attributes


class Form(NamedTuple):
    """One way to ask."""

    call: Callable[[Any], Any]
    script: Reply = ANSWER
    reasons: tuple[str, ...] = ("stop",)
    since: tuple[int, int] = (0, 40)


class Answer(BaseModel):
    """What a parsed answer holds."""

    number: int


def _opened(manager: Any) -> Any:
    """What a manager of a response or stream gives, read by ``read``."""

    def read(of: Callable[[Any], Any]) -> Any:
        if hasattr(manager, "__aenter__"):

            async def run() -> Any:
                async with manager as entered:
                    made = of(entered)
                    return await made if inspect.isawaitable(made) else made

            return run()
        with manager as entered:
            return of(entered)

    return read


PARSED = Reply(text='{"number": 4}', usage=ANSWER.usage, response_id="msg_parsed")
FORMS: dict[str, Form] = {
    "create": Form(lambda c: c.messages.create(**ASK)),
    "tool": Form(lambda c: c.messages.create(**ASK, tools=[TOOL]), CALLS_TOOL, ("tool_call",)),
    "stream": Form(lambda c: c.messages.create(**ASK, stream=True)),
    "stream of a tool": Form(
        lambda c: c.messages.create(**ASK, tools=[TOOL], stream=True), CALLS_TOOL, ("tool_call",)
    ),
    "raw": Form(lambda c: c.messages.with_raw_response.create(**ASK)),
    "raw stream": Form(lambda c: c.messages.with_raw_response.create(**ASK, stream=True)),
    "streaming body": Form(
        lambda c: _opened(c.messages.with_streaming_response.create(**ASK))(lambda r: r.parse())
    ),
    "streaming bytes": Form(
        lambda c: _opened(c.messages.with_streaming_response.create(**ASK, stream=True))(lambda r: r.read())
    ),
    "manager": Form(lambda c: _opened(c.messages.stream(**ASK))(lambda s: s.get_final_message())),
    "manager of texts": Form(lambda c: _opened(c.messages.stream(**ASK))(lambda s: s.get_final_text())),
    "parse": Form(lambda c: c.messages.parse(**ASK, output_format=Answer), PARSED, since=(1, 0)),
    "beta": Form(lambda c: c.beta.messages.create(**ASK)),
    "beta stream": Form(lambda c: c.beta.messages.create(**ASK, stream=True)),
    "beta manager": Form(
        lambda c: _opened(c.beta.messages.stream(**ASK))(lambda s: s.get_final_message()), since=(1, 0)
    ),
    "beta parse": Form(lambda c: c.beta.messages.parse(**ASK, output_format=Answer), PARSED, since=(1, 0)),
    "length": Form(
        lambda c: c.messages.create(**ASK),
        Reply(text="cut", finish_reason="max_tokens"),
        ("length",),
    ),
}
WHOLE = frozenset({"create", "tool", "raw", "streaming body", "parse", "beta", "beta parse", "length"})
"""Forms that are no stream of events."""
HERE = {name: form for name, form in FORMS.items() if form.since <= VERSION}


def _expected_usage(form: Form) -> dict[str, int]:
    if form.script.usage is None:
        return {}
    return {
        "gen_ai.usage.input_tokens": INPUT,
        "gen_ai.usage.cache_read.input_tokens": CACHED,
        "gen_ai.usage.output_tokens": OUTPUT,
        "gen_ai.usage.reasoning.output_tokens": THOUGHT,
    }


@pytest.mark.parametrize("capture", ["no_content", "span_and_event"])
@pytest.mark.parametrize("mode", RUNS)
@pytest.mark.parametrize("name", HERE)
def test_form_is_as_without_us_and_told_truly(name: str, mode: str, capture: str) -> None:
    """Value, type, warnings and request are the same; one row and one span have usage, model and reason."""
    form, run = HERE[name], RUNS[mode]
    bare = unwatched(form.call, form.script, run)
    outcome, watched, server = watched_run(form.call, form.script, run, capture_content=capture)
    assert outcome == bare
    assert not guard.failures, guard.failures
    record: Any = watched._records[-1]
    (span,) = watched.exporter.spans
    found = attributes(span)
    assert (record.kind, record.operation, record.status) == ("inference", "chat", "ok")
    assert (record.provider, record.request_model, record.response_model) == ("anthropic", MODEL, MODEL)
    assert record.usage_format == "anthropic"
    assert found["gen_ai.response.finish_reasons"] == list(form.reasons)
    assert record.finish_reasons == form.reasons
    assert found["gen_ai.request.max_tokens"] == 64
    assert {key: found[key] for key in _expected_usage(form)} == _expected_usage(form)
    assert record.usage["input_tokens"] + record.usage["cache_read_input_tokens"] == sum(
        bill.usage.input for bill in server.bills
    )
    assert record.usage["output_tokens"] == sum(bill.usage.output for bill in server.bills)
    assert record.price_context["service_tier"] == "standard"
    assert record.turn
    assert ("gen_ai.output.messages" in found) is (capture != "no_content")
    assert (record.first_chunk_ns is not None) is (name not in WHOLE)
    assert span.status.code == 0


def test_all_forms_are_there_in_the_newest_version() -> None:
    """A form that this version lacks is left out only where the version is old."""
    if VERSION >= (2, 0):
        assert HERE == FORMS


@pytest.mark.parametrize("stream", [False, True])
def test_objects_of_a_stream_keep_their_types(stream: bool) -> None:
    """``isinstance`` of streams and managers, and the response that hangs on them."""
    with ScriptedServer(ANSWER) as server:
        watched = Watched()
        try:
            with client_of(server) as client:
                made = client.messages.create(**ASK, stream=True)
                assert type(made) is anthropic.Stream
                assert made.response.status_code == 200
                assert next(iter([event.type for event in made])) == "message_start"
                with client.messages.stream(**ASK) as manager:
                    assert isinstance(manager, anthropic.MessageStream)
                    assert manager.get_final_message().id == "msg_fixed"

            async def check() -> None:
                async with async_client_of(server) as other:
                    events = await other.messages.create(**ASK, stream=True)
                    assert type(events) is anthropic.AsyncStream
                    assert len([event async for event in events]) > 4

            asyncio.run(check())
            assert len(watched.records) == 3
        finally:
            watched.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("mode", RUNS)
def test_counting_tokens_is_no_counted_call(mode: str) -> None:
    """A row of kind other without usage, for all that the answer is a number of tokens."""
    _, watched, server = watched_run(_counting, None, RUNS[mode])
    record: Any = watched._records[-1]
    assert (record.kind, record.operation, record.usage) == ("other", "count_tokens", None)
    assert server.billed == {}


def _counting(client: Any) -> Any:
    messages = client.messages if hasattr(client.messages, "count_tokens") else client.beta.messages
    return messages.count_tokens(model=MODEL, messages=ASK["messages"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("mode", RUNS)
@pytest.mark.parametrize("stream", [False, True])
def test_legacy_completions_say_that_their_usage_is_unknown(mode: str, stream: bool) -> None:
    """``/v1/complete`` reports no usage: the row has none, and never a 0."""

    def call(client: Any) -> Any:
        if not hasattr(client, "completions"):  # gone from the SDK, not from those who post there
            body = {"model": "claude-2.1", "max_tokens_to_sample": 9, "prompt": "\n\nHuman: hi"}
            return client.post("/v1/complete", cast_to=object, body=body)
        return client.completions.create(
            model="claude-2.1", max_tokens_to_sample=9, prompt="\n\nHuman: hi\n\nAssistant:", stream=stream
        )

    bare = unwatched(call, ANSWER, RUNS[mode])
    outcome, watched, _ = watched_run(call, ANSWER, RUNS[mode], capture_content="span_only")
    assert outcome == bare
    (span,) = watched.exporter.spans
    record: Any = watched._records[-1]
    assert (record.operation, record.response_model, record.usage) == (
        "text_completion",
        "claude-2.1",
        None,
    )
    assert "the answer is four" in attributes(span)["gen_ai.output.messages"]


def test_other_endpoints_have_no_row() -> None:
    """Models are listed, files are none of ours."""
    with ScriptedServer() as server:
        watched = Watched()
        try:
            with client_of(server) as client:
                assert client.get("/v1/models", cast_to=object)
            assert watched.records == []
            assert watched.spans == []
        finally:
            watched.close()
