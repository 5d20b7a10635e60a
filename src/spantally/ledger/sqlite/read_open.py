"""Reading what runs: started marks, and answers that providers still work on."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import sqlite3
import time
from typing import Final, NamedTuple

from spantally.ground.process import is_alive, is_dead
from spantally.ledger.contract import OpenRow

_OPEN: Final = "call.status = 'running'"
"""As the index ``call_running`` says it, so that it is used."""


def waiting(db: sqlite3.Connection) -> tuple[bool, list[str]]:
    """What a reader finds undone: whether rows wait for their price, and processes that left marks behind."""
    pending = db.execute("SELECT 1 FROM call WHERE cost_status = 'pending' LIMIT 1").fetchone() is not None
    found = db.execute(f"SELECT DISTINCT call.process FROM call WHERE {_OPEN} AND call.process IS NOT NULL")
    return pending, [process for (process,) in found if not is_alive(process)]


def running(db: sqlite3.Connection) -> dict[str, list[OpenRow]]:
    """What runs in this ledger, by the session that it belongs to, by start."""
    found: dict[str, list[OpenRow]] = {}
    now = time.time_ns()
    alive: dict[str, bool] = {}
    for call_id, session_id, kind, operation, name, model, process, start in db.execute(
        "SELECT call.call_id, call.session_id, call.kind, call.operation, call.name, "
        "COALESCE(NULLIF(call.response_model, ''), call.request_model), "
        "COALESCE(call.process, session.process), "
        "call.start_ns FROM call LEFT JOIN session ON session.session_id = call.session_id "
        # The plus keeps SQLite from walking through all calls in the order of their start.
        f"WHERE {_OPEN} AND call.hidden = 0 ORDER BY +call.start_ns, call.call_id"
    ):
        if is_dead(process, alive):
            continue
        found.setdefault(session_id, []).append(
            OpenRow(
                call_id=call_id,
                session_id=session_id,
                kind=kind,
                operation=operation,
                name=name,
                model=model,
                process=process,
                started_ns=start,
                running_ms=age_ms(start, now),
            )
        )
    return found


class Stopped(NamedTuple):
    """A row that is stored as running and whose process is gone: it reads as interrupted."""

    call_id: str
    session_id: str
    newly_billed: bool
    """Whether it counts as possibly billed for that alone: no sum has it so."""


def stopped(db: sqlite3.Connection) -> list[Stopped]:
    """What reads as interrupted and stays running: answers that a provider worked on when its asker ended."""
    alive: dict[str, bool] = {}
    found = db.execute(
        "SELECT call.call_id, call.session_id, COALESCE(call.process, session.process), "
        "call.counted AND NOT (call.possibly_billed AND (call.usage IS NULL "
        "OR instr(COALESCE(call.price_context, ''), '\"lost_attempts\"') > 0)) "
        "FROM call LEFT JOIN session ON session.session_id = call.session_id "
        f"WHERE {_OPEN} AND call.hidden = 0"
    )
    return [
        Stopped(call_id, session_id, bool(newly))
        for call_id, session_id, process, newly in found
        if is_dead(process, alive)
    ]


def age_ms(start_ns: int, now_ns: int) -> float:
    """For how long something has been running; clocks of two machines may be apart."""
    return max(0, now_ns - start_ns) / 1e6


def lasted_ms(start_ns: int, end_ns: int) -> float | None:
    """How long something took; None where its clock was set back meanwhile: nobody knows."""
    return None if end_ns < start_ns else (end_ns - start_ns) / 1e6
