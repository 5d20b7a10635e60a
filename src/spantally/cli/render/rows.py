"""One row of a call as text: its cost or the reason why it has none, how it ended or how long it runs."""

from __future__ import annotations

from collections.abc import Sequence

from spantally.cli.moments import span_text
from spantally.cli.render.numbers import NONE, money_text
from spantally.ground.money import CostStatus
from spantally.ground.records import Kind
from spantally.ledger.contract import CallRow, OpenRow

_NAMED = frozenset({Kind.AGENT, Kind.TOOL, Kind.WORKFLOW})

_EXACT = frozenset(
    {None, CostStatus.PRICED, CostStatus.OVERRIDE, CostStatus.PROVIDER_REPORTED, CostStatus.FREE}
)


def own_cost_text(row: CallRow) -> str:
    """The cost of one row with its status where that is not plain, or why there is none."""
    if row.list_nano_usd is not None:
        return f"{row.cost_status} (list value {money_text(row.list_nano_usd)})"
    if row.cost_nano_usd is None:
        return row.cost_status or NONE
    text = money_text(row.cost_nano_usd)
    return text if row.cost_status in _EXACT else f"{text} {row.cost_status}"


def status_text(row: CallRow) -> str:
    """The status of a row with what else there is to know of how it ended."""
    extra = [row.error_type] if row.error_type and row.error_type != row.status else []
    if row.abandoned:
        extra.append("abandoned")
    if row.possibly_billed:
        extra.append("possibly billed")
    if row.inferred:
        extra.append("inferred")
    if row.attempts > 1:
        extra.append(f"{row.attempts} attempts")
    state = state_text(row)
    return f"{state} ({', '.join(extra)})" if extra else state


def state_text(row: CallRow) -> str:
    """The status of a row; of one that runs, for how long."""
    return row.status if row.running_ms is None else f"{row.status} {span_text(row.running_ms)}"


def open_text(rows: Sequence[OpenRow], *, most: int | None = None) -> str:
    """What runs and for how long: ``agent planner 13.1s, chat gpt-5 12.3s``.

    Args:
        rows: by start.
        most: name only so many of them, the ones that began last; how many more there are is said.
    """
    named = rows if most is None else rows[-most:]
    texts = [f"{_what(row)} {span_text(row.running_ms)}" for row in named]
    return ", ".join(texts) + (f" (+{len(rows) - len(named)})" if len(rows) > len(named) else "")


def _what(row: OpenRow) -> str:
    if row.kind in _NAMED:
        return f"{row.kind} {row.name or '(unnamed)'}"
    return f"{row.operation} {row.model or row.name or ''}".rstrip()
