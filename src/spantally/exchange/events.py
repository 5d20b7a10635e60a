"""Events of log records on their way into a ledger: of a session, of an operation, or content of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from spantally.exchange.content import KEEPS_ALL, Content
from spantally.exchange.lineage import TRACE_SESSION
from spantally.ground import semconv
from spantally.ground.records import UNPLACED, CallRecord, EventRecord, Record, SessionRecord
from spantally.ledger.counting import SpanKey
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.otel import foreign
from spantally.otlp.model import Event

MOST_WAITING: Final = 2_000
"""Events that wait for the rows that they belong to."""

_OURS: Final = "spantally."
_STAMPS: Final = frozenset(
    {
        semconv.SESSION_ID,
        semconv.USER_ID,
        semconv.ENTITY_TYPE,
        semconv.ENTITY_ID,
        semconv.CONVERSATION_ID,
        semconv.AGENT_PATH,
        semconv.AGENT_NAME,
        semconv.ID_OF_EVENT,
        semconv.CALL_ID,
        "event.name",
    }
)
"""What says whose an event is; the ledger has that in columns."""


class EventReader:
    """Gathers events; gives the records of them once the rows are written."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._sessions: list[SessionRecord] = []
        self._events: list[Event] = []
        self._details: list[Event] = []

    @property
    def full(self) -> bool:
        """Whether enough are waiting to be written."""
        return len(self._sessions) + len(self._events) + len(self._details) >= MOST_WAITING

    def take(self, event: Event) -> bool:
        """Take an event; False for one that a ledger does not keep.

        Raises:
            ValueError: it is damaged.
        """
        if event.name in semconv.ROW_EVENTS:
            return False  # rows say so again
        if event.name == semconv.EVENT_SESSION:
            self._sessions.append(session_of(event, self._content))
        elif event.name == semconv.EVENT_OPERATION_DETAILS:
            if self._content.policy != KEEPS_ALL or not event.span_id:
                return False
            self._details.append(event)
        elif event.name == semconv.EVENT_EVALUATION_RESULT or event.name.startswith(_OURS):
            self._events.append(event)
        else:
            return False
        return True

    def records(self, store: SQLiteStore) -> list[Record]:
        """Records of what was taken so far; afterwards they are gone from here."""
        sessions, events = self._sessions, self._events
        self._sessions, self._events = [], []
        spans = _spans(events)
        known = store.ancestors(spans, ()).by_span if spans else {}
        return [*sessions, *(self._record(event, known) for event in events)]

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
        # An evaluation that came later names the call or the response: its row tells the session.
        named = isinstance(call_id, str) or semconv.RESPONSE_ID in attributes
        late = named and not event.trace_id and event.name == semconv.EVENT_EVALUATION_RESULT
        kept = self._content.safe(
            {
                key: tuple(value) if type(value) is list else value
                for key, value in attributes.items()
                if key not in _STAMPS and not key.startswith(semconv.TAG_PREFIX)
            }
        )
        return EventRecord(
            event_id=_id_of(event),
            session_id=session_id or (UNPLACED if late else TRACE_SESSION + (event.trace_id or "none")),
            type=event.name,
            time_ns=event.time_ns,
            call_id=call_id if isinstance(call_id, str) else None if row is None else row.call_id,
            agent_path=tuple(path.split(foreign.PATH_SEPARATOR)) if isinstance(path, str) and path else (),
            trace_id=event.trace_id or None,
            span_id=event.span_id or None,
            attributes=kept,
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


def session_of(event: Event, content: Content) -> SessionRecord:
    """The session that an event of an exported ledger tells of.

    Raises:
        ValueError: it is no session.
    """
    text = event.attributes.get(semconv.RECORD)
    values = json.loads(text) if isinstance(text, str) else None
    if not isinstance(values, dict):
        raise ValueError(f"it lacks {semconv.RECORD}")  # noqa: TRY004 - what it says is wrong
    values = {name: value for name, value in values.items() if name in SessionRecord._fields}
    for name in ("title", "metadata", "labels", "metrics", "input", "output"):
        if values.get(name) is not None:
            values[name] = content.safe({name: values[name]}).get(name)
    if "tags" in values:
        values["tags"] = tuple(sorted((str(key), str(value)) for key, value in dict(values["tags"]).items()))
    values["labels"] = tuple(values.get("labels") or ())
    try:
        return SessionRecord(**values)
    except TypeError as error:
        raise ValueError(f"{semconv.RECORD} lacks what a session has: {error}") from None
