"""Decisions, evaluations and the like, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from spantally.cli.moments import local_text
from spantally.cli.render.labels import labels_of
from spantally.cli.render.numbers import safe
from spantally.cli.render.output import write
from spantally.ground import semconv

if TYPE_CHECKING:
    from spantally.ledger.contract import EventRow

_CONTENT: Final = frozenset(
    {
        semconv.DECISION_REASONING,
        semconv.DECISION_CHOICE,
        semconv.DECISION_ALTERNATIVES,
        semconv.EVALUATION_EXPLANATION,
    }
)
"""Shown with ``--content`` only."""


def print_events(events: Sequence[EventRow], *, content: bool) -> None:
    """Write what happened, by time.

    Args:
        events: of the session.
        content: with the texts that were kept.
    """
    lines = []
    for event in events:
        where = f"  in {' > '.join(event.agent_path)}" if event.agent_path else ""
        shown = {name: value for name, value in event.attributes.items() if content or name not in _CONTENT}
        labels = labels_of(shown)
        told = [f"{labels[name]}={_text(value)}" for name, value in shown.items()]
        lines.append(safe(f"{local_text(event.time_ns)}  {event.type}{where}  {', '.join(told)}").rstrip())
    write("\n".join(lines))


def _text(value: Any) -> str:
    return " | ".join(map(str, value)) if isinstance(value, list) else str(value)
