"""Events of log records on their way into a ledger: of a session, of an operation, or content of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from spantally.exchange.carried_events import carried_event, is_stamp
from spantally.exchange.carried_sessions import unpacked_session
from spantally.exchange.content import KEEPS_ALL, Content
from spantally.exchange.lineage import TRACE_SESSION
from spantally.ground import semconv
from spantally.ground.records import UNPLACED, CallRecord, EventRecord, Record
from spantally.ledger.counting import SpanKey
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.otel import foreign
from spantally.otlp.model import Event

MOST_WAITING: Final = 2_000
"""Events that wait for the rows that they belong to."""

_OURS: Final = "spantally."


class EventReader:
    """Gathers events; gives the records of them once the rows are written."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._sessions: dict[str, list[str]] = {}
        self._events: list[Event] = []
        self._details: list[Event] = []
        self._waiting = 0
        """Sessions among them."""

    @property
    def full(self) -> bool:
        """Whether enough are waiting to be written."""
        return self._waiting + len(self._events) + len(self._details) >= MOST_WAITING

    def take(self, event: Event) -> bool:
        """Take an event; False for one that a ledger does not keep.

        Raises:
            ValueError: it is damaged.
        """
        if event.name in semconv.ROW_EVENTS:
            return False  # rows say so again
        if event.name == semconv.EVENT_SESSION:
            one = unpacked_session(event.attributes, self._content)
            self._sessions.setdefault(one.session_id, []).append(one.facts)
            self._waiting += 1
        elif event.name == semconv.EVENT_OPERATION_DETAILS:
            if self._content.policy != KEEPS_ALL or not event.span_id:
                return False
            self._details.append(event)
        elif (
            event.name == semconv.EVENT_EVALUATION_RESULT
            or event.name.startswith(_OURS)
            or semconv.ID_OF_EVENT in event.attributes  # of a name that the program gave it
        ):
            self._events.append(event)
        else:
            return False
        return True

    def sessions(self) -> Iterator[dict[str, str]]:
        """Facts of the sessions told so far, each once in a mapping; then they are gone from here."""
        told, self._sessions, self._waiting = self._sessions, {}, 0
        while told:
            yield {session_id: facts.pop() for session_id, facts in told.items()}
            told = {session_id: facts for session_id, facts in told.items() if facts}

    def records(self, store: SQLiteStore) -> list[Record]:
        """Records of the events that were taken so far; afterwards they are gone from here."""
        events, self._events = self._events, []
        spans = _spans(events)
        known = store.ancestors(spans, ()).by_span if spans else {}
        return [self._record(event, known) for event in events]

    def contents(self, store: SQLiteStore) -> dict[str, Mapping[str, Any]]:
        """Content of rows by call id, of those that have none."""
        details, self._details = self._details, []
        if not details:
            return {}
        known = store.ancestors(_spans(details), ()).by_span
        found: dict[str, Mapping[str, Any]] = {}
        for event in details:
            row = known.get((event.trace_id, event.span_id))
            if row is not None and row.content is None:
                content = self._content.of(event.attributes)
                if content is not None:
                    found[row.call_id] = {"content": content}
        return found

    def _record(self, event: Event, known: Mapping[SpanKey, CallRecord]) -> EventRecord:
        attributes = event.attributes
        row = known.get((event.trace_id, event.span_id))
        session_id = foreign.named_session(attributes) or (None if row is None else row.session_id)
        path = attributes.get(semconv.AGENT_PATH)
        call_id = attributes.get(semconv.CALL_ID)
        carried = carried_event(attributes)
        own: Mapping[str, Any] | None = {
            key: tuple(value) if type(value) is list else value
            for key, value in attributes.items()
            if not is_stamp(key)
        }
        agents = tuple(path.split(foreign.PATH_SEPARATOR)) if isinstance(path, str) and path else ()
        if carried is not None:
            agents, own = carried
        # An evaluation that came later names the call or the response: its row tells the session.
        named = isinstance(call_id, str) or semconv.RESPONSE_ID in attributes
        late = named and not event.trace_id and event.name == semconv.EVENT_EVALUATION_RESULT
        return EventRecord(
            event_id=_id_of(event),
            session_id=session_id or (UNPLACED if late else TRACE_SESSION + (event.trace_id or "none")),
            type=event.name,
            time_ns=event.time_ns,
            call_id=call_id
            if isinstance(call_id, str)
            else None
            if row is None or carried is not None
            else row.call_id,
            agent_path=agents,
            trace_id=event.trace_id or None,
            span_id=event.span_id or None,
            attributes=None if own is None else self._content.safe(own),
        )


def _spans(events: list[Event]) -> set[SpanKey]:
    return {(event.trace_id, event.span_id) for event in events if event.trace_id and event.span_id}


def _id_of(event: Event) -> str:
    """The id that came with an event, else one that each delivery of it gives again."""
    given = event.attributes.get(semconv.ID_OF_EVENT)
    if isinstance(given, str) and given:
        return given
    text = json.dumps(
        [event.name, event.trace_id, event.span_id, event.time_ns, dict(event.attributes)],
        sort_keys=True,
        default=str,
    )
    return f"event-{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"
