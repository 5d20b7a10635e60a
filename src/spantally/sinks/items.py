"""A finished span as plain data: the one shape that callbacks, filters, log lines and JSON files get."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from spantally.calls import pipeline
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.money import Rating, usd_text
from spantally.ground.records import COUNTED_KINDS, CallRecord, LateEventRecord, LateRecord, Record
from spantally.otel.dialects import facts_of

FIELDS: Final[Mapping[str, str]] = {
    "type": "`span`, `event` or `session`; other types may come, so skip what you do not know",
    "name": "name of the span: `chat gpt-4o`, `invoke_agent planner`; type of the event; name of the "
    "session, or `session`",
    "kind": "`inference`, `embeddings`, `tool`, `agent`, `workflow`, `retrieval`, `memory`, `other`; "
    "`span` for a span that is no GenAI operation; `event`, `session`",
    "operation": "`gen_ai.operation.name`, or null",
    "trace_id": "32 hex digits; null for a session, and an event beside any span",
    "span_id": "16 hex digits; of an event that of the span around it",
    "parent_span_id": "16 hex digits, or null for a root",
    "call_id": "id of the row in the ledger, or null",
    "parent_call_id": "id of the row above, or null",
    "started_at": "RFC 3339, UTC, microseconds, `Z`",
    "ended_at": "likewise",
    "duration_ms": "milliseconds, a number; 0 for an event",
    "status": "`ok`, `error`, `cancelled`, `interrupted`; of a session `succeeded`, `failed`, `cancelled`",
    "status_message": "description of the status, reason of a session, or null",
    "error_type": "`error.type`, or null",
    "session_id": "session, or null",
    "conversation_id": "conversation, or null",
    "user_id": "user, or null",
    "entity_type": "type of the entity, or null",
    "entity_id": "id of the entity, or null",
    "tags": "object of text to text",
    "agent_path": "names of the agents around, outermost first, an agent's own included",
    "provider": "provider of a model call, or null",
    "model": "model that answered, else the one that was asked, or null",
    "input_tokens": "cached ones included; null for what is no model call, and without usage",
    "output_tokens": "reasoning included; null likewise",
    "cost_status": "why there is a cost or none (`priced`, `estimated`, `unknown_model`, `pending`, ...); "
    "null for what costs nothing by itself",
    "cost_nano_usd": "integer nano-USD, or null",
    "cost_usd": 'decimal text, `"0.0012"`, or null',
    "cost_source": "who says so, or null",
    "project": "`service.name`, or null",
    "scope": "instrumentation scope that made the span, or null",
    "attributes": "object: all attributes of the span or event, redacted; metrics of a session",
    "events": "list of objects with `name`, `at` and `attributes`",
}
"""Every field of an item, in order, each present in each item."""

PRICES_SECONDS: Final = 2.0
"""How long a sink waits for the price data, once in a process, so that the first calls have their cost."""

MOST_RECENT: Final = 4096
"""Records of model calls that are remembered, to tell the cost of spans that do not carry it."""

MOST_UNREAD: Final = 256
"""Records that wait to be remembered, with all their content: beyond that the worker reads them."""


class Recent:
    """The records of the latest model calls, by their spans."""

    def __init__(self) -> None:
        self._waiting: deque[Record | LateRecord | LateEventRecord] = deque(maxlen=MOST_RECENT)
        self._known: OrderedDict[tuple[str, str], CallRecord] = OrderedDict()
        self._lock = threading.Lock()
        self._waited = False
        self._asked = False

    def tap(self, record: Record | LateRecord | LateEventRecord) -> None:
        """Note a record: one append, and now and then another."""
        self._waiting.append(record)
        if len(self._waiting) > MOST_UNREAD and not self._asked:
            # Content is dropped when a record is read, as sinks do with each span; without spans nobody does.
            self._asked = True
            pipeline.late.put(self._read)

    def _read(self) -> None:
        self._asked = False
        with self._lock:
            self._take_waiting()

    def _take_waiting(self) -> None:
        while self._waiting:
            try:
                item = self._waiting.popleft()
            except IndexError:
                return
            self._note(item)

    def of(self, trace_id: str, span_id: str) -> CallRecord | None:
        """The record whose span has these ids, if it is remembered; on a sink's thread only."""
        with self._lock:
            self._take_waiting()
            return self._known.get((trace_id, span_id))

    def _note(self, item: Record | LateRecord | LateEventRecord) -> None:
        if isinstance(item, tuple):
            record: Record = item
        elif getattr(item, "is_event", False):
            return
        else:
            record = item.record()
        if not isinstance(record, CallRecord):
            return
        if record.trace_id is None or record.span_id is None or record.kind not in COUNTED_KINDS:
            return
        self._known[record.trace_id, record.span_id] = record._replace(content=None, attributes=None)
        if len(self._known) > MOST_RECENT:
            self._known.popitem(last=False)

    def rating(self, record: CallRecord) -> Rating:
        """What a call cost; waits for the price data the first time, for :data:`PRICES_SECONDS` at most."""
        from spantally import pricing

        if not self._waited:
            loaded = threading.Event()
            pricing.on_loaded(loaded.set)
            pricing.ensure_loading()
            loaded.wait(PRICES_SECONDS)
            self._waited = True
        return pricing.rate_if_loaded(record)

    def forget(self) -> None:
        """In the child of a fork, and at the end."""
        self._lock = threading.Lock()
        self._waiting.clear()
        self._known.clear()


recent: Final = Recent()
"""Those of this process."""


def remember_records() -> None:
    """Note records from now on."""
    pipeline.add_tap(recent.tap)


def forget_records() -> None:
    """Note none from now on."""
    pipeline.remove_tap(recent.tap)
    recent.forget()


def item_of(span: Any) -> dict[str, Any]:
    """The item of a finished span: JSON values only, with every field of :data:`FIELDS`.

    Args:
        span: a ``ReadableSpan``, redacted.
    """
    attributes: Mapping[str, Any] = span.attributes or {}
    context, parent, status = span.get_span_context(), span.parent, span.status
    trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    facts = facts_of(attributes, span.name)
    record = None if facts is None or facts.kind not in COUNTED_KINDS else recent.of(trace_id, span_id)
    path = attributes.get(semconv.AGENT_PATH)
    resource = span.resource.attributes if span.resource is not None else {}
    scope = span.instrumentation_scope
    item: dict[str, Any] = {
        "type": "span",
        "name": span.name,
        "kind": "span" if facts is None else str(facts.kind),
        "operation": None if facts is None else facts.operation,
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": None if parent is None else f"{parent.span_id:016x}",
        "call_id": attributes.get(semconv.CALL_ID) or (None if record is None else record.call_id),
        "parent_call_id": attributes.get(semconv.CALL_PARENT_ID)
        or (None if record is None else record.parent_call_id),
        "started_at": moment(span.start_time),
        "ended_at": moment(span.end_time),
        "duration_ms": None
        if span.start_time is None or span.end_time is None
        else (span.end_time - span.start_time) / 1e6,
        "status": _status(status, record),
        "status_message": None if status is None else status.description,
        "error_type": attributes.get(semconv.ERROR_TYPE),
        "session_id": attributes.get(semconv.SESSION_ID),
        "conversation_id": attributes.get(semconv.CONVERSATION_ID),
        "user_id": attributes.get(semconv.USER_ID),
        "entity_type": attributes.get(semconv.ENTITY_TYPE),
        "entity_id": attributes.get(semconv.ENTITY_ID),
        "tags": {
            key.removeprefix(semconv.TAG_PREFIX): plain(value)
            for key, value in attributes.items()
            if key.startswith(semconv.TAG_PREFIX)
        },
        "agent_path": path.split(" > ") if isinstance(path, str) and path else [],
        "provider": None if facts is None else facts.provider,
        "model": None if facts is None else facts.response_model or facts.request_model,
        **_money(attributes, facts, record),
        "project": _project(resource.get(semconv.SERVICE_NAME)),
        "scope": None if scope is None else scope.name,
        "attributes": {str(key): plain(value) for key, value in attributes.items()},
        "events": [
            {
                "name": event.name,
                "at": moment(event.timestamp),
                "attributes": {str(key): plain(value) for key, value in (event.attributes or {}).items()},
            }
            for event in span.events
        ],
    }
    return {key: plain(value) for key, value in item.items()}


def _project(name: Any) -> str | None:
    """``service.name``; None where nobody set one and the SDK made one up."""
    return name if isinstance(name, str) and not name.startswith("unknown_service") else None


def _status(status: Any, record: CallRecord | None) -> str:
    if record is not None:
        return str(record.status)
    return "error" if getattr(getattr(status, "status_code", None), "name", "") == "ERROR" else "ok"


def _money(attributes: Mapping[str, Any], facts: Any, record: CallRecord | None) -> dict[str, Any]:
    """Tokens and cost: of the row, else as the span has them."""
    counts = facts is not None and facts.kind in COUNTED_KINDS
    found: dict[str, Any] = {
        "input_tokens": attributes.get(semconv.USAGE_INPUT_TOKENS) if counts else None,
        "output_tokens": attributes.get(semconv.USAGE_OUTPUT_TOKENS) if counts else None,
        "cost_status": attributes.get(semconv.COST_STATUS),
        "cost_nano_usd": attributes.get(semconv.COST_NANO_USD),
        "cost_source": attributes.get(semconv.COST_SOURCE),
    }
    if record is not None:
        try:
            rating = recent.rating(record)
            if rating.parts is not None:
                found["input_tokens"] = rating.parts.input_total
                found["output_tokens"] = rating.parts.output_total
            if found["cost_status"] is None:
                found["cost_status"] = str(rating.status)
                found["cost_nano_usd"] = rating.nano_usd
                found["cost_source"] = rating.source if rating.nano_usd is not None else None
        except Exception as error:
            swallowed("sinks.cost", error)
    nano = found["cost_nano_usd"]
    found["cost_usd"] = usd_text(nano) if isinstance(nano, int) else None
    return {
        name: found[name]
        for name in (
            "input_tokens",
            "output_tokens",
            "cost_status",
            "cost_nano_usd",
            "cost_usd",
            "cost_source",
        )
    }


def moment(ns: int | None) -> str | None:
    """A time as RFC 3339."""
    if ns is None:
        return None
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def plain(value: Any) -> Any:
    """A value of a span as JSON: numbers that are not finite become texts, bytes their length."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (bytes, bytearray)):
        return f"[{len(value)} bytes]"
    return type(value).__name__
