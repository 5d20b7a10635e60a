"""The names by which sessions and calls can be ordered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spantally.ground.errors import ArgumentError, shown

SESSION_ORDERS: Final[Mapping[str, str]] = {
    "started": "started_ns",
    "started_at": "started_ns",
    "started_ns": "started_ns",
    "ended": "ended_ns",
    "ended_at": "ended_ns",
    "ended_ns": "ended_ns",
    "cost": "cost_nano_usd",
    "cost_nano_usd": "cost_nano_usd",
    "total_cost": "cost_nano_usd",
    "own_cost": "own_cost_nano_usd",
    "own_cost_nano_usd": "own_cost_nano_usd",
    "calls": "calls",
    "turns": "turn_count",
    "turn_count": "turn_count",
    "errors": "errors",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "unpriced_calls": "unpriced_calls",
    "pending_calls": "pending_calls",
    "duration": "duration_ms",
    "duration_ms": "duration_ms",
    "name": "name",
}
"""Names for sessions, with the field each stands for."""

CALL_ORDERS: Final[Mapping[str, str]] = {
    "started": "started_ns",
    "started_at": "started_ns",
    "started_ns": "started_ns",
    "ended": "ended_ns",
    "ended_at": "ended_ns",
    "ended_ns": "ended_ns",
    "cost": "cost_nano_usd",
    "cost_nano_usd": "cost_nano_usd",
    "own_cost": "cost_nano_usd",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "duration": "duration_ms",
    "duration_ms": "duration_ms",
    "name": "name",
}
"""Names for calls, with the field each stands for."""


def resolve_order(order_by: str | None, allowed: Mapping[str, str], default: str) -> tuple[str, bool]:
    """The field of an order, and whether it descends.

    Args:
        order_by: a name, with a leading ``-`` for descending; None for the default.
        allowed: names with their fields.
        default: the order when none is given.

    Raises:
        ArgumentError: naming the value and the allowed names.
    """
    text = default if order_by is None else order_by
    field = allowed.get(str(text).removeprefix("-"))
    if field is None:
        raise ArgumentError(
            f"order_by={shown(order_by)} is not allowed; use one of: {', '.join(allowed)} "
            "(a leading - for descending)"
        )
    return field, text.startswith("-")
