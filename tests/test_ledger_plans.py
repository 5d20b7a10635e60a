"""Reading and writing look things up: no question about one session scans the table of calls."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ledger_kit import SECOND, T0, TRACE, agent, chat, foreign, link, rate, session, span_id, tool
from spantally.ground.records import Precedence
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite import read_open
from spantally.ledger.sqlite.store import SQLiteStore


def scans(db: sqlite3.Connection, statements: list[str]) -> list[str]:
    """Parts of the plans that read a whole large table."""
    large = ("SCAN call", "SCAN link", "SCAN rollup", "SCAN session", "SCAN o", "SCAN s")
    asked = [one for one in statements if one.startswith(("SELECT", "WITH", "UPDATE", "DELETE", "INSERT"))]
    return [
        f"{row[3]}: {statement}"
        for statement in asked
        for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")
        if row[3].startswith(large)
    ]


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    """A ledger with a few sessions."""
    made = SQLiteStore(tmp_path / "ledger.db")
    made.write([session("s1"), chat(), session("kid", parent_id="s1"), chat("k", "kid")], rate)
    return made


def test_reading_one_session(store: SQLiteStore) -> None:
    """Row, calls, cost and tree of one session are found by index."""
    store.sessions(Filter())
    db = store._reader
    assert db is not None
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    store.sessions(Filter(session_id="s1"))
    store.sessions(Filter(limit=20))
    store.calls(Filter(session_id="s1"))
    store.cost(["model", "day"], Filter(session_id="s1"), "UTC")
    store.cost(["run"], Filter(session_id="s1"), "UTC")
    store.calls(Filter(order_by="-started", limit=10))
    store.cost(["day"], Filter(since_ns=T0 + 1, until_ns=T0 + SECOND), "UTC")
    store.session_ids("s")
    db.set_trace_callback(None)
    assert len(statements) > 10
    # The newest are read in the order of an index, which is a scan that the limit ends.
    # What runs is all of an index that holds nothing else.
    indices = ("call_start", "call_running", "session_start", "session_parent")
    allowed = tuple(f"USING INDEX {name}" for name in indices)
    assert [one for one in scans(db, statements) if not any(part in one for part in allowed)] == []
    store.close()


def test_what_runs_is_found_among_what_runs(store: SQLiteStore) -> None:
    """Every question about sessions asks for it, and a walk through all calls takes long."""
    store.sessions(Filter())
    db = store._reader
    assert db is not None
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    read_open.running(db)
    read_open.waiting(db)
    db.set_trace_callback(None)
    asked = [one for one in statements if "status = 'running'" in one]
    plans = [[row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {one}")] for one in asked]
    assert len(plans) == 2
    assert all(any("USING INDEX call_running" in step for step in plan) for plan in plans), plans
    store.close()


def test_writing(store: SQLiteStore) -> None:
    """Whatever arrives, its neighbours are found by index."""
    store.settle(rate)
    store.write([chat()], rate)
    db = store._writer
    assert db is not None
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    inferred = tool("i", tool_call_id="t", inferred=True, precedence=Precedence.INFERRED)
    store.write(
        [
            chat("c2", parent_call_id="a1", trace_id=TRACE, span_id=span_id(3), parent_span_id=span_id(2)),
            chat("c3", parent_call_id="c2", response_id="r1", trace_id=TRACE, span_id=span_id(5)),
            foreign(5, response_id="r1", parent_span_id=span_id(4)),
            inferred,
            tool(tool_call_id="t"),
        ],
        rate,
    )
    store.write([link(4, 3), link(2, 1)], rate)
    store.write([agent("a1", trace_id=TRACE, span_id=span_id(1)), chat("c2", user_id="u")], rate)
    db.set_trace_callback(None)
    assert len(statements) > 30
    assert scans(db, statements) == []
    store.close()
