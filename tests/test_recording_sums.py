"""Random programs that record by hand: live totals, ledger and budget are all exactly what was told."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import spantally
from spantally.ground.worker import worker
from spantally.pricing import load
from spantally.queries.figures import figures
from watching import Watched

NANO = 10**9


@pytest.mark.parametrize("seed", range(25))
def test_live_totals_ledger_and_budget_are_the_same(seed: int, tmp_path: Path) -> None:
    """Calls and paid tools, named twice or not, nested, hidden, failed: each counts once, everywhere."""
    load()
    chance = random.Random(seed)
    path = tmp_path / "ledger.db"
    outer, inner = f"outer-{seed}", f"inner-{seed}"
    cost = calls = tokens = 0
    known: set[tuple[str | None, str, str]] = set()
    seen = Watched(ledger=path)
    try:
        budget = spantally.Budget(usd=1_000, calls=1_000, tokens=10**9)
        with spantally.session(outer, budget=budget) as session:
            for _ in range(chance.randint(1, 20)):
                with ExitStack() as stack:
                    here = session
                    if chance.random() < 0.3:
                        here = stack.enter_context(spantally.session(inner))
                    if chance.random() < 0.3:
                        stack.enter_context(spantally.agent("planner"))
                    if chance.random() < 0.2:
                        stack.enter_context(spantally.untracked())
                    if chance.random() < 0.2:
                        assert spantally.flush(10)
                    name = chance.choice([None, "a", "b", "c"])
                    kind = chance.choice(["tool", "free", "told", "priced"])
                    amount = chance.choice([0, 1, 5 * NANO // 7])
                    more: dict[str, Any] = {"id": name, "error": chance.choice([None, "ValueError"])}
                    if kind in ("tool", "free"):
                        paid = amount if kind == "tool" else None
                        here.record_tool(
                            "maps", cost_usd=None if paid is None else f"{paid / NANO:.9f}", **more
                        )
                        added = (paid or 0, 0, 0)
                    elif kind == "told":
                        here.record_call(
                            model="own", output_tokens=3, cost_usd=f"{amount / NANO:.9f}", **more
                        )
                        added = (amount, 1, 3)
                    else:
                        here.record_call(
                            provider="openai", model="gpt-4o", input_tokens=10, output_tokens=1, **more
                        )
                        added = (35_000, 1, 11)
                    key = (here.id, "tool" if kind in ("tool", "free") else "call", name or "")
                    if name is None or key not in known:
                        known.add(key)
                        cost, calls, tokens = cost + added[0], calls + added[1], tokens + added[2]
            live, left = session.totals, session.remaining
        assert worker.flush(10)
        with spantally.open_ledger(path) as ledger:
            row = ledger.session(outer)
            rows = ledger.calls()
            groups = ledger.cost(("model", "tool", "session"))
    finally:
        seen.close()
    assert row is not None
    assert left.usd is not None
    assert left.calls is not None
    assert left.tokens is not None
    assert (live.calls, live.cost_nano_usd) == (calls, cost)
    assert live.input_tokens + live.output_tokens == tokens
    assert (row.calls, row.cost_nano_usd) == (calls, cost)
    assert row.input_tokens + row.output_tokens == tokens
    assert figures(rows).cost_nano_usd == cost == sum(one.cost_nano_usd or 0 for one in groups)
    assert (1_000 * NANO - int(left.usd * NANO), 1_000 - left.calls, 10**9 - left.tokens) == (
        cost,
        calls,
        tokens,
    )
