"""Live totals of a session, folded from its in-memory records when they are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from spantally.api.fold import Fold, Totals, added
from spantally.calls.pipeline import end_late_now
from spantally.ground.event_loop import in_event_loop
from spantally.ground.guard import swallowed
from spantally.ground.money import CostStatus, Rating
from spantally.ground.records import CallRecord, made
from spantally.ground.session_state import SessionState
from spantally.pricing import ensure_loading
from spantally.pricing.rate import rate, rate_if_loaded

MAX_PENDING: Final = 20_000
"""Records of a session that wait for the price data at most."""


BATCH_SECONDS: Final = 0.05
"""How long reading totals waits, off any event loop, for ended calls that the worker has in hand."""


def fold_waiting(state: SessionState) -> None:
    """Fold what waits in a session as far as the price data is there, on the worker."""
    ensure_loading()
    _fold(state, wait=False)


def totals_of(state: SessionState | None) -> Totals:
    """The totals of a session; empty before it was entered. Never raises.

    Args:
        state: of the session.
    """
    if state is None:
        return Totals()
    try:
        waits = not in_event_loop()
        end_late_now(BATCH_SECONDS if waits else 0.0)
        return _fold(state, wait=waits)
    except Exception as error:
        swallowed("api.totals", error)
        return Totals()


def known_spending(state: SessionState) -> int | None:
    """The known cost of a session so far in nano-USD, without waiting; None where none is known."""
    end_late_now()
    return _fold(state, wait=False).cost_nano_usd


def _fold(state: SessionState, *, wait: bool) -> Totals:
    with state.lock:
        fold = state.fold if isinstance(state.fold, Fold) else Fold()
        state.fold = fold
        taken = tuple(state.unfolded)
        del state.unfolded[: len(taken)]  # what is appended meanwhile stays
        waiting: list[CallRecord] = []
        for item in taken:
            record = made(item)
            rating = rate(record) if wait else rate_if_loaded(record)
            if rating.status == CostStatus.PENDING:
                waiting.append(record)
            else:
                fold.take(record, rating)
        if len(waiting) > MAX_PENDING:
            # The price data does not come: count the oldest without a price rather than keep them for ever.
            for record in waiting[: len(waiting) - MAX_PENDING]:
                unpriced = Rating(None, CostStatus.UNKNOWN_MODEL, rate_if_loaded(record).parts)
                fold.take(record, unpriced)
            del waiting[: len(waiting) - MAX_PENDING]
        state.unfolded[:0] = waiting
        fold.trim()
        totals = fold.totals
        for record in waiting:
            totals = added(totals, record, rate_if_loaded(record))
        return _honest(totals)


def _honest(totals: Totals) -> Totals:
    """No silent 0: where calls were made and nothing has a cost, the cost is unknown."""
    if totals.calls and not totals.priced_calls and not totals.cost_nano_usd:
        return replace(totals, cost_nano_usd=None)
    return totals


__all__ = ["Totals", "fold_waiting", "known_spending", "totals_of"]
