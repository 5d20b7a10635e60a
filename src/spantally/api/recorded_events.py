"""Events that a program records: to the ledger by the worker, and as log events where somebody listens.

Texts are taken as they are on the caller's thread, which only appends; the worker redacts them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

from spantally.api.events import SEVERITIES
from spantally.calls import pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.calls.json_text import encode
from spantally.calls.shorten import cut
from spantally.calls.telemetry import Telemetry
from spantally.ground import ids, semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import UNPLACED, EventRecord
from spantally.ground.scope import Scope
from spantally.ground.worker import worker

if TYPE_CHECKING:
    from spantally.ledger.contract import Target


class About(NamedTuple):
    """What an evaluation is of; one of them."""

    session: str | None
    call: str | None
    response_id: str | None


WITHHELD: Final = "[REDACTED:error]"


def given_id(session_id: str, kind: str, value: str) -> str:
    """The id of what a program names itself: the same for the same name, in whatever process.

    Args:
        session_id: of the session that it is of.
        kind: what it is.
        value: as the program has it.
    """
    text = f"{session_id}\0{kind}\0{value}".encode("utf-8", "surrogatepass")
    # Longer than ids of our own, so that none is taken for one that tells process and time.
    return f"{ids.GIVEN}{hashlib.blake2b(text, digest_size=16).hexdigest()}"


class LateEvent:
    """An event as the program told it; redacted when its record is made, on the worker."""

    __slots__ = ("_attributes", "_content", "_limit", "_made", "_record", "_telemetry")

    is_event = True
    """Tells it from the late record of a call without making either."""

    def __init__(
        self,
        record: EventRecord,
        attributes: Mapping[str, Any],
        content: Mapping[str, Any],
        telemetry: Telemetry,
    ) -> None:
        self._record = record
        self._attributes = attributes
        self._content = content
        self._limit = telemetry.ledger_limits.attribute
        self._telemetry = telemetry
        self._made: EventRecord | None = None

    def record(self) -> EventRecord:
        """The record, without secrets; made once, for each that asks."""
        if self._made is not None:
            return self._made
        self._made = self._of(self._limit if self._telemetry.keep_explicit else None)
        return self._made

    def exported(self) -> EventRecord:
        """The record as sinks get it: with content where content is exported."""
        telemetry = self._telemetry
        told = telemetry.capture_spans or telemetry.capture_events
        return self._of(telemetry.content_limits.attribute if told else None)

    def _of(self, limit: int | None) -> EventRecord:
        """Redacted; content within its limit, or none."""
        redactor = self._telemetry.redactor
        kept = redacted(self._attributes, redactor)
        if limit is not None:
            kept.update(governed(self._content, redactor, limit))
        return self._record._replace(attributes=kept)


def redacted(attributes: Mapping[str, Any], redactor: Any) -> dict[str, Any]:
    """Redacted values of any shape; a value that cannot be scanned is replaced."""
    safe: dict[str, Any] = {}
    for key, value in attributes.items():
        try:
            name = str(redactor.text(key))
            plain = isinstance(value, (int, float))  # numbers, True and False hold no secret
            safe[name] = value if plain else redactor.value(value, key)
        except Exception as error:
            swallowed("api.event_redaction", error)
            safe[f"withheld.{len(safe)}"] = WITHHELD
    return safe


def safe_type(name: str, redactor: Any) -> str:
    """The type of an event without secrets: a program may have made it of anything."""
    if name in SEVERITIES:
        return name
    try:
        return str(redactor.text(name))
    except Exception as error:
        swallowed("api.event_type", error)
        return WITHHELD


def governed(content: Mapping[str, Any], redactor: Any, limit: int) -> dict[str, Any]:
    """Redacted texts, each cut to its part of the limit; where redaction fails, a mark in their place."""
    if not content:
        return {}
    try:
        safe = redactor.attributes(content)
    except Exception as error:
        swallowed("api.event_redaction", error)
        return dict.fromkeys(content, WITHHELD)
    return {
        key: tuple(cut(one, limit // len(value)) for one in value)
        if isinstance(value, (tuple, list))
        else cut(value, limit)
        for key, value in safe.items()
    }


def note(
    name: str,
    attributes: Mapping[str, Any],
    content: Mapping[str, Any],
    *,
    context: Context,
    scope: Scope | None,
    session_id: str,
    time_ns: int | None = None,
    event_id: str | None = None,
    about: About | None = None,
) -> None:
    """Keep and send an event whose arguments are in order; never raises.

    Args:
        name: of the event.
        attributes: go along always; JSON values.
        content: texts, which the policy governs.
        context: whose current span it belongs to.
        scope: gives agents and the call around; None for what is told from elsewhere.
        session_id: of the session.
        time_ns: when it happened; now, by default.
        event_id: so that it is stored once however often it is told.
        about: what it is of, where that is not what is current: the ledger knows whose that is.
    """
    try:
        telemetry = telemetry_module.active
        now = time.time_ns()
        span = trace.get_current_span(context).get_span_context()
        here = span.is_valid and scope is not None
        told = dict(attributes)
        name = safe_type(name, telemetry.redactor)
        call_id = None if scope is None else scope.call_id
        if about is not None and about.response_id is not None:
            told[semconv.RESPONSE_ID] = about.response_id
        elsewhere = about is not None and scope is None
        if about is not None and elsewhere:
            session_id, call_id = about.session or UNPLACED, about.call
        record = EventRecord(
            event_id=event_id or ids.new_call_id(),
            session_id=session_id,
            type=name,
            time_ns=time_ns or now,
            call_id=call_id,
            agent_path=() if scope is None else scope.agent_path,
            trace_id=f"{span.trace_id:032x}" if here else None,
            span_id=f"{span.span_id:016x}" if here else None,
        )
        pipeline.emit(LateEvent(record, told, content, telemetry))
        if about is None or not elsewhere:
            _send(name, record.event_id, told, content, telemetry, context, time_ns)
        elif telemetry.emit_event is not None and telemetry.emit_event.is_heard(name):
            of_others.put(_LateSend(about, record, told, content, telemetry))
    except Exception as error:
        swallowed("api.recorded_event", error)


class _LateSend(NamedTuple):
    """The log event of an evaluation of something that is not current, to be sent by the worker."""

    about: About
    record: EventRecord
    attributes: Mapping[str, Any]
    content: Mapping[str, Any]
    telemetry: Telemetry

    def send(self) -> None:
        """Send it on the span of what it is of, as far as the ledger of this process knows it."""
        known = _target_of(self.about)
        context = Context()
        whose = {
            semconv.CALL_ID: self.about.call if known is None else known.call_id,
            semconv.SESSION_ID: self.about.session if known is None else known.session_id,
        }
        told = {**self.attributes, **{key: value for key, value in whose.items() if value is not None}}
        if known is not None and known.trace_id and known.span_id:
            span = SpanContext(int(known.trace_id, 16), int(known.span_id, 16), is_remote=True)
            context = trace.set_span_in_context(NonRecordingSpan(span), context)
        record = self.record
        _send(record.type, record.event_id, told, self.content, self.telemetry, context, record.time_ns)


def _target_of(about: About) -> Target | None:
    from spantally.queries.ledger import active_store

    find = getattr(active_store(), "find_target", None)
    if find is None or (about.call is None and about.response_id is None):
        return None
    try:
        found: Target | None = find(about.call, about.response_id)
    except Exception as error:
        swallowed("api.evaluation_target", error)
        return None
    return found


def _send_late(batch: Sequence[_LateSend]) -> None:
    for one in batch:
        try:
            one.send()
        except Exception as error:
            swallowed("api.evaluation_sent", error)


of_others: Final = worker.channel("evaluations_of_others", _send_late)
"""The worker asks the ledger whose they are: nobody's thread waits for that."""


def _send(
    name: str,
    event_id: str,
    attributes: Mapping[str, Any],
    content: Mapping[str, Any],
    telemetry: Telemetry,
    context: Context,
    time_ns: int | None,
) -> None:
    """Send the event to the logger provider, if anybody hears it."""
    emit = telemetry.emit_event
    if emit is None or not emit.is_heard(name):
        return
    sent = {
        key: value if isinstance(value, (str, bool, int, float)) else encode(value)
        for key, value in redacted(attributes, telemetry.redactor).items()
    }
    # Who reads it into a ledger that has it already knows it by its id.
    sent[semconv.ID_OF_EVENT] = event_id
    if telemetry.capture_spans or telemetry.capture_events:
        from spantally.calls.unscanned import without_large  # with it comes the engine

        shown = without_large(telemetry.redactor, dict(content))
        sent.update(governed(shown, telemetry.redactor, telemetry.content_limits.attribute))
    if time_ns is None:
        emit(name, sent, context)
    else:
        emit(name, sent, context, time_ns)


__all__ = ["About", "LateEvent", "given_id", "governed", "note", "redacted"]
