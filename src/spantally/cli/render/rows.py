"""One row of a call as text: its cost or the reason why it has none, and how it ended."""

from __future__ import annotations

from spantally.cli.render.numbers import NONE, money_text
from spantally.ground.money import CostStatus
from spantally.ledger.contract import CallRow

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
    extra = [row.error_type] if row.error_type else []
    if row.abandoned:
        extra.append("abandoned")
    if row.possibly_billed:
        extra.append("possibly billed")
    if row.inferred:
        extra.append("inferred")
    if row.attempts > 1:
        extra.append(f"{row.attempts} attempts")
    return f"{row.status} ({', '.join(extra)})" if extra else row.status
