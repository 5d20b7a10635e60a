"""Records, a rater and a full dump of a ledger, for the tests of ledger and queries."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from spantally.ground.ids import foreign_call_id
from spantally.ground.money import PENDING, CostStatus, Rating, UsageParts
from spantally.ground.records import CallRecord, Kind, LinkRecord, Precedence, SessionRecord

T0 = 1_793_000_000_000_000_000
SECOND = 1_000_000_000
TRACE = "a" * 32


MORE_PARTS = (
    "video_input",
    "cache_image_read",
    "cache_video_read",
    "video_output",
    "citations",
    "search_units",
    "audio_ms",
    "characters",
    "pages",
    "annotated_pages",
    "images",
)
"""Columns of the table ``call`` that releases before schema 4 did not have."""


def without_more_parts(db: sqlite3.Connection) -> None:
    """Take away what schema 4 added to the parts of usage."""
    for name in MORE_PARTS:
        db.execute(f"ALTER TABLE call DROP COLUMN {name}")


def span_id(number: int) -> str:
    """A valid span id."""
    return f"{number:016x}"


def usage(tokens_in: int, tokens_out: int) -> dict[str, int]:
    """Raw usage as OpenAI's chat API sends it."""
    return {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}


def rate(record: CallRecord) -> Rating:
    """1000 nano-USD an input token, 3000 an output token; nothing without usage."""
    if record.usage is None:
        return Rating(None, CostStatus.NO_USAGE)
    parts = UsageParts(uncached_input=record.usage["prompt_tokens"], output=record.usage["completion_tokens"])
    if record.response_model == "unknown":
        return Rating(None, CostStatus.UNKNOWN_MODEL, parts)
    nano = parts.input_total * 1000 + parts.output_total * 3000
    return Rating(nano, CostStatus.PRICED, parts, "fake 1", "fake/model")


def not_loaded(record: CallRecord) -> Rating:
    """A rater whose prices are not there yet."""
    return PENDING


def chat(call_id: str = "c1", session_id: str = "s1", **values: Any) -> CallRecord:
    """A metered chat call of 10 + 2 tokens."""
    base: dict[str, Any] = {
        "kind": Kind.INFERENCE,
        "operation": "chat",
        "start_ns": T0,
        "end_ns": T0 + SECOND,
        "provider": "openai",
        "request_model": "gpt-5",
        "response_model": "gpt-5-2026",
        "usage": usage(10, 2),
        "usage_format": "openai.chat",
        "scope_name": "spantally",
        "project": "shop",
    }
    base.update(values)
    return CallRecord(call_id=call_id, session_id=session_id, **base)


def foreign(number: int, session_id: str = "s1", **values: Any) -> CallRecord:
    """A chat call that is known only by its span."""
    base: dict[str, Any] = {
        "precedence": Precedence.FOREIGN,
        "trace_id": TRACE,
        "span_id": span_id(number),
        "scope_name": "other.instrumentor",
    }
    base.update(values)
    return chat(foreign_call_id(base["trace_id"], base["span_id"]), session_id, **base)


def agent(call_id: str = "a1", session_id: str = "s1", **values: Any) -> CallRecord:
    """An agent invocation."""
    base: dict[str, Any] = {
        "kind": Kind.AGENT,
        "operation": "invoke_agent",
        "name": "planner",
        "agent_path": ("planner",),
        "start_ns": T0,
        "end_ns": T0 + 2 * SECOND,
    }
    base.update(values)
    return CallRecord(call_id=call_id, session_id=session_id, **base)


def tool(call_id: str = "t1", session_id: str = "s1", **values: Any) -> CallRecord:
    """A tool execution."""
    base: dict[str, Any] = {
        "kind": Kind.TOOL,
        "operation": "execute_tool",
        "name": "search",
        "tool": "search",
        "start_ns": T0,
        "end_ns": T0 + SECOND,
    }
    base.update(values)
    return CallRecord(call_id=call_id, session_id=session_id, **base)


def session(session_id: str = "s1", **values: Any) -> SessionRecord:
    """A session that began."""
    return SessionRecord(**{"session_id": session_id, "start_ns": T0, **values})


def link(number: int, parent: int | None) -> LinkRecord:
    """A span that is no operation."""
    return LinkRecord(TRACE, span_id(number), None if parent is None else span_id(parent), T0)


def dump(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """Everything that must not depend on the order of arrival."""
    dimension = [row[1] for row in db.execute("PRAGMA table_info(dimension)")][2:]
    columns = ", ".join(f"d.{name}" for name in dimension)
    rollups = db.execute(
        f"SELECT {columns}, r.* FROM rollup r JOIN dimension d ON d.dimension_id = r.dimension_id"
    )
    names = [one[0] for one in rollups.description]
    # By name: what a migration adds stands last, in a new ledger it has its place.
    keep = sorted(
        (place for place, name in enumerate(names) if name != "dimension_id"), key=names.__getitem__
    )
    found: dict[str, list[Any]] = {
        "rollup": sorted(repr([row[place] for place in keep]) for row in rollups),
    }
    for table in ("call", "session", "seen", "link", "common_response"):
        # By name: what a migration adds stands last, in a new ledger it has its place.
        columns = ", ".join(sorted(row[1] for row in db.execute(f"PRAGMA table_info({table})")))
        found[table] = sorted(repr(row) for row in db.execute(f"SELECT {columns} FROM {table}"))
    return found


def take_out_version_4(db: sqlite3.Connection) -> None:
    """Take out of a ledger what its schema has from version 4 on; the caller sets the version."""
    db.execute("DROP TABLE rating_history")
    db.execute("DROP INDEX call_running")
    db.execute("ALTER TABLE call DROP COLUMN process")
    db.execute("ALTER TABLE call DROP COLUMN finish_reasons")
    of_a_call = ("list_nano_usd", "cache_saving_nano_usd", "cache_premium_nano_usd", "cache_reported")
    for table in ("call", "session", "rollup"):
        for (name,) in db.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchall():
            if name in of_a_call or (
                table != "call" and name.startswith(("cache_", "covered", "list_value"))
            ):
                db.execute(f"ALTER TABLE {table} DROP COLUMN {name}")


def recomputed(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """Session totals and rollups as a plain query over the rows gives them."""
    counted = "counted AND NOT hidden"
    sessions = db.execute(
        f"""SELECT session_id, SUM(NOT hidden), SUM({counted}),
        SUM(CASE WHEN {counted} THEN COALESCE(input_tokens, 0) ELSE 0 END),
        SUM(CASE WHEN {counted} THEN COALESCE(output_tokens, 0) ELSE 0 END),
        SUM(CASE WHEN {counted} THEN COALESCE(cost_nano_usd, 0) ELSE 0 END),
        SUM({counted} AND cost_nano_usd IS NULL AND cost_status <> 'pending'),
        SUM({counted} AND cost_status = 'pending'), SUM(NOT hidden AND status = 'error')
        FROM call GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    rollups = db.execute(
        f"""SELECT session_id, start_ns / 900000000000, agent_path, SUM({counted}),
        SUM(CASE WHEN {counted} THEN COALESCE(cost_nano_usd, 0) ELSE 0 END)
        FROM call WHERE {counted} GROUP BY 1, 2, 3
        ORDER BY 1, 2, 3"""
    ).fetchall()
    return {"sessions": sessions, "rollups": rollups}


def kept_totals(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """The same figures as the ledger keeps them."""
    sessions = db.execute(
        """SELECT session_id, rows, calls, input_tokens, output_tokens, cost, unpriced, pending, errors
        FROM session WHERE session_id IN (SELECT session_id FROM call) ORDER BY 1"""
    ).fetchall()
    rollups = db.execute(
        """SELECT d.session_id, r.quarter, d.agent_path, SUM(r.calls), SUM(r.cost) FROM rollup r
        JOIN dimension d ON d.dimension_id = r.dimension_id WHERE r.calls > 0 GROUP BY 1, 2, 3
        ORDER BY 1, 2, 3"""
    ).fetchall()
    return {"sessions": sessions, "rollups": rollups}


def as_json(value: object) -> str:
    """A value as text, for comparing."""
    return json.dumps(value, sort_keys=True, default=str)
