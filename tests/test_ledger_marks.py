"""Started marks: what runs is seen, counts in no sum, and gives way to whatever else is said of the call."""

from __future__ import annotations

import itertools
import os
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_kit import (
    SECOND,
    T0,
    agent,
    chat,
    dump,
    foreign,
    kept_totals,
    rate,
    recomputed,
    session,
    span_id,
    tool,
)
from spantally.ground.money import CostStatus
from spantally.ground.process import identity
from spantally.ground.records import CallRecord, Kind, Record, Status
from spantally.ledger.contract import CallRow, Filter, SessionRow
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import open_ledger
from spantally.queries.ledger import Ledger
from test_ledger_order import WORLD

ALL = Filter()
HERE = identity()
GONE = f"{os.uname().nodename if hasattr(os, 'uname') else ''}:4194999:1"
"""A process of this machine that is not there."""
ELSEWHERE = "another-host:1:1"


def mark(record: CallRecord, process: str = HERE) -> CallRecord:
    """What the process that runs a call says of it before it ends."""
    return record._replace(
        end_ns=None,
        status=str(Status.RUNNING),
        error_type=None,
        abandoned=False,
        usage=None,
        usage_format=None,
        price_context=None,
        possibly_billed=False,
        response_model=None,
        response_id=None,
        content=None,
        process=process,
    )


def family(process: str = HERE) -> list[CallRecord]:
    """An agent, a tool in it and a call in that."""
    return [
        agent("a1", turn=True, run_id="a1"),
        tool("t1", parent_call_id="a1", agent_path=("planner",)),
        chat("c1", parent_call_id="t1", agent_path=("planner",), turn=True, tool="search"),
    ]


def filled(*records: Record) -> SQLiteStore:
    """A ledger in memory with these records, each written by itself."""
    store = SQLiteStore(":memory:")
    for record in records:
        store.write([record], rate)
    return store


def dumped(*records: Record) -> dict[str, Any]:
    """All that a ledger of these records holds."""
    store = filled(*records)
    return dump(database(store))


def database(store: SQLiteStore) -> sqlite3.Connection:
    assert store._writer is not None
    return store._writer


def one_session(store: Any, session_id: str = "s1") -> SessionRow:
    (found,) = store.sessions(Filter(session_id=session_id))
    assert isinstance(found, SessionRow)
    return found


def rows(store: Any) -> dict[str, CallRow]:
    return {row.call_id: row for row in store.calls(ALL)}


def test_a_mark_is_seen_and_counts_in_no_sum() -> None:
    """An open agent, tool and call are listed with their age; no figure of any query knows of them."""
    store = filled(session(), *map(mark, family()))
    found = one_session(store)
    assert (found.calls, found.turn_count, found.errors, found.input_tokens) == (0, 0, 0, 0)
    assert (found.unpriced_calls, found.pending_calls, found.possibly_billed_calls) == (0, 0, 0)
    assert found.cost_nano_usd == 0
    assert found.agents == ("planner",)
    assert [(one.call_id, one.kind, one.name or one.model) for one in found.running] == [
        ("a1", "agent", "planner"),
        ("c1", "inference", "gpt-5"),
        ("t1", "tool", "search"),
    ]
    assert all(one.running_ms > 0 and one.process == HERE for one in found.running)
    listed = rows(store)
    assert {row.status for row in listed.values()} == {"running"}
    assert all(row.running_ms and not row.counted and row.cost_status is None for row in listed.values())
    for by in ("model", "agent", "session", "tool", "run", "day", "provider"):
        assert store.cost([by], ALL, "UTC") == []
    assert store.cost(["model"], Filter(status="running"), "UTC") == []
    ledger = Ledger(store, rate=rate, owned=False)
    summary = ledger.summary("s1")
    assert summary is not None
    assert (summary.total.calls, summary.total.cost_nano_usd, summary.total.pending_calls) == (0, 0, 0)
    tree = ledger.tree("s1")
    assert tree is not None
    assert [node.calls for _, node in tree.walk()] == [0, 0, 0]
    assert kept_totals(database(store)) == recomputed(database(store))


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_every_order_of_marks_and_ends(step: int) -> None:
    """Three marks and three ends leave, in all orders, byte for byte what the ends alone leave."""
    ends = family()
    records = [*map(mark, ends), *ends]
    expected = dumped(session(), *ends)
    for order in itertools.islice(itertools.permutations(records), None, None, step):
        assert dumped(session(), *order) == expected


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_mark_beside_the_foreign_span_of_its_call(order: tuple[int, ...]) -> None:
    """A mark, its end, the span of another instrumentor and a second mark: one row that counts once."""
    own = chat("c1", trace_id="a" * 32, span_id=span_id(1))
    views = [mark(own), own, foreign(1), mark(own)]
    store = filled(session(), *(views[place] for place in order))
    assert dump(database(store)) == dumped(session(), own, foreign(1))
    assert one_session(store).calls == 1


def test_a_foreign_span_counts_while_its_own_row_is_a_mark() -> None:
    """What somebody saw the end of is not hidden by a mark; the end of the own row then takes it in."""
    own = chat("c1", trace_id="a" * 32, span_id=span_id(1))
    store = filled(session(), mark(own), foreign(1))
    assert (one_session(store).calls, one_session(store).cost_nano_usd) == (1, 16_000)
    store.write([own], rate)
    assert (one_session(store).calls, one_session(store).cost_nano_usd) == (1, 16_000)


def leave_nothing(records: list[Record], chance: random.Random) -> None:
    own = [one for one in records if isinstance(one, CallRecord) and one.scope_name == "spantally"]
    told = [one for one in own if not one.inferred and "-" not in one.call_id]
    marks = [mark(chance.choice(told)) for _ in range(chance.randint(1, 6))] if told else []
    together = [*records, *marks]
    chance.shuffle(together)
    store = SQLiteStore(":memory:")
    place = 0
    while place < len(together):
        size = chance.randint(1, 4)
        store.write(together[place : place + size], rate)
        place += size
    plain = SQLiteStore(":memory:")
    plain.write(records, rate)
    assert dump(database(store)) == dump(database(plain))
    assert kept_totals(database(store)) == recomputed(database(store))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORLD, st.randoms(use_true_random=False))
def test_marks_leave_nothing_in_any_world(records: list[Record], chance: random.Random) -> None:
    """Whatever else is said, marks of calls that others tell of change no row and no sum, in any order."""
    leave_nothing(records, chance)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORLD, st.randoms(use_true_random=False))
def test_marks_leave_nothing_in_many_worlds(records: list[Record], chance: random.Random) -> None:
    """The same at length."""
    leave_nothing(records, chance)


def test_marks_of_a_process_that_is_gone_become_interrupted() -> None:
    """When its ledger is read, each is interrupted, and the model call counts as possibly billed, once."""
    ends = family()
    store = filled(session(process=GONE), chat("c0"), *(mark(one, GONE) for one in ends))
    with Ledger(store, rate=rate, owned=False) as ledger:
        (found,) = ledger.sessions()
        listed = {row.call_id: row for row in ledger.calls()}
        costs = ledger.cost("model")
    assert (found.status, found.running) == ("abandoned", ())
    assert (found.calls, found.unpriced_calls, found.possibly_billed_calls) == (2, 1, 1)
    assert (found.cost_nano_usd, found.turn_count) == (16_000, 2)
    assert {call_id: row.status for call_id, row in listed.items()} == {
        "c0": "ok",
        **dict.fromkeys(("a1", "t1", "c1"), "interrupted"),
    }
    assert {call_id for call_id, row in listed.items() if row.possibly_billed} == {"c1"}
    assert listed["c1"].cost_status == CostStatus.NO_USAGE
    assert (listed["c1"].ended_ns, listed["c1"].running_ms, listed["c1"].process) == (None, None, GONE)
    assert sum(row.possibly_billed_calls for row in costs) == 1
    assert sum(row.calls for row in costs) == 2
    assert kept_totals(database(store)) == recomputed(database(store))
    for status, expected in (("interrupted", {"a1", "t1", "c1"}), ("running", set())):
        assert {row.call_id for row in store.calls(Filter(status=status))} == expected
    before = dump(database(store))
    assert store.settle(rate) == 0
    assert dump(database(store)) == before


def test_the_end_of_a_call_that_was_given_up_still_counts() -> None:
    """A process that was taken for gone and was not: its late end replaces what was made of the mark."""
    ends = family()
    store = filled(session(), *(mark(one, GONE) for one in ends))
    store.settle(rate)
    assert one_session(store).possibly_billed_calls == 1
    store.write(ends, rate)
    store.write([mark(one, GONE) for one in ends], rate)
    assert dump(database(store)) == dumped(session(), *ends)


def test_an_interrupted_call_takes_in_the_span_that_tells_of_it() -> None:
    """The process died between the end of another instrumentor's span and our row: its usage is known."""
    own = chat("c1", trace_id="a" * 32, span_id=span_id(1))
    store = filled(session(), mark(own, GONE), foreign(1))
    store.settle(rate)
    found = one_session(store)
    assert (found.calls, found.cost_nano_usd, found.possibly_billed_calls) == (1, 16_000, 0)


def test_what_another_host_runs_stays_running() -> None:
    """Of a process of another machine nothing is known: its mark keeps its age and is left alone."""
    store = filled(session(process=ELSEWHERE), mark(chat("c1"), ELSEWHERE))
    store.settle(rate)
    found = one_session(store)
    assert (found.status, found.calls, len(found.running)) == ("running", 0, 1)
    assert rows(store)["c1"].status == "running"


def test_reading_only_gives_the_same_numbers(tmp_path: Path) -> None:
    """A ledger that may not be written is answered from a copy in which the same calls are interrupted."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    store.write([session(process=GONE), chat("c0"), *(mark(one, GONE) for one in family())], rate)
    store.close()
    reader = SQLiteStore(path, read_only=True)
    with Ledger(reader, rate=rate) as ledger:
        kept = (ledger.sessions(), ledger.cost("agent"), ledger.calls())
    reader.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT COUNT(*) FROM call WHERE status = 'running'").fetchone() == (3,)
    db.close()
    with open_ledger(path) as ledger:
        assert (ledger.sessions(), ledger.cost("agent"), ledger.calls()) == kept
    assert kept[0][0].possibly_billed_calls == 1


def test_a_session_that_only_marks_tell_of_runs() -> None:
    """Nobody declared it: it runs while something in it does, and has no end until then."""
    store = filled(mark(chat("c1")))
    found = one_session(store)
    assert (found.status, found.ended_ns, found.calls) == ("running", None, 0)
    store.write([chat("c1")], rate)
    found = one_session(store)
    assert (found.status, found.ended_ns, found.running) == ("succeeded", T0 + SECOND, ())


def test_what_child_sessions_run_is_listed_with_their_parent() -> None:
    """A session shows what runs below it."""
    store = filled(session(), session("s2", parent_id="s1"), mark(tool("t2", "s2")))
    assert [one.session_id for one in one_session(store).running] == ["s2"]


def test_a_background_answer_is_no_mark() -> None:
    """A row whose request is over while the provider works on counts as before, mark or not."""
    begun = chat("c1", status="running", end_ns=None, usage=None)
    for records in ([mark(begun), begun], [begun, mark(begun)]):
        store = filled(session(process=HERE), *records)
        assert (one_session(store).calls, len(one_session(store).running)) == (1, 1)


def test_embeddings_and_hidden_kinds_follow_the_same_rule() -> None:
    """Every kind that costs becomes possibly billed when its process is gone, no other."""
    marks = [mark(chat(f"c{kind}", kind=kind), GONE) for kind in Kind]
    store = filled(session(), *marks)
    store.settle(rate)
    assert {row.kind for row in rows(store).values() if row.possibly_billed} == {"inference", "embeddings"}
    assert one_session(store).calls == 2
