"""What a rule is, and how its messages show values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from spantally.conformance.model import Severity
from spantally.conformance.profiles import Profile
from spantally.redaction import default_redactor

_T = TypeVar("_T")

SPANS: Final = "Semantic conventions for GenAI spans"
AGENTS: Final = "Semantic conventions for GenAI agent spans"
REGISTRY: Final = "GenAI attribute registry"
EVENTS: Final = "Semantic conventions for GenAI events"
CONTENT: Final = "JSON schemas of GenAI content"
MIGRATION: Final = "GenAI migration guide"
GENERAL: Final = "OpenTelemetry specification"

_LONGEST: Final = 60
_LOOKED_AT: Final = 16_384


class Rule(NamedTuple, Generic[_T]):
    """One rule."""

    id: str
    severity: Severity
    text: str
    """What the conventions ask for, in one sentence."""
    source: str
    """The part of the conventions that asks for it."""
    check: Callable[[_T, Profile], Iterable[str]]
    """Gives a message for each departure: what is wrong, and what is expected."""


def error(rule_id: str, text: str, source: str, check: Callable[[_T, Profile], Iterable[str]]) -> Rule[_T]:
    """A rule whose findings make the check fail."""
    return Rule(rule_id, Severity.ERROR, text, source, check)


def warning(rule_id: str, text: str, source: str, check: Callable[[_T, Profile], Iterable[str]]) -> Rule[_T]:
    """A rule whose findings are worth a look."""
    return Rule(rule_id, Severity.WARNING, text, source, check)


def show(value: Any) -> str:
    """A value for a message: its repr without its secrets, cut."""
    # A secret is known by its whole text, so what is looked at is longer than what is shown.
    value = value[:_LOOKED_AT] if isinstance(value, str) else value
    safe = default_redactor().value(value)
    text = repr(safe[: _LONGEST + 1] if isinstance(safe, str) else safe)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def listed(values: Iterable[str]) -> str:
    """Allowed values for a message, in order."""
    return ", ".join(sorted(values))
