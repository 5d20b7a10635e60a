"""Rows of a ledger back to spans, as the SDK's exporters take them.

A span has the ids, parent, times and status of the live one, the attributes of the conventions as far as the
ledger knows them, and the row itself in ``spantally.record``. A row that never had a span (the program ran
without an SDK) gets ids that follow from its call id and from the session at the top, so that each export
gives the same ones and the session is one trace.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from spantally.calls.telemetry import SCOPE_NAME
from spantally.exchange.carried import packed, told
from spantally.ground import semconv
from spantally.ground.money import Rating, UsageParts
from spantally.ground.records import CallRecord, EventRecord, Kind, LinkRecord, possibly_billed
from spantally.ground.records import Status as RowStatus
from spantally.ledger.sqlite.read_agents import Beneath
from spantally.ledger.sqlite.read_whole import Place
from spantally.ledger.tally import Row
from spantally.otel.dialects_genai import NAME_KEYS
from spantally.otel.foreign import CONTENT_KEYS, PATH_SEPARATOR

_CLIENTS: Final = frozenset({Kind.INFERENCE, Kind.EMBEDDINGS})
_FAILED: Final = frozenset({RowStatus.ERROR, RowStatus.CANCELLED, RowStatus.INTERRUPTED})
_NAMES: Final[Mapping[str, str]] = {**NAME_KEYS, Kind.RETRIEVAL: semconv.DATA_SOURCE_ID}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNKNOWN: Final = "unknown_service"
"""What the conventions call a service that nobody has named."""


def ids_of(place: Place | CallRecord, top: str) -> tuple[str, str]:
    """Trace id and span id of a row in hex: its own, else those that follow from call id and session.

    Args:
        place: the row.
        top: id of the session at the top of its own.
    """
    trace_id = place.trace_id or hashlib.blake2b(top.encode(), digest_size=16, person=b"trace").hexdigest()
    span_id = (
        place.span_id or hashlib.blake2b(place.call_id.encode(), digest_size=8, person=b"span").hexdigest()
    )
    return trace_id, span_id


def span_of(
    row: Row,
    *,
    top: str,
    above: Place | None,
    links: Sequence[LinkRecord],
    events: Sequence[EventRecord],
    beneath: Beneath | None,
    project: str | None,
) -> ReadableSpan:
    """The span of a row.

    Args:
        row: has ended.
        top: id of the session at the top of its own.
        above: the row around it, as readers show it.
        links: of the spans between both that are no operation.
        events: that belong to the row; on the span a viewer shows them.
        beneath: what the calls beneath an agent used.
        project: of its session.
    """
    record = row.record
    trace_id, span_id = ids_of(record, top)
    if record.trace_id is None and above is not None:
        trace_id = ids_of(above, top)[0]
    end = record.start_ns if record.end_ns is None else max(record.end_ns, record.start_ns)
    return ReadableSpan(
        name=_title(record),
        context=_context(trace_id, span_id),
        parent=_parent(record, above, trace_id, top),
        resource=resource_of(record.project or project),
        attributes=_attributes(row, links, beneath),
        events=[Event(one.type, spoken(one.attributes or {}), one.time_ns) for one in events],
        kind=SpanKind.CLIENT if record.kind in _CLIENTS else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, record.error_type)
        if record.status in _FAILED
        else Status(StatusCode.UNSET),
        start_time=record.start_ns,
        end_time=end,
        instrumentation_scope=_scope(record.scope_name or SCOPE_NAME),
    )


@lru_cache(maxsize=256)
def resource_of(project: str | None) -> Resource:
    """The resource of the program that made a row."""
    return Resource({semconv.SERVICE_NAME: project or _UNKNOWN})


@lru_cache(maxsize=256)
def _scope(name: str) -> InstrumentationScope:
    # The attributes are those of the newest conventions, whatever the program emitted.
    return InstrumentationScope(name, schema_url=semconv.SCHEMA_URLS["latest"])


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=_SAMPLED)


def _parent(record: CallRecord, above: Place | None, trace_id: str, top: str) -> SpanContext | None:
    """The span around: that of the row around, else the one that the live span named."""
    if above is not None:
        around = ids_of(above, top)
        if around[0] == trace_id:
            return _context(*around)
    if record.trace_id and record.parent_span_id and record.parent_span_id != record.span_id:
        return _context(record.trace_id, record.parent_span_id)
    return None


def _title(record: CallRecord) -> str:
    subject = record.name if record.kind in _NAMES else record.request_model or record.response_model
    return f"{record.operation} {subject}" if subject else record.operation


def _attributes(row: Row, links: Sequence[LinkRecord], beneath: Beneath | None) -> dict[str, Any]:
    record, rating = row.record, row.rating
    genai = semconv.is_operation(record.operation, {})
    found: dict[str, Any] = {
        semconv.CALL_ID: record.call_id,
        semconv.CALL_PARENT_ID: record.parent_call_id,
        **_whose(record),
        **(_genai(record) if genai else {}),
        semconv.ERROR_TYPE: record.error_type,
        semconv.SERVER_ADDRESS: record.server_address,
        semconv.SERVER_PORT: record.server_port,
        semconv.CALL_ABANDONED: True if record.abandoned else None,
        semconv.CALL_ATTEMPTS: record.attempts if record.attempts > 1 else None,
        semconv.CALL_POSSIBLY_BILLED: True if possibly_billed(record) else None,
    }
    if rating is not None:
        found.update(_cost(rating))
        if rating.parts is not None and genai:
            found.update(_usage(rating.parts, reported=rating.cache_reported))
    if beneath is not None and genai:
        found.update(_rolled_up(beneath, record.request_model))
    if record.content is not None:
        found.update(_content(record.content))
    found[semconv.RECORD] = packed(row, links)
    return {key: value for key, value in found.items() if value is not None}


def _whose(record: CallRecord) -> dict[str, Any]:
    return {
        semconv.SESSION_ID: record.session_id,
        semconv.USER_ID: record.user_id,
        semconv.ENTITY_TYPE: record.entity_type,
        semconv.ENTITY_ID: record.entity_id,
        **{semconv.TAG_PREFIX + key: value for key, value in record.tags},
    }


def _genai(record: CallRecord) -> dict[str, Any]:
    """What only a GenAI span has: a viewer takes any span with such a key for one."""
    path = record.agent_path
    first = record.first_chunk_ns
    found: dict[str, Any] = {
        semconv.OPERATION_NAME: record.operation,
        semconv.PROVIDER_NAME: record.provider,
        semconv.CONVERSATION_ID: record.conversation_id,
        semconv.REQUEST_MODEL: record.request_model,
        semconv.RESPONSE_MODEL: record.response_model,
        semconv.RESPONSE_ID: record.response_id,
        semconv.RESPONSE_FINISH_REASONS: record.finish_reasons or None,
        semconv.RESPONSE_TIME_TO_FIRST_CHUNK: None if first is None else first / 1e9,
        semconv.TOOL_CALL_ID: record.tool_call_id,
    }
    if path:
        found[semconv.AGENT_PATH] = PATH_SEPARATOR.join(path)
        found[semconv.AGENT_NAME] = path[-1]
    if record.kind in _NAMES and record.name:
        found[_NAMES[record.kind]] = record.name
    return found


def _cost(rating: Rating) -> dict[str, Any]:
    nano = rating.nano_usd
    return {
        semconv.COST_STATUS: str(rating.status),
        semconv.COST_NANO_USD: nano,
        semconv.COST_USD: None if nano is None else nano / 1e9,
        semconv.COST_SOURCE: rating.source,
    }


def _usage(parts: UsageParts, *, reported: bool) -> dict[str, Any]:
    read = parts.cache_read + parts.cache_audio_read + parts.cache_image_read + parts.cache_video_read
    return {
        semconv.USAGE_INPUT_TOKENS: parts.input_total,
        semconv.USAGE_OUTPUT_TOKENS: parts.output_total,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: read if read or reported else None,
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: (parts.cache_write_5m + parts.cache_write_1h) or None,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: parts.reasoning or None,
        semconv.USAGE: json.dumps(told(parts), separators=(",", ":")),
    }


def _rolled_up(beneath: Beneath, model: str | None) -> dict[str, Any]:
    """What an agent's span says of the calls beneath it, as :mod:`spantally.calls.rollup` does live."""
    return {
        semconv.USAGE_INPUT_TOKENS: beneath.input_tokens,
        semconv.USAGE_OUTPUT_TOKENS: beneath.output_tokens,
        semconv.USAGE_UNKNOWN_CALLS: beneath.unknown or None,
        semconv.REQUEST_MODEL: model or beneath.model,
        semconv.RESPONSE_FINISH_REASONS: beneath.finish_reasons or None,
    }


def _content(content: Mapping[str, Any]) -> dict[str, Any]:
    """Content under the attributes of the conventions; what these cannot carry as it is, beside them."""
    found: dict[str, Any] = {}
    apart: dict[str, Any] = {}
    for name, value in content.items():
        key = CONTENT_KEYS.get(name)
        if key is None or type(value) is not str:
            apart[name] = value
        if key is not None:
            found[key] = value if type(value) is str else json.dumps(value)
    if apart:
        found[semconv.RECORD_CONTENT] = json.dumps(apart, separators=(",", ":"))
    return found


def spoken(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of an event as those of spans may be: what is neither text nor number as JSON."""
    return {
        key: value if isinstance(value, (str, bool, int, float)) else json.dumps(value)
        for key, value in attributes.items()
        if value is not None
    }
