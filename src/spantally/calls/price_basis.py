"""What a call was rated by, on its span, where the attributes of the conventions cannot say it.

Whoever reads spans into a ledger rates by what they say. A fast mode, a geography, passes of other models, a
host whose prices are nobody's or a usage that cannot be are in no attribute of the conventions: without them
such a call would be read as a plainly priced one. So its span carries the usage as it came and what chose the
rate; the spans of other calls, which are nearly all, do not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spantally.ground.records import COUNTED_KINDS, UsageFormat

if TYPE_CHECKING:
    from spantally.calls.operation import Operation

MAX_BASIS: Final = 8_192
"""Longest text, in characters, that is written or read."""

_CHOOSES: Final = frozenset({"batch", "speed", "geography", "search", "server_tools"})
"""Of a price context, what no attribute tells."""

_TEXTS: Final = ("service_tier", "speed", "geography", "search")

_KEPT: Final = tuple(dict.fromkeys(("provider", *_TEXTS, *sorted(_CHOOSES))))

_TOLD: Final = frozenset(
    {
        "citation_tokens",
        "cost",
        "cost_in_usd_ticks",
        "cost_nano_usd",
        "fallback_credit",
        "inference_geo",
        "iterations",
        "num_search_queries",
        "num_server_side_tools_used",
        "num_sources_used",
        "prompt_audio_seconds",
        "search_context_size",
        "server_side_tool_usage_details",
        "server_tool_use",
        "speed",
    }
)
"""Of usage objects, what chooses a rate or is billed beside tokens."""

_ORDINARY: Final = frozenset({"standard", "default", "global", "not_available"})

_FORMATS: Final = frozenset(UsageFormat)

_ANSWER: Final = ("provider", "request_model", "response_model", "response_id")


class Basis(NamedTuple):
    """What a span carries."""

    usage: Mapping[str, Any]
    usage_format: str
    context: dict[str, Any]
    answer: dict[str, str] | None
    """Whose usage it is, where that is an answer that an earlier call began: fields of its row."""


READINGS: Final = frozenset({"fetch_response", "cancel_response", "submit_tool_outputs"})
"""Requests that read an answer which an earlier one began; of most profiles they are no operations."""


def basis_of(operation: Operation, *, needed: bool, later: bool = False) -> str | None:
    """What the span of an operation has to carry, or None where it says all by itself.

    Args:
        operation: has ended, with its usage.
        needed: the counts of the span are not those that it is rated by, or the usage cannot be true.
        later: it is for the span of a request that read the operation's answer.
    """
    usage, context = operation.usage, operation.price_context
    if usage is None or operation.kind not in COUNTED_KINDS:
        return None
    if context:
        needed = needed or context.get("provider", operation.provider) != operation.provider
        if not needed and not _CHOOSES.isdisjoint(context):
            needed = any(_matters(context[key]) for key in _CHOOSES.intersection(context))
    if not needed and (
        _TOLD.isdisjoint(usage) or not any(_matters(usage[name]) for name in _TOLD.intersection(usage))
    ):
        return None
    told: dict[str, Any] = {
        "usage": dict(usage),
        "format": operation.usage_format,
        "context": {key: context[key] for key in _KEPT if key in context} if context else {},
    }
    if later or operation.operation in READINGS:
        # Its span may be a plain one, which says nothing of models.
        told["answer"] = {
            name: value for name in _ANSWER if type(value := getattr(operation, name)) is str and value
        }
    text = json.dumps(told, separators=(",", ":"))
    return text if len(text) <= MAX_BASIS else None


def _matters(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_matters, value.values()))
    return bool(value) and not (isinstance(value, str) and value.lower() in _ORDINARY)


def basis_in(text: Any) -> Basis | None:
    """Usage, its format, the price context and whose it is, as a span carries it; None where it carries none.

    Args:
        text: the attribute's value, which anybody may have written.
    """
    if type(text) is not str or len(text) > MAX_BASIS:
        return None
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if type(told) is not dict:
        return None
    usage, usage_format, given = told.get("usage"), told.get("format"), told.get("context")
    if type(usage) is not dict or not usage or usage_format not in _FORMATS:
        return None
    context: dict[str, Any] = {}
    if type(given) is dict:
        context.update((key, given[key]) for key in _TEXTS if type(given.get(key)) is str)
        if type(given.get("batch")) is bool:
            context["batch"] = given["batch"]
        if "provider" in given and (given["provider"] is None or type(given["provider"]) is str):
            context["provider"] = given["provider"]
        tools = given.get("server_tools")
        if type(tools) is dict and all(type(one) is int for one in tools.values()):
            context["server_tools"] = tools
    answer = told.get("answer")
    if type(answer) is dict:
        answer = {name: answer[name] for name in _ANSWER if type(answer.get(name)) is str}
    return Basis(usage, usage_format, context, answer if type(answer) is dict else None)
