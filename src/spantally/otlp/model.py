"""Spans, events and their scopes as plain values; attributes have the Python type of their OTLP type."""

# Annotations are not postponed: making a named tuple compiles each that is a text, 25 µs a field.

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Scope(NamedTuple):
    """The instrumentation scope that made a span or event."""

    name: str = ""
    version: str = ""
    schema_url: str = ""
    """Of the scope, else of its resource; empty where none is given."""


class Event(NamedTuple):
    """An event: a log record with an event name, or one that lies on a span."""

    name: str
    attributes: Mapping[str, Any]
    scope: Scope = Scope()
    severity_number: int | None = None
    """Of a log record; None on a span, where events have none."""
    trace_id: str = ""
    span_id: str = ""
    span_name: str = ""
    """Name of the span that it lies on; empty for a log record."""
    line: int | None = None
    time_ns: int = 0
    """UNIX nanoseconds; 0 where it is not told."""
    resource: Mapping[str, Any] = NOTHING


class Span(NamedTuple):
    """One span. An array is a list."""

    name: str
    kind: str
    """``INTERNAL``, ``SERVER``, ``CLIENT``, ``PRODUCER``, ``CONSUMER`` or ``UNSPECIFIED``."""
    attributes: Mapping[str, Any]
    status: str = "UNSET"
    """``UNSET``, ``OK`` or ``ERROR``."""
    events: tuple[Event, ...] = ()
    scope: Scope = Scope()
    trace_id: str = ""
    """32 hex digits."""
    span_id: str = ""
    """16 hex digits."""
    line: int | None = None
    """Where in the input it stands, counted from 1; None for input without lines."""
    parent_id: str = ""
    """16 hex digits; empty for a root."""
    end_ns: int = 0
    """UNIX nanoseconds; 0 where it is not told."""
    beneath: frozenset[str] = frozenset()
    """Of an agent's span, where it is checked against the conventions: names of the attributes on the model
    calls beneath that ended before it."""
    start_ns: int = 0
    status_message: str = ""
    resource: Mapping[str, Any] = NOTHING
    """Attributes of the resource; the same object for all spans of one."""
