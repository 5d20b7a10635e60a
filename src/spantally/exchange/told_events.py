"""Events and sessions of a ledger to log records, as the SDK's exporters take them."""

from __future__ import annotations

import json
from typing import Any, Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from spantally.calls.telemetry import SCOPE_NAME
from spantally.exchange.carried_events import APART, KEYS, is_stamp
from spantally.exchange.carried_sessions import packed_session
from spantally.exchange.spans import resource_of, spoken
from spantally.ground import semconv
from spantally.ground.records import EventRecord
from spantally.ledger.sqlite.read_whole import SessionFacts
from spantally.otel.foreign import PATH_SEPARATOR

_SCOPE: Final = InstrumentationScope(SCOPE_NAME, schema_url=semconv.SCHEMA_URLS["latest"])
_NOWHERE: Final = Context()
_SCALARS: Final = (str, bool, int, float)


def log_of_event(event: EventRecord, project: str | None) -> ReadableLogRecord:
    """The log record of an event.

    Args:
        event: of the ledger.
        project: of its session.
    """
    own = event.attributes or {}
    apart = {key: value for key, value in own.items() if is_stamp(key) or type(value) not in _SCALARS}
    attributes = spoken({key: value for key, value in own.items() if not is_stamp(key)})
    attributes[semconv.ID_OF_EVENT] = event.event_id
    attributes[semconv.SESSION_ID] = event.session_id
    if event.call_id is not None:
        attributes[semconv.CALL_ID] = event.call_id
    if event.agent_path:
        attributes[semconv.AGENT_PATH] = PATH_SEPARATOR.join(event.agent_path)
    carried: dict[str, Any] = {"agent_path": event.agent_path}
    if event.attributes is not None:
        carried[KEYS] = list(own)
        if apart:
            carried[APART] = apart
    attributes[semconv.RECORD] = json.dumps(carried, separators=(",", ":"))
    return _log(event.type, event.time_ns, attributes, project, event.trace_id, event.span_id)


def log_of_session(session_id: str, session: SessionFacts) -> ReadableLogRecord:
    """The log record of a session.

    Args:
        session_id: its id.
        session: as the ledger has it.
    """
    attributes = {semconv.SESSION_ID: session_id, semconv.RECORD: packed_session(session.facts)}
    return _log(semconv.EVENT_SESSION, session.last_ns, attributes, session.project)


def _log(
    name: str,
    time_ns: int,
    attributes: dict[str, Any],
    project: str | None,
    trace_id: str | None = None,
    span_id: str | None = None,
) -> ReadableLogRecord:
    context = _NOWHERE
    if trace_id and span_id:
        ids = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(1))
        context = set_span_in_context(NonRecordingSpan(ids), _NOWHERE)
    record = LogRecord(
        timestamp=time_ns,
        observed_timestamp=time_ns,
        context=context,
        severity_number=SeverityNumber.INFO,
        severity_text="INFO",
        attributes=attributes,
        event_name=name,
    )
    return ReadableLogRecord(record, resource_of(project), _SCOPE)
