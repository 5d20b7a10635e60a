"""The span processor: stamps whose a span is, redacts it as it ends, and tallies calls of any instrumentor.

It works alone on a provider. Whatever it does is guarded: the worst that may happen to a program is a span
without stamps or with withheld text.

Links of non-GenAI spans are kept only where ancestry may need them: within this process lineage is known
from the span objects, so a link matters only between processes. A span gives one if its trace holds a GenAI
span and something may hang beneath it: it had children here, or it is a client's or producer's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import SpanProcessor as SdkSpanProcessor
from opentelemetry.trace import INVALID_SPAN, SpanKind, StatusCode

from spantally.calls import implicit as calls_implicit
from spantally.calls import pipeline
from spantally.calls import telemetry as calls_telemetry
from spantally.calls.operation import SPAN_KEY, Operation, open_operations
from spantally.calls.own_spans import stamps
from spantally.calls.telemetry import SCOPE_NAME, RedactorLike, Telemetry
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind, Record, SessionStatus, Status
from spantally.ground.scope import Scope, current_scope, is_hidden
from spantally.ground.settings import from_argument
from spantally.ground.worker import worker
from spantally.otel import foreign, joining
from spantally.otel.beside import (
    is_counted_by_framework,
    is_of_another_call,
    is_told_by_twin,
    told_models,
)
from spantally.otel.dialects import Facts, facts_of
from spantally.otel.export_filter import Place, filter_span
from spantally.otel.frameworks import enrich, recognise
from spantally.otel.implicit import enter_trace, scope_of_trace
from spantally.otel.lineage import STATE, SpanState, View, own_call_id, span_call_id
from spantally.otel.redaction_net import (
    SafeAttributes,
    close_span,
    passes_whole,
    redact_ending_span,
    redact_starting_span,
)
from spantally.otel.redactors import redactor_of

Sink: TypeAlias = Callable[[Record], None]

TRACES_LIMIT: Final = 4096
"""How many traces with GenAI spans are remembered, for the links of other spans."""

_INBOUND: Final = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})
_OUTBOUND: Final = frozenset({SpanKind.CLIENT, SpanKind.PRODUCER})
_NAMED_AFTER_AGENT: Final = frozenset(
    {Kind.INFERENCE, Kind.EMBEDDINGS, Kind.RETRIEVAL, Kind.MEMORY, Kind.TOOL}
)
"""Kinds on which ``gen_ai.agent.name`` means the agent around, not the operation's own name."""

LedgerOpener: TypeAlias = Callable[[object, Callable[[], RedactorLike | None]], Sink]

_ledger_opener: list[LedgerOpener] = []


def set_ledger_opener(opener: LedgerOpener | None) -> None:
    """How a processor that stands alone gets its ledger: set by the room that assembles.

    Args:
        opener: takes the ``ledger`` argument and what tells the processor's redactor, and returns where
            records go; None takes it back.
    """
    _ledger_opener[:] = [] if opener is None else [opener]


def _never(call_id: str) -> bool:
    return False


def _metered_into_active(call_id: str) -> bool:
    return bool(pipeline.consumers()) and pipeline.is_metered(call_id)


class SpanProcessor(SdkSpanProcessor):
    """Stamps, redacts and tallies the spans of a provider, whoever makes them.

    Add it to any SDK tracer provider; one is enough for all instrumentors.
    """

    def __init__(
        self,
        *,
        redact: bool | RedactorLike | None = None,
        ledger: object = None,
        meter_foreign: bool = True,
        trust_baggage: bool | None = None,
        sink: Sink | None = None,
        is_metered: Callable[[str], bool] | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Make a processor.

        Args:
            redact: False lets spans pass as they are; an object replaces the default redactor; None means
                what SPANTALLY_REDACT says.
            ledger: a path, ``":memory:"``, False or a store; by default the active or default ledger.
            meter_foreign: whether spans of other instrumentors are tallied.
            trust_baggage: whether inbound baggage may name session, user, entity and tags; by default
                as ``SPANTALLY_TRUST_BAGGAGE`` says.
            sink: takes the records instead of a ledger.
            is_metered: tells whether the same ledger has a call id from the source already; by default
                that holds for the active ledger only.
            telemetry: fallbacks and policy; by default those of the process.

        Raises:
            SettingsError: for a value that is not allowed.
        """
        self.redactor = redactor_of(redact)
        self.trust_baggage = bool(from_argument("trust_baggage", trust_baggage))
        self.meter_foreign = meter_foreign
        self._telemetry = telemetry if telemetry is not None else calls_telemetry.active
        shares_active = sink is pipeline.emit_foreign or (sink is None and ledger is None)
        self._tally_key: object = "active" if shares_active else (sink or self)
        if is_metered is None:
            is_metered = _metered_into_active if shares_active else _never
        self._is_metered = is_metered
        self._own_are_metered = is_metered is pipeline.is_metered
        """Whether every span that an operation of ours records is metered at the source, for this ledger."""
        if sink is None:
            sink = (
                _ledger_opener[0](ledger, lambda: self.redactor) if _ledger_opener else pipeline.emit_foreign
            )
        self._sink = sink
        self._genai_traces: OrderedDict[int, None] = OrderedDict()
        joining.register()
        self._processors: object = None
        self._redact_at_start = False
        self.only_genai = False
        """Whether processors behind this one get GenAI spans alone (``export_filter.py``)."""
        self.finished: Callable[[ReadableSpan], None] | None = None
        """Gets each finished span once it is redacted and tallied; one append, which must not raise."""

    # -- the SDK's side ------------------------------------------------------------------------------

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        """Stamp the span, and redact its start attributes where a processor behind ours may send them."""
        try:
            if parent_context is None:
                parent_context = otel_context.get_current()
            attributes = span._attributes
            # Straight from the dict of the SDK's own attributes: their get() runs three functions of Python.
            known = attributes._dict if type(attributes) is BoundedAttributes else attributes
            call_id: Any = known.get(semconv.CALL_ID)
            made: Operation | None = None
            if call_id is not None:
                scope = span.instrumentation_scope
                if scope is not None and scope.name == SCOPE_NAME:
                    made = open_operations.get(call_id) or _by_part(call_id, span)
            if made is None or hasattr(span, STATE):
                self._start(span, parent_context, made)
                return
            # A running operation of ours knows its scope and has stamped its span.
            around: SpanState | None = None
            if parent_context:
                around = getattr(parent_context.get(SPAN_KEY), STATE, None)
                if around is not None:
                    around.has_children = True
            parent = span.parent
            state = SpanState.of_own(made, around, local_root=parent is None or parent.is_remote)
            setattr(span, STATE, state)
            if self.only_genai:
                state.place = Place(span, None if around is None else around.place)
            traces = self._genai_traces
            traces[span._context.trace_id] = None
            if len(traces) > TRACES_LIMIT:
                self._forget_trace()
            if made.telemetry.redactor is not self.redactor:
                self._guard_start(span)
        except Exception as error:
            swallowed("otel.on_start", error)

    def _on_ending(self, span: Any) -> None:
        """Redact the span, for every processor of the provider."""
        state: SpanState | None = getattr(span, STATE, None)
        if state is not None and state.genai:
            try:
                if self.redactor is not None and passes_whole(span, self.redactor):
                    span._attributes.note = state
                    return
            except Exception as error:
                swallowed("otel.passes", error)
        else:
            try:
                self._late_genai(span, state)
            except Exception as error:
                swallowed("otel.late_stamps", error)
        try:
            self._close(span, state)
        except Exception as error:
            swallowed("otel.on_ending", error)
            self._withhold(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Tally a GenAI span that nobody has tallied."""
        try:
            attributes: Any = span._attributes
            # First by its very type: asking an abstract class for an instance runs Python.
            if type(attributes) is not SafeAttributes and not isinstance(attributes, SafeAttributes):
                # Some wrapper passed us the end without _on_ending: at least those behind us are safe.
                attributes = self._close(span, None)
        except Exception as error:
            swallowed("otel.on_end", error)
            return
        try:
            state: SpanState | None = attributes.note
            if self.meter_foreign and not (self._own_are_metered and state is not None and state.own):
                self._meter(span, attributes, state)
        except Exception as error:
            swallowed("otel.on_end", error)
        if self.only_genai:
            try:
                filter_span(span, None if attributes.note is None else attributes.note.place)
            except Exception as error:
                swallowed("otel.export_filter", error)
        if self.finished is not None:
            self.finished(span)

    def shutdown(self) -> None:
        """Wait, up to 5 s, until the tally has everything; the processor goes on working."""
        self.force_flush(5000)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Wait until the tally has what was handed over so far.

        Args:
            timeout_millis: to wait at most.

        Returns:
            True if it has everything.
        """
        try:
            return worker.flush(max(0.0, timeout_millis / 1000))
        except Exception as error:
            swallowed("otel.force_flush", error)
            return True

    # -- the start -----------------------------------------------------------------------------------

    def _start(self, span: Any, context: Context, made: Operation | None) -> None:
        state: SpanState | None = getattr(span, STATE, None)
        if state is None:
            enrich(span, context)
            state = self._inherit(span, context)
            setattr(span, STATE, state)
            if not state.paused:
                self._recognise(span, state)
        if made is None or made.telemetry.redactor is not self.redactor:
            self._guard_start(span)

    def _recognise(self, span: Any, state: SpanState) -> None:
        try:
            joining.recognise(span, state)
            recognise(span, state)
        except Exception as error:
            swallowed("otel.join", error)

    def _inherit(self, span: Any, context: Context) -> SpanState:
        """Find whose the span is, stamp it, and make the state its children will inherit from."""
        around: SpanState | None = getattr(trace.get_current_span(context), STATE, None)
        if around is not None:
            around.has_children = True
        attributes: Mapping[str, Any] = span._attributes
        facts = facts_of(attributes, span.name)
        scope = current_scope(context)
        parent = span.parent
        local_root = parent is None or parent.is_remote
        if scope is None:
            scope = self._implicit_scope(span, context, facts, local_root)
            if scope is None and around is not None and around.scope and around.scope.session.implicit:
                scope = around.scope  # beneath a foreign agent of the run's own session
        state = SpanState(scope, around)
        if self.only_genai:
            state.place = Place(span, None if around is None else around.place)
        state.local_root = local_root
        state.paused = is_hidden(context)
        if facts is not None:
            state.become(facts, span, own_call_id(attributes))
            self._saw_genai(span.get_span_context().trace_id)
        if scope is not None and not state.paused and not _is_ours(span):
            missing = _missing(_stamps(scope, state, facts, attributes), attributes)
            if missing:
                span.set_attributes(missing)
        return state

    def _implicit_scope(
        self, span: Any, context: Context, facts: Facts | None, local_root: bool
    ) -> Scope | None:
        trace_id = span.get_span_context().trace_id
        if local_root and span.kind in _INBOUND:
            return enter_trace(trace_id, context, self._telemetry, trust_baggage=self.trust_baggage)
        traced = scope_of_trace(trace_id)
        if traced is not None or facts is None:
            return traced
        return calls_implicit.implicit_scope(context, self._telemetry, facts.conversation_id)

    def _guard_start(self, span: Any) -> None:
        """Redact start attributes, if we stand in front of a processor that looks at spans as they start."""
        redactor = self.redactor
        if redactor is None:
            return
        processors = getattr(getattr(span, "_span_processor", None), "_span_processors", None)
        if processors is not self._processors:
            self._processors = processors
            self._redact_at_start = _somebody_looks(self, processors)
        if self._redact_at_start:
            redact_starting_span(span, redactor)

    # -- the end -------------------------------------------------------------------------------------

    def _late_genai(self, span: Any, state: SpanState | None) -> None:
        """Stamp what only a GenAI span carries onto one that showed itself as such after its start."""
        attributes = span._attributes
        facts = facts_of(attributes, span._name)
        if facts is None:
            return
        self._saw_genai(span.get_span_context().trace_id)
        if state is None or state.scope is None or state.paused:
            return
        missing = _missing(_stamps(state.scope, state, facts, attributes), attributes)
        if missing:
            # The SDK has frozen the span: like redaction, this replaces its private attributes.
            span._attributes = SafeAttributes.replacing(attributes, {**attributes, **missing})

    def _close(self, span: Any, state: SpanState | None) -> SafeAttributes:
        note = state
        if isinstance(span._attributes, SafeAttributes) and note is None:
            note = span._attributes.note
        if self.redactor is not None:
            made = redact_ending_span(span, self.redactor)
        else:
            made = SafeAttributes.replacing(span._attributes, dict(span._attributes or {}))
            span._attributes = made
        made.note = note
        return made

    def _withhold(self, span: Any) -> None:
        """Fail closed: where even replacing a span's parts failed, it goes out without them."""
        if self.redactor is None:
            return
        try:
            close_span(span)
        except Exception as error:
            swallowed("otel.withhold", error)

    def _meter(self, span: ReadableSpan, attributes: SafeAttributes, state: SpanState | None) -> None:
        if state is not None:
            if state.paused or self._tally_key in state.tallied:
                return
            state.tallied += (self._tally_key,)
            if state.view is not None and self._tally_key == "active":
                joining.expect_log(span, attributes, state.call_id)
                if not is_of_another_call(state, span, attributes):
                    if state.view is View.BESIDE:
                        self._link(span, state)
                    return
                state.call_id = span_call_id(span)
            if state.call_id is not None and self._is_metered(state.call_id):
                return
        facts = facts_of(attributes, span.name)
        if facts is None:
            self._link(span, state)
        else:
            self._tally(span, attributes, facts, state)
        if state is not None and state.local_root and span.kind in _INBOUND:
            self._end_trace_session(span, state)

    def _tally(
        self, span: ReadableSpan, attributes: SafeAttributes, facts: Facts, state: SpanState | None
    ) -> None:
        call_id = (state.call_id if state is not None else None) or own_call_id(attributes)
        if call_id is not None and self._is_metered(call_id):
            return
        if state is not None:
            if is_told_by_twin(state, facts) or is_counted_by_framework(attributes):
                self._link(span, state)
                return
            state.told_of = told_models(facts)
        record, scope = foreign.call_record(span, attributes, facts, state, self._telemetry)
        if record.status == Status.OK and joining.opens_stream(record.scope_name, attributes, facts):
            return
        session = scope.session
        if not session.recorded:
            session.recorded = True
            self._sink(calls_implicit.session_record(scope, self._telemetry))
        self._sink(record)

    def _link(self, span: ReadableSpan, state: SpanState | None) -> None:
        context = span.get_span_context()
        if span.parent is None or context is None or context.trace_id not in self._genai_traces:
            return
        if span.kind in _OUTBOUND or state is None or state.has_children:
            link = foreign.link_record(span)
            if link is not None:
                self._sink(link)

    def _end_trace_session(self, span: ReadableSpan, state: SpanState) -> None:
        """Finish the session that a server's root trace was given, if a call ever belonged to it."""
        context = span.get_span_context()
        scope = state.scope
        if context is None or scope is None or scope.session.session_id != f"trace-{context.trace_id:032x}":
            return
        session = scope.session
        if not session.recorded or session.ended:
            return
        session.ended = True
        failed = span.status.status_code is StatusCode.ERROR
        error_type = (span.attributes or {}).get(semconv.ERROR_TYPE)
        self._sink(
            calls_implicit.session_record(scope, self._telemetry)._replace(
                status=SessionStatus.FAILED if failed else SessionStatus.SUCCEEDED,
                end_ns=span.end_time,
                error_type=error_type if failed and isinstance(error_type, str) else None,
            )
        )

    def _saw_genai(self, trace_id: int) -> None:
        traces = self._genai_traces
        traces[trace_id] = None
        if len(traces) > TRACES_LIMIT:
            self._forget_trace()

    def _forget_trace(self) -> None:
        try:
            self._genai_traces.popitem(last=False)
        except KeyError:
            pass  # another thread has emptied it


def _by_part(cut: str, span: Any) -> Operation | None:
    """The operation that is starting a span where the SDK was told to keep less of a text than a call id has.

    By its moment, too.
    """
    if len(cut) != getattr(span._attributes, "max_value_len", None):
        return None
    for operation in list(open_operations.values()):
        if (
            operation.start_ns == span.start_time
            and operation.span is INVALID_SPAN
            and operation.call_id.startswith(cut)
        ):
            return operation
    return None


def _is_ours(span: Any) -> bool:
    """True for spans of our own instrumentors: they carry their stamps from birth."""
    scope = span.instrumentation_scope
    return scope is not None and scope.name == SCOPE_NAME and semconv.SESSION_ID in span._attributes


def _stamps(
    scope: Scope, state: SpanState, facts: Facts | None, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    if facts is None:
        # A span that already shows itself as GenAI by some attribute may carry such keys; others may not.
        return stamps(scope, genai=False)
    values = stamps(scope, genai=True)
    path = state.agent_path
    if facts.kind == Kind.AGENT and facts.name:
        path = (*path, facts.name)  # an agent's path ends with itself
    if path:
        values[semconv.AGENT_PATH] = foreign.PATH_SEPARATOR.join(path)
        values[semconv.AGENT_NAME] = path[-1]
    if facts.kind not in _NAMED_AFTER_AGENT:
        values.pop(semconv.AGENT_NAME, None)
    return values


def _missing(values: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What the span does not say itself: an attribute somebody set is never changed."""
    return {key: value for key, value in values.items() if key not in attributes}


def _somebody_looks(mine: SdkSpanProcessor, processors: object) -> bool:
    """True if ours is the first of several and another one, not the SDK's own, has an ``on_start``."""
    if not isinstance(processors, tuple) or not processors or processors[0] is not mine:
        return False
    return any(
        type(other).on_start is not SdkSpanProcessor.on_start
        and not type(other).__module__.startswith("opentelemetry.sdk.")
        for other in processors[1:]
    )
