"""Merging in any order gives the same events, also where ledgers tell different things by one id."""

from __future__ import annotations

import itertools
from pathlib import Path

import spantally


def made(path: Path, number: int) -> Path:
    """A ledger whose message has the id that the others' have, and its own time and text."""
    spantally.instrument(ledger=str(path))
    session = spantally.session("shared")
    session.record_message(
        "user", f"text {number}", tokens=number, id="m-1", timestamp=1_760_000_000 + 60 * (number % 2)
    )
    session.record_message("assistant", f"own {number}", tokens=1)
    spantally.flush()
    spantally.uninstrument()
    return path


def test_order_does_not_matter(tmp_path: Path) -> None:
    """Of several by one id the earliest stays, whichever ledger is named first, and as often as one likes."""
    ledgers = [made(tmp_path / f"{number}.db", number) for number in (1, 2, 3, 4)]
    found = set()
    for turn, order in enumerate(itertools.permutations(ledgers)):
        output = tmp_path / f"merged-{turn}.db"
        assert spantally.merge_ledgers([*order, order[0]], output).events == 5
        with spantally.open_ledger(output) as ledger:
            found.add(tuple(str(event.attributes) for event in ledger.events("shared")))
    assert len(found) == 1
    assert "text 2" in str(found)
    assert "text 1" not in str(found)
