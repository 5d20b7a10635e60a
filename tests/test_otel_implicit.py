"""The session of a server's or consumer's trace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import baggage as otel_baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otel_kit import CHAT, Bench
from spantally.calls import implicit as calls_implicit
from spantally.calls.telemetry import Telemetry
from spantally.ground.session_state import forget_sessions
from spantally.otel import implicit


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    implicit.forget_traces()
    forget_sessions()
    yield
    implicit.forget_traces()
    implicit.set_trust_baggage(None)


def _inbound(**entries: str) -> Context:
    """What a propagator makes of a request: a remote parent and baggage."""
    remote = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
    context = trace.set_span_in_context(NonRecordingSpan(remote), Context())
    for key, value in entries.items():
        context = otel_baggage.set_baggage(key.replace("__", "."), value, context)
    return context


def test_inbound_baggage_names_the_session_of_all_that_follows() -> None:
    """The server span, http spans beneath it and calls of the same trace belong to the caller's session."""
    bench = Bench()
    inbound = _inbound(session__id="chat-42", user__id="alice", spantally__tag__feature="search")
    server = bench.tracer.start_span("POST /chat", context=inbound, kind=SpanKind.SERVER)
    inside = trace.set_span_in_context(server, Context())  # the framework dropped the baggage
    bench.tracer.start_span("GET", context=inside, kind=SpanKind.CLIENT).end()
    bench.tracer.start_span("chat", context=inside, attributes=CHAT).end()
    server.end()
    for name in ("POST /chat", "GET", "chat"):
        attributes = bench.after.attributes(name)
        assert attributes["session.id"] == "chat-42"
        assert attributes["user.id"] == "alice"
        assert attributes["spantally.tag.feature"] == "search"
    assert [(call.session_id, call.user_id) for call in bench.calls] == [("chat-42", "alice")]
    state = implicit.session_of_trace(0xABC)
    assert state is not None
    assert state.session_id == "chat-42"


def test_untrusted_baggage_is_ignored() -> None:
    """With trust_baggage off a stranger cannot choose the session."""
    bench = Bench(trust_baggage=False)
    bench.tracer.start_span("POST", context=_inbound(session__id="evil"), kind=SpanKind.SERVER).end()
    assert bench.after.attributes("POST")["session.id"] != "evil"


def test_baggage_counts_at_server_roots_only() -> None:
    """An ordinary span whose context holds baggage is not a place where requests come in."""
    bench = Bench()
    bench.tracer.start_span("work", context=_inbound(session__id="chat-42")).end()
    assert "session.id" not in bench.after.attributes("work")


@pytest.mark.parametrize("kind", [SpanKind.SERVER, SpanKind.CONSUMER])
def test_each_root_trace_of_a_server_is_one_session(kind: SpanKind) -> None:
    """Two requests are two implicit sessions that end with them; calls of one request share it."""
    bench = Bench()
    for _ in range(2):
        with bench.tracer.start_as_current_span("handle", kind=kind, context=Context()):
            bench.tracer.start_span("chat", attributes=CHAT).end()
            bench.tracer.start_span("chat", attributes=CHAT).end()
    sessions = [call.session_id for call in bench.calls]
    assert len(set(sessions)) == 2
    assert sessions[0] == sessions[1]
    assert all(call.implicit_session for call in bench.calls)
    assert [record.status for record in bench.sessions] == ["running", "succeeded"] * 2


def test_a_failed_request_is_a_failed_session() -> None:
    """The error of the server span is the error of its session."""
    bench = Bench()
    with bench.tracer.start_as_current_span("handle", kind=SpanKind.SERVER, context=Context()) as span:
        bench.tracer.start_span("chat", attributes=CHAT).end()
        span.set_attribute("error.type", "500")
        span.set_status(Status(StatusCode.ERROR))
    assert [(record.status, record.error_type) for record in bench.sessions][-1] == ("failed", "500")


def test_two_services_of_one_trace_name_the_same_session() -> None:
    """The id follows from the trace id, so no hop has to carry it."""
    ids = set()
    for _ in range(2):
        implicit.forget_traces()
        bench = Bench()
        bench.tracer.start_span("handle", context=_inbound(), kind=SpanKind.SERVER).end()
        ids.add(bench.after.attributes("handle")["session.id"])
    assert len(ids) == 1


def test_the_environment_names_the_session_of_a_server_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """SPANTALLY_SESSION comes before one session per trace."""
    monkeypatch.setenv("SPANTALLY_SESSION", "batch-7")
    bench = Bench()
    bench.tracer.start_span("handle", context=Context(), kind=SpanKind.SERVER).end()
    assert bench.after.attributes("handle")["session.id"] == "batch-7"


def test_calls_of_our_instrumentors_find_baggage_and_trace() -> None:
    """The resolvers that calls outside a session ask: baggage first, then the server's trace."""
    implicit.register_resolvers()
    implicit.register_resolvers()
    try:
        assert len(calls_implicit.baggage_resolvers) == len(set(calls_implicit.baggage_resolvers))
        found = calls_implicit.implicit_scope(_inbound(session__id="chat-42"), Telemetry())
        assert found.session.session_id == "chat-42"
        bench = Bench()
        with bench.tracer.start_as_current_span("handle", kind=SpanKind.SERVER, context=Context()) as span:
            traced = calls_implicit.implicit_scope(otel_context.get_current(), Telemetry())
            assert traced.session is implicit.session_of_trace(span.get_span_context().trace_id)
    finally:
        implicit.unregister_resolvers()


def test_the_memory_of_traces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that runs for months forgets old traces."""
    monkeypatch.setattr(implicit, "TRACES_LIMIT", 10)
    bench = Bench()
    for _ in range(50):
        bench.tracer.start_span("handle", context=Context(), kind=SpanKind.SERVER).end()
    assert len(implicit._traces) == 10
