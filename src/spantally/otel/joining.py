"""Which spans of other instrumentors show a call that our own instrumentor meters.

Three ways lead there: their span is around our operation when it begins (:meth:`SpanReader.shows`), it begins
beneath it, or it begins when the call is over (:func:`recognise`). A marked span carries the call's id, and
is not tallied a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.joining import readers, take_awaiting
from spantally.calls.operation import SPAN_KEY, Operation, open_operations
from spantally.calls.telemetry import SCOPE_NAME
from spantally.ground import semconv
from spantally.ground.peers import LOGFIRE_SCOPE, peer_of
from spantally.ground.records import COUNTED_KINDS, Status
from spantally.ground.scope import Scope
from spantally.otel.dialects import Facts, facts_of
from spantally.otel.lineage import STATE, SpanState, View

LOGFIRE_SPAN_TYPE: Final = "logfire.span_type"


def scope_name_of(span: Any) -> str:
    """Name of a span's instrumentation scope; empty where it has none, like one that is not recorded."""
    return getattr(getattr(span, "instrumentation_scope", None), "name", None) or ""


class SpanReader:
    """Tells and marks the spans of other instrumentors, for operations of ours."""

    def shows(self, span: Any, kind: str) -> bool:
        """True if the current span was made for the operation of that kind which is now beginning.

        A span that stands for one call already does not stand for the next: a framework may try again
        beneath one span of its own.
        """
        name = scope_name_of(span)
        if not name or name == SCOPE_NAME:
            return False
        peer, state = peer_of(name), getattr(span, STATE, None)
        if peer is None and state is not None and state.kind != kind:
            return False
        attributes = span.attributes or {}
        if not span.is_recording() or semconv.CALL_ID in attributes:
            return False
        if peer is not None or state is not None:
            return True
        facts = facts_of(attributes, span.name)
        return facts is not None and facts.kind == kind

    def mark(self, span: Any, operation: Operation, *, beside: bool) -> None:
        """Write the call's id onto the span, and note that nobody need tally it."""
        state: SpanState | None = getattr(span, STATE, None)
        if state is not None:
            state.show(operation.call_id, View.BESIDE if beside else View.INSTEAD)
        values = {semconv.CALL_ID: operation.call_id}
        if operation.scope.call_id is not None:
            values[semconv.CALL_PARENT_ID] = operation.scope.call_id
        span.set_attributes(values)


READER: Final = SpanReader()


def register() -> None:
    """Let operations find spans of other instrumentors; doing it twice is once."""
    if READER not in readers:
        readers.append(READER)


def recognise(span: Any, state: SpanState, scope: Scope | None) -> None:
    """Mark a span that begins now, of somebody else, if it shows a call that our instrumentor meters.

    Args:
        span: the span, with its state on it.
        state: what it inherits.
        scope: the scope in force where it begins.
    """
    name = scope_name_of(span)
    operation = _beneath(state, scope)
    if operation is None and peer_of(name) is not None:
        if name == LOGFIRE_SCOPE and span._attributes.get(LOGFIRE_SPAN_TYPE) == "log":
            operation = _streamed(span)
        else:
            operation = take_awaiting(span.start_time)
            if operation is not None and operation.joined is not None:
                operation.joined.span = span
                READER.mark(span, operation, beside=False)
                return
    if operation is not None:
        READER.mark(span, operation, beside=True)


def _beneath(state: SpanState, scope: Scope | None) -> Operation | None:
    """The operation that a model span begins inside of: they are one call, seen twice."""
    if state.kind not in COUNTED_KINDS or scope is None or scope.call_id is None:
        return None
    operation = open_operations.get(scope.call_id)
    return operation if operation is not None and operation.kind == state.kind else None


def _streamed(span: Any) -> Operation | None:
    """The streamed call that Logfire's log at the end of its stream tells of.

    Its span of the request has ended by then; both hang beneath the same span, or beneath none.
    """
    model = span._attributes.get(semconv.REQUEST_MODEL)
    for operation in tuple(open_operations.values()):
        around = None if operation.parent_context is None else operation.parent_context.get(SPAN_KEY)
        if operation.request_model != model or scope_name_of(around) != LOGFIRE_SCOPE:
            continue
        state: SpanState | None = getattr(around, STATE, None)
        if state is None or state.followed or _parent_id(around) != _parent_id(span):
            continue
        state.followed = True
        return operation
    return None


def _parent_id(span: Any) -> int | None:
    return None if span.parent is None else int(span.parent.span_id)


def opens_stream(scope_name: str | None, attributes: Mapping[str, Any], facts: Facts, status: str) -> bool:
    """True for Logfire's span of a request whose answer is streamed: the log at the stream's end has it all.

    Args:
        scope_name: of the ended span.
        attributes: its attributes.
        facts: what its dialect read from them.
        status: how it ended.
    """
    return (
        scope_name == LOGFIRE_SCOPE
        and attributes.get(LOGFIRE_SPAN_TYPE) == "span"
        and status == Status.OK
        and facts.kind in COUNTED_KINDS
        and facts.usage is None
        and facts.response_model is None
        and facts.response_id is None
    )
