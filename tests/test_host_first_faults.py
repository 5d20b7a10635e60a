"""An exception forced into each part that runs in a hook: the program gets what it gets without us."""

from __future__ import annotations

import asyncio
import gc
import importlib
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import spantally
from host_kit import Program, script
from spantally.calls import implicit, secrets
from spantally.calls.operation import open_operations
from spantally.ground import guard
from spantally.ground.records import COUNTED_KINDS
from spantally.ground.worker import worker
from spantally.redaction import Redactor
from spantally.testing import ScriptedServer
from watching import Watched


class Boom(Exception):
    """What the forced failures raise."""


class Fault(NamedTuple):
    """One part, and what is to become of it."""

    target: str
    """``module:path`` of what raises."""
    places: tuple[str, ...]
    """Guards that must have met it."""
    metered: bool = True
    """Whether every call is metered nevertheless."""
    unpaused: bool = False
    """Whether ``paused()`` cannot take effect, so that the call inside is metered too."""


BEGINNING = "spantally.instrumentors.openai.beginning"
CALL = "spantally.instrumentors.openai.call"
CAPTURE = "spantally.instrumentors.stainless.capture"
CONTENT = "spantally.instrumentors.openai.wire.content"
SHELL = "spantally.instrumentors.stainless.call"
TAPS = "spantally.instrumentors.stainless.taps"
PLACES = "spantally.instrumentors.stainless.places"
STREAMS = "spantally.instrumentors.stainless.streams"
FACTS = "spantally.instrumentors.openai.wire.stream"
OPERATION = "spantally.calls.operation"
STARTING = "spantally.calls.starting"
WORK = "spantally.calls.work"
SESSION = "spantally.api.session"
THREADS = "spantally.instrumentors.threads"

FAULTS = (
    # the request
    Fault(f"{BEGINNING}:classify", ("sdk.begin",), metered=False),
    Fault(f"{BEGINNING}:begin", ("sdk.begin",), metered=False),
    Fault(f"{BEGINNING}:request.request_attributes", ("sdk.request",)),
    Fault(f"{BEGINNING}:request.varying_attributes", ("sdk.request",)),
    Fault(f"{BEGINNING}:request.shape_of", ("sdk.request",)),
    Fault(f"{BEGINNING}:request.quick_shape", ("sdk.request",)),
    Fault(f"{BEGINNING}:request.request_model", ("sdk.request",)),
    Fault(f"{BEGINNING}:provider.provider_of", ("sdk.request",)),
    Fault(f"{PLACES}:vendor_of_rates", ("sdk.request_facts",)),
    Fault(f"{BEGINNING}:request.newest_message_is_user", ("sdk.request_facts",)),
    Fault(f"{BEGINNING}:remember_keys", ("sdk.request",)),
    Fault("spantally.redaction:register_literal", ("calls.secrets",)),
    Fault(f"{BEGINNING}:request.tool_results", ("sdk.request_content",)),
    Fault(f"{BEGINNING}:infer_tool_results", ("sdk.request_content",)),
    Fault(f"{CAPTURE}:Capture.__init__", ("sdk.request_content",)),
    Fault(f"{CONTENT}:input_sources", ("sdk.request_content",)),
    Fault("spantally.calls.fragments:Maker.spoken", ("sdk.request_content",)),
    # another instrumentor's span
    Fault("spantally.otel.joining:SpanReader.shows", ("calls.join",)),
    # the start
    Fault(f"{OPERATION}:Operation.__init__", ("calls.start",), metered=False),
    Fault(f"{OPERATION}:ids.new_call_id", ("calls.start",), metered=False),
    Fault(f"{STARTING}:current_scope", ("calls.scope",)),
    Fault(f"{STARTING}:is_paused", ("calls.start",), metered=False),
    Fault(f"{STARTING}:implicit.implicit_scope", ("calls.scope",)),
    Fault(f"{STARTING}:implicit.record_session", ("calls.session_record",)),
    Fault("spantally.ground.process:identity", ("calls.session_record", "session.leave")),
    Fault("spantally.calls.implicit:program_name", ("calls.program_name",)),
    Fault(f"{STARTING}:is_instrumentation_enabled", ("calls.span_start",)),
    Fault("spantally.calls.own_spans:stamps", ("calls.span_start",)),
    Fault("opentelemetry.sdk.trace:Tracer.start_span", ("calls.span_start",)),
    Fault(f"{OPERATION}:Operation.inner_context", ("sdk.enter", "calls.inner_context")),
    Fault("spantally.api.events:EventEmitter.is_heard", ("calls.exception_event",)),
    # the sums of agents
    Fault(f"{OPERATION}:add_to_agents", ("calls.rollup",)),
    Fault("spantally.calls.rollup:Rollup.attributes", ("calls.rollup_sums",)),
    # the middle
    Fault(f"{CALL}:OpenAICall.read_response_head", ("sdk.response",)),
    Fault(f"{CALL}:OpenAICall.read_buffered", ("sdk.response",)),
    Fault(f"{CALL}:OpenAICall.read_body", ("sdk.response", "sdk.result")),
    Fault(f"{TAPS}:watch_bytes", ("sdk.response",)),
    Fault(f"{TAPS}:watch", ("sdk.stream",)),
    Fault(f"{TAPS}:watch_async", ("sdk.stream",)),
    Fault(f"{CALL}:StreamFacts.__init__", ("sdk.chunk", "sdk.bytes")),
    Fault(f"{FACTS}:_CollectingChatFacts.observe", ("sdk.chunk", "sdk.bytes")),
    Fault(f"{STREAMS}:SseScanner.feed", ("sdk.bytes",)),
    Fault(f"{STREAMS}:SseScanner.__init__", ("sdk.bytes",)),
    Fault(f"{OPERATION}:Operation.mark_first_chunk", ("sdk.chunk", "sdk.bytes")),
    Fault(f"{STREAMS}:_decoded", ("sdk.bytes_end",)),
    Fault(f"{FACTS}:_ChatFacts.facts", ("sdk.stream_facts",)),
    Fault(f"{CALL}:response.response_facts", ("sdk.response", "sdk.result")),
    Fault(f"{CALL}:response.add_usage_attributes", ("sdk.response",)),
    Fault(f"{CALL}:expect_tool_calls", ("sdk.response",)),
    # the end
    Fault(f"{CALL}:OpenAICall.succeeded", ("sdk.returned",)),
    Fault(f"{CALL}:OpenAICall.failed", ("sdk.raised", "sdk.stream_end")),
    Fault(f"{CALL}:last_event", ("sdk.last_event",)),
    Fault(f"{CALL}:OpenAICall.exhausted", ("sdk.stream_end",)),
    Fault(f"{CALL}:OpenAICall.left_early", ("sdk.left",), metered=False),
    Fault(f"{SHELL}:errors.is_rejection", ("sdk.stream_end",)),
    Fault(f"{SHELL}:errors.error_type_of", ("sdk.raised",)),
    Fault(f"{CAPTURE}:Capture.finish", ("sdk.capture",)),
    Fault(f"{CAPTURE}:governed", ("sdk.capture",)),
    Fault("spantally.api.events:EventEmitter.is_heard", ("sdk.capture",)),
    Fault(f"{CAPTURE}:attribute_limit", ("sdk.capture",)),
    Fault(f"{CAPTURE}:event_attributes", ("sdk.capture",)),
    Fault(f"{CAPTURE}:Capture.take_output", ("sdk.response", "sdk.stream_facts")),
    Fault(f"{OPERATION}:Operation.finish", ("sdk.end", "calls.running"), metered=False),
    Fault(f"{OPERATION}:Operation.finish_later", ("sdk.left", "calls.running"), metered=False),
    Fault(f"{OPERATION}:Operation._end_span", ("calls.span_end",)),
    Fault(f"{OPERATION}:Operation._record", ("calls.record",), metered=False),
    Fault(f"{OPERATION}:type_name", ("calls.error_type",)),
    Fault(f"{OPERATION}:pipeline.remember_metered", ("calls.remember",)),
    Fault("spantally.ground.session_state:SessionState.add", ("calls.tally",)),
    Fault("spantally.calls.pipeline:emit", ("calls.record",), metered=False),
    Fault(f"{OPERATION}:fill", ("calls.span_end",)),
    Fault("opentelemetry.sdk.trace:Span.set_status", ("calls.span_end",)),
    Fault("opentelemetry.sdk.trace:Span.end", ("calls.span_end",)),
    # redaction
    Fault("spantally.redaction:Redactor.attributes", ("calls.redaction",)),
    Fault("spantally.redaction:Redactor.text", ("calls.span_start",)),
    Fault("spantally.redaction:Redactor.value", ("sdk.request_content", "calls.tool_arguments")),
    # the worker
    Fault("spantally.ground.worker:Channel.put", ("calls.record",), metered=False),
    Fault("spantally.ground.worker:Channel.put_from_finaliser", ("calls.finish_later",), metered=False),
    Fault("spantally.ground.worker:Worker.start", ("calls.record",)),
    Fault("spantally.ground.worker:Worker.wake", ("calls.record",)),
    # agents, tools, sessions
    Fault("spantally.calls.running:Entered.__init__", ("calls.enter",), unpaused=True),
    Fault("spantally.calls.entering:restore", ("calls.leave",)),
    Fault(f"{WORK}:starting.start", ("calls.agent", "calls.tool"), metered=False),
    Fault(f"{WORK}:claim_tool_call", ("calls.tool.prepare",)),
    Fault("spantally.calls.work_content:named", ("calls.tool_arguments",)),
    Fault("spantally.calls.work_values:attribute_limit", ("calls.tool_arguments", "calls.tool_result")),
    Fault("spantally.calls.work_content:_put", ("calls.tool_arguments", "calls.tool_result")),
    Fault("spantally.calls.capturing:Captured.end", ("calls.running",)),
    Fault("spantally.calls.capturing:Captured.__init__", ("calls.capture",)),
    Fault("spantally.calls.capturing:keep_value", ("calls.capture",)),
    Fault("spantally.calls.capturing:Yielded.value", ("calls.capture",)),
    Fault("spantally.calls.capturing:Yielded.add", ("calls.running",)),
    Fault("spantally.calls.work_messages:put_message", ("calls.capture",)),
    Fault(f"{WORK}:AgentWork._prepare", ("calls.agent.prepare",)),
    Fault(f"{WORK}:is_disabled", ("calls.agent", "calls.tool")),
    Fault(f"{WORK}:Entered.__init__", ("calls.agent.enter", "calls.tool.enter"), unpaused=True),
    Fault(f"{SESSION}:is_disabled", ("session.enter",)),
    Fault(f"{SESSION}:current_scope", ("session.enter",)),
    Fault(f"{SESSION}:remember_session", ("session.enter",)),
    Fault(f"{SESSION}:with_baggage", ("session.enter",)),
    Fault(f"{SESSION}:Session._fresh", ("session.decorator",)),
    Fault("spantally.api.keeping:worker.flush", ("session.flush",)),
    Fault("spantally.api.keeping:worker.notify_when_drained", ("session.flush",)),
    Fault("spantally.api.pausing:with_values", ("api.paused",), unpaused=True),
    # threads
    Fault(f"{THREADS}:_is_servant", ("threads.start",)),
    Fault(f"{THREADS}:_session_ended", ("threads.run",)),
    Fault(f"{THREADS}:_InContext.__init__", ("threads.submit",)),
    # processors
    Fault("spantally.otel.span_processor:SpanProcessor._start", ("otel.on_start",)),
    Fault("spantally.otel.span_processor:SpanProcessor._late_genai", ("otel.late_stamps",)),
    Fault("spantally.otel.span_processor:SpanProcessor._close", ("otel.on_ending", "otel.on_end")),
    Fault("spantally.otel.span_processor:SpanProcessor._meter", ("otel.on_end",)),
    Fault("spantally.api.events:LogRecord", ("api.event",)),
    Fault("spantally.otel.log_processor:_stamp", ("otel.log_on_emit",)),
)


PAUSED_CALLS = 2
"""Calls of the program inside ``paused()``."""


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """A program over a scripted server."""
    with ScriptedServer(script) as server, asyncio.Runner() as loop:
        made = Program(server, loop)
        yield made
        made.close()


@pytest.fixture(scope="module")
def without_us(program: Program) -> dict[str, Any]:
    """What the program gets when nothing is instrumented."""
    spantally.uninstrument()
    return program.run()


@pytest.fixture
def active(program: Program) -> Iterator[Watched]:
    """spantally with all content on, so that every part runs; the redactor is one for these tests."""
    provider = LoggerProvider(shutdown_on_exit=False)
    # Without anybody who hears them, no event is built.
    heard = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider.add_log_record_processor(SimpleLogRecordProcessor(heard))
    before = otel_context.get_current()
    implicit.forget_process_session()
    # A stream whose end a forced failure swallowed ends when it is collected: not in the next test.
    # What another test of this process left open is no fault of the next one either.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
        program.run_async(asyncio.sleep(0.001))
        gc.collect()
    worker.flush(5)
    made = Watched(
        capture_content="span_and_event", ledger_content="all", redact=Redactor(), logger_provider=provider
    )
    yield made
    made.close()
    otel_context.attach(before)  # a forced failure may have kept a scope from being left
    open_operations.clear()


def _bill(watched: Watched) -> list[str]:
    """What was metered, whatever the order in which threads ended: the kind of each call."""
    calls = {record.call_id: record for record in watched.records if record.kind in COUNTED_KINDS}
    return sorted(record.kind for record in calls.values())


@pytest.fixture(scope="module")
def full_bill(program: Program, without_us: dict[str, Any]) -> list[str]:
    """What is metered when nothing fails."""
    watched = Watched()
    try:
        assert program.run() == without_us
        return _bill(watched)
    finally:
        watched.close()


def _force(patch: pytest.MonkeyPatch, target: str) -> None:
    module_name, _, path = target.partition(":")
    owner: Any = importlib.import_module(module_name)
    *parents, last = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise Boom

    patch.setattr(owner, last, fail)


def _met() -> set[str]:
    return {where for where, kind in guard.failures if kind == "Boom"}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.target.removeprefix("spantally."))
def test_failure_of_a_part_stays_ours(
    fault: Fault,
    active: Watched,
    program: Program,
    without_us: dict[str, Any],
    full_bill: list[str],
) -> None:
    """Every form of call returns or raises just what it does without us; the failure is counted as ours."""
    with pytest.MonkeyPatch.context() as patch:
        worker.stop()
        secrets.known_secrets.clear()
        if fault.target.endswith("Worker.wake"):
            patch.setattr("spantally.ground.worker.IDLE_WAITS", 0)  # so that it sleeps, and must be woken
        _force(patch, fault.target)
        got = program.run()
        if "span_processor" in fault.target:
            with trace.get_tracer("db", tracer_provider=active.provider).start_as_current_span("SELECT"):
                pass
    changed = {name: (got[name], without_us[name]) for name in got if got[name] != without_us[name]}
    assert not changed
    assert set(fault.places) <= _met()
    if fault.unpaused:
        assert _bill(active) == sorted([*full_bill, *["inference"] * PAUSED_CALLS])
    elif fault.metered:
        assert _bill(active) == full_bill


class _BrokenContext:
    """The OpenTelemetry context API with one function that raises."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> Any:
        if name == self.name:
            raise Boom
        return getattr(otel_context, name)


@pytest.mark.parametrize(
    ("module", "name", "places"),
    [
        (TAPS, "attach", {"sdk.enter"}),
        (TAPS, "detach", {"sdk.leave"}),
        (THREADS, "attach", {"threads.attach", "threads.run"}),
        (THREADS, "detach", {"threads.detach"}),
        (THREADS, "get_current", {"threads.start", "threads.submit"}),
        (SESSION, "get_current", {"session.enter"}),
        ("spantally.calls.entering", "attach", {"calls.enter", "calls.steps"}),
        ("spantally.calls.entering", "detach", {"calls.steps"}),
    ],
)
def test_failure_of_the_context_api_stays_ours(
    module: str, name: str, places: set[str], active: Watched, program: Program, without_us: dict[str, Any]
) -> None:
    """A context API that raises beneath one of our rooms changes nothing for the program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module(module), "otel_context", _BrokenContext(name))
        got = program.run()
    assert got == without_us
    assert places <= _met()


def test_failed_inner_context_leaves_no_operation_open(active: Watched, program: Program) -> None:
    """An agent whose scope cannot be made still ends when its body does, not at exit."""
    before = set(
        open_operations
    )  # another file's test in this process may have left a stream to the collector
    with pytest.MonkeyPatch.context() as patch:
        _force(patch, f"{OPERATION}:Operation.inner_context")
        program.run(("agent", "chat", "with agent", "async agent"))
    assert set(open_operations) <= before
    assert {record.status for record in active.records} == {"ok"}


def test_failures_are_logged_once_without_their_text(
    active: Watched, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    """Two failures of one place give one line, which names place and type but quotes no message."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        message = "the planted text of a failure"
        raise Boom(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{BEGINNING}.classify", fail)
        program.run(("chat", "responses"))
    lines = [record.getMessage() for record in caplog.records if "sdk.begin" in record.getMessage()]
    assert len(lines) == 1
    assert "Boom" in lines[0]
    assert "planted text" not in caplog.text


def test_consumer_that_fails_costs_no_other_consumer(active: Watched, program: Program) -> None:
    """One consumer of records that raises is counted; the others get every record."""
    from spantally.calls import pipeline

    def broken(batch: Any) -> None:
        raise Boom

    pipeline._consumers.insert(0, broken)
    try:
        program.run(("chat",))
        assert [record.kind for record in active.records] == ["inference"]
    finally:
        pipeline.remove_consumer(broken)
    assert "calls.consumer" in _met()


def test_tracer_of_the_sdk_is_the_one_that_failed() -> None:
    """The faults above reach the SDK's own classes, which our spans are made of."""
    assert sdk_trace.Tracer.start_span.__module__ == "opentelemetry.sdk.trace"
