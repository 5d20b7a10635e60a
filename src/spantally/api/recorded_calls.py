"""Calls and tools that a program records itself: rows, spans, redaction and rating as of automatic ones."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from spantally.api.record_arguments import parse_name
from spantally.api.recorded_usage import Usage, usage_of
from spantally.calls import starting
from spantally.calls import telemetry as telemetry_module
from spantally.calls.operation import MAX_MESSAGE, SPAN_KEY, Operation
from spantally.calls.plans import Plan
from spantally.calls.shorten import cut
from spantally.ground import semconv
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.finish_reasons import respelled
from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord, Kind, Status, UsageFormat
from spantally.ground.scope import with_values

OPERATIONS: Final[Mapping[str, Kind]] = {
    "chat": Kind.INFERENCE,
    "text_completion": Kind.INFERENCE,
    "generate_content": Kind.INFERENCE,
    "embeddings": Kind.EMBEDDINGS,
}
_NAME_OF_ERROR: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}")

MOST_REMEMBERED: Final = 100_000
_recorded: dict[str, None] = {}
_recorded_before: dict[str, None] = {}


def is_repeated(ident: str) -> bool:
    """Whether this process has recorded the id before; it is remembered as recorded."""
    global _recorded, _recorded_before
    if ident in _recorded or ident in _recorded_before:
        return True
    _recorded[ident] = None
    if len(_recorded) >= MOST_REMEMBERED:
        _recorded_before, _recorded = _recorded, {}
    return False


class Recorded(NamedTuple):
    """What is common to recorded calls and tools; arguments that are in order."""

    call_id: str | None
    """None for one that the program does not name."""
    start_ns: int | None
    latency_ms: float | None
    error: BaseException | str | None


class RecordedCall(NamedTuple):
    """What a program says of a call; arguments that are in order."""

    operation: str
    provider: str | None
    model: str
    response_model: str | None
    response_id: str | None
    service_tier: str | None
    finish_reason: str | None
    usage: Usage


def checked_call(
    operation: object,
    names: Mapping[str, object],
    counts: Mapping[str, object],
    usage: object,
    cost_usd: object,
) -> RecordedCall:
    """The arguments of ``record_call``, checked.

    Args:
        operation: one of :data:`OPERATIONS`.
        names: of provider, models, response, service tier and finish reason, by argument.
        counts: of tokens.
        usage: the provider's usage object, in their place.
        cost_usd: what it cost.

    Raises:
        ArgumentError: (or SettingsError, both ValueErrors) for a wrong one.
    """
    if not isinstance(names["model"], str):
        raise ArgumentError(f"record_call(model={shown(names['model'])}): use the model's name")
    known = checked_names(**names)
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise ArgumentError(f"record_call(operation={shown(operation)}): use one of {', '.join(OPERATIONS)}")
    used = usage_of(known["provider"], usage, counts, cost_usd)
    return RecordedCall(
        operation,
        known["provider"],
        known["model"] or "",
        known["response_model"],
        known["response_id"],
        known["service_tier"],
        None if known["finish_reason"] is None else respelled(known["finish_reason"]),
        used,
    )


def record_call(context: Context, what: Recorded, call: RecordedCall, content: tuple[Any, Any]) -> str | None:
    """Record a call whose arguments are in order; never raises.

    Args:
        context: that it belongs to.
        what: its id, times and error.
        call: what is said of it.
        content: what was sent, and what was answered.

    Returns:
        Its id; None where nothing was recorded.
    """
    told = ((semconv.PROVIDER_NAME, call.provider), (semconv.REQUEST_MODEL, call.model))
    plan = Plan(
        OPERATIONS[call.operation],
        call.operation,
        subject=call.model,
        span_kind=SpanKind.CLIENT,
        attributes={name: value for name, value in told if value is not None},
    )
    made = _begin(context, plan, what, None)
    if made is None:
        return None
    try:
        _fill_call(made, call)
        for key, name, role, value in (
            (semconv.INPUT_MESSAGES, "input", "user", content[0]),
            (semconv.OUTPUT_MESSAGES, "output", "assistant", content[1]),
        ):
            if value is not None:
                _put_messages(made, key, name, _messages(value, role), call.finish_reason)
        made.turn = made.kind == Kind.INFERENCE and made.scope.run_id is None and _is_users(content[0])
    except Exception as error:
        swallowed("api.record_call", error)
    return _end(made, what)


def _fill_call(made: Operation, call: RecordedCall) -> None:
    """Put onto an operation what is said of it."""
    made.provider = call.provider
    made.request_model = call.model
    made.response_model = call.response_model
    made.response_id = call.response_id
    made.usage = call.usage.raw
    made.usage_format = call.usage.usage_format
    made.price_context = None if call.service_tier is None else {"service_tier": call.service_tier}
    put = made.end_attributes
    put.update(call.usage.attributes)
    if call.response_model is not None:
        put[semconv.RESPONSE_MODEL] = call.response_model
    if call.response_id is not None:
        put[semconv.RESPONSE_ID] = call.response_id
    if call.finish_reason is not None:
        put[semconv.RESPONSE_FINISH_REASONS] = (call.finish_reason,)


def record_tool(
    context: Context,
    what: Recorded,
    *,
    name: str,
    tool_call_id: str | None,
    given: Any,
    output: Any,
    reasoning: str | None,
    cost: int | None,
) -> str | None:
    """Record a tool's execution whose arguments are in order; never raises.

    Returns:
        Its id; None where nothing was recorded.
    """
    attributes = {semconv.TOOL_NAME: name, semconv.TOOL_TYPE: "function"}
    paid = cost is not None
    plan = Plan(Kind.TOOL, "execute_tool", subject=name, attributes=attributes, paid=paid)
    made = _begin(context, plan, what, name)
    if made is None:
        return None
    try:
        if paid:
            made.usage, made.usage_format = {"cost_nano_usd": cost}, UsageFormat.RECORDED
        if tool_call_id is not None:
            made.tool_call_id = tool_call_id
            made.end_attributes[semconv.TOOL_CALL_ID] = tool_call_id
        for key, kept, value in (
            (semconv.TOOL_CALL_ARGUMENTS, "arguments", given),
            (semconv.TOOL_CALL_RESULT, "result", output),
            (semconv.TOOL_REASONING, "reasoning", reasoning),
        ):
            if value is not None:
                _put(made, key, kept, value)
    except Exception as error:
        swallowed("api.record_tool", error)
    return _end(made, what)


class _Untimed(Operation):
    """A recorded operation of which nobody said how long it took: its row has no duration."""

    __slots__ = ()

    def _record(self, *args: Any) -> CallRecord:
        return super()._record(*args)._replace(end_ns=None)


def _begin(context: Context, plan: Plan, what: Recorded, name: str | None) -> Operation | None:
    """Begin an operation that is over: its id and its times are known."""
    start_ns, _ = _times(what)
    made = starting.start(
        telemetry_module.active,
        plan,
        name=name,
        start_ns=start_ns,
        within=lambda _: _without_later_span(context, start_ns),
        takes_announced=False,
        call_id=what.call_id,
    )
    if made is not None:
        made.start_ns = start_ns  # of a hidden one, too: it is priced at the rates of its time
        if what.latency_ms is None and not made.hidden:
            made.__class__ = _Untimed
    return made


def _times(what: Recorded) -> tuple[int, int]:
    """Start and end by what was given; without any of it the call has just ended, and took no time."""
    took = 0 if what.latency_ms is None else round(what.latency_ms * 1e6)
    if what.start_ns is not None:
        return what.start_ns, what.start_ns + took
    now = time.time_ns()
    return now - took, now


def _without_later_span(context: Context, start_ns: int) -> Context:
    """The Context without a current span that began after the call did: it is no part of that."""
    began = getattr(trace.get_current_span(context), "start_time", None)
    if isinstance(began, int) and start_ns < began:
        return with_values(context, {SPAN_KEY: None})
    return context


def _end(made: Operation, what: Recorded) -> str:
    start_ns, end_ns = _times(what)
    end, error = made.start_ns + (end_ns - start_ns), what.error
    if error is None:
        made.finish(Status.OK, end_ns=end)
    elif isinstance(error, BaseException):
        made.finish(Status.ERROR, error=error, end_ns=end)
    elif _NAME_OF_ERROR.fullmatch(error):
        made.finish(Status.ERROR, error_type=error, end_ns=end)
    else:
        try:
            _keep_error(made, error)
        except Exception as failure:
            swallowed("api.record_error", failure)
        made.finish(Status.ERROR, error=_SaidError(error), error_type="_OTHER", end_ns=end)
    return made.call_id


class _SaidError(Exception):
    """Carries the text of an error to the span, which shows it where content is captured."""


def _keep_error(made: Operation, text: str) -> None:
    telemetry = made.telemetry
    if not made.hidden and (telemetry.keep_explicit or telemetry.keep_content):
        safe = cut(telemetry.redactor.text(text), MAX_MESSAGE)
        made.content = {**(made.content or {}), "error": safe}


def _put_messages(
    made: Operation, key: str, name: str, messages: list[dict[str, Any]], finish_reason: str | None
) -> None:
    from spantally.calls.work_messages import put_messages

    if not made.hidden:
        put_messages(made, key, name, messages, finish_reason=finish_reason)


def _put(made: Operation, key: str, name: str, value: Any) -> None:
    from spantally.calls.work_values import put  # a lot to load for a program that records no content

    if not made.hidden:
        put(made, key, name, value, given=True)


def _messages(value: Any, role: str) -> list[dict[str, Any]]:
    """Messages in the form of the conventions: of a text, of what chat APIs take, or in that form already."""
    return [_message(one, role) for one in (value if isinstance(value, (list, tuple)) else [value])]


def _message(one: Any, role: str) -> dict[str, Any]:
    if not isinstance(one, Mapping) or not one.keys() & {"parts", "content", "tool_calls"}:
        return {"role": role, "parts": [_part(one)]}
    who = str(one.get("role") or role)
    if isinstance(parts := one.get("parts"), (list, tuple)):
        return {**one, "role": who, "parts": [_part(part) for part in parts]}
    from spantally.instrumentors.openai.wire.parts import chat_message

    made = chat_message({**one, "role": who})
    content = one.get("content")
    nothing = content is None or (isinstance(content, (str, list, tuple)) and not content)
    if not made["parts"] and not nothing:
        made["parts"] = [_part(content)]
    return made


def _part(value: Any) -> dict[str, Any]:
    """A part: as it is where it has a type, else a text."""
    if isinstance(value, Mapping) and isinstance(value.get("type"), str):
        return dict(value)
    return {"type": "text", "content": value}


def _is_users(given: Any) -> bool:
    """Whether the newest message is the user's: of what was not told, it is supposed."""
    newest = given[-1] if isinstance(given, (list, tuple)) and given else given
    return not isinstance(newest, Mapping) or newest.get("role", "user") == "user"


def checked_names(**names: object) -> dict[str, str | None]:
    """Names of models, providers and the like; None stays None.

    Raises:
        SettingsError: (a ValueError) for what is no short printable text.
    """
    return {name: None if value is None else parse_name(name, value) for name, value in names.items()}
