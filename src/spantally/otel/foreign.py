"""From a finished span of anybody's instrumentor to the row of the ledger.

Only what the conventions carry is read. The row's id is the call id that our instrumentors write onto
their spans, else one derived from trace id and span id: however often a span is delivered, it is one row.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from spantally.calls import implicit as calls_implicit
from spantally.calls.json_text import printable
from spantally.calls.telemetry import SCOPE_NAME, Telemetry
from spantally.ground import ids, semconv
from spantally.ground.billing import is_server_error
from spantally.ground.errors import SettingsError
from spantally.ground.records import COUNTED_KINDS, CallRecord, Kind, LinkRecord, Precedence, Status
from spantally.ground.scope import Scope
from spantally.ground.session_state import SessionState, remember_session
from spantally.ground.setting_values import parse_id
from spantally.otel.dialects import LATER_READING, Facts
from spantally.otel.dialects_providers import is_loopback
from spantally.otel.finish_reasons import finish_reasons_of
from spantally.otel.implicit import scope_of_trace
from spantally.otel.lineage import SpanState, own_call_id

NATIVE_SCOPES: Final = (SCOPE_NAME, "com.anthropic.sdk.python", "mcp-python-sdk", "pydantic-ai")
"""How scopes of spans begin that an SDK (or we) made by itself, not somebody's patch of it."""

PATH_SEPARATOR: Final = " > "

_CANCELLED: Final = ("cancelled", "canceled")
_MAYBE_BILLED: Final = (
    "timeout",
    "timedout",
    "interrupted",
    "connectionreset",
    "remoteprotocol",
    "readerror",
)
_LOCAL_ERRORS: Final = frozenset({"TypeError", "ValueError", "builtins.TypeError", "builtins.ValueError"})
_MAX_KEPT: Final = 65536


def scope_of_span(
    attributes: Mapping[str, Any], facts: Facts, state: SpanState | None, trace_id: int, telemetry: Telemetry
) -> Scope:
    """Whose the call is: the scope at its start, the session it names itself, or the implicit one."""
    if state is not None and state.scope is not None:
        named = attributes.get(semconv.SESSION_ID)
        if not state.scope.session.implicit or named in (None, state.scope.session.session_id):
            return state.scope
    named_scope = _named_scope(attributes)
    if named_scope is not None:
        return named_scope
    if state is not None and state.scope is not None:
        return state.scope
    traced = scope_of_trace(trace_id)
    if traced is not None:
        return traced
    return calls_implicit.implicit_scope(otel_context.get_current(), telemetry, facts.conversation_id)


def _named_scope(attributes: Mapping[str, Any]) -> Scope | None:
    """The scope that a span's own attributes describe, where no ``session()`` of this process does."""
    session_id = named_session(attributes)
    if session_id is None:
        return None
    state = remember_session(SessionState(session_id, start_ns=time.time_ns(), implicit=True))
    return Scope(
        state,
        user_id=attributes.get(semconv.USER_ID),
        entity_type=attributes.get(semconv.ENTITY_TYPE),
        entity_id=attributes.get(semconv.ENTITY_ID),
        tags=tags_of(attributes),
    )


def named_session(attributes: Mapping[str, Any]) -> str | None:
    """The session that attributes name, if it is an id that may be one."""
    try:
        return parse_id(semconv.SESSION_ID, attributes.get(semconv.SESSION_ID))
    except SettingsError:
        return None


def tags_of(attributes: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Tags that attributes carry, by key."""
    return tuple(
        sorted(
            (key[len(semconv.TAG_PREFIX) :], value)
            for key, value in attributes.items()
            if key.startswith(semconv.TAG_PREFIX) and isinstance(value, str)
        )
    )


class SpanView(NamedTuple):
    """What of a finished span, live or read from a file, its row needs beside its attributes."""

    trace_id: str
    """32 hex digits."""
    span_id: str
    """16 hex digits."""
    parent_span_id: str | None
    start_ns: int
    end_ns: int | None
    failed: bool
    """Its status is ERROR."""
    exception_type: str | None
    """Of the first exception among its events."""
    scope_name: str | None
    project: str | None


class Whose(NamedTuple):
    """Whose the call is."""

    session_id: str
    implicit: bool
    session_name: str | None
    conversation_id: str | None
    user_id: str | None
    entity_type: str | None
    entity_id: str | None
    tags: tuple[tuple[str, str], ...]


class Position(NamedTuple):
    """What stands around a call."""

    agent_path: tuple[str, ...] = ()
    run_id: str | None = None
    tool: str | None = None
    parent_call_id: str | None = None


def call_record(
    span: ReadableSpan,
    attributes: Mapping[str, Any],
    facts: Facts,
    state: SpanState | None,
    telemetry: Telemetry,
) -> tuple[CallRecord, Scope]:
    """The row of a finished GenAI span, and the scope it belongs to.

    Args:
        span: as ``on_end`` gets it, redacted.
        attributes: its attributes.
        facts: what its dialect read from them.
        state: what it inherited in this process, if it began here.
        telemetry: gives project, fallbacks and what content may be kept.
    """
    context = span.get_span_context()
    assert context is not None
    scope = scope_of_span(attributes, facts, state, context.trace_id, telemetry)
    failed = span.status.status_code is StatusCode.ERROR
    view = SpanView(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_span_id=None if span.parent is None else f"{span.parent.span_id:016x}",
        start_ns=span.start_time or 0,
        end_ns=span.end_time,
        failed=failed,
        exception_type=_exception_type(span) if failed else None,
        scope_name=None if span.instrumentation_scope is None else span.instrumentation_scope.name,
        project=project_of(span.resource.attributes) or telemetry.project,
    )
    call_id = (state.call_id if state is not None else None) or call_id_of(view, attributes)
    position = _position(attributes, facts, state, scope, call_id)
    session = scope.session
    whose = Whose(
        session.session_id,
        session.implicit,
        session.name,
        scope.conversation_id,
        scope.user_id,
        scope.entity_type,
        scope.entity_id,
        scope.tags,
    )
    content = content_of(attributes, telemetry.ledger_limits.span) if telemetry.keep_content else None
    return row_of(view, attributes, facts, call_id, whose, position)._replace(content=content), scope


def call_id_of(view: SpanView, attributes: Mapping[str, Any]) -> str:
    """The call id that our instrumentors wrote, else one derived from trace id and span id."""
    return own_call_id(attributes) or ids.foreign_call_id(view.trace_id, view.span_id)


def row_of(
    view: SpanView,
    attributes: Mapping[str, Any],
    facts: Facts,
    call_id: str,
    whose: Whose,
    position: Position,
) -> CallRecord:
    """The row of a finished GenAI span, without its content.

    Args:
        view: of the span.
        attributes: its attributes.
        facts: what its dialect read from them.
        call_id: of the row.
        whose: its session, user, entity and tags.
        position: what stands around it; an agent's path ends with itself.
    """
    scope_name = view.scope_name
    status, error_type = _outcome(view, attributes)
    abandoned = attributes.get(semconv.CALL_ABANDONED) is True
    kind = Kind.OTHER if _never_sent(facts, status, error_type) else facts.kind
    billed = kind in COUNTED_KINDS and attributes.get(semconv.CALL_POSSIBLY_BILLED) is True
    context = _price_context(facts, scope_name)
    made = CallRecord(
        call_id=call_id,
        session_id=whose.session_id,
        kind=kind,
        operation=facts.operation,
        start_ns=view.start_ns,
        # A clock that was set back in between makes no call that took less than nothing.
        end_ns=None if view.end_ns is None else max(view.end_ns, view.start_ns),
        status=status,
        precedence=Precedence.NATIVE if _is_native(scope_name) else Precedence.FOREIGN,
        parent_call_id=position.parent_call_id,
        trace_id=view.trace_id,
        span_id=view.span_id,
        parent_span_id=view.parent_span_id,
        implicit_session=whose.implicit,
        session_name=whose.session_name,
        conversation_id=facts.conversation_id or whose.conversation_id,
        user_id=whose.user_id,
        entity_type=whose.entity_type,
        entity_id=whose.entity_id,
        tags=whose.tags,
        name=facts.name,
        provider=facts.provider,
        request_model=facts.request_model,
        response_model=facts.response_model,
        response_id=facts.response_id,
        first_chunk_ns=facts.first_chunk_ns,
        error_type=error_type,
        abandoned=abandoned,
        attempts=_attempts(attributes),
        possibly_billed=billed or _possibly_billed(kind, status, error_type, abandoned, facts),
        usage=facts.usage,
        usage_format=facts.usage_format,
        # The usage is that of the last attempt: there was one before it.
        price_context={**(context or {}), "lost_attempts": 1} if billed and facts.usage else context,
        estimated=facts.estimated,
        agent_path=position.agent_path,
        run_id=position.run_id,
        tool=position.tool,
        turn=_is_turn(attributes, kind, position.run_id, call_id),
        tool_call_id=facts.tool_call_id,
        project=view.project,
        # A second view of the call that began it, as where it was made.
        scope_name=f"{scope_name}/{call_id}"
        if kind == Kind.INFERENCE and facts.operation == LATER_READING
        else scope_name,
        server_address=facts.server_address,
        server_port=facts.server_port,
        # An agent's span has those of its last call: they are that call's.
        finish_reasons=finish_reasons_of(attributes) if kind in COUNTED_KINDS else (),
    )
    return made if all(map(_is_whole, made)) else CallRecord(*map(_whole, made))


def _is_whole(value: Any) -> bool:
    """True for what can hold no half of a surrogate pair, which the database has no form for."""
    if type(value) is tuple:
        return all(map(_is_whole, value))
    return type(value) is not str or value.isascii()


def _whole(value: Any) -> Any:
    """A field whose texts, those in a tuple too, have a question mark for each half of a surrogate pair."""
    if isinstance(value, str):
        return printable(value)
    return tuple(map(_whole, value)) if type(value) is tuple else value


def _is_native(scope_name: str | None) -> bool:
    """True for a scope of an SDK's own; clients of clouds put the cloud's name behind."""
    return scope_name is not None and scope_name.startswith(NATIVE_SCOPES)


def _price_context(facts: Facts, scope_name: str | None) -> Mapping[str, Any] | None:
    """What chooses the rate.

    Frameworks call each host that speaks OpenAI's API ``openai``, and Anthropic's SDK each gateway
    ``anthropic``. Of rows that an SDK made by itself the rater takes the provider's word, so a host that is
    somebody else's is told here.
    """
    host = facts.server_address
    if scope_name == SCOPE_NAME or not _is_native(scope_name):
        return facts.price_context
    domain = _DOMAINS.get(facts.provider or "")
    if domain is None or host is None or is_loopback(host) or f".{host.lower()}".endswith(domain):
        return facts.price_context
    return {**(facts.price_context or {}), "provider": ""}


_DOMAINS: Final[Mapping[str, str]] = {"openai": ".openai.com", "anthropic": ".anthropic.com"}
"""Providers whose name stands for the API that a host speaks, and the domain of their own hosts."""


def _position(
    attributes: Mapping[str, Any], facts: Facts, state: SpanState | None, scope: Scope, call_id: str
) -> Position:
    """Agent path, run, tool and parent call: inherited in this process, else as our own span tells."""
    written = _text(attributes, semconv.CALL_PARENT_ID)
    if state is not None:
        path, run_id, tool = state.agent_path, state.run_id, state.tool
        parent_call_id = written or state.parent_call_id
    else:
        path, run_id, tool = scope.agent_path, scope.run_id, scope.tool
        parent_call_id = written or scope.call_id
    return placed(attributes, facts, Position(path, run_id, tool, parent_call_id), call_id)


def placed(attributes: Mapping[str, Any], facts: Facts, around: Position, call_id: str) -> Position:
    """The position of a call, from that around it and what its own attributes say.

    Args:
        attributes: of its span.
        facts: what its dialect read from them.
        around: what its ancestors hand down.
        call_id: its own.
    """
    path, run_id, tool, parent_call_id = around
    text = None if path else _text(attributes, semconv.AGENT_PATH)
    if text is not None:
        path = tuple(text.split(PATH_SEPARATOR))  # of an agent of ours it ends with the agent itself
    if facts.kind == Kind.AGENT:
        if facts.name and (text is None or path[-1] != facts.name):
            path = (*path, facts.name)
        run_id = run_id or call_id
    elif facts.kind == Kind.TOOL:
        tool = facts.name or tool
    return Position(path, run_id, tool, parent_call_id)


def _outcome(view: SpanView, attributes: Mapping[str, Any]) -> tuple[str, str | None]:
    error_type = _text(attributes, semconv.ERROR_TYPE)
    if not view.failed:
        return Status.OK, error_type
    if error_type is None:
        error_type = view.exception_type or "_OTHER"
    lowered = error_type.lower()
    if any(word in lowered for word in _CANCELLED):
        return Status.CANCELLED, error_type
    return (Status.INTERRUPTED if lowered == "interrupted" else Status.ERROR), error_type


def _never_sent(facts: Facts, status: str, error_type: str | None) -> bool:
    """True for a call that the SDK refused by itself: its arguments were wrong, nobody was asked."""
    return (
        status == Status.ERROR
        and error_type in _LOCAL_ERRORS
        and facts.kind in COUNTED_KINDS
        and facts.usage is None
        and facts.response_id is None
    )


def _exception_type(span: ReadableSpan) -> str | None:
    for event in span.events:
        found = (event.attributes or {}).get(semconv.EXCEPTION_TYPE)
        if isinstance(found, str) and found:
            return found
    return None


def _attempts(attributes: Mapping[str, Any]) -> int:
    told = attributes.get(semconv.CALL_ATTEMPTS)
    return told if type(told) is int and 1 < told <= _MOST_ATTEMPTS else 1


_MOST_ATTEMPTS: Final = 1_000_000


def _possibly_billed(kind: str, status: str, error_type: str | None, abandoned: bool, facts: Facts) -> bool:
    """A request that went out and ended without usage: left early, cancelled, lost, or by a server error."""
    if kind not in COUNTED_KINDS or facts.usage is not None:
        return False
    if abandoned or status in (Status.CANCELLED, Status.INTERRUPTED):
        return True
    lowered = (error_type or "").lower()
    return status == Status.ERROR and (
        any(word in lowered for word in _MAYBE_BILLED) or is_server_error(error_type or "")
    )


def _is_turn(attributes: Mapping[str, Any], kind: str, run_id: str | None, call_id: str) -> bool:
    if kind == Kind.AGENT:
        return run_id == call_id
    if kind != Kind.INFERENCE or run_id is not None:
        return False
    messages = attributes.get(semconv.INPUT_MESSAGES)
    if not isinstance(messages, str) or len(messages) > _MAX_KEPT:
        return False
    try:
        parsed = json.loads(messages)
        return bool(parsed) and parsed[-1].get("role") == "user"
    except (ValueError, AttributeError, TypeError, KeyError):
        return False


def project_of(resource: Mapping[str, Any]) -> str | None:
    """The program that a resource names; None where it names none."""
    name = resource.get(semconv.SERVICE_NAME)
    if isinstance(name, str) and name and not name.startswith("unknown_service"):
        return name
    return None


def _text(attributes: Mapping[str, Any], key: str) -> str | None:
    value = attributes.get(key)
    return value if isinstance(value, str) and value else None


CONTENT_KEYS: Final[Mapping[str, str]] = {
    "input": semconv.INPUT_MESSAGES,
    "output": semconv.OUTPUT_MESSAGES,
    "system": semconv.SYSTEM_INSTRUCTIONS,
    "arguments": semconv.TOOL_CALL_ARGUMENTS,
    "result": semconv.TOOL_CALL_RESULT,
}


def content_of(attributes: Mapping[str, Any], most: int) -> Mapping[str, Any] | None:
    """Messages, arguments and results as the ledger keeps them.

    Args:
        attributes: of a span, redacted.
        most: what all of them may take.
    """
    found = {name: attributes[key] for name, key in CONTENT_KEYS.items() if attributes.get(key) is not None}
    if not found:
        return None
    from spantally.calls.payload import others

    return others(found, most)


def link_record(span: ReadableSpan) -> LinkRecord | None:
    """The parent link of a span that is no GenAI operation."""
    context = span.get_span_context()
    if context is None or span.parent is None:
        return None
    return LinkRecord(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_span_id=f"{span.parent.span_id:016x}",
        end_ns=span.end_time or 0,
    )
