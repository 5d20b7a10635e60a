"""What is checked and what is found, as plain values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

GENAI_PREFIX = "gen_ai."
"""What every attribute name of the GenAI conventions begins with."""


class Severity(enum.StrEnum):
    """How much a finding matters; only an error makes the check fail."""

    ERROR = "error"
    WARNING = "warning"


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


class Span(NamedTuple):
    """One span. Attribute values are of the Python type of their OTLP type; an array is a list."""

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
    """Of an agent's span: names of the attributes on the model calls beneath that ended before it."""


class Finding(NamedTuple):
    """One departure from the conventions."""

    severity: Severity
    rule: str
    subject: str
    """Name of the span, event or scope."""
    message: str
    """What is wrong, and what is expected."""
    scope: str = ""
    trace_id: str = ""
    span_id: str = ""
    line: int | None = None

    def as_object(self) -> dict[str, Any]:
        """The finding for JSON; what is not known is null."""
        return {
            "severity": self.severity.value,
            "rule": self.rule,
            "subject": self.subject,
            "message": self.message,
            "scope": self.scope or None,
            "trace_id": self.trace_id or None,
            "span_id": self.span_id or None,
            "line": self.line,
        }


def is_genai(attributes: Mapping[str, Any]) -> bool:
    """True for attributes that make their span or event a GenAI one: any key of the conventions."""
    return any(key.startswith(GENAI_PREFIX) for key in attributes)
