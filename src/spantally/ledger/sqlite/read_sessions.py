"""Reading sessions from their own totals: no row of a call is touched."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from spantally.ground.process import is_alive
from spantally.ground.records import SessionStatus
from spantally.ledger.contract import Filter, SessionRow
from spantally.ledger.ordering import SESSION_ORDERS, resolve_order
from spantally.ledger.sqlite.filters import of_sessions
from spantally.ledger.tally import Amounts

_FIELDS: Final = (
    "session_id",
    "name",
    "implicit",
    "parent_id",
    "conversation_id",
    "user_id",
    "entity_type",
    "entity_id",
    "tags",
    "project",
    "status",
    "reason",
    "error_type",
    "process",
    "started_ns",
    "ended_ns",
    "last_ns",
)
_COLUMNS: Final = ", ".join(f"session.{name}" for name in (*_FIELDS, *Amounts._fields))
_OWN_ORDER: Final = {"started_ns": "started_ns", "name": "name"}
"""Orders that the database can give, since no child session changes them."""


class _Stored(NamedTuple):
    """A session as it is stored, without its children."""

    values: dict[str, Any]
    own: Amounts


def ids_with_prefix(db: sqlite3.Connection, prefix: str, limit: int) -> list[str]:
    """Ids of sessions that begin with ``prefix``, in order."""
    found = db.execute(
        "SELECT session_id FROM session WHERE session_id >= ? AND substr(session_id, 1, ?) = ? "
        "AND (declared OR rows > 0) ORDER BY session_id LIMIT ?",
        (prefix, len(prefix), prefix, limit),
    )
    return [session_id for (session_id,) in found]


def child_sessions(db: sqlite3.Connection) -> dict[str, list[str]]:
    """Ids of child sessions by the id of their parent."""
    children: dict[str, list[str]] = {}
    found = db.execute("SELECT parent_id, session_id FROM session WHERE parent_id IS NOT NULL ORDER BY 2")
    for parent, session_id in found:
        children.setdefault(parent, []).append(session_id)
    return children


def status_of(status: str | None, running: int, process: str | None, alive: dict[str, bool]) -> str:
    """The status of a session as it reads now.

    Args:
        status: as stored; None while only its calls are known.
        running: calls that are running.
        process: who runs it.
        alive: what is known of processes; grows.
    """
    if status is None:
        # Nobody will end a session that nobody declared: it is over when its calls are.
        return SessionStatus.RUNNING if running else SessionStatus.SUCCEEDED
    if status == SessionStatus.RUNNING and is_dead(process, alive):
        return SessionStatus.ABANDONED
    return status


def is_dead(process: str | None, alive: dict[str, bool]) -> bool:
    """True if the process is known to be gone; each is asked after once."""
    if process is None:
        return False
    known = alive.get(process)
    if known is None:
        known = alive[process] = is_alive(process)
    return not known


def sessions(db: sqlite3.Connection, where: Filter) -> list[SessionRow]:
    """Sessions that match, with inclusive and own totals."""
    field, descending = resolve_order(where.order_by, SESSION_ORDERS, "-started")
    condition = of_sessions(where)
    sql = f"SELECT {_COLUMNS} FROM session WHERE {condition.sql}"
    values = list(condition.values)
    in_database = field in _OWN_ORDER and where.status is None
    if in_database:
        way = "DESC" if descending else "ASC"
        sql += f" ORDER BY session.{field} IS NULL, session.{field} {way}, session.session_id {way}"
        if where.limit is not None or where.offset:
            sql += " LIMIT ? OFFSET ?"
            values.extend((-1 if where.limit is None else where.limit, where.offset))
    found = [_stored(row) for row in db.execute(sql, values)]
    below = _descendants(db, [one.values["session_id"] for one in found])
    seen = _seen(db, found, below, everything=where == Filter(order_by=where.order_by))
    alive: dict[str, bool] = {}
    rows = [_row(one, below, seen, alive) for one in found]
    if in_database:
        return rows
    if where.status is not None:
        rows = [row for row in rows if row.status == where.status]
    rows.sort(key=lambda row: row.session_id, reverse=descending)
    known = [row for row in rows if getattr(row, field) is not None]
    known.sort(key=lambda row: (getattr(row, field), row.started_ns), reverse=descending)
    rows = known + [row for row in rows if getattr(row, field) is None]
    return rows[where.offset : None if where.limit is None else where.offset + where.limit]


def _stored(row: tuple[Any, ...]) -> _Stored:
    width = len(_FIELDS)
    return _Stored(dict(zip(_FIELDS, row[:width], strict=True)), Amounts(*row[width:]))


def _descendants(db: sqlite3.Connection, ids: list[str]) -> dict[str, list[_Stored]]:
    """All sessions below each session; empty for most."""
    children: dict[str, list[_Stored]] = {}
    for row in db.execute(f"SELECT {_COLUMNS} FROM session WHERE session.parent_id IS NOT NULL"):
        one = _stored(row)
        children.setdefault(one.values["parent_id"], []).append(one)
    below: dict[str, list[_Stored]] = {}
    if not children:
        return below
    for top in ids:
        if top not in children:
            continue
        taken = {top}  # parents may form a circle; nobody is counted twice
        level = [top]
        found: list[_Stored] = []
        while level:
            following: list[str] = []
            for parent in level:
                for child in children.get(parent, ()):
                    child_id = child.values["session_id"]
                    if child_id not in taken:
                        taken.add(child_id)
                        found.append(child)
                        following.append(child_id)
            level = following
        below[top] = found
    return below


def _seen(
    db: sqlite3.Connection, found: list[_Stored], below: dict[str, list[_Stored]], *, everything: bool
) -> dict[str, tuple[set[str], set[str]]]:
    """Agents and models by session."""
    names: dict[str, tuple[set[str], set[str]]] = {}
    if everything:
        rows: Iterable[Any] = db.execute("SELECT session_id, what, name FROM seen WHERE n > 0")
    else:
        ids = {one.values["session_id"] for one in found}
        ids |= {child.values["session_id"] for group in below.values() for child in group}
        rows = db.execute(
            "SELECT seen.session_id, seen.what, seen.name FROM json_each(?) AS w "
            "CROSS JOIN seen ON seen.session_id = w.value WHERE seen.n > 0",
            (json.dumps(sorted(ids)),),
        )
    for session_id, what, name in rows:
        if what == "agent":
            names.setdefault(session_id, (set(), set()))[0].add(name)
        elif what == "model":
            names.setdefault(session_id, (set(), set()))[1].add(name)
    return names


_NOBODY: Final[tuple[frozenset[str], frozenset[str]]] = (frozenset(), frozenset())


def _row(
    one: _Stored,
    below: dict[str, list[_Stored]],
    seen: dict[str, tuple[set[str], set[str]]],
    alive: dict[str, bool],
) -> SessionRow:
    values, own = one
    session_id = values["session_id"]
    children = below.get(session_id, ())
    total = own if not children else Amounts(*map(sum, zip(own, *(c.own for c in children), strict=True)))
    agents, models = seen.get(session_id, _NOBODY)
    for child in children:
        more_agents, more_models = seen.get(child.values["session_id"], _NOBODY)
        agents, models = {*agents, *more_agents}, {*models, *more_models}
    status = status_of(values["status"], own.running, values["process"], alive)
    ended = values["ended_ns"]
    if values["status"] is None and status != SessionStatus.RUNNING:
        ended = values["last_ns"]
    # A model call whose process died while it ran was sent, and may have been billed.
    interrupted = sum(each.own.running for each in (one, *children) if is_dead(each.values["process"], alive))
    return SessionRow(
        session_id=session_id,
        name=values["name"],
        implicit=bool(values["implicit"]),
        parent_id=values["parent_id"],
        conversation_id=values["conversation_id"],
        user_id=values["user_id"],
        entity_type=values["entity_type"],
        entity_id=values["entity_id"],
        tags=json.loads(values["tags"]) if values["tags"] else {},
        project=values["project"],
        status=status,
        reason=values["reason"],
        error_type=values["error_type"],
        agents=tuple(sorted(agents)),
        models=tuple(sorted(models)),
        calls=total.calls,
        turn_count=total.turns,
        errors=total.errors,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cost_nano_usd=known_cost(total.calls, total.priced, total.cost),
        own_cost_nano_usd=known_cost(own.calls, own.priced, own.cost),
        unpriced_calls=total.unpriced,
        pending_calls=total.pending,
        possibly_billed_calls=total.billed + interrupted,
        started_ns=values["started_ns"],
        ended_ns=ended,
        duration_ms=None if ended is None else (ended - values["started_ns"]) / 1e6,
    )


def known_cost(calls: int, priced: int, cost: int) -> int | None:
    """The known part of a cost; None when calls were made and none of them has one."""
    return None if calls and not priced else cost
