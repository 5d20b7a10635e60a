"""Reading rows of calls, agents, tools and workflows."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from typing import Any, Final

from spantally.ground.process import is_dead
from spantally.ground.records import COUNTED_KINDS, Status, possibly_billed
from spantally.ledger.contract import CallRow, EventRow, Filter
from spantally.ledger.ordering import CALL_ORDERS, resolve_order
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite.filters import of_calls
from spantally.ledger.sqlite.graph import Graph
from spantally.ledger.sqlite.read_open import age_ms, lasted_ms
from spantally.ledger.tally import Row

_ORDER_SQL: Final = {
    "started_ns": "call.start_ns",
    "ended_ns": "call.end_ns",
    "cost_nano_usd": "call.cost_nano_usd",
    "input_tokens": "call.input_tokens",
    "output_tokens": "call.output_tokens",
    "duration_ms": "(CASE WHEN call.end_ns >= call.start_ns AND NOT call.inferred "
    "THEN call.end_ns - call.start_ns END)",
    "name": "call.name",
}
_UNSURE: Final = (Status.RUNNING, Status.INTERRUPTED)
_EITHER: Final = " AND call.status IN ('running', 'interrupted')"


def any_pending(db: sqlite3.Connection) -> bool:
    """True if a row waits for its price."""
    return db.execute("SELECT 1 FROM call WHERE cost_status = 'pending' LIMIT 1").fetchone() is not None


def calls(db: sqlite3.Connection, where: Filter, after: tuple[int, str] | None = None) -> list[CallRow]:
    """Rows that match, their parents resolved.

    Args:
        db: a connection.
        where: which rows.
        after: start and id of a row; only those behind it, by start.
    """
    field, descending = resolve_order(where.order_by, CALL_ORDERS, "started")
    condition = of_calls(where)
    sql = f"SELECT {codec.SELECT_SHOWN} FROM call WHERE call.hidden = 0 AND {condition.sql}"
    values: list[Any] = list(condition.values)
    if after is not None:
        sql += " AND (call.start_ns, call.call_id) > (?, ?)"
        values.extend(after)
    # Whether a running row is interrupted shows only when its process is asked after.
    unsure = where.status in _UNSURE
    if unsure:
        sql += _EITHER
    elif where.status is not None:
        sql += " AND call.status = ?"
        values.append(where.status)
    order, way = _ORDER_SQL[field], "DESC" if descending else "ASC"
    if field != "started_ns":
        sql += f" ORDER BY {order} IS NULL, {order} {way}, call.start_ns {way}, call.call_id {way}"
    else:
        sql += f" ORDER BY {order} {way}, call.call_id {way}"
    if not unsure and (where.limit is not None or where.offset):
        sql += " LIMIT ? OFFSET ?"
        values.extend((-1 if where.limit is None else where.limit, where.offset))
    found = [codec.decode(row) for row in db.execute(sql, values)]
    dead = _dead(db, found)
    parents = resolved_parents(db, found)
    now = time.time_ns()
    rows = [_call_row(row, parents, interrupted=row.record.call_id in dead, now=now) for row in found]
    if not unsure:
        return rows
    rows = [row for row in rows if row.status == where.status]
    return rows[where.offset : None if where.limit is None else where.offset + where.limit]


def events(
    db: sqlite3.Connection, session_id: str, after: tuple[int, str] | None = None, limit: int | None = None
) -> list[EventRow]:
    """Events of one session, by time.

    Args:
        db: a connection.
        session_id: of the session.
        after: time and id of an event; only those behind it.
        limit: at most so many.
    """
    found = db.execute(
        "SELECT event_id, session_id, type, time_ns, call_id, agent_path, trace_id, span_id, attributes "
        "FROM event WHERE session_id = ? AND (time_ns, event_id) > (?, ?) ORDER BY time_ns, event_id LIMIT ?",
        (session_id, *(after or (-(2**63), "")), -1 if limit is None else limit),
    )
    return [
        EventRow(
            event_id=event_id,
            session_id=session,
            type=kind,
            time_ns=time_ns,
            call_id=call_id,
            agent_path=tuple(json.loads(path)) if path else (),
            trace_id=trace_id,
            span_id=span_id,
            attributes=json.loads(attributes) if attributes else {},
        )
        for event_id, session, kind, time_ns, call_id, path, trace_id, span_id, attributes in found
    ]


def _dead(db: sqlite3.Connection, rows: Iterable[Row]) -> set[str]:
    """Running rows whose process is gone: that of the row itself, or where it names none of its session."""
    running = [row.record for row in rows if row.record.status == Status.RUNNING]
    if not running:
        return set()
    alive: dict[str, bool] = {}
    found = db.execute(
        "SELECT session.session_id, session.process FROM json_each(?) AS w "
        "CROSS JOIN session ON session.session_id = w.value",
        (json.dumps(sorted({record.session_id for record in running})),),
    )
    of_session = dict(found.fetchall())
    return {
        record.call_id
        for record in running
        if is_dead(record.process or of_session.get(record.session_id), alive)
    }


def resolved_parents(db: sqlite3.Connection, rows: list[Row]) -> dict[str, str | None]:
    """The parent of each row as a reader should see it.

    A parent that is known by its call id stays, or becomes the own row in front of it where it is a hidden
    foreign one. Otherwise the span around the row decides, through links of spans that are no operation.
    """
    graph = Graph(db)
    here = {row.record.call_id for row in rows}
    ids = {row.record.parent_call_id for row in rows if row.record.parent_call_id}
    graph.load_ids(ids - here)
    resolved: dict[str, str | None] = {}
    open_spans: dict[str, tuple[str, str]] = {}
    for row in rows:
        record = row.record
        parent = record.parent_call_id
        node = graph.get(parent) if parent else None
        if parent in here or (node is not None and not node.hidden):
            resolved[record.call_id] = parent
        elif node is not None and node.span is not None:
            open_spans[record.call_id] = node.span
            resolved[record.call_id] = parent
        else:
            resolved[record.call_id] = parent
            if record.trace_id and record.parent_span_id and record.parent_span_id != record.span_id:
                open_spans[record.call_id] = (record.trace_id, record.parent_span_id)
    _follow_spans(graph, open_spans, resolved)
    return resolved


def _follow_spans(
    graph: Graph, open_spans: dict[str, tuple[str, str]], resolved: dict[str, str | None]
) -> None:
    """Replace parents by the visible row that the span around each row leads to."""
    seen: dict[str, set[tuple[str, str]]] = {}
    while open_spans:
        graph.load_spans(open_spans.values())
        graph.load_links(open_spans.values())
        following: dict[str, tuple[str, str]] = {}
        for call_id, key in open_spans.items():
            rows = [node for node in graph.rows_of_span(key) if not node.hidden and node.call_id != call_id]
            above = graph.link(key)
            if rows:
                resolved[call_id] = rows[0].call_id
            elif above is not None and above not in seen.setdefault(call_id, set()):
                seen[call_id].add(above)
                following[call_id] = above
        open_spans = following


def _call_row(row: Row, parents: dict[str, str | None], *, interrupted: bool, now: int) -> CallRow:
    record, rating = row.record, row.rating
    parts = None if rating is None else rating.parts
    stopped = interrupted and record.status == Status.RUNNING
    end = record.end_ns
    inferred = record.inferred
    return CallRow(
        call_id=record.call_id,
        parent_call_id=parents.get(record.call_id, record.parent_call_id),
        trace_id=record.trace_id,
        span_id=record.span_id,
        parent_span_id=record.parent_span_id,
        session_id=record.session_id,
        agent_path=record.agent_path,
        kind=record.kind,
        operation=record.operation,
        name=record.name,
        provider=record.provider,
        model=record.response_model or record.request_model,
        request_model=record.request_model,
        response_model=record.response_model,
        response_id=record.response_id,
        status=str(Status.INTERRUPTED) if stopped else record.status,
        error_type=record.error_type,
        abandoned=record.abandoned,
        attempts=record.attempts,
        possibly_billed=possibly_billed(record) or (stopped and record.kind in COUNTED_KINDS),
        counted=row.counted,
        precedence=record.precedence,
        inferred=inferred,
        estimated=record.estimated,
        turn=record.turn,
        run_id=record.run_id,
        tool=record.tool,
        tool_call_id=record.tool_call_id,
        user_id=record.user_id,
        entity_type=record.entity_type,
        entity_id=record.entity_id,
        tags=dict(record.tags),
        project=record.project,
        server_address=record.server_address,
        server_port=record.server_port,
        input_tokens=None if parts is None else parts.input_total,
        output_tokens=None if parts is None else parts.output_total,
        uncached_input=None if parts is None else parts.uncached_input,
        cache_read=None if parts is None else parts.cache_read,
        cache_write_5m=None if parts is None else parts.cache_write_5m,
        cache_write_1h=None if parts is None else parts.cache_write_1h,
        reasoning=None if parts is None else parts.reasoning,
        audio_input=None if parts is None else parts.audio_input,
        audio_output=None if parts is None else parts.audio_output,
        image_input=None if parts is None else parts.image_input,
        image_output=None if parts is None else parts.image_output,
        cache_audio_read=None if parts is None else parts.cache_audio_read,
        cache_reported=rating is not None and rating.cache_reported,
        cache_saving_nano_usd=None if rating is None else rating.cache_saving_nano_usd,
        cache_premium_nano_usd=None if rating is None else rating.cache_premium_nano_usd,
        cost_nano_usd=None if rating is None else rating.nano_usd,
        cost_status=None if rating is None else rating.status,
        cost_source=None if rating is None else rating.source,
        price_id=None if rating is None else rating.price_id,
        list_nano_usd=None if rating is None else rating.list_nano_usd,
        started_ns=record.start_ns,
        ended_ns=end,
        duration_ms=None if end is None or inferred else lasted_ms(record.start_ns, end),
        time_to_first_chunk_ms=None if record.first_chunk_ns is None else record.first_chunk_ns / 1e6,
        content=record.content,
        running_ms=age_ms(record.start_ns, now) if record.status == Status.RUNNING and not stopped else None,
        process=record.process,
        finish_reasons=record.finish_reasons,
    )
