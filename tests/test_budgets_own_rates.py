"""Budgets and rates of the user's own: what a flat plan covers spends nothing, and is no unknown cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

import spantally
from budgets_kit import COST, MODEL, UNPRICED, answer, ask, client
from own_rates_kit import UseOwn, own
from spantally.testing import ScriptedServer
from watching import Watched

__all__ = ["own"]


@pytest.mark.usefixtures("watched")
def test_covered_calls_leave_a_budget_as_it_is(own: UseOwn) -> None:
    """Not even ``on_unpriced="refuse"`` refuses them, and nothing of the money is used."""
    own(f'[[rate]]\nmodel = "{UNPRICED}"\ncovered = true\n')
    budget = spantally.Budget(usd="0.01", on_exceed="hard", on_unpriced="refuse")
    with ScriptedServer(answer) as server, client(server) as made:
        with spantally.session("s", budget=budget) as session:
            for _ in range(3):
                ask(made, UNPRICED)
            assert session.remaining.usd == Decimal("0.01")
        assert (session.totals.covered_calls, session.totals.cost_nano_usd) == (3, None)


def test_a_discount_counts_as_what_it_comes_to(own: UseOwn, watched: Watched) -> None:
    """Money is used at the rate that holds, not at the list's."""
    own(f'[[rate]]\nmodel = "{MODEL}"\nmultiplier = 0.5\n')
    budget = spantally.Budget(usd=1)
    with (
        ScriptedServer(answer) as server,
        client(server) as made,
        spantally.session("s", budget=budget) as session,
    ):
        ask(made)
        assert watched.records
        assert session.totals.cost_nano_usd == COST // 2
        assert session.remaining.usd == 1 - Decimal(COST // 2) / 10**9
