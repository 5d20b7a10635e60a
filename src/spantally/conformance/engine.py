"""Runs the rules over what was read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final, TypeVar

from spantally.conformance.family import with_what_lies_beneath
from spantally.conformance.model import Event, Finding, Severity, Span, is_genai
from spantally.conformance.profiles import Profile
from spantally.conformance.rules.attributes import ATTRIBUTE_RULES
from spantally.conformance.rules.base import Rule
from spantally.conformance.rules.content import CONTENT_RULES
from spantally.conformance.rules.events import EVENT_RULES
from spantally.conformance.rules.scopes import SCOPE_RULES
from spantally.conformance.rules.spans import SPAN_RULES
from spantally.otlp.read import Batch
from spantally.redaction import redact

_T = TypeVar("_T")

RULES: Final[tuple[Rule[Any], ...]] = (
    *SPAN_RULES,
    *ATTRIBUTE_RULES,
    *CONTENT_RULES,
    *EVENT_RULES,
    *SCOPE_RULES,
)
"""Every rule, in the order of the findings on one span."""


def genai_spans(batch: Batch) -> list[Span]:
    """The spans of a batch that the conventions speak of."""
    return [span for span in batch.spans if is_genai(span.attributes)]


def genai_events(batch: Batch) -> list[Event]:
    """The log records of a batch that the conventions speak of."""
    return [one for one in batch.events if one.name.startswith("gen_ai.") or is_genai(one.attributes)]


def check(batch: Batch, profile: Profile, among: Sequence[Span] | None = None) -> list[Finding]:
    """Every finding, in the order of the input; those on a scope come first, once for each scope.

    Nothing secret is in them: they go into logs of CI, and spans of other packages may hold anything.

    Args:
        batch: what was read. Spans without a ``gen_ai.*`` attribute are not looked at.
        profile: the state of the conventions to check against.
        among: every span of the input, where ``batch`` holds only some of them: what an agent should tell
            goes by the calls beneath it, whatever stands between. By default those of the batch.
    """
    spans, events = genai_spans(batch), genai_events(batch)
    findings = [
        Finding(severity, rule, scope.name, message, scope.name)
        for scope in dict.fromkeys([*(one.scope for one in spans), *(one.scope for one in events)])
        for severity, rule, message in _run(SCOPE_RULES, scope, profile)
    ]
    for span in with_what_lies_beneath(spans, batch.spans if among is None else among):
        findings += _of_span(span, profile)
    for event in events:
        findings += _of_event(event, profile)
    return [
        one._replace(subject=redact(one.subject), message=redact(one.message), scope=redact(one.scope))
        for one in findings
    ]


def _of_span(span: Span, profile: Profile) -> Iterator[Finding]:
    found = chain(
        _run(SPAN_RULES, span, profile),
        _run(ATTRIBUTE_RULES, span.attributes, profile),
        _run(CONTENT_RULES, span.attributes, profile),
    )
    for severity, rule, message in found:
        yield Finding(
            severity,
            rule,
            span.name,
            message,
            span.scope.name,
            span.trace_id,
            span.span_id,
            span.line,
        )
    for event in span.events:
        yield from _of_event(event, profile)


def _of_event(event: Event, profile: Profile) -> Iterator[Finding]:
    found = chain(
        _run(EVENT_RULES, event, profile),
        _run(ATTRIBUTE_RULES, event.attributes, profile),
        _run(CONTENT_RULES, event.attributes, profile),
    )
    for severity, rule, message in found:
        yield Finding(
            severity,
            rule,
            event.span_name or event.name,
            message,
            event.scope.name,
            event.trace_id,
            event.span_id,
            event.line,
        )


def _run(rules: tuple[Rule[_T], ...], thing: _T, profile: Profile) -> Iterator[tuple[Severity, str, str]]:
    for rule in rules:
        for message in rule.check(thing, profile):
            yield rule.severity, rule.id, message
