"""Placing rows that come from files: what is known of the spans around them, and what their ancestors add.

A file tells of a child before its parent, or the parent stands in another file. So relatives of what comes
in are looked up in the ledger, and rows that were there first get what a later parent hands down.
"""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from spantally.ground.records import CallRecord, Precedence
from spantally.ledger.counting import SpanKey
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite.sessions import write_sessions
from spantally.ledger.sqlite.totals import Totals
from spantally.ledger.tally import Dimension

_PAIR: Final = (
    "json_each(?) AS w CROSS JOIN {table} ON {table}.trace_id = json_extract(w.value, '$[0]') "
    "AND {table}.{column} = json_extract(w.value, '$[1]')"
)
_ROW: Final = f"SELECT {codec.SELECT} FROM "
_BY_SPAN: Final = _ROW + _PAIR.format(table="call", column="span_id")
_BY_PARENT_SPAN: Final = _ROW + _PAIR.format(table="call", column="parent_span_id")
_BY_ID: Final = f"{_ROW}json_each(?) AS w CROSS JOIN call ON call.call_id = w.value"
_BY_PARENT: Final = f"{_ROW}json_each(?) AS w CROSS JOIN call ON call.parent_call_id = w.value"
_LINKS: Final = "SELECT link.trace_id, link.span_id, link.parent_span_id FROM " + _PAIR.format(
    table="link", column="span_id"
)
_LINKS_BENEATH: Final = "SELECT link.trace_id, link.span_id FROM " + _PAIR.format(
    table="link", column="parent_span_id"
)
_DROP_EMPTY: Final = """\
DELETE FROM session WHERE session_id IN (SELECT value FROM json_each(?)) AND implicit
    AND NOT EXISTS (SELECT 1 FROM call WHERE call.session_id = session.session_id)
    AND NOT EXISTS (SELECT 1 FROM event WHERE event.session_id = session.session_id)
    AND NOT EXISTS (SELECT 1 FROM session AS child WHERE child.parent_id = session.session_id)"""
"""Sessions that were only the place of rows which turned out to be in another."""
_MOST_STEPS: Final = 10_000
"""Generations that are walked at most; a chain of parents that closes into a circle is no family."""


class Relatives(NamedTuple):
    """Rows and links of the ledger."""

    by_span: dict[SpanKey, CallRecord]
    by_id: dict[str, CallRecord]
    links: dict[SpanKey, str]
    """Span id of the parent, of spans that are no operation."""


def ancestors(db: sqlite3.Connection, spans: Iterable[SpanKey], call_ids: Iterable[str]) -> Relatives:
    """The nearest rows at or above spans, and rows by their ids.

    Args:
        db: to read from.
        spans: keys of spans; where one is no operation, its link is followed.
        call_ids: of rows.
    """
    found = Relatives({}, {}, {})
    wanted = {json.dumps(key): key for key in spans}
    for _ in range(_MOST_STEPS):
        if not wanted:
            break
        keys = f"[{','.join(wanted)}]"
        for record in _records(db, _BY_SPAN, keys):
            key = (record.trace_id or "", record.span_id or "")
            # Of two views of one span the own row tells more.
            if key not in found.by_span or record.precedence > found.by_span[key].precedence:
                found.by_span[key] = record
        further: dict[str, SpanKey] = {}
        for trace_id, span_id, parent_id in db.execute(_LINKS, (keys,)):
            if parent_id is not None and (trace_id, span_id) not in found.links:
                found.links[trace_id, span_id] = parent_id
                up = (trace_id, parent_id)
                if up not in found.by_span and up not in found.links:
                    further[json.dumps(up)] = up
        wanted = further
    for record in _records(db, _BY_ID, json.dumps(list(call_ids))):
        found.by_id[record.call_id] = record
    return found


def children(db: sqlite3.Connection, spans: Iterable[SpanKey], call_ids: Iterable[str]) -> list[CallRecord]:
    """Rows right beneath spans or rows, links between passed through.

    Args:
        db: to read from.
        spans: keys of spans.
        call_ids: of rows.
    """
    found: dict[str, CallRecord] = {}
    seen = set(spans)
    wanted = list(seen)
    while wanted:
        keys = json.dumps(wanted)
        for record in _records(db, _BY_PARENT_SPAN, keys):
            found[record.call_id] = record
        wanted = [key for key in map(tuple, db.execute(_LINKS_BENEATH, (keys,))) if key not in seen]
        seen.update(wanted)
    for record in _records(db, _BY_PARENT, json.dumps(list(call_ids))):
        found[record.call_id] = record
    return list(found.values())


def _records(db: sqlite3.Connection, question: str, keys: str) -> Iterable[CallRecord]:
    if keys == "[]":
        return
    for values in db.execute(question, (keys,)):
        yield codec.decode(values).record


def amend(
    db: sqlite3.Connection, numbers: dict[Dimension, int], changes: Mapping[str, Mapping[str, Any]]
) -> int:
    """Change fields of rows that nobody has metered; their totals move along.

    Args:
        db: inside an open transaction.
        numbers: of dimensions, kept by the store.
        changes: new values of fields, by call id.

    Returns:
        How many rows were changed.
    """
    totals = Totals(db, numbers)
    moved: list[tuple[Any, Any]] = []
    for call_id, row in codec.load(db, list(changes)).items():
        record = codec.normalise(row.record._replace(**changes[call_id]))
        if row.record.precedence < Precedence.METERED and record != row.record:
            moved.append((row, row._replace(facts=row.facts._replace(record=record))))
    write_sessions(db, (), [new.record for _, new in moved])
    for old, new in moved:
        totals.move(old, new)
    codec.upsert(db, [new for _, new in moved])
    totals.flush()
    left = {old.record.session_id for old, new in moved if old.record.session_id != new.record.session_id}
    if left:
        db.execute(_DROP_EMPTY, (json.dumps(sorted(left)),))
    return len(moved)
