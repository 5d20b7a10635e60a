"""A tool that the program says the cost of: the same sum on every path, and no call anywhere."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import spantally
from budgets_kit import answer, ask, client
from ledger_kit import T0, agent, chat, rate, tool
from spantally.api import recorded_calls
from spantally.ground import guard
from spantally.ground.records import CallRecord, Precedence, Status
from spantally.ground.worker import worker
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries.figures import figures
from spantally.queries.ledger import Ledger
from spantally.testing import ScriptedServer
from watching import Watched, attributes

EXERCISED = {"api.budget_kept"}
"""Guards that fail in these tests."""

EVERYTHING = Filter()
GROUPINGS = ("session", "agent", "model", "provider", "tool", "user", "tag:job", "day", "project", "run")


def paid(call_id: str, nano: int, **values: Any) -> CallRecord:
    """A tool row that carries a cost."""
    return tool(call_id, usage={"cost_nano_usd": nano}, usage_format="recorded", **values)


def test_a_paid_tool_adds_to_cost_and_to_no_count(tmp_path: Path) -> None:
    """Its row, its span, the live totals, the tree and every sum have the cost; no call is counted."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        with spantally.session("s1") as session, spantally.agent("buyer"):
            made = session.record_tool("maps", {"q": "here"}, {"hits": 1}, cost_usd=Decimal("0.005"))
            session.record_call(model="own-model", cost_usd=0.25)
            totals = session.totals
        assert worker.flush(10)
        with spantally.open_ledger(path) as ledger:
            (row,) = [one for one in ledger.calls(session="s1") if one.kind == "tool"]
            (whole,) = ledger.sessions()
            tree, summary, graph = ledger.tree("s1"), ledger.summary("s1"), ledger.graph("s1")
            by_model = {one.keys["model"]: one for one in ledger.cost(("model",))}
            by_tool = {one.keys["tool"]: one for one in ledger.cost(("tool",))}
            by_agent = {one.keys["agent"]: one for one in ledger.cost(("agent",))}
            tools_only = ledger.cost(("day",), kind="tool")
    finally:
        seen.close()
    assert (row.call_id, row.counted, row.cost_nano_usd) == (made, False, 5_000_000)
    assert (row.cost_status, row.cost_source, row.input_tokens) == ("provider_reported", "recorded", None)
    assert (totals.calls, totals.priced_calls, totals.cost_nano_usd) == (1, 1, 255_000_000)
    assert (whole.calls, whole.cost_nano_usd, whole.own_cost_nano_usd) == (1, 255_000_000, 255_000_000)
    assert (by_model[None].calls, by_model[None].cost_nano_usd) == (0, 5_000_000)
    assert by_model["own-model"].cost_nano_usd == 250_000_000
    assert (by_tool["maps"].calls, by_tool["maps"].cost_nano_usd) == (0, 5_000_000)
    assert by_agent["buyer"].cost_nano_usd == 255_000_000
    assert [one.cost_nano_usd for one in tools_only] == [5_000_000]
    assert tree is not None
    assert summary is not None
    assert graph is not None
    (top,) = tree.children
    assert (top.calls, top.cost_nano_usd) == (1, 255_000_000)
    (leaf,) = [one for one in top.children if one.call.kind == "tool"]
    assert (leaf.calls, leaf.cost_nano_usd, leaf.own_cost_nano_usd) == (0, 5_000_000, 5_000_000)
    assert summary.total.cost_nano_usd == 255_000_000
    assert [(one.key, one.cost_nano_usd) for one in summary.by_tool] == [
        ("maps", 5_000_000),
        (None, 250_000_000),
    ]
    (node,) = [one for one in graph.nodes if one.name == "maps"]
    assert (node.own.cost_nano_usd, node.cost_nano_usd, node.own.calls) == (5_000_000, 5_000_000, 0)
    (span,) = [one for one in seen.exporter.spans if one.name == "execute_tool maps"]
    told = attributes(span)
    assert (told["spantally.cost.nano_usd"], told["spantally.cost.status"]) == (
        5_000_000,
        "provider_reported",
    )


def test_a_paid_tool_beside_calls_without_a_price(tmp_path: Path) -> None:
    """What is known is said, and that a call has no price; with a free tool alone the cost stays unknown."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        with spantally.session("paid") as one:
            one.record_call(model="nobodys-model", input_tokens=1, output_tokens=1)
            one.record_tool("maps", cost_usd="0.5")
            some = one.totals
        with spantally.session("free") as one:
            one.record_call(model="nobodys-model", input_tokens=1, output_tokens=1)
            one.record_tool("maps", cost_usd=0)
            none = one.totals
        assert worker.flush(10)
        with spantally.open_ledger(path) as ledger:
            rows = {one.session_id: one for one in ledger.sessions()}
            trees = {name: ledger.tree(name) for name in rows}
            sums = {name: figures(ledger.calls(session=name)) for name in rows}
            costs = {one.keys["session"]: one for one in ledger.cost(("session",))}
    finally:
        seen.close()
    assert (some.cost_nano_usd, some.unpriced_calls) == (500_000_000, 1)
    assert (none.cost_nano_usd, none.unpriced_calls) == (None, 1)
    for name, cost in (("paid", 500_000_000), ("free", None)):
        assert rows[name].cost_nano_usd == sums[name].cost_nano_usd == costs[name].cost_nano_usd == cost
        tree = trees[name]
        assert tree is not None
        assert sum(node.cost_nano_usd or 0 for node in tree.children) == (cost or 0)


def random_records(chance: random.Random) -> list[CallRecord]:
    """A mix of agents, calls and tools, some paid, with second views of some."""
    found: list[CallRecord] = []
    for number in range(chance.randint(1, 14)):
        whose: dict[str, Any] = {
            "session_id": chance.choice(["s1", "s2"]),
            "start_ns": T0 + chance.randint(0, 3) * 900 * 10**9,
            "user_id": chance.choice([None, "alice"]),
            "tags": chance.choice([(), (("job", "night"),)]),
            "agent_path": chance.choice([(), ("planner",), ("planner", "buyer")]),
            "parent_call_id": chance.choice([None, "c0", "t1"]),
        }
        whose["end_ns"] = whose["start_ns"] + 10**9
        kind = chance.randrange(5)
        status = chance.choice([Status.OK, Status.OK, Status.ERROR])
        if kind == 0:
            found.append(chat(f"c{number}", response_model=chance.choice(["gpt-5", "unknown"]), **whose))
        elif kind == 1:
            found.append(chat(f"c{number}", usage=None, status=status, **whose))
        elif kind == 2:
            found.append(paid(f"t{number}", chance.choice([0, 7, 10**9]), status=status, **whose))
        elif kind == 3:
            named = {"tool_call_id": f"ask{chance.randrange(3)}"}
            found.append(paid(f"t{number}", 11, **named, **whose))
            guess = tool(f"i{number}", inferred=True, precedence=Precedence.INFERRED, **named, **whose)
            found.append(guess)
        else:
            found.append(agent(f"a{number}", **{**whose, "agent_path": ("planner",)}))
    return [*found, *chance.sample(found, len(found) // 3)]


def all_sums(store: SQLiteStore) -> dict[str, Any]:
    """The sums of a ledger on each path: sessions, rollups, rows, trees."""
    ledger = Ledger(store, rate=rate, owned=False)
    sessions = store.sessions(EVERYTHING)
    rollups = {by: store.cost((by,), EVERYTHING, "UTC") for by in GROUPINGS}
    rows = store.cost(("trace",), EVERYTHING, "UTC")
    trees = [ledger.tree(one.session_id) for one in sessions]
    known = figures(store.calls(EVERYTHING))
    return {
        "sessions": sum(one.own_cost_nano_usd or 0 for one in sessions),
        **{by: sum(one.cost_nano_usd or 0 for one in found) for by, found in rollups.items()},
        "rows": sum(one.cost_nano_usd or 0 for one in rows),
        "trees": sum(node.cost_nano_usd or 0 for tree in trees if tree for node in tree.children),
        "figures": known.cost_nano_usd or 0,
    }


@pytest.mark.parametrize("seed", range(40))
def test_every_path_gives_the_same_sum_whatever_came_first(seed: int) -> None:
    """Sessions, rollups by anything, rows, trees and figures agree, in any order and with re-delivery."""
    chance = random.Random(seed)
    records = random_records(chance)
    wanted: Any = None
    for _ in range(3):
        chance.shuffle(records)
        store = SQLiteStore(":memory:")
        try:
            for place in range(0, len(records), 3):
                store.write(records[place : place + 3], rate)
            sums = all_sums(store)
            calls = sum(one.calls for one in store.sessions(EVERYTHING))
        finally:
            store.close()
        assert len(set(sums.values())) == 1, sums
        wanted = wanted if wanted is not None else (sums["rows"], calls)
        assert (sums["rows"], calls) == wanted
    paid_for = {one.call_id: one for one in records if one.kind == "tool" and one.usage}
    assert wanted[0] >= sum((one.usage or {})["cost_nano_usd"] for one in paid_for.values())


def test_a_second_answer_takes_the_first_cost_back() -> None:
    """A row that merges with a fuller one moves its cost, and leaves no empty rollup behind."""
    store = SQLiteStore(":memory:")
    try:
        store.write([paid("t1", 5, user_id="alice", precedence=Precedence.FOREIGN)], rate)
        store.write([paid("t1", 9, user_id="bob")], rate)
        found = [(one.keys["user"], one.cost_nano_usd) for one in store.cost(("user",), EVERYTHING, "UTC")]
    finally:
        store.close()
    assert found == [("bob", 9)]


def test_the_same_id_is_paid_for_once(tmp_path: Path) -> None:
    """Told twice in this process and again in another, it is in rows, live totals and budget once."""
    path = tmp_path / "ledger.db"
    for _ in range(2):
        recorded_calls._recorded.clear()  # as another process begins
        recorded_calls._recorded_before.clear()
        seen = Watched(ledger=path)
        try:
            with spantally.session("s1", budget=spantally.Budget(usd=1)) as session:
                for _ in range(2):
                    session.record_tool("maps", cost_usd=0.25, id="m-1")
                    session.record_call(model="own", cost_usd=0.5, id="c-1")
                    session.record_message("user", "hello", tokens=3, id="x-1")
                totals = session.totals
                assert (totals.calls, totals.cost_nano_usd) == (1, 750_000_000)
                left = session.remaining.usd
            assert worker.flush(10)
            with spantally.open_ledger(path) as ledger:
                (row,) = ledger.sessions()
                messages = ledger.events("s1", type="message")
        finally:
            seen.close()
        assert (row.calls, row.cost_nano_usd, len(messages)) == (1, 750_000_000, 1)
        assert left == Decimal("0.25")


def test_a_budget_in_money_pays_for_tools(tmp_path: Path) -> None:
    """A paid tool uses money and no call; the next call is refused where the money is spent."""
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with (
            ScriptedServer(answer) as server,
            spantally.session("s1", budget=spantally.Budget(usd=1, calls=1, on_exceed="hard")) as session,
        ):
            session.record_tool("maps", cost_usd=0.4)
            assert (session.remaining.usd, session.remaining.calls) == (Decimal("0.6"), 1)
            session.record_tool("maps", cost_usd=0.7)
            assert session.remaining.usd == 0
            with pytest.raises(spantally.BudgetExceeded, match=r"\$1\.1"), client(server) as made:
                ask(made)
    finally:
        seen.close()


def test_a_ledger_that_cannot_be_asked_counts_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the ledger does not say whether it has a row, the budget counts it, and the program goes on."""

    def fail(*_: Any) -> bool:
        raise RuntimeError("forced")

    monkeypatch.setattr("spantally.ledger.sqlite.budgets.BudgetLedger.has", fail)
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s1", budget=spantally.Budget(usd=1)) as session:
            session.record_tool("maps", cost_usd=0.25, id="unasked")
            assert session.remaining.usd == Decimal("0.75")
        assert ("api.budget_kept", "RuntimeError") in guard.failures
    finally:
        seen.close()


def test_untracked_tools_are_paid_for_without_a_name(tmp_path: Path) -> None:
    """Inside untracked() the cost of a tool is kept, and nothing that tells which one."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        with spantally.session("s1") as session:
            with spantally.untracked():
                session.record_tool("maps", {"q": "here"}, "there", cost_usd=0.5)
                session.record_tool("maps", {"q": "here"}, "there")
            live = session.totals.cost_nano_usd
        assert worker.flush(10)
        with spantally.open_ledger(path) as ledger:
            (row,) = ledger.calls(session="s1")
    finally:
        seen.close()
    assert (row.cost_nano_usd, row.name, row.tool, row.content) == (500_000_000, None, None, None)
    assert live == 500_000_000
    assert not seen.exporter.spans


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), True, "much", 9_000_001, [1]])
def test_a_wrong_cost_is_refused_before_any_effect(wrong: Any, tmp_path: Path) -> None:
    """The error names the value and what is allowed, and nothing is recorded."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        with (
            spantally.session("s1") as session,
            pytest.raises(ValueError, match=r"record_tool\(cost_usd=.*use US"),
        ):
            session.record_tool("maps", cost_usd=wrong)
        assert worker.flush(10)
        with spantally.open_ledger(path) as ledger:
            assert not ledger.calls(session="s1")
    finally:
        seen.close()
