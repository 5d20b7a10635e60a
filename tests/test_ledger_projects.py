"""The project of a session is the program that began it, whoever else works in it."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

from ledger_kit import SECOND, T0, rate, session
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore


def test_a_called_service_does_not_take_a_session_over(tmp_path: Path) -> None:
    """While it runs, and once it has ended, whichever order its two programs write in."""
    records = [
        session(project="front"),
        session(start_ns=T0 + SECOND, project="back"),
        session(end_ns=T0 + 2 * SECOND, status="succeeded", project="front"),
    ]
    for count in (2, 3):
        for place, some in enumerate(permutations(records[:count])):
            store = SQLiteStore(tmp_path / f"{count}-{place}.db")
            for one in some:
                store.write([one], rate)
            (found,) = store.sessions(Filter())
            assert found.project == "front"
            store.close()
