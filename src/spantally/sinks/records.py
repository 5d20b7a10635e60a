"""What is no span, for sinks: events that were told, and sessions that ended.

They come from where the ledger gets them, so they are there without an SDK and with sampling off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import LogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from spantally.calls import telemetry as telemetry_module
from spantally.calls.telemetry import SCOPE_NAME, RedactorLike
from spantally.ground import semconv
from spantally.ground.records import (
    EventRecord,
    LateEventRecord,
    LateRecord,
    Record,
    SessionRecord,
    SessionStatus,
)
from spantally.otel.shared_parts import safe_resource
from spantally.sinks.items import FIELDS, moment, plain

Told: TypeAlias = EventRecord | SessionRecord

_ENDED: Final = frozenset(SessionStatus) - {SessionStatus.RUNNING}


def is_told(record: Record | LateRecord | LateEventRecord) -> bool:
    """True for an event, and for the end of a session; it is asked on the program's thread."""
    if isinstance(record, SessionRecord):
        return record.end_ns is not None and record.status in _ENDED
    return isinstance(record, EventRecord) or getattr(record, "is_event", False) is True


def item_of_record(record: Told) -> dict[str, Any]:
    """The item of an event or of a session's end: every field of an item, null where it has no such thing.

    Args:
        record: redacted.
    """
    item: dict[str, Any] = dict.fromkeys(FIELDS)
    item["tags"], item["agent_path"], item["events"] = {}, [], []
    item["session_id"] = record.session_id or None
    if isinstance(record, EventRecord):
        attributes = {**(record.attributes or {}), semconv.ID_OF_EVENT: record.event_id}
        item.update(
            type="event",
            name=str(record.type),
            kind="event",
            trace_id=record.trace_id,
            span_id=record.span_id,
            call_id=record.call_id,
            started_at=moment(record.time_ns),
            ended_at=moment(record.time_ns),
            duration_ms=0.0,
            status="error" if attributes.get(semconv.ERROR_TYPE) else "ok",
            error_type=attributes.get(semconv.ERROR_TYPE),
            agent_path=list(record.agent_path),
            attributes=attributes,
        )
    else:
        end = record.end_ns or record.start_ns
        item.update(
            type="session",
            name=record.name or "session",
            kind="session",
            conversation_id=record.conversation_id,
            user_id=record.user_id,
            entity_type=record.entity_type,
            entity_id=record.entity_id,
            tags=dict(record.tags),
            project=record.project,
            started_at=moment(record.start_ns),
            ended_at=moment(end),
            duration_ms=(end - record.start_ns) / 1e6,
            status=str(record.status),
            status_message=record.reason if _tells_content() else None,
            error_type=record.error_type,
            attributes=_said(record),
        )
    return {key: plain(value) for key, value in item.items()}


def _tells_content() -> bool:
    telemetry = telemetry_module.active
    return telemetry.capture_spans or telemetry.capture_events


def _said(record: SessionRecord) -> dict[str, Any]:
    """What the program said of a session, but what is for the ledger only: title, metadata and labels."""
    names = ("metrics", "reported", "parent_id", *(("input", "output") if _tells_content() else ()))
    found = {name: getattr(record, name) for name in names}
    return {f"spantally.session.{name}": value for name, value in found.items() if value not in (None, ())}


class LogBatches:
    """Makes log records of events, as a logger provider makes them, for an exporter of log records.

    Args:
        redactor: what the resource passes, which is the program's.
    """

    def __init__(self, redactor: Callable[[], RedactorLike | None]) -> None:
        self._redactor = redactor
        self._made: list[Any] = []
        self._logger: Any = None
        self._given: Any = None
        self._resource: Any = None

    def __call__(self, records: list[EventRecord]) -> list[Any]:
        """A batch for ``export()``.

        Args:
            records: redacted.
        """
        if self._given is None:
            self._given = _resource()
        redactor = self._redactor()
        resource = self._given if redactor is None else safe_resource(self._given, redactor)
        if self._logger is None or resource is not self._resource:
            provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
            provider.add_log_record_processor(SimpleLogRecordProcessor(_Keep(self._made)))
            self._logger, self._resource = provider.get_logger(SCOPE_NAME), resource
        for record in records:
            self._logger.emit(_log_record(record))
        made = list(self._made)
        self._made.clear()
        return made


class _Keep(LogRecordExporter):
    """Stands where an exporter of log records does, and keeps them."""

    def __init__(self, made: list[Any]) -> None:
        self._made = made

    def export(self, batch: Any) -> Any:
        self._made.extend(batch)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def shutdown(self) -> None:
        """Nothing to end."""


def _resource() -> Resource:
    provider = telemetry_module.active.provider or trace.get_tracer_provider()
    found = getattr(provider, "resource", None)
    return found if isinstance(found, Resource) else Resource.create()


def _log_record(record: EventRecord) -> LogRecord:
    context = Context()
    if record.trace_id and record.span_id:
        ids = int(record.trace_id, 16), int(record.span_id, 16)
        flags = TraceFlags(TraceFlags.SAMPLED)
        span = NonRecordingSpan(SpanContext(*ids, is_remote=True, trace_flags=flags))
        context = trace.set_span_in_context(span, context)
    whose: Mapping[str, Any] = {
        semconv.SESSION_ID: record.session_id or None,
        semconv.CALL_ID: record.call_id,
        semconv.AGENT_PATH: " > ".join(record.agent_path) or None,
        semconv.ID_OF_EVENT: record.event_id,
    }
    attributes = {key: plain(value) for key, value in (record.attributes or {}).items()}
    attributes.update((key, value) for key, value in whose.items() if value is not None)
    return LogRecord(
        event_name=str(record.type),
        timestamp=record.time_ns,
        severity_number=SeverityNumber.INFO,
        severity_text=SeverityNumber.INFO.name,
        attributes=attributes,
        context=context,
    )
