"""``cost --by``: from rollups where they can answer, from rows where they cannot, never from both at once.

A span of time that does not begin and end on a quarter-hour is read from rollups in its middle and from
rows at its edges; run, trace, kind and status are known to rows only.
"""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from spantally.ground.cache_use import CacheUse
from spantally.ground.records import Status
from spantally.ledger.contract import CostRow, Filter
from spantally.ledger.grouping import TAG, TIMES, check_groupings, label_of, zone
from spantally.ledger.sqlite import read_open
from spantally.ledger.sqlite.filters import of_calls, of_dimensions
from spantally.ledger.sqlite.read_sessions import known_cost
from spantally.ledger.tally import QUARTER_NS, ROLLUP_FIELDS

_ROWS_ONLY: Final = frozenset({"run", "trace"})
_QUARTER_SECONDS: Final = QUARTER_NS // 1_000_000_000

_QUARTER: Final = f"((call.start_ns - (call.start_ns < 0) * {QUARTER_NS - 1:d}) / {QUARTER_NS:d})"
"""Rounded down, as rollups have it: SQLite rounds times before 1970 up."""

_PAID: Final = "(call.kind = 'tool' AND call.cost_nano_usd IS NOT NULL)"
"""A tool that is no call, and has a cost."""

_SUMS: Final = (
    "SUM(rollup.calls), SUM(rollup.errors), SUM(rollup.input_tokens), SUM(rollup.output_tokens), "
    "SUM(rollup.cache_calls), SUM(rollup.cache_input), SUM(rollup.cache_read), SUM(rollup.cache_write), "
    "SUM(rollup.cache_rated), SUM(rollup.cache_saving), SUM(rollup.cache_premium), "
    "SUM(rollup.cost), SUM(rollup.priced), SUM(rollup.unpriced), SUM(rollup.pending), SUM(rollup.billed), "
    "SUM(rollup.lost), SUM(rollup.covered), SUM(rollup.list_value)"
)
_ROW_SUMS: Final = (
    "SUM(call.counted), SUM(call.status = 'error'), "
    "SUM(CASE WHEN call.counted THEN COALESCE(call.input_tokens, 0) ELSE 0 END), "
    "SUM(CASE WHEN call.counted THEN COALESCE(call.output_tokens, 0) ELSE 0 END), "
    "SUM(call.counted AND call.cache_reported), "
    "SUM(CASE WHEN call.counted AND call.cache_reported THEN call.input_tokens ELSE 0 END), "
    "SUM(CASE WHEN call.counted AND call.cache_reported "
    "THEN call.cache_read + call.cache_audio_read ELSE 0 END), "
    "SUM(CASE WHEN call.counted AND call.cache_reported "
    "THEN call.cache_write_5m + call.cache_write_1h ELSE 0 END), "
    "SUM(call.counted AND call.cache_reported AND call.cost_nano_usd IS NOT NULL "
    "AND call.cache_saving_nano_usd IS NOT NULL), "
    "SUM(CASE WHEN call.counted AND call.cache_reported AND call.cost_nano_usd IS NOT NULL "
    "THEN call.cache_saving_nano_usd ELSE 0 END), "
    "SUM(CASE WHEN call.counted AND call.cache_reported AND call.cost_nano_usd IS NOT NULL "
    "THEN call.cache_premium_nano_usd ELSE 0 END), "
    f"SUM(CASE WHEN call.counted OR {_PAID} THEN COALESCE(call.cost_nano_usd, 0) ELSE 0 END), "
    "SUM(call.counted AND call.cost_nano_usd IS NOT NULL), "
    "SUM(call.counted AND call.cost_nano_usd IS NULL AND call.cost_status <> 'pending'), "
    "SUM(call.counted AND call.cost_status = 'pending'), "
    "SUM(call.counted AND call.possibly_billed AND (call.usage IS NULL "
    "OR instr(COALESCE(call.price_context, ''), '\"lost_attempts\"') > 0)), "
    "SUM(call.counted AND call.possibly_billed AND call.usage IS NOT NULL "
    "AND instr(COALESCE(call.price_context, ''), '\"lost_attempts\"') > 0), "
    "SUM(call.counted AND call.cost_status = 'covered'), "
    "SUM(CASE WHEN call.counted THEN COALESCE(call.list_nano_usd, 0) ELSE 0 END)"
)

_WIDTH: Final = 12 + len(CacheUse._fields)

_STOPPED_SUMS: Final = ", ".join("COUNT(*)" if name == "billed" else "0" for name in ROLLUP_FIELDS)
"""The same places for rows that are possibly billed for having been interrupted, which no sum says."""

Sums: TypeAlias = list[int]
_Source: TypeAlias = Callable[
    [sqlite3.Connection, tuple[str, ...], Filter, Sequence[read_open.Stopped]], Iterable[Any]
]


def cost(db: sqlite3.Connection, by: Sequence[str], where: Filter, tz: str) -> list[CostRow]:
    """Own cost in disjoint groups; see :meth:`spantally.ledger.Store.cost`."""
    groupings = check_groupings(by)
    place = zone(tz)
    labels = {name: label_of(name, place) for name in TIMES}
    groups: dict[tuple[str | None, ...], Sums] = {}

    def take(found: Iterable[tuple[Any, ...]]) -> None:
        width = len(groupings)
        known: dict[tuple[str, int], str] = {}
        for row in found:
            key: list[str | None] = []
            for name, value in zip(groupings, row[:width], strict=True):
                if name in labels:
                    at = (name, value)
                    if at not in known:
                        known[at] = labels[name](value * _QUARTER_SECONDS)
                    key.append(known[at])
                else:
                    key.append(value)
            sums = groups.setdefault(tuple(key), [0] * _WIDTH)
            for index, number in enumerate(row[width:]):
                sums[index] += number or 0

    stopped = read_open.stopped(db)
    for source, part in _parts(groupings, where):
        take(source(db, groupings, part, stopped))
    newly = [one for one in stopped if one.newly_billed]
    if newly and where.status in (None, Status.INTERRUPTED):
        take(_from_stopped(db, groupings, where, newly))
    return _ordered(groupings, groups, where)


def _parts(groupings: tuple[str, ...], where: Filter) -> list[tuple[_Source, Filter]]:
    """Which source answers for which stretch of time; the stretches are disjoint."""
    if where.kind is not None or where.status is not None or _ROWS_ONLY.intersection(groupings):
        return [(_from_rows, where)]
    since, until = where.since_ns, where.until_ns
    first = None if since is None else -(-since // QUARTER_NS) * QUARTER_NS
    last = None if until is None else until // QUARTER_NS * QUARTER_NS
    if first is not None and last is not None and first >= last:
        return [(_from_rows, where)]
    parts: list[tuple[_Source, Filter]] = [(_from_rollups, replace(where, since_ns=first, until_ns=last))]
    if since is not None and first is not None and since < first:
        parts.append((_from_rows, replace(where, until_ns=first)))
    if until is not None and last is not None and last < until:
        parts.append((_from_rows, replace(where, since_ns=last)))
    return parts


def _columns(groupings: tuple[str, ...], table: str, quarter: str) -> tuple[list[str], list[Any]]:
    """One SQL expression per grouping, and what they bind."""
    of_row = "COALESCE(NULLIF(call.response_model, ''), call.request_model)"
    model = f"{table}.model" if table == "dimension" else of_row
    plain = {
        "session": f"{table}.session_id",
        "conversation": "(SELECT c.conversation_id FROM session AS c "
        f"WHERE c.session_id = {table}.session_id)",
        "run": "call.run_id",
        "agent": f"json_extract({table}.agent_path, '$[#-1]')",
        "model": model,
        "provider": f"{table}.provider",
        "user": f"{table}.user_id",
        "entity": f"{table}.entity_type || ':' || {table}.entity_id",
        "tool": f"{table}.tool",
        "project": f"{table}.project",
        "trace": "call.trace_id",
    }
    expressions: list[str] = []
    values: list[Any] = []
    for name in groupings:
        if name in TIMES:
            expressions.append(quarter)
        elif name.startswith(TAG):
            expressions.append(f"(SELECT t.value FROM json_each({table}.tags) AS t WHERE t.key = ?)")
            values.append(name.removeprefix(TAG))
        else:
            expressions.append(plain[name])
    return expressions, values


def _from_rollups(
    db: sqlite3.Connection,
    groupings: tuple[str, ...],
    where: Filter,
    stopped: Sequence[read_open.Stopped],
) -> Iterable[Any]:
    expressions, values = _columns(groupings, "dimension", "rollup.quarter")
    condition = of_dimensions(where)
    sql = (
        f"SELECT {', '.join(expressions)}, {_SUMS} FROM rollup "
        f"JOIN dimension ON dimension.dimension_id = rollup.dimension_id WHERE {condition.sql}"
    )
    values.extend(condition.values)
    if where.since_ns is not None:
        sql += " AND rollup.quarter >= ?"
        values.append(where.since_ns // QUARTER_NS)
    if where.until_ns is not None:
        sql += " AND rollup.quarter < ?"
        values.append(where.until_ns // QUARTER_NS)
    return db.execute(f"{sql} GROUP BY {_numbers(groupings)}", values)


def _from_rows(
    db: sqlite3.Connection, groupings: tuple[str, ...], where: Filter, stopped: Sequence[read_open.Stopped]
) -> Iterable[Any]:
    expressions, values = _columns(groupings, "call", _QUARTER)
    condition = of_calls(where)
    sql = (
        f"SELECT {', '.join(expressions)}, {_ROW_SUMS} FROM call "
        f"WHERE call.hidden = 0 AND (call.counted OR call.status = 'error' OR {_PAID}) AND {condition.sql}"
    )
    values.extend(condition.values)
    if where.status == Status.INTERRUPTED:
        sql += f" AND (call.status = 'interrupted' OR {_AMONG})"
        values.append(_ids(stopped))
    elif where.status is not None:
        sql += " AND call.status = ?"
        values.append(where.status)
        if where.status == Status.RUNNING:
            sql += f" AND NOT {_AMONG}"
            values.append(_ids(stopped))
    return db.execute(f"{sql} GROUP BY {_numbers(groupings)}", values)


_AMONG: Final = "call.call_id IN (SELECT value FROM json_each(?))"


def _ids(rows: Iterable[read_open.Stopped]) -> str:
    return json.dumps([one.call_id for one in rows])


def _from_stopped(
    db: sqlite3.Connection, groupings: tuple[str, ...], where: Filter, newly: Sequence[read_open.Stopped]
) -> Iterable[Any]:
    """What rows add that are possibly billed because their process ended while they ran."""
    expressions, values = _columns(groupings, "call", _QUARTER)
    condition = of_calls(where)
    sql = (
        f"SELECT {', '.join(expressions)}, {_STOPPED_SUMS} FROM call "
        f"WHERE {_AMONG} AND {condition.sql} GROUP BY {_numbers(groupings)}"
    )
    return db.execute(sql, (*values, _ids(newly), *condition.values))


def _numbers(groupings: tuple[str, ...]) -> str:
    return ", ".join(str(place + 1) for place in range(len(groupings)))


def _ordered(
    groupings: tuple[str, ...], groups: dict[tuple[str | None, ...], Sums], where: Filter
) -> list[CostRow]:
    """By time where there is one, else by cost from the highest; groups of what has none come last."""
    rows = [
        CostRow(
            keys=dict(zip(groupings, key, strict=True)),
            calls=calls,
            errors=errors,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache=CacheUse(*cache),
            cost_nano_usd=known_cost(calls, priced, nano),
            unpriced_calls=unpriced,
            pending_calls=pending,
            possibly_billed_calls=billed,
            lost_attempt_calls=lost,
            covered_calls=covered,
            list_nano_usd=list_value,
        )
        for key, (
            calls,
            errors,
            input_tokens,
            output_tokens,
            *cache,
            nano,
            priced,
            unpriced,
            pending,
            billed,
            lost,
            covered,
            list_value,
        ) in groups.items()
    ]
    times = [name for name in groupings if name in TIMES]

    def order(row: CostRow) -> tuple[Any, ...]:
        names = tuple((row.keys[name] is None, row.keys[name] or "") for name in groupings)
        return (*(row.keys[name] for name in times), -(row.cost_nano_usd or 0), names)

    rows.sort(key=order)
    return rows[where.offset : None if where.limit is None else where.offset + where.limit]
