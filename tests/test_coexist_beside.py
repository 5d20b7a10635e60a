"""Spans that never become current, beside our operation or a span of a third party: one call each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from opentelemetry import trace

import coexist_kit as kit
import spantally
from otel_kit import Bench
from spantally.calls import told
from spantally.ground import guard
from spantally.otel import beside, joining
from spantally.testing import ScriptedServer
from watching import Watched, attributes

LANGFUSE: dict[str, Any] = {
    "langfuse.observation.type": "generation",
    "langfuse.observation.model.name": "gpt-4o-mini",
}
USED = {"langfuse.observation.usage_details": '{"prompt_tokens": 5, "completion_tokens": 5}'}
OFFICIAL: dict[str, Any] = {**kit.CHAT, "gen_ai.response.id": "r-1"}


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    try:
        yield made
    finally:
        made.close()


def test_an_observation_that_is_not_current_stands_for_our_call(
    watched: Watched, server: ScriptedServer
) -> None:
    """Beneath a plain span and at the root it is the one span of the call, and makes no second row."""
    tracer = watched.provider.get_tracer("langfuse-sdk")
    with spantally.session("s") as session:
        for around in (False, True):
            if around:
                with watched.provider.get_tracer("app").start_as_current_span("step"):
                    span = tracer.start_span("OpenAI-generation", attributes=LANGFUSE)
                    kit.ask(server)
            else:
                span = tracer.start_span("OpenAI-generation", attributes=LANGFUSE)
                kit.ask(server)
            span.set_attributes(USED)
            span.end()
    assert session.totals.calls == 2
    assert len(watched.records) == 2
    shown = [span for span in watched.spans if span.name == "OpenAI-generation"]
    assert {attributes(span)["spantally.call.id"] for span in shown} == {
        one.call_id for one in watched.records
    }


@pytest.mark.parametrize("current", [False, True], ids=["detached", "current"])
@pytest.mark.parametrize("form", [{}, kit.STREAM], ids=["chat", "stream"])
def test_an_observation_that_says_late_what_it_is_stands_for_our_call(
    watched: Watched, server: ScriptedServer, current: bool, form: dict[str, Any]
) -> None:
    """Langfuse begins a span without attributes and sets them before the request: one span, one row each."""
    tracer = watched.provider.get_tracer("langfuse-sdk")
    with spantally.session("s") as session, tracer.start_as_current_span("observed") as around:
        around.set_attribute("langfuse.observation.type", "span")
        for _ in range(2):
            span = tracer.start_span("OpenAI-generation")
            span.set_attributes(LANGFUSE)
            with trace.use_span(span) if current else nullcontext():
                kit.ask(server, **form)
            span.set_attributes(USED)
            span.end()
        kit.ask(server)  # of nobody else
    assert session.totals.calls == 3
    assert len({one.call_id for one in watched.records}) == len(watched.records) == 3
    named = Counter(span.name for span in watched.spans)
    assert named == {"observed": 1, "OpenAI-generation": 2, "chat gpt-4o-mini": 1}
    assert "spantally.call.id" not in attributes(watched.spans[0])


def test_late_observations_beside_a_third_party_are_one_call(watched: Watched) -> None:
    """Without an SDK of ours: the span of another instrumentor that begins after it is the same call."""
    late = watched.provider.get_tracer("langfuse-sdk")
    other = watched.provider.get_tracer("opentelemetry.instrumentation.genai.openai")
    span = late.start_span("OpenAI-generation")
    span.set_attributes(LANGFUSE)
    inner = other.start_span("chat gpt-4o-mini", attributes=OFFICIAL)
    inner.set_attributes(kit.USAGE)
    inner.end()
    span.set_attributes(USED)
    span.end()
    assert len(watched.records) == 1


@pytest.mark.parametrize("name", ["langfuse-sdk", "langsmith", "a tool"])
def test_a_run_that_a_framework_of_ours_counts_is_no_second_call(watched: Watched, name: str) -> None:
    """Handlers of LangChain run in threads, or afterwards: nothing shows which of our calls they mean."""
    tracer = watched.provider.get_tracer("langsmith" if name == "langsmith" else "langfuse-sdk")
    of_run: dict[str, Any] = {
        **LANGFUSE,
        **USED,
        "langfuse.observation.metadata.ls_model_name": "gpt-4o-mini",
    }
    if name == "langsmith":
        of_run = {
            **kit.USAGE,
            "langsmith.span.kind": "llm",
            "langsmith.metadata.ls_integration": "langchain_chat_model",
        }
    elif name == "a tool":
        of_run = {
            "langfuse.observation.type": "tool",
            "langfuse.observation.metadata.langgraph_node": '"tools"',
        }
    for at_work in (True, False):
        if at_work:
            told.counted.add("langchain")
        try:
            span = tracer.start_span("ChatOpenAI")
            span.set_attributes(of_run)
            span.end()
        finally:
            told.counted.discard("langchain")
    assert len(watched.records) == 1


def test_an_observation_of_another_model_is_a_call_of_its_own(
    watched: Watched, server: ScriptedServer
) -> None:
    """Where it turns out that the open observation told of somebody else's call, it has its row."""
    tracer = watched.provider.get_tracer("langfuse-sdk")
    span = tracer.start_span(
        "gemini", attributes={**LANGFUSE, "langfuse.observation.model.name": "gemini-2.5"}
    )
    kit.ask(server)
    span.set_attributes(USED)
    span.end()
    assert sorted(str(one.request_model) for one in watched.records) == ["gemini-2.5", "gpt-4o-mini"]
    assert len({one.call_id for one in watched.records}) == 2


def test_a_span_that_has_ended_or_stands_elsewhere_is_not_joined(
    watched: Watched, server: ScriptedServer
) -> None:
    """Neither an observation that is over, nor one beneath another parent, shows the next call."""
    tracer = watched.provider.get_tracer("langfuse-sdk")
    tracer.start_span("over", attributes={**LANGFUSE, **USED}).end()
    kit.ask(server)
    with watched.provider.get_tracer("app").start_as_current_span("step"):
        elsewhere = tracer.start_span("elsewhere", attributes=LANGFUSE)
    kit.ask(server)
    elsewhere.end()
    assert [span.name for span in watched.spans].count("chat gpt-4o-mini") == 2


@pytest.mark.parametrize("inner_first", [True, False])
@pytest.mark.parametrize(("outer_tells", "inner_tells"), [(True, True), (True, False), (False, True)])
def test_two_spans_of_third_parties_beside_each_other_are_one_row(
    inner_first: bool, outer_tells: bool, inner_tells: bool
) -> None:
    """Whichever ends first, and whichever knows the usage, it is one row with the usage."""
    bench = Bench()
    outer = bench.provider.get_tracer("langfuse-sdk").start_span("OpenAI-generation", attributes=LANGFUSE)
    inner = bench.provider.get_tracer("official").start_span("chat", attributes=OFFICIAL)
    if outer_tells:
        outer.set_attributes(USED)
    if inner_tells:
        inner.set_attributes(kit.USAGE)
    for span in (inner, outer) if inner_first else (outer, inner):
        span.end()
    assert len({one.call_id for one in bench.calls}) == 1
    assert any(one.usage is not None for one in bench.calls)


def test_two_calls_of_third_parties_after_each_other_are_two_rows() -> None:
    """A span that had ended before the next began is a call of its own."""
    bench = Bench()
    for scope, given in (("langfuse-sdk", {**LANGFUSE, **USED}), ("official", {**OFFICIAL, **kit.USAGE})):
        bench.provider.get_tracer(scope).start_span("x", attributes=given).end()
    assert len(bench.calls) == 2


def test_a_fault_of_ours_in_looking_beside_is_not_noticed(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's call and its own span go on where our part raises."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(joining, "stands_beside", broken)
    monkeypatch.setattr(joining, "look_beside", broken)
    before = guard.failures.total()
    span = watched.provider.get_tracer("langfuse-sdk").start_span("x", attributes=LANGFUSE)
    assert kit.ask(server).choices
    span.end()
    assert guard.failures.total() > before
    assert beside.parent_id(None) == 0


def test_a_call_that_the_sdk_refuses_itself_is_no_call() -> None:
    """Wrong arguments: nothing was sent, nothing counts; an answer of the provider's counts as before."""
    from opentelemetry.trace import Status, StatusCode

    bench = Bench()
    for error in ("ValueError", "openai.RateLimitError"):
        span = bench.tracer.start_span("chat", attributes={**kit.CHAT, "error.type": error})
        span.set_status(Status(StatusCode.ERROR))
        span.end()
    assert [one.kind for one in bench.calls] == ["other", "inference"]
