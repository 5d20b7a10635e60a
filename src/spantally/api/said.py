"""What a program says itself: why it decided as it did, and how good an answer was.

Each gives an event in the ledger and, where a logger provider is set, a log event on the current span. Texts
that people or models wrote are content: the ledger keeps what a program hands over unless told not to
(``ledger_content``), exported they are with content capture only, and redacted they are everywhere. Names,
labels and numbers always go along.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from spantally.calls import implicit, pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.calls.shorten import cut
from spantally.calls.telemetry import Telemetry
from spantally.ground import ids, semconv
from spantally.ground.errors import ArgumentError
from spantally.ground.guard import swallowed
from spantally.ground.records import EventRecord
from spantally.ground.scope import Scope, current_scope, is_hidden
from spantally.ground.setting_values import parse_choice, parse_id
from spantally.ground.settings import is_disabled

DECIDERS: Final = ("agent", "human")
MOST_ALTERNATIVES: Final = 64


def decision(
    reasoning: str,
    alternatives: Sequence[str] | None = None,
    confidence: float | None = None,
    *,
    choice: str | None = None,
    by: str = "agent",
) -> None:
    """Note a decision, with its reasons, in the current session, agent and span.

    Args:
        reasoning: why it was decided so. Content.
        alternatives: what else was considered, at most 64. Content; their number is not.
        confidence: from 0 to 1.
        choice: what was chosen. Content.
        by: who decided: ``"agent"``, or ``"human"`` where somebody was asked.

    Raises:
        ArgumentError: (a ValueError) for a wrong argument; nothing is noted then.
    """
    attributes: dict[str, Any] = {semconv.DECISION_BY: parse_choice("by", by, DECIDERS)}
    content: dict[str, Any] = {semconv.DECISION_REASONING: _text("decision(reasoning", reasoning)}
    if choice is not None:
        content[semconv.DECISION_CHOICE] = _text("decision(choice", choice)
    if alternatives is not None:
        if isinstance(alternatives, (str, bytes)) or not isinstance(alternatives, Sequence):
            raise ArgumentError(f"decision(alternatives={alternatives!r}): use a list of texts")
        if len(alternatives) > MOST_ALTERNATIVES:
            raise ArgumentError(
                f"decision(alternatives=...): {len(alternatives)} texts; at most {MOST_ALTERNATIVES} are kept"
            )
        texts = tuple(_text("decision(alternatives", one) for one in alternatives)
        content[semconv.DECISION_ALTERNATIVES] = texts
        attributes[semconv.DECISION_ALTERNATIVE_COUNT] = len(texts)
    if confidence is not None:
        number = _number("decision(confidence", confidence)
        if not 0 <= number <= 1:
            raise ArgumentError(f"decision(confidence={confidence!r}): use a number from 0 to 1")
        attributes[semconv.DECISION_CONFIDENCE] = number
    _say(semconv.EVENT_DECISION, attributes, content)


def evaluation(
    name: str,
    score: float | None = None,
    *,
    label: str | None = None,
    explanation: str | None = None,
    response_id: str | None = None,
    error_type: str | None = None,
) -> None:
    """Note the result of an evaluation: the event ``gen_ai.evaluation.result`` of the conventions.

    Call it where the evaluated span is current, or name the response.

    Args:
        name: of the metric: ``"relevance"``.
        score: a finite number.
        label: what the score means, of a few words: ``"relevant"``, ``"fail"``.
        explanation: why. Content.
        response_id: the provider's id of the response that was evaluated.
        error_type: why there is no result, as a class of errors.

    Raises:
        ArgumentError: (a ValueError) for a wrong argument, or where score, label and error_type are all
            missing; nothing is noted then.
    """
    attributes: dict[str, Any] = {semconv.EVALUATION_NAME: parse_id("evaluation name", name)}
    if score is None and label is None and error_type is None:
        raise ArgumentError(f"evaluation({name!r}): give score=, label= or error_type=")
    if score is not None:
        attributes[semconv.EVALUATION_SCORE_VALUE] = _number("evaluation(score", score)
    for key, word, value in (
        (semconv.EVALUATION_SCORE_LABEL, "label", label),
        (semconv.RESPONSE_ID, "response_id", response_id),
        (semconv.ERROR_TYPE, "error_type", error_type),
    ):
        if value is not None:
            attributes[key] = parse_id(word, value)
    content = {}
    if explanation is not None:
        content[semconv.EVALUATION_EXPLANATION] = _text("evaluation(explanation", explanation)
    _say(semconv.EVENT_EVALUATION_RESULT, attributes, content)


def _text(what: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ArgumentError(f"{what}={value!r}): use a text that is not empty")
    return value


def _number(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentError(f"{what}={value!r}): use a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ArgumentError(f"{what}={value!r}): use a finite number")
    return number


def _say(name: str, attributes: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Keep and send an event whose arguments are in order; from here on nothing raises."""
    try:
        context = otel_context.get_current()
        if is_disabled() or is_hidden(context):
            return
        telemetry = telemetry_module.active
        scope = current_scope(context) or implicit.implicit_scope(context, telemetry)
        implicit.record_session(scope, telemetry)
        safe = telemetry.redactor.attributes(attributes)
        event_id = ids.new_call_id()
        _keep(name, event_id, safe, content, telemetry, scope, context)
        _send(name, event_id, safe, content, telemetry, context)
    except Exception as error:
        swallowed("api.said", error)


def _keep(
    name: str,
    event_id: str,
    safe: Mapping[str, Any],
    content: Mapping[str, Any],
    telemetry: Telemetry,
    scope: Scope,
    context: Context,
) -> None:
    """Hand the event to the ledger."""
    kept = dict(safe)
    if telemetry.keep_explicit:
        kept.update(_governed(content, telemetry, telemetry.ledger_limits.attribute))
    span = trace.get_current_span(context).get_span_context()
    pipeline.emit(
        EventRecord(
            event_id=event_id,
            session_id=scope.session.session_id,
            type=name,
            time_ns=time.time_ns(),
            call_id=scope.call_id,
            agent_path=scope.agent_path,
            trace_id=f"{span.trace_id:032x}" if span.is_valid else None,
            span_id=f"{span.span_id:016x}" if span.is_valid else None,
            attributes=kept,
        )
    )


def _send(
    name: str,
    event_id: str,
    safe: Mapping[str, Any],
    content: Mapping[str, Any],
    telemetry: Telemetry,
    context: Context,
) -> None:
    """Send the event to the logger provider, if anybody hears it."""
    emit = telemetry.emit_event
    if emit is None or not emit.is_heard(name):
        return
    # Who reads it into a ledger that has it already knows it by its id.
    sent = {**safe, semconv.ID_OF_EVENT: event_id}
    if telemetry.capture_spans or telemetry.capture_events:
        sent.update(_governed(content, telemetry, telemetry.content_limits.attribute))
    emit(name, sent, context)


def _governed(content: Mapping[str, Any], telemetry: Telemetry, limit: int) -> dict[str, Any]:
    """Redacted texts, each cut to its part of the limit."""
    safe = telemetry.redactor.attributes(content)
    return {
        key: tuple(cut(one, limit // len(value)) for one in value)
        if isinstance(value, (tuple, list))
        else cut(value, limit)
        for key, value in safe.items()
    }
