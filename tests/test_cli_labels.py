"""Labels of attributes in what the command line writes: short, and never two alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_ledger import fill, invoke
from ledger_kit import SECOND, T0, session
from spantally.cli.render.labels import labels_of
from spantally.ground.records import EventRecord


def test_a_label_is_the_shortest_ending_that_no_other_has() -> None:
    """What two names share at their end does not tell them apart."""
    assert labels_of(["gen_ai.agent.name", "spantally.turn"]) == {
        "gen_ai.agent.name": "name",
        "spantally.turn": "turn",
    }
    assert labels_of(["a.agent.name", "b.agent.name", "a.tool.name", "name", "agent.name"]) == {
        "a.agent.name": "a.agent.name",
        "b.agent.name": "b.agent.name",
        "a.tool.name": "tool.name",
        "name": "name",
        "agent.name": "agent.name",
    }
    assert labels_of([]) == {}


@pytest.mark.parametrize("command", ["events", "replay"])
def test_nothing_of_an_event_hides_something_else(command: str, tmp_path: Path) -> None:
    """Attributes that end alike are both shown."""
    told = {"buyer.name": "ann", "seller.name": "bob", "order.total": 7}
    event = EventRecord("e1", "shop", "shop.order", T0 + SECOND, None, (), None, None, told)
    fill(tmp_path / "ledger.db", [session("shop", end_ns=T0 + 2 * SECOND), event])
    done = invoke(command, "shop")
    assert done.exit_code == 0
    for text in ("buyer.name", "ann", "seller.name", "bob", "total"):
        assert text in done.stdout
    assert "order.total" not in done.stdout
