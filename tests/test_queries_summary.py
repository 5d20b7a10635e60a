"""The summary of a session: lists whose rows share no call and add up to the total."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ledger_kit import SECOND, T0, agent, chat, not_loaded, rate, session, tool
from spantally.ground.records import Record
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import Figures, Ledger, Summary, open_ledger
from spantally.queries.figures import percentile

SUMS = (
    "calls",
    "errors",
    "input_tokens",
    "output_tokens",
    "unpriced_calls",
    "pending_calls",
    "possibly_billed_calls",
    "lost_attempt_calls",
)


def rows() -> list[Record]:
    """Two runs with tools and models, a child session, and calls outside; some without price, some failed."""
    found: list[Record] = [session(), session("s2", parent_id="s1")]
    for run in ("r1", "r2"):
        inside: dict[str, Any] = {"run_id": run, "agent_path": ("planner",), "parent_call_id": run}
        took = 2 if run == "r1" else 4
        found += [
            agent(run, run_id=run, turn=True, end_ns=T0 + took * SECOND),
            chat(f"{run}-c", **inside),
            tool(f"{run}-t", status="error", error_type="X", **inside),
            chat(f"{run}-tc", **{**inside, "parent_call_id": f"{run}-t", "tool": "search"}),
            chat(f"{run}-u", response_model="unknown", possibly_billed=True, **inside),
        ]
    return [
        *found,
        chat("out", status="error", usage=None, possibly_billed=True, end_ns=T0 + 9 * SECOND),
        chat("child", "s2", response_model="small", provider="mistral"),
    ]


def summary_of(records: list[Record]) -> Summary:
    """The summary of s1 in a ledger of these records."""
    store = SQLiteStore(":memory:")
    store.write(records, rate)
    made = open_ledger(store).summary("s1")
    assert made is not None
    return made


@pytest.mark.parametrize("name", ["by_agent", "by_run", "by_model", "by_tool"])
def test_rows_add_up_to_the_total(name: str) -> None:
    """Each list sums to the total in every figure, and the total is what `sessions` says."""
    made = summary_of(rows())
    groups = getattr(made, name)
    assert len(groups) > 1
    for figure in SUMS:
        assert sum(getattr(row, figure) for row in groups) == getattr(made.total, figure), figure
        assert getattr(made.session, figure) == getattr(made.total, figure), figure
    assert sum(row.cost_nano_usd or 0 for row in groups) == made.total.cost_nano_usd
    assert made.total.cost_nano_usd == made.session.cost_nano_usd
    assert groups[-1].key is None or None not in [row.key for row in groups]


def test_lists_agree_with_cost_by() -> None:
    """Groups are those of `cost --by`: the same keys, with the same calls and costs."""
    store = SQLiteStore(":memory:")
    store.write([one for one in rows() if getattr(one, "session_id", "") == "s1"], rate)
    ledger = open_ledger(store)
    made = ledger.summary("s1")
    assert made is not None
    for name in ("agent", "run", "model", "tool"):
        wanted = {row.keys[name]: (row.calls, row.cost_nano_usd) for row in ledger.cost(name) if row.calls}
        found = {row.key: (row.calls, row.cost_nano_usd) for row in getattr(made, f"by_{name}") if row.calls}
        assert found == wanted


def test_latencies_are_of_what_a_row_is_named_after() -> None:
    """An agent's, run's or tool's is that of its invocations; a model's and the total's that of calls."""
    made = summary_of(rows())
    (planner,) = [row for row in made.by_agent if row.key == "planner"]
    assert (planner.count, planner.p50_ms, planner.p95_ms) == (2, 2000.0, 4000.0)
    assert {row.key: (row.name, row.count, row.p95_ms) for row in made.by_run if row.key} == {
        "r1": ("planner", 1, 2000.0),
        "r2": ("planner", 1, 4000.0),
    }
    (search,) = [row for row in made.by_tool if row.key == "search"]
    assert (search.count, search.errors, search.calls, search.p50_ms) == (2, 2, 2, 1000.0)
    assert (made.total.count, made.total.p50_ms, made.total.p95_ms) == (8, 1000.0, 9000.0)


def test_no_silent_zero() -> None:
    """A group whose calls have no cost has none; one without calls has 0."""
    made = summary_of(rows())
    costs = {row.key: row.cost_nano_usd for row in made.by_model}
    assert costs["unknown"] is None
    assert summary_of([session()]).total == made.total.__class__(
        key=None, name=None, count=0, p50_ms=None, p95_ms=None
    )


def test_pending_calls_are_said() -> None:
    """While prices are missing, calls are pending and not unpriced."""
    store = SQLiteStore(":memory:")
    store.write([session(), chat()], not_loaded)
    made = Ledger(store, rate=not_loaded).summary("s1")
    assert made is not None
    assert (made.total.pending_calls, made.total.unpriced_calls, made.total.cost_usd) == (1, 0, None)


def test_no_such_session() -> None:
    """None, as of a tree."""
    assert open_ledger(SQLiteStore(":memory:")).summary("nothing") is None


@pytest.mark.parametrize(
    ("values", "p50", "p95"),
    [
        ([], None, None),
        ([7.0], 7.0, 7.0),
        ([1.0, 2.0], 1.0, 2.0),
        ([float(n) for n in range(1, 101)], 50.0, 95.0),
        ([float(n) for n in range(1, 22)], 11.0, 20.0),
    ],
)
def test_percentiles_are_values_that_occurred(
    values: list[float], p50: float | None, p95: float | None
) -> None:
    """By nearest rank."""
    assert (percentile(values, 50), percentile(values, 95)) == (p50, p95)


def test_figures_of_nothing() -> None:
    """No calls cost nothing, exactly."""
    assert (Figures().cost_usd, Figures().total_cost) == (Decimal(0), "0.00")
