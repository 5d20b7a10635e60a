"""What a request says: span attributes, whether it is a turn, and the results of tools it hands back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from spantally.calls.tool_results import ToolResult
from spantally.ground import semconv
from spantally.ground.records import Kind
from spantally.instrumentors.anthropic.wire.operation import Operation
from spantally.instrumentors.stainless.wire.fields import (
    AttributeValue,
    field,
    integer,
    items,
    number,
    text,
    texts,
)

_Read: TypeAlias = Callable[[Any], AttributeValue | None]


def _tier(value: Any) -> str | None:
    tier = text(value)
    return None if tier == "auto" else tier


def _format(value: Any) -> str | None:
    return "json" if text(field(value, "type")) == "json_schema" else None


RULES: Final[tuple[tuple[str, str, _Read], ...]] = (
    ("stream", semconv.REQUEST_STREAM, lambda value: True if value is True else None),
    ("max_tokens", semconv.REQUEST_MAX_TOKENS, integer),
    ("max_tokens_to_sample", semconv.REQUEST_MAX_TOKENS, integer),
    ("temperature", semconv.REQUEST_TEMPERATURE, number),
    ("top_p", semconv.REQUEST_TOP_P, number),
    ("top_k", semconv.REQUEST_TOP_K, integer),
    ("stop_sequences", semconv.REQUEST_STOP_SEQUENCES, texts),
    ("service_tier", semconv.ANTHROPIC_REQUEST_SERVICE_TIER, _tier),
    ("output_config", semconv.REQUEST_REASONING_LEVEL, lambda value: text(field(value, "effort"))),
    ("output_config", semconv.OUTPUT_TYPE, lambda value: _format(field(value, "format"))),
    ("output_format", semconv.OUTPUT_TYPE, _format),
)
"""Key of the body, attribute, and how its value is read."""

_LONGEST: Final = 64


def request_attributes(op: Operation, body: Any, model: str | None) -> dict[str, AttributeValue]:
    """The span attributes of a request, each in the type of the conventions; odd values are left out.

    Args:
        op: what ``classify`` said.
        body: the request's body, a mapping or an object with fields.
        model: that is asked for.
    """
    found: dict[str, AttributeValue] = {} if model is None else {semconv.REQUEST_MODEL: model}
    if op.kind is Kind.OTHER:
        return found
    plain = type(body) is dict
    for key, attribute, read in RULES:
        sent = body.get(key) if plain else field(body, key)
        if sent is not None:
            value = read(sent)
            if value is not None:
                found[attribute] = value
    return found


def shape_of(op: Operation, attributes: dict[str, AttributeValue]) -> tuple[Any, ...] | None:
    """What requests have in common that have the same attributes; None where they hold a long text.

    Args:
        op: what ``classify`` said.
        attributes: what :func:`request_attributes` gave.
    """
    for value in attributes.values():
        if type(value) is str and len(value) > _LONGEST:
            return None
        if type(value) is tuple and sum(map(len, value)) > _LONGEST:
            return None
    # The type belongs to it: True and 1 and 1.0 are equal.
    return (op.name, op.api, *((key, type(value), value) for key, value in attributes.items()))


def newest_message_is_user(op: Operation, body: Any) -> bool:
    """True if the newest message is the user's, and not just the results of tools."""
    if op.api == "complete":
        return field(body, "prompt") is not None
    if op.api != "messages":
        return False
    messages = items(field(body, "messages"))
    if not messages or text(field(messages[-1], "role")) != "user":
        return False
    content = field(messages[-1], "content")
    blocks = items(content)
    if blocks is None:
        return text(content) is not None
    return any(text(field(block, "type")) != "tool_result" for block in blocks)


def tool_results(op: Operation, body: Any) -> list[ToolResult]:
    """The results of the tools that ran since the model was last asked.

    Args:
        op: what ``classify`` said.
        body: the request's body.
    """
    if op.api != "messages":
        return []
    messages = items(field(body, "messages")) or ()
    found: list[ToolResult] = []
    asked: dict[str, str] = {}
    for message in reversed(messages):
        role = text(field(message, "role"))
        if role == "assistant":
            if not found:
                return []
            for block in items(field(message, "content")) or ():
                name, call_id = text(field(block, "name")), text(field(block, "id"))
                if name is not None and call_id is not None:
                    asked[call_id] = name
            break
        for block in reversed(items(field(message, "content")) or ()):
            if text(field(block, "type")) == "tool_result":
                call_id = text(field(block, "tool_use_id"))
                if call_id is not None:
                    found.append(ToolResult(call_id, None, field(block, "content")))
    return [one._replace(name=asked.get(one.tool_call_id)) for one in reversed(found)]
