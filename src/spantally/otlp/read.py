"""OTLP JSON to spans and events: ids in hex or base64, fields in camel or snake case, enums either way."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

from spantally.otlp.model import NOTHING, Event, Scope, Span

_T = TypeVar("_T")

_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES: Final = ("UNSET", "OK", "ERROR")
_MAX_DEPTH: Final = 64
"""Deepest nesting of an attribute's value that is read."""
_BEFORE: Final = {
    "scopeSpans": "instrumentationLibrarySpans",
    "scopeLogs": "instrumentationLibraryLogs",
}
"""What OTLP before 0.15 (of 2022) called the scopes, in JSON; in protobuf they are the same fields."""


class Unusable(NamedTuple):
    """A piece of the input that could not be read; the rest is read nevertheless."""

    message: str
    line: int | None = None
    unfinished: bool = False
    """The input ends within it: somebody may still be writing."""


class Batch(NamedTuple):
    """What one document, or a whole input, holds."""

    spans: list[Span]
    events: list[Event]
    unusable: list[Unusable]

    def extend(self, other: Batch) -> None:
        """Add what another batch holds."""
        self.spans.extend(other.spans)
        self.events.extend(other.events)
        self.unusable.extend(other.unusable)


class _MalformedError(ValueError):
    """A value is not of the shape that OTLP gives it."""


def empty_batch() -> Batch:
    """A batch that holds nothing."""
    return Batch([], [], [])


def read_document(document: Any, line: int | None = None) -> Batch:
    """The spans and events of one parsed JSON document.

    Args:
        document: an export request for traces or logs, or a list of them. One for metrics holds nothing.
        line: the line of the input it stands on.
    """
    found = empty_batch()
    if type(document) is list:
        for one in document:
            found.extend(read_document(one, line))
        return found
    known = [name for name in ("resourceSpans", "resourceLogs", "resourceMetrics") if _has(document, name)]
    if not known:
        message = "is no OTLP JSON: an object with resourceSpans or resourceLogs is expected"
        found.unusable.append(Unusable(message, line))
        return found
    _read_groups(document, "resourceSpans", "scopeSpans", "spans", _span, found.spans, found, line)
    _read_groups(document, "resourceLogs", "scopeLogs", "logRecords", _log_event, found.events, found, line)
    return found


def _read_groups(
    document: Any,
    resources: str,
    scopes: str,
    items: str,
    read: Callable[[Any, Scope, Mapping[str, Any], int | None], _T | None],
    target: list[_T],
    found: Batch,
    line: int | None,
) -> None:
    """Read every item of one signal; what is malformed is noted and left out."""
    for group in _listed(document, resources, found, line):
        resource = _resource(group)
        name = scopes if _has(group, scopes) else _BEFORE[scopes]
        for scoped in _listed(group, name, found, line):
            scope = _scope(group, scoped)
            for index, item in enumerate(_listed(scoped, items, found, line)):
                try:
                    made = read(item, scope, resource, line)
                except (ValueError, TypeError, RecursionError) as error:
                    found.unusable.append(Unusable(f"{items}[{index}] cannot be read: {error}", line))
                    continue
                if made is not None:
                    target.append(made)


def _listed(holder: Any, name: str, found: Batch, line: int | None) -> list[Any]:
    value = _field(holder, name) if isinstance(holder, Mapping) else _MalformedError
    if value is None:
        return []
    if type(value) is list:
        return value
    found.unusable.append(Unusable(f"{name} is no list", line))
    return []


def _has(document: Any, name: str) -> bool:
    return isinstance(document, Mapping) and (name in document or _snake(name) in document)


def _field(thing: Any, name: str) -> Any:
    """A field by its camel-case name, which some writers spell in snake case."""
    if type(thing) is not dict and not isinstance(thing, Mapping):
        raise _MalformedError(f"an object with {name} is expected, not {type(thing).__name__}")
    value = thing.get(name)
    return thing.get(_snake(name)) if value is None else value


@cache
def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _text(thing: Any, name: str) -> str:
    value = _field(thing, name)
    if value is None:
        return ""
    if type(value) is not str:
        raise _MalformedError(f"{name} is no text")
    return value


def _scope(group: Any, scoped: Any) -> Scope:
    try:
        made = _field(scoped, "scope") or _field(scoped, "instrumentationLibrary") or {}
        url = _text(scoped, "schemaUrl") or _text(group, "schemaUrl")
        return Scope(_text(made, "name"), _text(made, "version"), url)
    except _MalformedError:
        return Scope()


def _resource(group: Any) -> Mapping[str, Any]:
    try:
        made = _field(group, "resource")
        return NOTHING if made is None else _attributes(made)
    except (ValueError, TypeError, RecursionError):
        return NOTHING


def _span(item: Any, scope: Scope, resource: Mapping[str, Any], line: int | None) -> Span:
    name = _text(item, "name")
    trace_id = _identifier(item, "traceId", 16)
    span_id = _identifier(item, "spanId", 8)
    status = _field(item, "status") or {}
    events = tuple(
        Event(
            name=_text(event, "name"),
            attributes=_attributes(event),
            scope=scope,
            trace_id=trace_id,
            span_id=span_id,
            span_name=name,
            line=line,
            time_ns=_whole_number(_field(event, "timeUnixNano")),
        )
        for event in _field(item, "events") or ()
    )
    return Span(
        name=name,
        kind=_member(_field(item, "kind"), "SPAN_KIND_", _KINDS),
        attributes=_attributes(item),
        status=_member(_field(status, "code"), "STATUS_CODE_", _STATUSES),
        events=events,
        scope=scope,
        trace_id=trace_id,
        span_id=span_id,
        line=line,
        parent_id=_identifier(item, "parentSpanId", 8),
        end_ns=_whole_number(_field(item, "endTimeUnixNano")),
        start_ns=_whole_number(_field(item, "startTimeUnixNano")),
        status_message=_text(status, "message"),
        resource=resource,
    )


def _whole_number(value: Any) -> int:
    """A 64-bit number, which JSON writes as a text; 0 for what is none."""
    if type(value) is int:
        return value
    return int(value) if type(value) is str and value.isdecimal() else 0


def _log_event(item: Any, scope: Scope, resource: Mapping[str, Any], line: int | None) -> Event | None:
    """The event of a log record, or None for a record that is none."""
    attributes = _attributes(item)
    name = _text(item, "eventName") or attributes.get("event.name")
    if not isinstance(name, str) or not name:
        return None
    return Event(
        name=name,
        attributes=attributes,
        scope=scope,
        severity_number=_severity(_field(item, "severityNumber")),
        trace_id=_identifier(item, "traceId", 16),
        span_id=_identifier(item, "spanId", 8),
        line=line,
        time_ns=_whole_number(_field(item, "timeUnixNano"))
        or _whole_number(_field(item, "observedTimeUnixNano")),
        resource=resource,
    )


_SEVERITIES: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def _severity(value: Any) -> int:
    if type(value) is not str:
        return value if type(value) is int else 0
    bare = value.removeprefix("SEVERITY_NUMBER_")
    word = bare.rstrip("234")
    if word in _SEVERITIES:
        return _SEVERITIES.index(word) * 4 + int(bare[len(word) :] or 1)
    return 0


def _member(value: Any, prefix: str, names: tuple[str, ...]) -> str:
    """A member of an enum, given by number or by name."""
    if value is None:
        return names[0]
    if type(value) is str and value.isdigit():
        value = int(value)
    if type(value) is int and 0 <= value < len(names):
        return names[value]
    if type(value) is str and value.removeprefix(prefix) in names:
        return value.removeprefix(prefix)
    raise _MalformedError(f"{value!r} is none of {', '.join(prefix + name for name in names)}")


def _identifier(thing: Any, name: str, size: int) -> str:
    """An id as hex digits, whichever of the two spellings it has; empty where there is none.

    All zeros are none (opentelemetry.io/docs/specs/otel/trace/api, "SpanContext"): some write them for the
    parent of a root, and two spans that have none must not be taken for one.
    """
    value = _text(thing, name)
    if not value:
        return ""
    try:
        raw = bytes.fromhex(value) if len(value) == size * 2 else base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != size:
        raise _MalformedError(f"{name} {value!r} is neither {size * 2} hex digits nor base64 of {size} bytes")
    return raw.hex() if any(raw) else ""


def _attributes(thing: Any) -> dict[str, Any]:
    pairs = _field(thing, "attributes")
    try:
        found = {}
        for pair in pairs:  # the way of nearly all: one value of a plain type in the usual spelling
            ((name, value),) = pair["value"].items()
            if type(value) is not _PLAIN[name]:
                value = int(value) if name == "intValue" and type(value) is str else _value(pair["value"], 0)
            key = pair["key"]
            if type(key) is not str:
                raise TypeError
            found[key] = value
        return found
    except (KeyError, TypeError, ValueError, AttributeError):
        return dict(_pairs(pairs, 0))


def _pairs(pairs: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if pairs is None:
        return
    if type(pairs) is not list:
        raise _MalformedError("attributes are no list of key and value")
    for pair in pairs:
        yield _text(pair, "key"), _value(_field(pair, "value"), depth)


def _value(value: Any, depth: int) -> Any:
    """An attribute's value in the Python type of its OTLP type."""
    if value is None or value == {}:
        return None
    if depth > _MAX_DEPTH:
        raise _MalformedError(f"a value is nested deeper than {_MAX_DEPTH} levels")
    for name, read in _READERS.items():
        inner = _field(value, name)
        if inner is not None:
            return read(inner, depth)
    raise _MalformedError(f"a value has none of {', '.join(_READERS)}")


def _read_text(value: Any, depth: int) -> str:
    if type(value) is not str:
        raise _MalformedError("stringValue is no text")
    return value


def _read_bool(value: Any, depth: int) -> bool:
    if type(value) is not bool:
        raise _MalformedError("boolValue is neither true nor false")
    return value


def _read_int(value: Any, depth: int) -> int:
    if type(value) is bool or not isinstance(value, (int, str)):
        raise _MalformedError("intValue is no whole number")
    return _number(int, value, "intValue {!r} is no whole number")


def _read_double(value: Any, depth: int) -> float:
    if type(value) is bool or not isinstance(value, (int, float, str)):
        raise _MalformedError("doubleValue is no number")
    return _number(float, value, "doubleValue {!r} is no number")


def _number(kind: Callable[[Any], _T], value: Any, complaint: str) -> _T:
    try:
        return kind(value)
    except (ValueError, OverflowError):
        raise _MalformedError(complaint.format(str(value))) from None


def _read_array(value: Any, depth: int) -> list[Any]:
    return [_value(item, depth + 1) for item in _field(value, "values") or ()]


def _read_map(value: Any, depth: int) -> dict[str, Any]:
    return dict(_pairs(_field(value, "values"), depth + 1))


def _read_bytes(value: Any, depth: int) -> bytes:
    if type(value) is not str:
        raise _MalformedError("bytesValue is no text")
    return base64.b64decode(value)


_PLAIN: Final = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,
    "arrayValue": None,
    "kvlistValue": None,
}

_READERS: Final[Mapping[str, Callable[[Any, int], Any]]] = {
    "stringValue": _read_text,
    "intValue": _read_int,
    "doubleValue": _read_double,
    "boolValue": _read_bool,
    "arrayValue": _read_array,
    "kvlistValue": _read_map,
    "bytesValue": _read_bytes,
}
