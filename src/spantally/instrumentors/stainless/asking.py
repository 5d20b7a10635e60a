"""What a request may use, for the budgets: told by its body, without reading its content as content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from spantally.calls import admission
from spantally.calls.operation import Operation
from spantally.ground.brakes import Ask
from spantally.ground.records import COUNTED_KINDS, Kind
from spantally.instrumentors.stainless.call import SdkCall

CHARACTERS_PER_TOKEN: Final = 4
"""Of ASCII text; any other text counts a token for each character."""

DEFAULT_OUTPUT: Final = 4_096
"""Output tokens that are reserved where the request names no limit."""

MEDIA_TOKENS: Final = 1_000
"""For an inline image, sound or document."""

_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_TEXTS: Final = (
    "messages",
    "input",
    "instructions",
    "system",
    "prompt",
    "tools",
    "functions",
    "response_format",
    "text",
)
_MOST_DEPTH: Final = 12

_SHORT: Final = 256
"""No inline medium is as short, in characters."""


def admit(call: SdkCall, body: Any) -> None:
    """Have a call let through or refused.

    Raises:
        BudgetExceeded: it must not be sent.
    """
    if call.operation.kind in COUNTED_KINDS:
        call.reads_at_once = True
        admission.admit(call.operation, lambda: ask_of(call.operation, call.choices, body))


async def admit_async(call: SdkCall, body: Any) -> None:
    """The same in an event loop.

    Raises:
        BudgetExceeded: it must not be sent.
    """
    if call.operation.kind in COUNTED_KINDS:
        call.reads_at_once = True
        await admission.admit_async(call.operation, lambda: ask_of(call.operation, call.choices, body))


def ask_of(operation: Operation, choices: int, body: Any) -> Ask:
    """What a request may use at most, by estimate.

    Args:
        operation: the call.
        choices: how many answers are asked for.
        body: of the request, or the event that asks over a websocket.
    """
    fields: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    inner = fields.get("response")
    if isinstance(inner, Mapping):  # realtime
        fields = inner
    size = sum(_size(fields[name]) for name in _TEXTS if name in fields)
    output = 0 if operation.kind == Kind.EMBEDDINGS else _output_limit(fields) * max(1, choices)
    return Ask(
        operation.call_id,
        operation.kind,
        operation.provider,
        operation.request_model,
        operation.price_context,
        operation.server_address,
        -(-size // CHARACTERS_PER_TOKEN),
        output,
        operation.turn,
    )


def _output_limit(fields: Mapping[str, Any]) -> int:
    for name in _LIMITS:
        value = fields.get(name)
        if type(value) is int and value >= 0:
            return value
    return DEFAULT_OUTPUT


def _size(value: Any, depth: int = _MOST_DEPTH) -> int:
    """Characters of all texts within a plain value, those of other scripts by what they weigh in tokens."""
    kind = type(value)
    if kind is str:
        return _length(value)
    if kind is dict:
        inner: Iterable[Any] = value.values()
    elif kind is list or kind is tuple:
        if value and type(value[0]) is int:
            return len(value) * CHARACTERS_PER_TOKEN  # tokens
        inner = value
    else:
        return 0
    if depth <= 0:
        return 0
    total = 0
    for one in inner:  # a function call for each text would double the time that a long history takes
        if type(one) is str:
            total += len(one) if len(one) <= _SHORT and one.isascii() else _length(one)
        else:
            total += _size(one, depth - 1)
    return total


def _length(text: str) -> int:
    if len(text) > _SHORT and text.startswith("data:"):
        return MEDIA_TOKENS * CHARACTERS_PER_TOKEN
    return len(text) if text.isascii() else len(text) * CHARACTERS_PER_TOKEN
