"""What is checked and what is found, as plain values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

from spantally.otlp.model import Event, Scope, Span

GENAI_PREFIX = "gen_ai."
"""What every attribute name of the GenAI conventions begins with."""


class Severity(enum.StrEnum):
    """How much a finding matters; only an error makes the check fail."""

    ERROR = "error"
    WARNING = "warning"


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


def word(attributes: Mapping[str, Any], name: str) -> str:
    """The value of an attribute that is one of a list of words; empty where it is no text."""
    value = attributes.get(name)
    return value if isinstance(value, str) else ""


__all__ = ["GENAI_PREFIX", "Event", "Finding", "Scope", "Severity", "Span", "is_genai", "word"]
