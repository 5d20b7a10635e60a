"""Graph and summary of a live session, read from the ledger that this process writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from spantally.api.fold import Totals
from spantally.api.kept_records import kept_name
from spantally.api.store import LedgerConsumer
from spantally.calls.pipeline import consumers, end_late_now
from spantally.ground import semconv
from spantally.ground.errors import LedgerError
from spantally.ground.event_loop import in_event_loop
from spantally.ground.records import SessionStatus
from spantally.ground.settings import is_disabled
from spantally.ground.worker import worker
from spantally.ledger.contract import SessionRow
from spantally.queries.graph import SessionGraph, build_graph
from spantally.queries.ledger import Ledger, active_store, open_ledger
from spantally.queries.summary import Summary, build_summary
from spantally.queries.tree import build_tree

FLUSH_SECONDS = 5.0
"""How long to wait, off any event loop, until the ledger holds what has happened so far."""

_T = TypeVar("_T")


def graph_of(session_id: str | None) -> SessionGraph:
    """The graph of a session of this process; see :meth:`spantally.Session.graph`."""
    empty = _empty_row(session_id)
    return _asked(session_id, lambda ledger, known: ledger.graph(known)) or build_graph(build_tree(empty, ()))


def summary_of(session_id: str | None, totals: Callable[[], Totals]) -> Summary:
    """The summary of a session of this process; see :meth:`spantally.Session.summary`."""
    made = _asked(session_id, lambda ledger, known: ledger.summary(known))
    made = made or build_summary(_empty_row(session_id), ())
    if not in_event_loop() or is_disabled():
        return made
    return replace(made, unwritten_calls=max(0, totals().calls - made.total.calls))


def _asked(session_id: str | None, question: Callable[[Ledger, str], _T | None]) -> _T | None:
    """The answer of the ledger; None of a session that was not entered, and where all is disabled.

    Raises:
        LedgerError: this process keeps no ledger, or it cannot be read.
    """
    if session_id is None or is_disabled():
        return None
    if not any(isinstance(one, LedgerConsumer) for one in consumers()):
        raise LedgerError(
            "this process keeps no ledger, so there are no rows to read; call spantally.instrument() with a "
            "ledger (it is on by default), or use session.totals, which needs none",
            slug="switched_off",
        )
    end_late_now()
    if not in_event_loop():
        worker.flush(FLUSH_SECONDS)
    if active_store() is None:
        return None  # it is opened when the first record is written
    with open_ledger() as ledger:
        return question(ledger, kept_name(session_id, semconv.SESSION_ID))


def _empty_row(session_id: str | None) -> SessionRow:
    """A session of which there is nothing to tell."""
    return SessionRow(
        session_id=session_id or "",
        name=None,
        implicit=False,
        parent_id=None,
        previous_id=None,
        conversation_id=None,
        user_id=None,
        entity_type=None,
        entity_id=None,
        tags={},
        project=None,
        status=SessionStatus.RUNNING,
        reason=None,
        error_type=None,
        agents=(),
        models=(),
        calls=0,
        turn_count=0,
        errors=0,
        input_tokens=0,
        output_tokens=0,
        cost_nano_usd=0,
        own_cost_nano_usd=0,
        unpriced_calls=0,
        pending_calls=0,
        possibly_billed_calls=0,
        lost_attempt_calls=0,
        started_ns=time.time_ns(),
        ended_ns=None,
        duration_ms=None,
    )
