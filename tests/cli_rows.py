"""Rows made by hand for the tests of the command line."""

from __future__ import annotations

from typing import Any

from spantally.ledger.contract import CallRow, CostRow, SessionRow

START = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z in UNIX nanoseconds."""

SECOND = 1_000_000_000


def session_row(session_id: str = "0198c5a2-1f3b-7abc-8def-0123456789ab", **values: Any) -> SessionRow:
    """A session of two priced calls, with some values replaced."""
    fields: dict[str, Any] = {
        "session_id": session_id,
        "name": "chat",
        "implicit": False,
        "parent_id": None,
        "conversation_id": None,
        "user_id": "alice",
        "entity_type": "customer",
        "entity_id": "acme",
        "tags": {"feature": "search"},
        "project": "shop",
        "status": "succeeded",
        "reason": None,
        "error_type": None,
        "agents": ("planner",),
        "models": ("gpt-4o",),
        "calls": 2,
        "turn_count": 1,
        "errors": 0,
        "input_tokens": 1234,
        "output_tokens": 56,
        "cost_nano_usd": 12_300_080,
        "own_cost_nano_usd": 12_300_080,
        "unpriced_calls": 0,
        "pending_calls": 0,
        "possibly_billed_calls": 0,
        "started_ns": START,
        "ended_ns": START + 2 * SECOND,
        "duration_ms": 2000.0,
    }
    return SessionRow(**{**fields, **values})


def call_row(call_id: str = "c1", **values: Any) -> CallRow:
    """A priced chat call, with some values replaced."""
    fields: dict[str, Any] = dict.fromkeys(CallRow.__dataclass_fields__)
    fields.update(
        call_id=call_id,
        session_id="s1",
        agent_path=("planner",),
        kind="inference",
        operation="chat",
        provider="openai",
        model="gpt-4o",
        status="ok",
        abandoned=False,
        attempts=1,
        possibly_billed=False,
        counted=True,
        precedence=30,
        inferred=False,
        estimated=False,
        turn=True,
        tags={},
        input_tokens=100,
        output_tokens=10,
        cost_nano_usd=350_000,
        cost_status="priced",
        started_ns=START,
        ended_ns=START + SECOND,
        duration_ms=1000.0,
    )
    return CallRow(**{**fields, **values})


def cost_row(keys: dict[str, str | None], **values: Any) -> CostRow:
    """A group of one priced call, with some values replaced."""
    fields: dict[str, Any] = {
        "keys": keys,
        "calls": 1,
        "errors": 0,
        "input_tokens": 100,
        "output_tokens": 10,
        "cost_nano_usd": 1_000_000_000,
        "unpriced_calls": 0,
        "pending_calls": 0,
        "possibly_billed_calls": 0,
    }
    return CostRow(**{**fields, **values})
