"""What an evaluation is of: it comes after the answer, and may come from a process that knows its id alone.

Such an event names a call or the provider's id of a response, and no session. It gets session, agents, trace
and span of that row as it is stored; where the row is not there yet, it waits until it is.
"""

# ruff: noqa: S608 - only names of columns and attributes of ours are put into SQL; values are bound.

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Final

from spantally.ground import semconv
from spantally.ground.records import UNPLACED, EventRecord
from spantally.ledger.contract import Target

MOST_WAITING: Final = 1_000
"""Waiting events that are looked at whenever something is written: the newest."""

_FIND: Final = (
    "SELECT call_id, session_id, trace_id, span_id, agent_path FROM call WHERE {} = ? "
    "ORDER BY hidden, counted DESC, precedence DESC, start_ns, call_id LIMIT 1"
)
_BY_CALL: Final = _FIND.format("call_id")
_BY_RESPONSE: Final = _FIND.format("response_id")
_TOLD: Final = "(CASE WHEN json_valid(event.attributes) THEN event.attributes END)"
"""Earlier releases wrote NaN and infinities, which are no JSON and made SQLite refuse the whole question."""

_WAITING: Final = (
    f"SELECT event_id, call_id, json_extract({_TOLD}, '$.\"{semconv.RESPONSE_ID}\"') FROM event "
    "WHERE session_id = ? ORDER BY time_ns DESC LIMIT ?"
)
_PLACE: Final = (
    "UPDATE event SET session_id = ?, call_id = ?, trace_id = ?, span_id = ?, agent_path = ? "
    "WHERE event_id = ?"
)


def find(db: sqlite3.Connection, call_id: str | None, response_id: str | None) -> Target | None:
    """The row of a call, else of a response; of several of one response that which counts."""
    found = None
    if call_id is not None:
        found = db.execute(_BY_CALL, (call_id,)).fetchone()
    elif response_id is not None:
        found = db.execute(_BY_RESPONSE, (response_id,)).fetchone()
    if found is None:
        return None
    own_id, session_id, trace_id, span_id, path = found
    return Target(own_id, session_id, trace_id, span_id, tuple(json.loads(path)) if path else ())


def placed(db: sqlite3.Connection, records: Iterable[EventRecord]) -> list[EventRecord]:
    """Events on their way in, those of a response or call with the place of its row, if it is there."""
    return [_placed(db, record) if _is_late(record) else record for record in records]


def _is_late(record: EventRecord) -> bool:
    return record.type == semconv.EVENT_EVALUATION_RESULT and (
        record.session_id == UNPLACED or semconv.RESPONSE_ID in (record.attributes or {})
    )


def _placed(db: sqlite3.Connection, record: EventRecord) -> EventRecord:
    response_id = (record.attributes or {}).get(semconv.RESPONSE_ID)
    named = record.call_id if record.session_id == UNPLACED else None
    found = find(db, named, response_id if isinstance(response_id, str) else None)
    return record if found is None else record._replace(**found._asdict())


def place_waiting(db: sqlite3.Connection) -> None:
    """Give waiting events their place, where their row has come."""
    for event_id, call_id, response_id in db.execute(_WAITING, (UNPLACED, MOST_WAITING)).fetchall():
        found = find(db, call_id, response_id)
        if found is not None:
            path = json.dumps(found.agent_path) if found.agent_path else None
            place = (found.session_id, found.call_id, found.trace_id, found.span_id, path)
            db.execute(_PLACE, (*place, event_id))


def waiting(db: sqlite3.Connection) -> int:
    """How many events wait for their row."""
    return int(db.execute("SELECT COUNT(*) FROM event WHERE session_id = ?", (UNPLACED,)).fetchone()[0])


def scores(db: sqlite3.Connection, sessions: Iterable[str]) -> list[tuple[str, str, float]]:
    """Session, name and score of each evaluation that has a number."""
    name, score = (f"{_TOLD}, '$.\"{key}\"'" for key in _SCORE)
    found = db.execute(
        f"SELECT event.session_id, json_extract({name}), json_extract({score}) FROM json_each(?) AS w "
        "CROSS JOIN event ON event.session_id = w.value WHERE event.type = ? "
        # Whoever else sends such events may put anything there.
        f"AND json_type({name}) = 'text' AND json_type({score}) IN ('integer', 'real') "
        "ORDER BY event.time_ns, event.event_id",
        (json.dumps(list(sessions)), semconv.EVENT_EVALUATION_RESULT),
    )
    return [(session_id, str(told), float(value)) for session_id, told, value in found]


_SCORE: Final = (semconv.EVALUATION_NAME, semconv.EVALUATION_SCORE_VALUE)
