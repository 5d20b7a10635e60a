"""A call that another instrumentor traces too: its span stays the only one, the row is ours, once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import coexist_kit as kit
import spantally
from openai_forms_kit import client_of
from spantally.calls import telemetry
from spantally.ground import guard
from spantally.instrumentors.openai import peers
from spantally.testing import ScriptedServer
from watching import Watched, attributes

BY_HAND: dict[str, Callable[..., Any]] = {"subclass": kit.subclass, "closure": kit.closure}


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    try:
        yield made
    finally:
        made.close()


def joined(watched: Watched, *, spans: int = 1) -> None:
    """There is one row, metered, and every span is of it; none of them is ours."""
    (record,) = watched.records
    assert record.precedence == 3 or record.scope_name == "spantally"
    assert record.usage is not None
    exported = watched.spans
    assert len(exported) == spans
    assert {attributes(span)["spantally.call.id"] for span in exported} == {record.call_id}
    assert record.span_id in {span.span_id.hex() for span in exported}
    assert record.trace_id in {span.trace_id.hex() for span in exported}
    assert all("session.id" in attributes(span) for span in exported)
    assert all("gen_ai.response.id" not in attributes(span) or spans > 1 for span in exported)


@pytest.mark.parametrize("at_start", [True, False])
@pytest.mark.parametrize("form", [{}, kit.STREAM])
def test_span_around_stands_for_the_call(
    at_start: bool,
    form: dict[str, Any],
    watched: Watched,
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether its attributes come at the start or after it, the span around is joined."""
    kit.methods(monkeypatch, watched.provider, at_start=at_start)
    with spantally.session("s") as session:
        kit.ask(server, **form)
    joined(watched)
    assert (session.totals.calls, session.totals.input_tokens) == (1, server.bills[0].usage.input)


@pytest.mark.parametrize("way", BY_HAND)
@pytest.mark.parametrize("theirs_first", [True, False])
def test_wrapper_on_the_client_class_in_either_order(
    way: str, theirs_first: bool, server: ScriptedServer
) -> None:
    """Whoever wraps the client class first, ours sees the call and the other's span is the only one."""
    with contextlib.ExitStack() as stack:
        watched = Watched()
        stack.callback(watched.close)
        if theirs_first:
            spantally.OpenAIInstrumentor().uninstrument()
        stack.enter_context(BY_HAND[way](watched.provider))
        spantally.OpenAIInstrumentor().instrument(tracer_provider=watched.provider)
        kit.ask(server)
        joined(watched)


def test_log_after_a_stream_is_a_view_of_the_call(watched: Watched, server: ScriptedServer) -> None:
    """Logfire's second span of a streamed call carries the call's id and makes no row."""
    with kit.closure(watched.provider):
        kit.ask(server, **kit.STREAM)
    joined(watched, spans=2)


def test_streamed_call_that_only_they_see_is_one_row(watched: Watched, server: ScriptedServer) -> None:
    """Of a request's span and the log after its stream, the log alone is read."""
    spantally.OpenAIInstrumentor().uninstrument()
    with kit.closure(watched.provider):
        kit.ask(server, **kit.STREAM)
    (record,) = watched.records
    assert (record.scope_name, record.response_id) == ("logfire.openai", "other-id")


def test_span_that_begins_after_the_call_is_joined(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a wrapper is around that begins its span late, ours makes none and the row gets the late ids."""
    kit.late(monkeypatch, watched.provider)
    with spantally.session("s") as session, client_of(server) as client:
        client.responses.create(model="gpt-4o-mini", input="hello")
    joined(watched)
    assert session.totals.calls == 1


def test_late_wrapper_that_is_not_around_changes_nothing(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its module being loaded is not enough: a call that does not come through it gets a span of ours."""
    kit.late(monkeypatch, watched.provider)
    with client_of(server) as client:
        client.post("/responses", body={"model": "gpt-4o-mini", "input": "hello"}, cast_to=object)
    (span,) = watched.spans
    assert span.span_id.hex() == watched.records[0].span_id
    assert span.name == "chat gpt-4o-mini"


def test_stream_that_a_late_wrapper_does_not_trace_gets_our_span(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A raw response that streams is none of its forms."""
    kit.late(monkeypatch, watched.provider)
    with client_of(server) as client:
        raw = client.responses.with_raw_response.create(model="gpt-4o-mini", input="hello", stream=True)
        list(raw.parse())
    assert "chat gpt-4o-mini" in {span.name for span in watched.spans}


def test_one_span_stands_for_one_call(watched: Watched, server: ScriptedServer) -> None:
    """Two calls beneath one model span: the first is joined to it, the second has a span of its own."""
    tracer = watched.provider.get_tracer("some.framework")
    with tracer.start_as_current_span("ChatModel", attributes=kit.CHAT):
        kit.ask(server)
        kit.ask(server)
    ids = [attributes(span)["spantally.call.id"] for span in watched.spans]
    assert len(watched.records) == 2
    assert sorted(ids) == sorted(record.call_id for record in watched.records)
    assert {span.name for span in watched.spans} == {"ChatModel", "chat gpt-4o-mini"}


@pytest.mark.parametrize(
    "around",
    [{}, {"gen_ai.operation.name": "invoke_agent"}, {**kit.CHAT, "gen_ai.operation.name": "embeddings"}],
)
def test_other_spans_around_are_not_taken_for_the_call(
    around: dict[str, Any], watched: Watched, server: ScriptedServer
) -> None:
    """A plain span, an agent and another kind of model operation are parents, as ever."""
    with watched.provider.get_tracer("some.framework").start_as_current_span("outer", attributes=around):
        kit.ask(server)
    outer, ours = watched.spans
    assert (outer.name, ours.name) == ("outer", "chat gpt-4o-mini")
    assert ours.parent_span_id == outer.span_id
    assert "spantally.call.id" not in attributes(outer)


def test_two_others_around_one_call(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inner one's span is joined, the outer one's is covered: no span of ours, one counted call."""
    kit.methods(monkeypatch, watched.provider)
    with kit.subclass(watched.provider), spantally.session("s") as session:
        kit.ask(server)
    assert {span.name for span in watched.spans} == {"chat", "ChatCompletion"}
    assert (session.totals.calls, session.totals.input_tokens) == (1, server.bills[0].usage.input)


def test_span_of_a_provider_without_our_processor_is_joined(server: ScriptedServer) -> None:
    """Where only the span itself tells, it is read and marked."""
    from opentelemetry.sdk.trace import TracerProvider

    watched = Watched()
    try:
        apart = TracerProvider(shutdown_on_exit=False).get_tracer("some.framework")
        with apart.start_as_current_span("ChatModel", attributes=kit.CHAT) as span:
            kit.ask(server)
        (record,) = watched.records
        assert watched.spans == []
        assert record.span_id == f"{span.get_span_context().span_id:016x}"
        assert span.attributes["spantally.call.id"] == record.call_id  # type: ignore[attr-defined]
    finally:
        watched.close()


def test_own_makes_ours_beside_theirs(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """coexist="own": two spans, one call id, one row, of our span."""
    watched = Watched(coexist="own")
    try:
        kit.methods(monkeypatch, watched.provider)
        with spantally.session("s") as session:
            kit.ask(server)
        (record,) = watched.records
        theirs, ours = watched.spans
        assert {attributes(span)["spantally.call.id"] for span in (theirs, ours)} == {record.call_id}
        assert (ours.span_id.hex(), ours.parent_span_id) == (record.span_id, theirs.span_id)
        assert session.totals.calls == 1
    finally:
        watched.close()


def test_unsampled_calls_are_metered_once(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing sampled there is no span and one row."""
    watched = Watched(sampler=ALWAYS_OFF)
    try:
        kit.methods(monkeypatch, watched.provider)
        kit.ask(server)
        (record,) = watched.records
        assert record.usage is not None
        assert watched.spans == []
    finally:
        watched.close()


def test_content_stays_the_others_affair(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A joined call sends no content, on a span or as an event; the ledger gets what it is to keep."""
    watched = Watched(capture_content="span_and_event", ledger_content="all")
    sent: list[Any] = []
    try:
        telemetry.active.emit_event = lambda *event: sent.append(event)
        kit.ask(server)
        assert len(sent) == 1
        watched.exporter.payloads.clear()
        kit.methods(monkeypatch, watched.provider)
        kit.ask(server)
        _, record = watched.records
        assert record.content is not None
        assert len(sent) == 1
        assert b"gen_ai.input.messages" not in watched.exported()
    finally:
        watched.close()


def test_failures_of_joining_stay_ours(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks for other spans may raise in every place: the call works, is metered, has spans."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError

    kit.late(monkeypatch, watched.provider)
    monkeypatch.setattr("spantally.otel.joining.SpanReader.shows", fail)
    monkeypatch.setattr("spantally.otel.joining._beneath", fail)
    monkeypatch.setattr("spantally.instrumentors.openai.peers._is_around", fail)
    monkeypatch.setattr("spantally.instrumentors.openai.peers._instrumentor_of", fail)
    with watched.provider.get_tracer("x").start_as_current_span("outer"), client_of(server) as client:
        assert client.responses.create(model="gpt-4o-mini", input="hello").output_text
    assert peers.at_work() == []
    assert [record.kind for record in watched.records][:1] == ["inference"]
    places = {where for where, _ in guard.failures}
    assert {"calls.join", "openai.peers", "otel.join"} <= places
