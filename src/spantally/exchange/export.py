"""Sessions of a ledger as spans and log records: of any size, with no more than a page in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from spantally.exchange.spans import span_of
from spantally.exchange.targets import Delivery, DeliveryError
from spantally.exchange.told_events import log_of_event, log_of_session
from spantally.ledger.sqlite import read_whole
from spantally.ledger.sqlite.store import SQLiteStore

PAGE: Final = 500
"""Rows that are read at once."""

MOST_ITEMS: Final = 512
"""Spans, or log records, of one request: as many as the SDK's own processors send at once."""

MOST_CHARACTERS: Final = 1_000_000
"""Of the texts of one request, about: collectors refuse requests of several megabytes."""

_START: Final = (-1, "")


@dataclass(slots=True)
class Exported:
    """What was exported."""

    sessions: int = 0
    spans: int = 0
    events: int = 0
    running: int = 0
    """Calls, agents and tools that have not ended: left out, since their own span is still to come."""
    logs_refused: bool = False
    """The receiver takes spans and no log records: events are on the spans, sessions nowhere."""


class Export:
    """Exports sessions.

    Args:
        store: of the ledger.
        delivery: takes the batches.
        progress: runs now and then.
    """

    def __init__(self, store: SQLiteStore, delivery: Delivery, progress: Callable[[], None]) -> None:
        self.exported = Exported()
        self._store = store
        self._progress = progress
        self._spans = _Batches(delivery.spans)
        self._logs = _Batches(delivery.logs)

    def add(self, session_id: str) -> bool:
        """Export one session; False where it is not there.

        Raises:
            DeliveryError: the target did not take it.
            LedgerError: the ledger cannot be read.
        """
        session = self._store.ask(lambda db: read_whole.session(db, session_id))
        if session is None:
            return False
        after = _START
        while page := self._page(session_id, after):
            for row in page.rows:
                call_id = row.record.call_id
                self._spans.add(
                    span_of(
                        row,
                        top=session.top,
                        above=page.above.get(call_id),
                        links=page.links.get(call_id, ()),
                        events=page.events.get(call_id, ()),
                        beneath=page.beneath.get(call_id),
                        project=session.project,
                    )
                )
                self.exported.spans += 1
            after = page.last
            self._progress()
        self._log(log_of_session(session_id, session))
        self._add_events(session_id, session.project)
        self.exported.sessions += 1
        self.exported.running += session.running
        return True

    def _page(self, session_id: str, after: tuple[int, str]) -> read_whole.Page | None:
        page = self._store.ask(lambda db: read_whole.rows(db, session_id, after, PAGE))
        return page if page.rows else None

    def _add_events(self, session_id: str, project: str | None) -> None:
        after = _START
        while found := self._events(session_id, after):
            for event in found:
                self._log(log_of_event(event, project))
                self.exported.events += 1
            after = (found[-1].time_ns, found[-1].event_id)
            self._progress()

    def _events(self, session_id: str, after: tuple[int, str]) -> Sequence[Any]:
        return self._store.ask(lambda db: read_whole.events(db, session_id, after, PAGE))

    def _log(self, record: Any) -> None:
        if self.exported.logs_refused:
            return
        try:
            self._logs.add(record)
        except DeliveryError as error:
            self._refused(error)

    def _refused(self, error: DeliveryError) -> None:
        if not error.no_place:
            raise error
        self.exported.logs_refused = True
        self._logs.clear()

    def flush(self) -> None:
        """Give what is left.

        Raises:
            DeliveryError: the target did not take it.
        """
        self._spans.flush()
        if not self.exported.logs_refused:
            try:
                self._logs.flush()
            except DeliveryError as error:
                self._refused(error)
        self._progress()


class _Batches:
    """Gathers items until they make a request."""

    def __init__(self, give: Callable[[Sequence[Any]], None]) -> None:
        self._give = give
        self._items: list[Any] = []
        self._size = 0

    def add(self, item: Any) -> None:
        self._items.append(item)
        self._size += _size(item)
        if len(self._items) >= MOST_ITEMS or self._size >= MOST_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        items = self._items
        self.clear()
        if items:
            self._give(items)

    def clear(self) -> None:
        self._items, self._size = [], 0


def _size(item: Any) -> int:
    record = getattr(item, "log_record", None)
    size = sum(len(one) for one in ((record or item).attributes or {}).values() if isinstance(one, str))
    for event in getattr(item, "events", None) or ():
        size += sum(len(one) for one in (event.attributes or {}).values() if isinstance(one, str))
    return size
