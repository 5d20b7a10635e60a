"""Calls that a flat plan covers: no cost, their list value beside the sum and never in it."""

from __future__ import annotations

from ledger_kit import T0, chat, rate, session
from spantally.api.fold import Totals, added
from spantally.cli.render.rows import own_cost_text
from spantally.ground.money import CostStatus, Rating, UsageParts, known_text
from spantally.ground.records import CallRecord
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.ledger.tally import sane
from spantally.queries.figures import figures
from spantally.queries.tree import build_tree

ALL = Filter()
PLAN = Rating(
    None, CostStatus.COVERED, UsageParts(uncached_input=10, output=5), "override", "plan", list_nano_usd=700
)


def rated(record: CallRecord) -> Rating:
    """Calls whose id begins with ``p`` are covered."""
    return PLAN if record.call_id.startswith("p") else rate(record)


def written() -> SQLiteStore:
    """A ledger of one priced and two covered calls."""
    store = SQLiteStore(":memory:")
    store.write([session(), chat("c1"), chat("p1"), chat("p2")], rated)
    return store


def test_every_sum_keeps_the_list_value_apart() -> None:
    """Sessions, rollups, rows, trees and figures: cost without the covered calls, their value beside it."""
    store = written()
    rows = store.calls(ALL)
    own = next(row.cost_nano_usd for row in rows if row.call_id == "c1")
    [of_session] = store.sessions(ALL)
    [of_rollups] = store.cost(["session"], ALL, "UTC")
    [of_rows] = store.cost(["session"], Filter(since_ns=T0 - 1), "UTC")
    of_tree = build_tree(of_session, rows).children
    for one in (of_session, of_rollups, of_rows, figures(rows)):
        assert (one.cost_nano_usd, one.covered_calls, one.list_nano_usd, one.unpriced_calls) == (
            own,
            2,
            1400,
            2,
        )
    assert sum(node.covered_calls for node in of_tree) == 2
    assert sum(node.list_nano_usd for node in of_tree) == 1400
    assert [row.list_nano_usd for row in rows if row.call_id == "p1"] == [700]
    store.close()


def test_a_covered_call_is_named_once_and_not_as_unpriced() -> None:
    """Texts say covered and what it would have cost."""
    store = written()
    [row] = store.sessions(ALL)
    assert (
        known_text(row.cost_nano_usd, row)
        .split(" known + ")[1]
        .startswith("2 calls covered (list value $0.0000014)")
    )
    [covered, _] = [one for one in store.calls(ALL) if one.cost_status == CostStatus.COVERED]
    assert own_cost_text(covered) == "covered (list value $0.0000007)"
    store.close()


def test_where_all_is_covered_nothing_was_spent() -> None:
    """Not an unknown cost, and no silent 0."""
    totals = added(Totals(), chat("p1"), PLAN)
    assert (totals.covered_calls, totals.list_nano_usd, totals.priced_calls) == (1, 700, 0)
    assert known_text(None, totals) == "nothing spent + 1 call covered (list value $0.0000007)"
    assert added(totals, chat("p1"), PLAN, sign=-1) == Totals()


def test_an_impossible_list_value_is_left_out() -> None:
    """It would spoil the sums of 64 bits; the status stays."""
    assert sane(PLAN._replace(list_nano_usd=2**60)) == PLAN._replace(list_nano_usd=None)
