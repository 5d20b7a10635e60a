"""Reading sessions from their own totals: no row of a call is touched."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import functools
import json
import sqlite3
from collections import Counter
from typing import Any, Final, NamedTuple

from spantally.ground.cache_use import NO_CACHE, CacheUse
from spantally.ground.process import is_dead
from spantally.ground.records import SessionStatus
from spantally.ledger.contract import Filter, OpenRow, SessionRow
from spantally.ledger.ordering import SESSION_ORDERS, resolve_order
from spantally.ledger.sqlite import read_open
from spantally.ledger.sqlite.filters import of_sessions
from spantally.ledger.tally import Amounts


class _Stored(NamedTuple):
    """A session as it is stored, without its children; its last fields are those of ``Amounts``."""

    session_id: str
    name: str | None
    implicit: int
    parent_id: str | None
    previous_id: str | None
    conversation_id: str | None
    user_id: str | None
    entity_type: str | None
    entity_id: str | None
    tags: str | None
    project: str | None
    status: str | None
    reason: str | None
    error_type: str | None
    process: str | None
    said: str | None
    started_ns: int
    ended_ns: int | None
    last_ns: int
    rows: int
    calls: int
    turns: int
    errors: int
    running: int
    input_tokens: int
    output_tokens: int
    cache_calls: int
    cache_input: int
    cache_read: int
    cache_write: int
    cache_rated: int
    cache_saving: int
    cache_premium: int
    cost: int
    priced: int
    unpriced: int
    pending: int
    billed: int
    lost: int
    covered: int
    list_value: int

    @property
    def own(self) -> Amounts:
        """The session's own totals."""
        return Amounts._make(self[_WIDTH:])


_WIDTH: Final = len(_Stored._fields) - len(Amounts._fields)
_COLUMNS: Final = ", ".join(f"session.{name}" for name in _Stored._fields)


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
    found = db.execute("SELECT parent_id, session_id FROM session WHERE parent_id IS NOT NULL ORDER BY 1, 2")
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


def sessions(db: sqlite3.Connection, where: Filter) -> list[SessionRow]:
    """Sessions that match, with inclusive and own totals."""
    field, descending = resolve_order(where.order_by, SESSION_ORDERS, "-started")
    condition = of_sessions(where)
    sql = f"SELECT {_COLUMNS} FROM session WHERE {condition.sql}"
    values = list(condition.values)
    in_database = field in _OWN_FIELDS and where.status is None
    if in_database:
        way = "DESC" if descending else "ASC"
        # started_ns is never NULL, and without that term its index gives the order.
        nulls = "" if field == "started_ns" else f"session.{field} IS NULL, "
        sql += f" ORDER BY {nulls}session.{field} {way}, session.session_id {way}"
        if where.limit is not None or where.offset:
            sql += " LIMIT ? OFFSET ?"
            values.extend((-1 if where.limit is None else where.limit, where.offset))
    found = [_Stored._make(row) for row in db.execute(sql, values)]
    everything = len(found)
    family = _Family(db, found)
    if not in_database:
        found = _page(found, family, where, field, descending=descending)
    family.load_names(db, found, everything=everything == len(found) > _MANY)
    return [family.row(one) for one in found]


_MANY: Final = 1000
"""Sessions from which on reading every name at once beats looking names up by session."""


def _page(
    found: list[_Stored], family: _Family, where: Filter, field: str, *, descending: bool
) -> list[_Stored]:
    """The sessions asked for, ordered by what children or processes decide; None comes last."""
    if where.status is not None:
        found = [one for one in found if family.status(one) == where.status]
    keyed = [(family.value(one, field), one.started_ns, one.session_id, one) for one in found]
    known = [entry for entry in keyed if entry[0] is not None]
    unknown = [entry for entry in keyed if entry[0] is None]
    known.sort(key=lambda entry: entry[:3], reverse=descending)
    unknown.sort(key=lambda entry: entry[1:3], reverse=descending)
    page = [entry[3] for entry in (*known, *unknown)]
    return page[where.offset : None if where.limit is None else where.offset + where.limit]


_NOBODY: Final[tuple[frozenset[str], frozenset[str]]] = (frozenset(), frozenset())


@functools.lru_cache(maxsize=1024)
def _tags(text: str) -> dict[str, str]:
    """Tags of their JSON; many sessions have the same."""
    found: dict[str, str] = json.loads(text)
    return found


def _said(text: str | None) -> dict[str, Any]:
    """What the program said of a session, by the fields of its row."""
    if text is None:
        return {}
    said: dict[str, Any] = json.loads(text)
    if "labels" in said:
        said["labels"] = tuple(said["labels"])
    return said


class _Family:
    """Sessions with those below them, the names seen in them, and what is known of their processes."""

    def __init__(self, db: sqlite3.Connection, found: list[_Stored]) -> None:
        self._alive: dict[str, bool] = {}
        self._names: dict[str, tuple[set[str], set[str]]] = {}
        self._below = _descendants(db, found)
        self._open = read_open.running(db)
        self._stopped = Counter(one.session_id for one in read_open.stopped(db) if one.newly_billed)

    def load_names(self, db: sqlite3.Connection, found: list[_Stored], *, everything: bool) -> None:
        """Read agents and models of sessions and of those below them."""
        wanted = "seen.what IN ('agent', 'model') AND seen.n > 0"
        if everything:
            rows = db.execute(f"SELECT session_id, what, name FROM seen WHERE {wanted}")
        else:
            ids = {one.session_id for one in found}
            ids |= {child.session_id for one in found for child in self._below.get(one.session_id, ())}
            rows = db.execute(
                "SELECT seen.session_id, seen.what, seen.name FROM json_each(?) AS w "
                f"CROSS JOIN seen ON seen.session_id = w.value WHERE {wanted}",
                (json.dumps(sorted(ids)),),
            )
        names = self._names
        for session_id, what, name in rows:
            known = names.get(session_id)
            if known is None:
                known = names[session_id] = (set(), set())
            known[0 if what == "agent" else 1].add(name)

    def total(self, one: _Stored) -> Amounts | _Stored:
        """Inclusive totals; a session without children holds its own under the same names."""
        children = self._below.get(one.session_id)
        if not children:
            return one
        return Amounts(*map(sum, zip(one.own, *(child.own for child in children), strict=True)))

    def status(self, one: _Stored) -> str:
        """The status as it reads now."""
        running = one.running or len(self._open.get(one.session_id, ()))
        return status_of(one.status, running, one.process, self._alive)

    def open_rows(self, one: _Stored) -> tuple[OpenRow, ...]:
        """What runs in a session and in those below it, by start."""
        family = (one, *self._below.get(one.session_id, ()))
        rows = [row for each in family for row in self._open.get(each.session_id, ())]
        return tuple(sorted(rows, key=lambda row: (row.started_ns, row.call_id)))

    def ended(self, one: _Stored) -> int | None:
        """When it ended; a session that only its calls tell of ends with the last of them."""
        runs = one.running or one.session_id in self._open
        return one.ended_ns if one.status is not None or runs else one.last_ns

    def value(self, one: _Stored, field: str) -> Any:
        """The value of a field of the row, without making the row."""
        if field in _OWN_FIELDS:
            return getattr(one, field)
        if field == "ended_ns":
            return self.ended(one)
        if field == "duration_ms":
            ended = self.ended(one)
            return None if ended is None else read_open.lasted_ms(one.started_ns, ended)
        total = one if field == "own_cost_nano_usd" else self.total(one)
        if field in ("cost_nano_usd", "own_cost_nano_usd"):
            return known_cost(total.calls, total.priced, total.cost)
        return getattr(total, _TOTAL_FIELDS[field])

    def row(self, one: _Stored) -> SessionRow:
        """The row that a reader sees."""
        total = self.total(one)
        children = self._below.get(one.session_id, ())
        agents, models = self._names.get(one.session_id, _NOBODY)
        for child in children:
            more_agents, more_models = self._names.get(child.session_id, _NOBODY)
            agents, models = {*agents, *more_agents}, {*models, *more_models}
        billed = total.billed
        if total.running:
            # A model call whose process died while it ran was sent, and may have been billed.
            billed += sum(self._stopped[each.session_id] for each in (one, *children))
        ended = self.ended(one)
        return SessionRow(
            session_id=one.session_id,
            name=one.name,
            implicit=bool(one.implicit),
            parent_id=one.parent_id,
            previous_id=one.previous_id,
            conversation_id=one.conversation_id,
            user_id=one.user_id,
            entity_type=one.entity_type,
            entity_id=one.entity_id,
            tags=dict(_tags(one.tags)) if one.tags else {},
            project=one.project,
            status=self.status(one),
            reason=one.reason,
            error_type=one.error_type,
            agents=tuple(sorted(agents)),
            models=tuple(sorted(models)),
            calls=total.calls,
            turn_count=total.turns,
            errors=total.errors,
            input_tokens=total.input_tokens,
            output_tokens=total.output_tokens,
            cache=_cache(total),
            cost_nano_usd=known_cost(total.calls, total.priced, total.cost),
            own_cost_nano_usd=known_cost(one.calls, one.priced, one.cost),
            unpriced_calls=total.unpriced,
            pending_calls=total.pending,
            possibly_billed_calls=billed,
            lost_attempt_calls=total.lost,
            covered_calls=total.covered,
            list_nano_usd=total.list_value,
            last_ns=one.last_ns,
            **_said(one.said),
            started_ns=one.started_ns,
            ended_ns=ended,
            duration_ms=None if ended is None else read_open.lasted_ms(one.started_ns, ended),
            running=self.open_rows(one) if self._open else (),
        )


_OWN_FIELDS: Final = ("started_ns", "name")
"""What no child session changes: the database can order by it."""
_TOTAL_FIELDS: Final = {
    "calls": "calls",
    "turn_count": "turns",
    "errors": "errors",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "unpriced_calls": "unpriced",
    "pending_calls": "pending",
}


def _descendants(db: sqlite3.Connection, found: list[_Stored]) -> dict[str, list[_Stored]]:
    """All sessions below each session; empty for most."""
    children: dict[str, list[_Stored]] = {}
    for values in db.execute(f"SELECT {_COLUMNS} FROM session WHERE session.parent_id IS NOT NULL"):
        one = _Stored._make(values)
        children.setdefault(one.parent_id or "", []).append(one)
    below: dict[str, list[_Stored]] = {}
    if not children:
        return below
    for top in found:
        if top.session_id not in children:
            continue
        taken = {top.session_id}  # parents may form a circle; nobody is counted twice
        level = [top.session_id]
        beneath: list[_Stored] = []
        while level:
            following: list[str] = []
            for parent in level:
                for child in children.get(parent, ()):
                    if child.session_id not in taken:
                        taken.add(child.session_id)
                        beneath.append(child)
                        following.append(child.session_id)
            level = following
        below[top.session_id] = beneath
    return below


def _cache(total: Amounts | _Stored) -> CacheUse:
    if not total.cache_calls:
        return NO_CACHE
    return CacheUse(
        total.cache_calls,
        total.cache_input,
        total.cache_read,
        total.cache_write,
        total.cache_rated,
        total.cache_saving,
        total.cache_premium,
    )


def known_cost(calls: int, priced: int, cost: int) -> int | None:
    """The known part of a cost; None when calls were made, none of them has one, and no tool was paid for."""
    return None if calls and not priced and not cost else cost
