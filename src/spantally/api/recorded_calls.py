"""Calls and tools that a program records itself: rows, spans, redaction and rating as of automatic ones."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from spantally.api.record_arguments import parse_cost, parse_count, shown
from spantally.calls import starting
from spantally.calls import telemetry as telemetry_module
from spantally.calls.operation import MAX_MESSAGE, SPAN_KEY, Operation
from spantally.calls.plans import Plan
from spantally.calls.shorten import cut
from spantally.ground import semconv
from spantally.ground.errors import ArgumentError
from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord, Kind, Status, UsageFormat
from spantally.ground.scope import with_values
from spantally.ground.settings import parse_id

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


class Usage(NamedTuple):
    """What a recorded call used, as its record has it, and what its span says of it."""

    raw: Mapping[str, Any] | None
    usage_format: str | None
    attributes: Mapping[str, int]


def is_repeated(ident: str) -> bool:
    """Whether this process has recorded the id before; it is remembered as recorded."""
    global _recorded, _recorded_before
    if ident in _recorded or ident in _recorded_before:
        return True
    _recorded[ident] = None
    if len(_recorded) >= MOST_REMEMBERED:
        _recorded_before, _recorded = _recorded, {}
    return False


# -- usage --------------------------------------------------------------------------------------------


def usage_of(
    provider: str | None,
    usage: object,
    counts: Mapping[str, object],
    cost_usd: object,
) -> Usage:
    """The usage of a call by the counts given, or by the provider's usage object.

    Args:
        provider: of the model.
        usage: as the provider sent it: a mapping, or an object of its SDK.
        counts: arguments of ``record_call`` by name.
        cost_usd: what it cost, where the program knows.

    Raises:
        ArgumentError: for counts that cannot be, both forms at once, or a usage of a form that is not known.
    """
    nano = parse_cost("record_call(cost_usd", cost_usd)
    given = {
        name: count
        for name, value in counts.items()
        if (count := parse_count(f"record_call({name}", value)) is not None
    }
    if usage is not None:
        if given:
            raise ArgumentError(f"record_call(usage=..., {next(iter(given))}=...): give one or the other")
        return _of_object(provider, usage, nano)
    parts = _parts(given)
    if nano is not None:
        parts["cost_nano_usd"] = nano
    return Usage(parts or None, UsageFormat.RECORDED if parts else None, _attributes(given))


def _parts(given: Mapping[str, int]) -> dict[str, int]:
    """Disjoint parts of counts, of which ``input_tokens`` and ``output_tokens`` include the others."""
    parts: dict[str, int] = {}
    cached = {
        part: given[name]
        for name, part in (
            ("cached_tokens", "cache_read"),
            ("cache_write_tokens", "cache_write_5m"),
            ("cache_write_1h_tokens", "cache_write_1h"),
        )
        if name in given
    }
    if "input_tokens" in given:
        rest = given["input_tokens"] - sum(cached.values())
        if rest < 0:
            raise ArgumentError(
                f"record_call(input_tokens={given['input_tokens']}): it includes cached and written tokens, "
                f"which are {sum(cached.values())}; give all input tokens"
            )
        parts.update(cached, uncached_input=rest)
    elif cached:
        raise ArgumentError("record_call(): cached tokens are among input_tokens; give input_tokens, too")
    if "output_tokens" in given:
        parts["output"] = given["output_tokens"]
    if "reasoning_tokens" in given:
        if given["reasoning_tokens"] > given.get("output_tokens", -1):
            raise ArgumentError(
                f"record_call(reasoning_tokens={given['reasoning_tokens']}): they are among output_tokens; "
                "give output_tokens of at least as many"
            )
        parts["reasoning"] = given["reasoning_tokens"]
    return parts


def _attributes(given: Mapping[str, int]) -> dict[str, int]:
    written = given.get("cache_write_tokens", 0) + given.get("cache_write_1h_tokens", 0)
    known = {
        semconv.USAGE_INPUT_TOKENS: given.get("input_tokens"),
        semconv.USAGE_OUTPUT_TOKENS: given.get("output_tokens"),
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: given.get("cached_tokens"),
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: written or None,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: given.get("reasoning_tokens"),
    }
    return {name: count for name, count in known.items() if count is not None}


def _of_object(provider: str | None, usage: object, nano: int | None) -> Usage:
    from spantally.ground.money import UsageParts
    from spantally.pricing.body import facts_of

    raw = _plain(usage)
    if raw and set(UsageParts._fields).issuperset(raw):
        return _read(provider, usage, raw, UsageFormat.PARTS, nano)
    wrapped = "usageMetadata" if "promptTokenCount" in raw or "prompt_token_count" in raw else "usage"
    facts = facts_of({wrapped: raw}, provider=provider or "")
    shape = UsageFormat.PARTS if facts.usage is None else facts.usage_format
    return _read(provider, usage, raw if facts.usage is None else facts.usage, shape or "", nano)


def _read(
    provider: str | None, usage: object, found: Mapping[str, Any], shape: str, nano: int | None
) -> Usage:
    """The usage by a form that is known."""
    from spantally.pricing.usage import BadUsage, NoUsage, normalise

    try:
        parts = normalise(found, shape, provider=provider)
    except NoUsage:
        raise ArgumentError(
            f"record_call(usage={shown(usage)}): no count of tokens in it; pass the usage object of the "
            "provider's answer, or input_tokens= and output_tokens="
        ) from None
    except BadUsage as error:
        raise ArgumentError(f"record_call(usage={shown(usage)}): {error}") from None
    attributes = {
        semconv.USAGE_INPUT_TOKENS: parts.input_total,
        semconv.USAGE_OUTPUT_TOKENS: parts.output_total,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: parts.cache_read + parts.cache_audio_read,
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: parts.cache_write_5m + parts.cache_write_1h,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: parts.reasoning,
    }
    told = {
        name: count
        for name, count in attributes.items()
        if count or name in (semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS)
    }
    if nano is not None:
        # The program's figure holds; the parts stay, and so does nothing else of the object.
        kept = {name: count for name, count in parts._asdict().items() if count}
        return Usage({**kept, "cost_nano_usd": nano}, UsageFormat.RECORDED, told)
    return Usage(found, str(shape), told)


def _plain(usage: object) -> Mapping[str, Any]:
    """A usage object as a mapping of plain values."""
    import json

    dump = getattr(usage, "model_dump", None) or getattr(usage, "to_dict", None)
    try:
        value = dump() if callable(dump) else usage
        if not isinstance(value, Mapping) and hasattr(value, "__dict__"):
            value = vars(value)
        if isinstance(value, Mapping):
            plain: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False, default=_plain))
            return plain
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"record_call(usage={shown(usage)}): it cannot be read ({type(error).__name__}); "
            "pass the usage object of the provider's answer"
        ) from error
    raise ArgumentError(f"record_call(usage={shown(usage)}): use the usage object of the provider's answer")


# -- recording ----------------------------------------------------------------------------------------


class Recorded(NamedTuple):
    """What is common to recorded calls and tools; arguments that are in order."""

    call_id: str | None
    """None for one that the program does not name."""
    start_ns: int | None
    latency_ms: float | None
    error: BaseException | str | None


def record_call(
    context: Context,
    what: Recorded,
    *,
    operation: str,
    provider: str | None,
    model: str | None,
    response_model: str | None,
    response_id: str | None,
    usage: Usage,
    price_context: Mapping[str, Any] | None,
    finish_reason: str | None,
    content: tuple[Any, Any],
) -> str | None:
    """Record a call whose arguments are in order; never raises.

    Returns:
        Its id; None where nothing was recorded.
    """
    plan = Plan(
        OPERATIONS[operation],
        operation,
        subject=model,
        span_kind=SpanKind.CLIENT,
        attributes={
            name: value
            for name, value in ((semconv.PROVIDER_NAME, provider), (semconv.REQUEST_MODEL, model))
            if value is not None
        },
    )
    made = _begin(context, plan, what, None)
    if made is None:
        return None
    try:
        made.provider = provider
        made.request_model = model
        made.response_model = response_model
        made.response_id = response_id
        made.usage = usage.raw
        made.usage_format = usage.usage_format
        made.price_context = dict(price_context) if price_context else None
        put = made.end_attributes
        put.update(usage.attributes)
        if response_model is not None:
            put[semconv.RESPONSE_MODEL] = response_model
        if response_id is not None:
            put[semconv.RESPONSE_ID] = response_id
        if finish_reason is not None:
            put[semconv.RESPONSE_FINISH_REASONS] = (finish_reason,)
        for key, name, role, value in (
            (semconv.INPUT_MESSAGES, "input", "user", content[0]),
            (semconv.OUTPUT_MESSAGES, "output", "assistant", content[1]),
        ):
            if value is not None:
                _put(made, key, name, _messages(value, role, finish_reason))
        made.turn = made.kind == Kind.INFERENCE and made.scope.run_id is None and _is_users(content[0])
    except Exception as error:
        swallowed("api.record_call", error)
    return _end(made, what)


def record_tool(
    context: Context,
    what: Recorded,
    *,
    name: str,
    tool_call_id: str | None,
    given: Any,
    output: Any,
    reasoning: str | None,
    cost: int | None = None,
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


def _put(made: Operation, key: str, name: str, value: Any) -> None:
    from spantally.calls.work_values import put  # a lot to load for a program that records no content

    if not made.hidden:
        put(made, key, name, value, given=True)


def _messages(value: Any, role: str, finish_reason: str | None) -> list[dict[str, Any]]:
    """Messages in the form of the conventions: of a text, or of what chat APIs take."""
    listed = value if isinstance(value, (list, tuple)) else [value]
    made = []
    for one in listed:
        if isinstance(one, Mapping) and "parts" in one:
            made.append(dict(one))
            continue
        told: Any = one
        who: Any = role
        if isinstance(one, Mapping) and "content" in one:
            told, who = one["content"], one.get("role", role)
        message: dict[str, Any] = {"role": str(who), "parts": [{"type": "text", "content": told}]}
        if role == "assistant":
            message["finish_reason"] = finish_reason or "stop"
        made.append(message)
    return made


def _is_users(given: Any) -> bool:
    """Whether the newest message is the user's: of what was not told, it is supposed."""
    newest = given[-1] if isinstance(given, (list, tuple)) and given else given
    return not isinstance(newest, Mapping) or newest.get("role", "user") == "user"


def checked_names(**names: object) -> dict[str, str | None]:
    """Names of models, providers and the like; None stays None.

    Raises:
        SettingsError: (a ValueError) for what is no short printable text.
    """
    return {name: None if value is None else parse_id(name, value) for name, value in names.items()}
