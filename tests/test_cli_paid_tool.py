"""What a paid tool costs stands in the tree: in its own row, and in those around it."""

from __future__ import annotations

from pathlib import Path

import spantally
from cli_ledger import invoke


def test_inclusive_cost_without_a_call(tmp_path: Path) -> None:
    """An agent whose only cost is a paid tool's has that cost, though no model was called."""
    path = tmp_path / "paid.db"
    spantally.instrument(ledger=str(path))
    with spantally.session("paid") as session, spantally.agent("planner"):
        with spantally.agent("idle"):
            pass
        session.record_tool("search", cost_usd="0.25")
    spantally.flush()
    rows = invoke("--ledger", str(path), "show", "paid").stdout.splitlines()
    planner, idle, search = (
        next(row for row in rows if name in row) for name in ("planner", "idle", "search")
    )
    assert planner.split()[3:5] == ["-", "$0.25"]
    assert "$" not in idle
    assert "$0.25  $0.25" in search
