"""A place of one's own to keep it: any object with these methods is a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import spantally
from spantally.ground.records import EventRecord, Record
from spantally.ledger import CallRow, CostRow, EventRow, Filter, Health, Rater, SessionRow
from spantally.ledger.sqlite.store import SQLiteStore


class CopyingStore:
    """Keeps everything in memory, and sends a line elsewhere for each event; Redis would be called here."""

    def __init__(self, copy: Path) -> None:
        self._rows = SQLiteStore(":memory:")
        self._copy = copy

    def write(self, records: Sequence[Record], rate: Rater) -> None:
        """Store records; what comes here is redacted."""
        self._rows.write(records, rate)
        with self._copy.open("a", encoding="utf-8") as file:
            file.writelines(f"{one.type}\n" for one in records if isinstance(one, EventRecord))

    def settle(self, rate: Rater, limit: int = 500) -> int:
        """Rate what is pending."""
        return self._rows.settle(rate, limit)

    def sessions(self, where: Filter) -> list[SessionRow]:
        """Sessions."""
        return self._rows.sessions(where)

    def calls(self, where: Filter) -> list[CallRow]:
        """Rows of calls."""
        return self._rows.calls(where)

    def events(self, session_id: str) -> list[EventRow]:
        """Events of a session."""
        return self._rows.events(session_id)

    def cost(self, by: Sequence[str], where: Filter, tz: str) -> list[CostRow]:
        """Cost in groups."""
        return self._rows.cost(by, where, tz)

    def health(self) -> Health:
        """How it is."""
        return self._rows.health()

    def close(self) -> None:
        """Let go."""
        self._rows.close()


spantally.instrument(ledger=CopyingStore(Path("copied.txt")))
with spantally.session("short-lived", user="alice") as session:
    session.record_message("user", "Hello!")
spantally.flush()
print([message.content for message in spantally.open_ledger().conversation("short-lived")])
