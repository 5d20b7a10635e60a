"""Which calls have no cost, or a part of one, in groups of where they went."""

# ruff: noqa: S608 - only constants of this module are put into SQL; values are bound.
from __future__ import annotations

import sqlite3
from typing import Final

from spantally.ground.money import CostStatus
from spantally.ledger.contract import Unpriced

_MODEL: Final = "COALESCE(NULLIF(call.response_model, ''), call.request_model)"
_OUTPUT: Final = "COALESCE(call.output_tokens, 0)"
_GROUPS: Final = (
    f"SELECT call.provider, call.server_address, {_MODEL}, call.cost_status, {_OUTPUT} <> 0, COUNT(*), "
    f"SUM(COALESCE(call.input_tokens, 0)), SUM({_OUTPUT}), MAX(call.start_ns) FROM call "
    "WHERE call.hidden = 0 AND call.counted "
    f"AND (call.cost_status = '{CostStatus.UNKNOWN_MODEL}' OR call.cost_status LIKE 'partial:%')"
)


def unpriced(db: sqlite3.Connection, since_ns: int | None) -> list[Unpriced]:
    """Calls that count and whose model or part has no rate, without reading each.

    Args:
        db: a connection.
        since_ns: only those that began then or later.
    """
    since, values = ("", ()) if since_ns is None else (" AND call.start_ns >= ?", (since_ns,))
    found = db.execute(f"{_GROUPS}{since} GROUP BY 1, 2, 3, 4, 5", values)
    return [Unpriced._make((*row[:4], bool(row[4]), *row[5:])) for row in found]
