"""Stamping, and the promise that no failure of ours reaches the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from otel_kit import CHAT, Bench
from spantally.calls import implicit as calls_implicit
from spantally.ground import guard
from spantally.ground.errors import SettingsError
from spantally.ground.records import CallRecord, Record
from spantally.ground.scope import PAUSED_KEY, SCOPE_KEY, Scope, with_values
from spantally.ground.session_state import SessionState
from spantally.ground.worker import worker
from spantally.otel import span_processor
from spantally.otel.span_processor import SpanProcessor


@contextmanager
def entered(**values: Any) -> Iterator[Scope]:
    """A scope in force."""
    scope = Scope(SessionState("s-1", start_ns=1), **values)
    token = otel_context.attach(with_values(otel_context.get_current(), {SCOPE_KEY: scope}))
    try:
        yield scope
    finally:
        otel_context.detach(token)


def test_every_span_says_whose_it_is_and_only_genai_spans_carry_genai_keys() -> None:
    """Session, user, entity and tags go onto http spans too; gen_ai keys and agent path do not."""
    bench = Bench()
    values: dict[str, Any] = {
        "user_id": "alice",
        "entity_type": "customer",
        "entity_id": "acme",
        "tags": (("feature", "search"),),
        "conversation_id": "c-1",
        "agent_path": ("planner", "researcher"),
    }
    with entered(**values):
        bench.tracer.start_span("GET", kind=SpanKind.CLIENT, attributes={"http.request.method": "GET"}).end()
        bench.tracer.start_span("chat", attributes=CHAT).end()
    shared = {
        "session.id": "s-1",
        "user.id": "alice",
        "spantally.entity.type": "customer",
        "spantally.entity.id": "acme",
        "spantally.tag.feature": "search",
    }
    http, chat = dict(bench.after.attributes("GET")), dict(bench.after.attributes("chat"))
    assert http == {**shared, "http.request.method": "GET"}
    assert chat.items() >= shared.items()
    assert chat["gen_ai.conversation.id"] == "c-1"
    assert chat["spantally.agent.path"] == "planner > researcher"
    assert chat["gen_ai.agent.name"] == "researcher"


def test_what_a_span_says_itself_is_never_changed() -> None:
    """An instrumentor's own conversation, agent name or session id stays."""
    bench = Bench()
    own = {**CHAT, "gen_ai.conversation.id": "api", "gen_ai.agent.name": "theirs", "session.id": "mine"}
    with entered(conversation_id="c-1", agent_path=("planner",)):
        bench.tracer.start_span("chat", attributes=own).end()
    assert bench.after.attributes("chat").items() >= own.items()


def test_an_agents_span_is_not_named_after_the_agent_around_it() -> None:
    """On invoke_agent the agent's name is the span's own, so none is stamped."""
    bench = Bench()
    with entered(agent_path=("planner",)):
        bench.tracer.start_span("agent", attributes={"gen_ai.operation.name": "invoke_agent"}).end()
    assert "gen_ai.agent.name" not in bench.after.attributes("agent")


def test_a_span_that_shows_itself_late_is_stamped_as_it_ends() -> None:
    """Instrumentors that set gen_ai attributes after the start get conversation and path too."""
    bench = Bench()
    with entered(conversation_id="c-1", agent_path=("planner",)):
        span = bench.tracer.start_span("chat")
        span.set_attributes(CHAT)
        span.end()
    assert bench.before.attributes("chat")["gen_ai.conversation.id"] == "c-1"
    assert bench.before.attributes("chat")["spantally.agent.path"] == "planner"
    assert [call.session_id for call in bench.calls] == ["s-1"]


def test_paused_spans_are_neither_stamped_nor_tallied() -> None:
    """Inside spantally.paused() a foreign span passes as it is."""
    bench = Bench()
    with entered():
        token = otel_context.attach(with_values(otel_context.get_current(), {PAUSED_KEY: True}))
        bench.tracer.start_span("chat", attributes=CHAT).end()
        otel_context.detach(token)
    assert "session.id" not in bench.after.attributes("chat")
    assert bench.records == []


def test_a_call_outside_any_session_belongs_to_the_run() -> None:
    """Span and record name the implicit session of this process."""
    bench = Bench()
    bench.tracer.start_span("chat", attributes=CHAT).end()
    run = calls_implicit.process_session().session_id
    assert bench.after.attributes("chat")["session.id"] == run
    assert [call.session_id for call in bench.calls] == [run]
    assert bench.calls[0].implicit_session


def test_two_processors_on_one_provider_tally_once() -> None:
    """A user's own processor beside the hook's does not double the tally."""
    bench = Bench()
    bench.provider.add_span_processor(SpanProcessor(sink=bench.records.append))
    bench.tracer.start_span("chat", attributes=CHAT).end()
    assert len(bench.calls) == 1


def test_a_wrapper_that_forwards_only_the_end_still_gets_redaction_and_tally() -> None:
    """Somebody's filter around our processor may not know ``_on_ending``."""
    from opentelemetry.sdk.trace import SpanProcessor as SdkSpanProcessor

    bench = Bench()

    class Filter(SdkSpanProcessor):
        def on_end(self, span: Any) -> None:
            bench.processor.on_end(span)

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Filter())
    provider.add_span_processor(bench.after)
    key = "sk-proj-Zq8Xw3Vt6Ys1Ur4Pn9Mk2Lj7Hg5Fd0Sa"
    provider.get_tracer("x").start_span("chat", attributes={**CHAT, "note": key}).end()
    assert key.encode() not in bench.after.sent
    assert len(bench.calls) == 1


def _broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("ours is broken")


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (SpanProcessor, "_start"),
        (SpanProcessor, "_inherit"),
        (SpanProcessor, "_guard_start"),
        (SpanProcessor, "_late_genai"),
        (SpanProcessor, "_close"),
        (SpanProcessor, "_meter"),
        (SpanProcessor, "_tally"),
        (span_processor, "stamps"),
        (span_processor, "facts_of"),
        (worker, "flush"),
    ],
)
def test_a_failure_in_any_hook_never_reaches_the_program(
    target: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part is made to raise: the program's value is unchanged and its span is exported."""
    guard.reset()
    bench = Bench()
    monkeypatch.setattr(target, name, _broken)

    def work() -> str:
        bench.tracer.start_span("plain").end()
        with bench.tracer.start_as_current_span("chat", attributes=CHAT) as span:
            span.set_attribute("answer", 42)
            return "result"

    with entered():
        assert work() == "result"
    assert bench.processor.force_flush(100) in (True, False)
    bench.processor.shutdown()
    assert len(bench.after.spans) == 2
    assert any(kind == "RuntimeError" for _, kind in guard.failures)


def test_a_failing_sink_costs_the_program_nothing() -> None:
    """What takes the records may break; the span goes out."""
    guard.reset()
    bench = Bench()
    bench.processor._sink = _broken
    bench.tracer.start_span("chat", attributes=CHAT).end()
    assert len(bench.after.spans) == 1
    assert guard.failures


def test_flush_and_shutdown_drain_the_worker() -> None:
    """A provider's force_flush returns only when the tally has what was handed over."""
    seen: list[Record] = []
    channel = worker.channel("test_otel", seen.extend)
    try:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SpanProcessor(sink=channel.put))
        provider.get_tracer("x").start_span("chat", attributes=CHAT).end()
        assert provider.force_flush(5000)
        assert [type(one) for one in seen if isinstance(one, CallRecord)] == [CallRecord]
        provider.get_tracer("x").start_span("chat", attributes=CHAT).end()
        provider.shutdown()
        assert len([one for one in seen if isinstance(one, CallRecord)]) == 2
    finally:
        worker.close_channel(channel)


@pytest.mark.parametrize(
    "make",
    [lambda: SpanProcessor(redact="yes"), lambda: SpanProcessor(trust_baggage="maybe")],  # type: ignore[arg-type]
)
def test_wrong_arguments_are_refused(make: Callable[[], SpanProcessor]) -> None:
    """A call with a value that is not allowed raises and names it."""
    with pytest.raises(SettingsError):
        make()
