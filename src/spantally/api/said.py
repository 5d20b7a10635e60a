"""What a program says itself: why it decided as it did.

It gives an event in the ledger and, where a logger provider is set, a log event on the current span. Texts
that people or models wrote are content: the ledger keeps what a program hands over unless told not to
(``ledger_content``), exported they are with content capture only, and redacted they are everywhere. Names,
labels and numbers always go along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry import context as otel_context

from spantally.api.evaluation import number, plain_text
from spantally.api.recorded_events import note
from spantally.calls import implicit
from spantally.calls import telemetry as telemetry_module
from spantally.ground import semconv
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.guard import swallowed
from spantally.ground.scope import current_scope, is_hidden
from spantally.ground.setting_values import parse_choice
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
    content: dict[str, Any] = {semconv.DECISION_REASONING: plain_text("decision(reasoning", reasoning)}
    if choice is not None:
        content[semconv.DECISION_CHOICE] = plain_text("decision(choice", choice)
    if alternatives is not None:
        if isinstance(alternatives, (str, bytes)) or not isinstance(alternatives, Sequence):
            raise ArgumentError(f"decision(alternatives={shown(alternatives)}): use a list of texts")
        if len(alternatives) > MOST_ALTERNATIVES:
            raise ArgumentError(
                f"decision(alternatives=...): {len(alternatives)} texts; at most {MOST_ALTERNATIVES} are kept"
            )
        texts = tuple(plain_text("decision(alternatives", one) for one in alternatives)
        content[semconv.DECISION_ALTERNATIVES] = texts
        attributes[semconv.DECISION_ALTERNATIVE_COUNT] = len(texts)
    if confidence is not None:
        found = number("decision(confidence", confidence)
        if not 0 <= found <= 1:
            raise ArgumentError(f"decision(confidence={shown(confidence)}): use a number from 0 to 1")
        attributes[semconv.DECISION_CONFIDENCE] = found
    _say(semconv.EVENT_DECISION, attributes, content)


def _say(name: str, attributes: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Keep and send an event whose arguments are in order; from here on nothing raises."""
    try:
        context = otel_context.get_current()
        if is_disabled() or is_hidden(context):
            return
        telemetry = telemetry_module.active
        scope = current_scope(context) or implicit.implicit_scope(context, telemetry)
        implicit.record_session(scope, telemetry)
        session_id = scope.session.session_id
        note(name, attributes, content, context=context, scope=scope, session_id=session_id)
    except Exception as error:
        swallowed("api.said", error)
