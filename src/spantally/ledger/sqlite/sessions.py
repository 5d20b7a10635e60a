"""Writing what records and calls say of sessions."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Final

from spantally.ground import semconv
from spantally.ground.records import CallRecord, EventRecord, SessionRecord
from spantally.ledger.session_merge import SessionFacts, SessionView

_VIEW: Final = SessionView._fields
_UPSERT: Final = (
    f"INSERT INTO session (session_id, facts, {', '.join(_VIEW)}) "
    f"VALUES (?, ?, {', '.join('?' * len(_VIEW))}) ON CONFLICT (session_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in ("facts", *_VIEW))
)


_LASTED: Final = "UPDATE session SET facts = ?, started_ns = ?, last_ns = ? WHERE session_id = ?"

_AFTERWARDS: Final = frozenset({semconv.EVENT_EVALUATION_RESULT})
"""Events that come when a session is over, and do not make it longer."""


def write_sessions(
    db: sqlite3.Connection,
    sessions: Iterable[SessionRecord],
    calls: Iterable[CallRecord],
    events: Iterable[EventRecord] = (),
) -> None:
    """Merge session records, and what calls and events imply, into the rows of their sessions."""
    said = list(sessions)
    implied = list(calls)
    moments = [event for event in events if event.type not in _AFTERWARDS]
    wanted = {record.session_id for some in (said, implied, moments) for record in some}
    if not wanted:
        return
    facts = _stored(db, wanted)
    for record in said:
        facts[record.session_id].add_session(record)
    for call in implied:
        facts[call.session_id].add_call(call)
    for event in moments:
        facts[event.session_id].add_moment(event.time_ns)
    _keep(db, facts)


def absorb_sessions(db: sqlite3.Connection, others: dict[str, str]) -> None:
    """Merge what another ledger knows of sessions into their rows.

    Args:
        db: inside an open transaction.
        others: the facts of each session as stored there, by its id.
    """
    facts = _stored(db, set(others))
    for session_id, text in others.items():
        facts[session_id].absorb(SessionFacts(text))
    _keep(db, facts)


def _stored(db: sqlite3.Connection, wanted: set[str]) -> dict[str, SessionFacts]:
    facts = {
        session_id: SessionFacts(text)
        for session_id, text in db.execute(
            "SELECT session.session_id, session.facts FROM json_each(?) AS w "
            "CROSS JOIN session ON session.session_id = w.value",
            (json.dumps(sorted(wanted)),),
        )
    }
    for session_id in wanted:
        facts.setdefault(session_id, SessionFacts())
    return facts


def _keep(db: sqlite3.Connection, facts: dict[str, SessionFacts]) -> None:
    changed = [(session_id, one) for session_id, one in facts.items() if one.changed]
    longer = [one for one in changed if one[1].is_only_longer()]
    if longer:
        db.executemany(_LASTED, [(one.dump(), one.start, one.last, session_id) for session_id, one in longer])
    if len(longer) < len(changed):
        db.executemany(
            _UPSERT,
            [
                (session_id, one.dump(), *one.view())
                for session_id, one in changed
                if not one.is_only_longer()
            ],
        )
