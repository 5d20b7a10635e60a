"""Which spans of other instrumentors show a call that our own instrumentor meters.

Three ways lead there: their span is around our operation when it begins (:meth:`SpanReader.shows`), it begins
beneath it, or it begins when the call is over (:func:`recognise`). A marked span carries the call's id, and
is not tallied a second time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.trace import StatusCode

from spantally.calls.costing import tell_cost
from spantally.calls.joining import readers, take_awaiting
from spantally.calls.operation import Operation, open_operations
from spantally.calls.telemetry import SCOPE_NAME
from spantally.ground import semconv
from spantally.ground.peers import LATE_SCOPES, LOGFIRE_SCOPE, is_native, peer_of
from spantally.ground.records import COUNTED_KINDS
from spantally.otel.beside import kind_of, look_beside, remember, stands_beside
from spantally.otel.dialects import Facts, facts_of
from spantally.otel.lineage import STATE, SpanState, View

LOGFIRE_SCOPES: Final = frozenset({LOGFIRE_SCOPE, "logfire.anthropic"})
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
        state: SpanState | None = getattr(span, STATE, None)
        if state is not None:
            if not state.peer and state.kind != kind and not (state.late and kind_of(span, state) == kind):
                return False  # the way of nearly all calls that have a span around them
            return span.is_recording() and semconv.CALL_ID not in (span.attributes or {})
        name = scope_name_of(span)
        if not name or name == SCOPE_NAME or not span.is_recording():
            return False
        attributes = span.attributes or {}
        if semconv.CALL_ID in attributes:
            return False
        if peer_of(name) is not None:
            return True
        facts = facts_of(attributes, span.name)
        return facts is not None and facts.kind == kind

    def stands_beside(self, span: Any, current: Any, kind: str) -> bool:
        """True if the span was begun for the operation that is now beginning, and not made current."""
        return stands_beside(span, current, kind)

    def mark(self, span: Any, operation: Operation, *, beside: bool) -> None:
        """Write the call's id onto the span, and note that nobody need tally it."""
        _mark(span, operation.call_id, View.BESIDE if beside else View.INSTEAD)
        state: SpanState | None = getattr(span, STATE, None)
        if state is not None and state.beside:
            state.shown = operation
        if operation.scope.call_id is not None:
            span.set_attribute(semconv.CALL_PARENT_ID, operation.scope.call_id)


def _mark(span: Any, call_id: str, view: View) -> None:
    state: SpanState | None = getattr(span, STATE, None)
    if state is not None:
        state.show(call_id, view)
    span.set_attribute(semconv.CALL_ID, call_id)


READER: Final = SpanReader()


def register() -> None:
    """Let operations find spans of other instrumentors; doing it twice is once."""
    if READER not in readers:
        readers.append(READER)


def recognise(span: Any, state: SpanState) -> None:
    """Mark a span that begins now, of somebody else, if it shows a call that our instrumentor meters.

    Args:
        span: the span, with its state on it.
        state: what it inherits.
    """
    name = scope_name_of(span)
    state.peer = peer_of(name) is not None
    if is_native(name):
        operation = _traced_by_sdk(state)
        if operation is not None and operation.joined is not None:
            operation.joined.span = span
            READER.mark(span, operation, beside=False)
            return
    operation = _beneath(state)
    if operation is None and state.kind in COUNTED_KINDS:
        look_beside(span, state, name)
    elif operation is None and state.kind is None and name in LATE_SCOPES:
        state.late = True
        remember(span)
    if operation is None:
        if name in LOGFIRE_SCOPES and span._attributes.get(LOGFIRE_SPAN_TYPE) == "log":
            call_id = _take_expected(_stream_key(span))
            if call_id is not None:
                _mark(span, call_id, View.BESIDE)
            return
        operation = take_awaiting(span.start_time) if state.peer else None
        if operation is not None and operation.joined is not None:
            operation.joined.span = span
            READER.mark(span, operation, beside=False)
            if operation.ended:
                tell_cost(operation, span)
            return
    if operation is not None:
        READER.mark(span, operation, beside=True)


def _traced_by_sdk(state: SpanState) -> Operation | None:
    """The operation that waits for the SDK's own span, where this one begins inside of it."""
    scope = state.scope
    if scope is None or scope.call_id is None:
        return None
    operation = open_operations.get(scope.call_id)
    joined = None if operation is None else operation.joined
    return operation if joined is not None and joined.within and joined.span is None else None


def _beneath(state: SpanState) -> Operation | None:
    """The operation that a model span begins inside of: they are one call, seen twice."""
    scope = state.scope
    if state.kind not in COUNTED_KINDS or scope is None or scope.call_id is None:
        return None
    operation = open_operations.get(scope.call_id)
    return operation if operation is not None and operation.kind == state.kind else None


# -- Logfire: one span for the request of a stream, and one (a log) when it has been read ---------------

_StreamKey = tuple[int | None, object]

MOST_EXPECTED: Final = 1024
_expected: Final[deque[tuple[_StreamKey, str]]] = deque(maxlen=MOST_EXPECTED)
"""Streams whose request we have joined and whose log has not come, with the call's id; the oldest first."""


def _stream_key(span: Any) -> _StreamKey:
    """What the span of a streamed request and the log after it have in common."""
    parent = None if span.parent is None else int(span.parent.span_id)
    return parent, span._attributes.get(semconv.REQUEST_MODEL)


def expect_log(span: Any, attributes: Mapping[str, Any], call_id: str | None) -> None:
    """Note that a log will follow, if a span that shows a call of ours was the request of a stream.

    Args:
        span: as it ended.
        attributes: its attributes.
        call_id: of the call.
    """
    name = scope_name_of(span)
    if name not in LOGFIRE_SCOPES or call_id is None:
        return
    facts = facts_of(attributes, span.name)
    failed = span.status.status_code is StatusCode.ERROR
    if facts is not None and not failed and opens_stream(name, attributes, facts):
        _expected.append((_stream_key(span), call_id))


def _take_expected(key: _StreamKey) -> str | None:
    for entry in tuple(_expected):
        if entry[0] == key:
            try:
                _expected.remove(entry)
            except ValueError:
                continue  # another thread has taken it
            return entry[1]
    return None


def opens_stream(scope_name: str | None, attributes: Mapping[str, Any], facts: Facts) -> bool:
    """True for Logfire's span of a streamed request that did not fail: the log after it has all the rest.

    Args:
        scope_name: of the ended span.
        attributes: its attributes.
        facts: what its dialect read from them.
    """
    return (
        scope_name in LOGFIRE_SCOPES
        and attributes.get(LOGFIRE_SPAN_TYPE) == "span"
        and facts.kind in COUNTED_KINDS
        and facts.usage is None
        and facts.response_id is None
    )
