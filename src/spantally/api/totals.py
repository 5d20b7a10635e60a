"""Live totals of a session, folded from its in-memory records when they are read."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from spantally.calls.pipeline import end_late_now
from spantally.ground.guard import swallowed
from spantally.ground.money import CostStatus, Rating, usd
from spantally.ground.records import CallRecord, Precedence
from spantally.ground.session_state import SessionState


@dataclass(frozen=True, slots=True)
class Totals:
    """What a session has spent so far, child sessions included."""

    calls: int = 0
    """Model operations that count; never tools, agents or workflows."""
    errors: int = 0
    input_tokens: int = 0
    """All input tokens, cached ones included."""
    output_tokens: int = 0
    """All output tokens, reasoning included."""
    cost_nano_usd: int | None = 0
    """The known cost in nano-USD; None when calls were made and none of them has a cost."""
    priced_calls: int = 0
    unpriced_calls: int = 0
    """Calls that are rated and have no cost: unknown model, no usage, bad usage."""
    pending_calls: int = 0
    """Calls that wait for the price data."""
    possibly_billed_calls: int = 0
    """Calls that were sent and ended without usage."""

    @property
    def cost_usd(self) -> Decimal | None:
        """The known cost in US dollars, exact; None when no call has a cost."""
        return usd(self.cost_nano_usd)


@dataclass(slots=True)
class _Fold:
    """Totals so far, and what is needed to count each call once."""

    totals: Totals = field(default_factory=Totals)
    spans: dict[str, int] = field(default_factory=dict)
    """Span ids that count, with the precedence of who told of them."""
    covered: set[str] = field(default_factory=set)
    """Parent span ids of counted calls: a model span of theirs would be a second view."""
    responses: dict[str, str | None] = field(default_factory=dict)
    """Response ids that count, with the instrumentation scope they came from."""


def totals_of(state: SessionState | None) -> Totals:
    """The totals of a session; empty before it was entered. Never raises.

    Args:
        state: of the session.
    """
    if state is None:
        return Totals()
    try:
        end_late_now()
        return _fold(state, wait=not _in_event_loop())
    except Exception as error:
        swallowed("api.totals", error)
        return Totals()


def _in_event_loop() -> bool:
    loops: Any = sys.modules.get("asyncio")
    return loops is not None and loops._get_running_loop() is not None


def _fold(state: SessionState, *, wait: bool) -> Totals:
    from spantally.pricing.rate import rate, rate_if_loaded

    with state.lock:
        fold = state.fold if isinstance(state.fold, _Fold) else _Fold()
        state.fold = fold
        taken = tuple(state.unfolded)
        del state.unfolded[: len(taken)]  # what is appended meanwhile stays
        waiting: list[CallRecord] = []
        open_totals = fold.totals
        for record in taken:
            rating = rate(record) if wait else rate_if_loaded(record)
            if rating.status == CostStatus.PENDING:
                waiting.append(record)
                open_totals = _add(open_totals, record, rating)
            elif _counts(fold, record):
                fold.totals = _add(fold.totals, record, rating)
                open_totals = _add(open_totals, record, rating)
        state.unfolded[:0] = waiting
        return _honest(open_totals)


def _counts(fold: _Fold, record: CallRecord) -> bool:
    """Whether a record counts: a second view of a call (another instrumentor's span) does not."""
    if record.response_id is not None:
        seen = fold.responses.setdefault(record.response_id, record.scope_name)
        if seen != record.scope_name:
            return False
    second_look = record.precedence < Precedence.METERED and record.span_id is not None
    if second_look and (
        record.span_id in fold.covered or record.span_id in fold.spans or record.parent_span_id in fold.spans
    ):
        return False
    if record.span_id is not None:
        fold.spans[record.span_id] = record.precedence
    if record.parent_span_id is not None:
        fold.covered.add(record.parent_span_id)
    return True


def _add(totals: Totals, record: CallRecord, rating: Rating) -> Totals:
    parts = rating.parts
    pending = rating.status == CostStatus.PENDING
    cost = rating.nano_usd
    return replace(
        totals,
        calls=totals.calls + 1,
        errors=totals.errors + (record.status == "error"),
        input_tokens=totals.input_tokens + (0 if parts is None else parts.input_total),
        output_tokens=totals.output_tokens + (0 if parts is None else parts.output_total),
        cost_nano_usd=(totals.cost_nano_usd or 0) + (cost or 0),
        priced_calls=totals.priced_calls + (cost is not None),
        unpriced_calls=totals.unpriced_calls + (cost is None and not pending),
        pending_calls=totals.pending_calls + pending,
        possibly_billed_calls=totals.possibly_billed_calls + record.possibly_billed,
    )


def _honest(totals: Totals) -> Totals:
    """No silent 0: where calls were made and none has a cost, the cost is unknown."""
    if totals.calls and not totals.priced_calls:
        return replace(totals, cost_nano_usd=None)
    return totals
