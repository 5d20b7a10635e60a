"""Reading sessions whole, page by page: rows as they are stored, and what is around each."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from spantally.ground.records import EventRecord, LinkRecord
from spantally.ledger.counting import SpanKey
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite.read_agents import Beneath, beneath
from spantally.ledger.sqlite.read_calls import resolved_parents
from spantally.ledger.tally import Row

_ROWS: Final = (
    f"SELECT {codec.SELECT} FROM call WHERE call.session_id = ? AND call.hidden = 0 "
    "AND call.status <> 'running' AND (call.start_ns, call.call_id) > (?, ?) "
    "ORDER BY call.start_ns, call.call_id LIMIT ?"
)
_EVENTS: Final = (
    "SELECT event_id, session_id, type, time_ns, call_id, agent_path, trace_id, span_id, attributes "
    "FROM event WHERE session_id = ? "
)
_PARENTS: Final = (
    "SELECT call.call_id, call.trace_id, call.span_id, call.parent_call_id FROM json_each(?) AS w "
    "CROSS JOIN call ON call.call_id = w.value"
)
_LINKS: Final = (
    "SELECT link.trace_id, link.span_id, link.parent_span_id, link.end_ns FROM json_each(?) AS w "
    "CROSS JOIN link ON link.trace_id = json_extract(w.value, '$[0]') "
    "AND link.span_id = json_extract(w.value, '$[1]')"
)
_TOP: Final = """\
WITH RECURSIVE up (id, depth) AS (
    SELECT ?, 0
    UNION SELECT s.parent_id, up.depth + 1 FROM up JOIN session AS s ON s.session_id = up.id
    WHERE s.parent_id IS NOT NULL AND up.depth < 1000
) SELECT id FROM up ORDER BY depth DESC LIMIT 1
"""
_MOST_STEPS: Final = 1_000
"""Links above one another that are followed at most."""


class Place(NamedTuple):
    """Where the row around a row is."""

    call_id: str
    trace_id: str | None
    span_id: str | None


class Page(NamedTuple):
    """Some rows of a session, oldest first."""

    rows: list[Row]
    above: dict[str, Place]
    """The row around each, as every reader shows it, by call id."""
    links: dict[str, list[LinkRecord]]
    """The spans between a row and the one around it that are no operation, by call id."""
    events: dict[str, list[EventRecord]]
    """Events of these rows, by call id."""
    beneath: dict[str, Beneath]
    """What the calls beneath each agent used, by call id."""

    @property
    def last(self) -> tuple[int, str]:
        """Where the next page begins."""
        record = self.rows[-1].record
        return record.start_ns, record.call_id


class SessionFacts(NamedTuple):
    """A session as the ledger has it."""

    facts: str
    """JSON: all that was said of it, with ranks."""
    project: str | None
    started_ns: int
    last_ns: int
    top: str
    """Id of the session above all that are above it; its own where there is none."""
    running: int
    """Rows of it that have not ended."""


def rows(db: sqlite3.Connection, session_id: str, after: tuple[int, str], limit: int) -> Page:
    """Rows of a session that have ended, but for second views of others.

    Args:
        db: to read from.
        session_id: of the session.
        after: start and call id of the last row of the page before.
        limit: rows at most.
    """
    found = [codec.decode(values) for values in db.execute(_ROWS, (session_id, *after, limit))]
    if not found:
        return Page([], {}, {}, {}, {})
    parents = resolved_parents(db, found)
    wanted = sorted({parent for parent in parents.values() if parent is not None})
    places = {values[0]: Place(*values[:3]) for values in db.execute(_PARENTS, (json.dumps(wanted),))}
    return Page(
        found,
        {child: places[parent] for child, parent in parents.items() if parent in places},
        _links(db, found),
        _events_of(db, session_id, found),
        beneath(db, found),
    )


def _links(db: sqlite3.Connection, found: Iterable[Row]) -> dict[str, list[LinkRecord]]:
    chains: dict[str, list[LinkRecord]] = {}
    open_chains: dict[str, SpanKey] = {}
    for row in found:
        record = row.record
        if record.trace_id and record.parent_span_id and record.parent_span_id != record.span_id:
            open_chains[record.call_id] = (record.trace_id, record.parent_span_id)
    for _ in range(_MOST_STEPS):
        if not open_chains:
            break
        keys = json.dumps(sorted(set(open_chains.values())))
        known = {(one[0], one[1]): LinkRecord(*one) for one in db.execute(_LINKS, (keys,))}
        following: dict[str, SpanKey] = {}
        for call_id, key in open_chains.items():
            link = known.get(key)
            if link is None or link in chains.get(call_id, ()):
                continue
            chains.setdefault(call_id, []).append(link)
            if link.parent_span_id is not None:
                following[call_id] = (link.trace_id, link.parent_span_id)
        open_chains = following
    return chains


def _events_of(db: sqlite3.Connection, session_id: str, found: list[Row]) -> dict[str, list[EventRecord]]:
    ids = [row.record.call_id for row in found]
    first = min(row.record.start_ns for row in found)
    gathered: dict[str, list[EventRecord]] = {}
    for values in db.execute(
        f"{_EVENTS} AND time_ns >= ? AND call_id IN (SELECT value FROM json_each(?)) ORDER BY time_ns",
        (session_id, first, json.dumps(ids)),
    ):
        event = _event(values)
        gathered.setdefault(event.call_id or "", []).append(event)
    return gathered


def _event(values: tuple[Any, ...]) -> EventRecord:
    event_id, session_id, kind, time_ns, call_id, path, trace_id, span_id, attributes = values
    return EventRecord(
        event_id=event_id,
        session_id=session_id,
        type=kind,
        time_ns=time_ns,
        call_id=call_id,
        agent_path=tuple(json.loads(path)) if path else (),
        trace_id=trace_id,
        span_id=span_id,
        attributes=json.loads(attributes) if attributes else None,
    )


def events(db: sqlite3.Connection, session_id: str, after: tuple[int, str], limit: int) -> list[EventRecord]:
    """Events of a session, by time.

    Args:
        db: to read from.
        session_id: of the session.
        after: time and id of the last one of the page before.
        limit: events at most.
    """
    found = db.execute(
        f"{_EVENTS} AND (time_ns, event_id) > (?, ?) ORDER BY time_ns, event_id LIMIT ?",
        (session_id, *after, limit),
    )
    return [_event(values) for values in found]


def session(db: sqlite3.Connection, session_id: str) -> SessionFacts | None:
    """What is known of a session; None of one that is not there."""
    found = db.execute(
        "SELECT facts, project, started_ns, last_ns FROM session WHERE session_id = ?", (session_id,)
    ).fetchone()
    if found is None:
        return None
    (top,) = db.execute(_TOP, (session_id,)).fetchone()
    (running,) = db.execute(
        "SELECT COUNT(*) FROM call WHERE session_id = ? AND status = 'running' AND hidden = 0", (session_id,)
    ).fetchone()
    return SessionFacts(found[0], found[1], found[2], found[3], top, running)
