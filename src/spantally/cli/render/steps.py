"""One step of a replay, as text and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spantally.cli.moments import rfc3339, span_text
from spantally.cli.render.labels import labels_of
from spantally.cli.render.numbers import count_text, safe
from spantally.cli.render.rows import own_cost_text, status_text
from spantally.cli.render.tree import describe
from spantally.ground.records import COUNTED_KINDS, Kind

if TYPE_CHECKING:
    from spantally.ledger.contract import CallRow
    from spantally.queries.replay import Step

_AT_END = frozenset({"output", "result"})
"""What a row gave; all else of its content is what it was given."""


def step_text(step: Step, first_ns: int) -> str:
    """A step as lines: when, what, and beneath what was kept of its content.

    Args:
        step: to draw.
        first_ns: when the first one was.
    """
    indent = "  " * step.depth
    head = f"{'+' + span_text((step.at_ns - first_ns) / 1e6):>9}  {indent}"
    if step.call is None:
        assert step.event is not None
        labels = labels_of(step.event.attributes)
        told = {labels[name]: value for name, value in step.event.attributes.items()}
        return "\n".join([safe(f"{head}* {step.event.type}"), *_lines(told, indent)])
    row = step.call
    sign = "> " if step.what == "start" else "< "
    kept = _kept(step, row)
    facts = [describe(row)] if step.what == "start" else [describe(row), *_outcome(row)]
    if not kept and (row.kind in COUNTED_KINDS or row.kind == Kind.TOOL):
        facts.append(f"({'input' if step.what == 'start' else 'output'} not kept)")
    if step.what == "start" and row.ended_ns is None:
        facts.append(status_text(row))
    return "\n".join([safe(head + sign + "  ".join(facts)), *_lines(kept, indent)])


def _outcome(row: CallRow) -> list[str]:
    found = [status_text(row)]
    if row.kind in COUNTED_KINDS and row.counted:
        found.append(own_cost_text(row))
        found.append(f"{count_text(row.input_tokens)} in, {count_text(row.output_tokens)} out")
    if row.duration_ms is not None:
        found.append(span_text(row.duration_ms))
    return found


def _kept(step: Step, row: CallRow) -> dict[str, Any]:
    ends = step.what == "end"
    content = row.content or {}
    # Of a row without a known end all that was kept stands with its start.
    return {
        name: value
        for name, value in content.items()
        if (name in _AT_END) == ends or (not ends and row.ended_ns is None)
    }


def _lines(values: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        first, *more = safe(text, lines=True).split("\n")
        lines.append(f"{'':11}{indent}  {safe(str(name))}: {first}")
        lines.extend(f"{'':11}{indent}    {line}" for line in more)
    return lines


def step_object(step: Step, first_ns: int) -> dict[str, Any]:
    """A step as JSON.

    Args:
        step: to tell of.
        first_ns: when the first one was.
    """
    made: dict[str, Any] = {
        "at": rfc3339(step.at_ns),
        "offset_ms": (step.at_ns - first_ns) / 1e6,
        "what": step.what,
        "depth": step.depth,
    }
    if step.call is None:
        assert step.event is not None
        made["event_id"] = step.event.event_id
        made["type"] = step.event.type
        made["call_id"] = step.event.call_id
        made["attributes"] = dict(step.event.attributes)
        return made
    row = step.call
    kept = _kept(step, row)
    made["call_id"] = row.call_id
    made["kind"] = row.kind
    made["operation"] = row.operation
    made["name"] = row.name
    made["model"] = row.model
    made["content"] = kept or None
    if step.what == "end" or row.ended_ns is None:
        for name in ("status", "error_type", "input_tokens", "output_tokens", "cost_nano_usd", "cost_status"):
            made[name] = getattr(row, name)
        made["duration_ms"] = row.duration_ms
    return made
