"""OTLP JSON as the Collector's file exporter writes it: one request a line, ids in hex, enums as numbers.

What is written are objects of OpenTelemetry's SDK, which this module does not import: any with the same
fields will do.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_KINDS: Final = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
_STATUSES: Final = {"UNSET": 0, "OK": 1, "ERROR": 2}
_LEAST: Final = -(2**63)
_MOST: Final = 2**63


def span_line(spans: Iterable[Any]) -> bytes:
    """A request for spans, as a line.

    Args:
        spans: ``ReadableSpan`` of the SDK.
    """
    return _line(_grouped(spans, "resourceSpans", "scopeSpans", "spans", _span))


def log_line(records: Iterable[Any]) -> bytes:
    """A request for log records, as a line.

    Args:
        records: ``ReadableLogRecord`` of the SDK.
    """
    return _line(_grouped(records, "resourceLogs", "scopeLogs", "logRecords", _log))


def _line(request: Mapping[str, Any]) -> bytes:
    return json.dumps(request, separators=(",", ":")).encode() + b"\n"


def _grouped(items: Iterable[Any], resources: str, scopes: str, name: str, write: Any) -> dict[str, Any]:
    groups: dict[Any, dict[Any, list[Any]]] = {}
    for item in items:
        by_scope = groups.setdefault(item.resource, {})
        by_scope.setdefault(item.instrumentation_scope, []).append(write(item))
    return {
        resources: [
            {
                "resource": {"attributes": attributes(resource.attributes)},
                scopes: [
                    {"scope": _scope(scope), name: written, **_schema(scope)}
                    for scope, written in by_scope.items()
                ],
            }
            for resource, by_scope in groups.items()
        ]
    }


def _scope(scope: Any) -> dict[str, Any]:
    if scope is None:
        return {}
    return {"name": scope.name, **({"version": scope.version} if scope.version else {})}


def _schema(scope: Any) -> dict[str, Any]:
    url = getattr(scope, "schema_url", None)
    return {"schemaUrl": url} if url else {}


def _span(span: Any) -> dict[str, Any]:
    made = {
        "traceId": f"{span.context.trace_id:032x}",
        "spanId": f"{span.context.span_id:016x}",
        "parentSpanId": "" if span.parent is None else f"{span.parent.span_id:016x}",
        "flags": int(span.context.trace_flags),
        "name": span.name,
        "kind": _KINDS[span.kind.name],
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": attributes(span.attributes),
        "status": _status(span.status),
    }
    if span.events:
        made["events"] = [
            {
                "timeUnixNano": str(event.timestamp),
                "name": event.name,
                "attributes": attributes(event.attributes),
            }
            for event in span.events
        ]
    return made


def _status(status: Any) -> dict[str, Any]:
    code = _STATUSES[status.status_code.name]
    made: dict[str, Any] = {"code": code} if code else {}
    return {**made, "message": status.description} if status.description else made


def _log(item: Any) -> dict[str, Any]:
    record = item.log_record
    made: dict[str, Any] = {
        "timeUnixNano": str(record.timestamp or 0),
        "observedTimeUnixNano": str(record.observed_timestamp or 0),
        "attributes": attributes(record.attributes),
        "eventName": record.event_name or "",
    }
    if record.severity_number is not None:
        made["severityNumber"] = int(record.severity_number.value)
        made["severityText"] = record.severity_text or ""
    if record.trace_id and record.span_id:
        made["traceId"] = f"{record.trace_id:032x}"
        made["spanId"] = f"{record.span_id:016x}"
    return made


def attributes(values: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Attributes in OTLP JSON.

    Args:
        values: texts, numbers, bytes, and sequences and mappings of these.
    """
    return [{"key": key, "value": _value(value)} for key, value in (values or {}).items()]


def _value(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and _LEAST <= value < _MOST:
        return {"intValue": str(int(value))}
    if isinstance(value, float):
        return {"doubleValue": value if value - value == 0 else str(value)}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": attributes(value)}}
    if isinstance(value, Sequence):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": str(value)}
