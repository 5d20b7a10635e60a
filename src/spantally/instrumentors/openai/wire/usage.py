"""Token counts of a raw usage object as span attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import UsageFormat
from spantally.instrumentors.openai.wire.fields import field, integer
from spantally.instrumentors.openai.wire.operation import Operation

_DETAILS: Final = (
    ("input", "cached_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
    ("input", "cache_write_tokens", semconv.USAGE_CACHE_WRITE_INPUT_TOKENS),
    ("input", "audio_tokens", semconv.USAGE_AUDIO_INPUT_TOKENS),
    ("input", "image_tokens", semconv.USAGE_IMAGE_INPUT_TOKENS),
    ("output", "reasoning_tokens", semconv.USAGE_REASONING_OUTPUT_TOKENS),
    ("output", "audio_tokens", semconv.USAGE_AUDIO_OUTPUT_TOKENS),
    ("output", "image_tokens", semconv.USAGE_IMAGE_OUTPUT_TOKENS),
)
"""Side, key of its details, attribute."""

_NAMES: Final[Mapping[UsageFormat, tuple[str, str]]] = {
    UsageFormat.OPENAI_CHAT: ("prompt_tokens", "completion_tokens"),
    UsageFormat.OPENAI_RESPONSES: ("input_tokens", "output_tokens"),
}


def usage_attributes(op: Operation, usage: Any) -> dict[str, int]:
    """``gen_ai.usage.*`` of a raw usage object; a count that is missing, negative or no number is left out.

    Args:
        op: what :func:`classify` said; its ``usage_format`` tells the keys.
        usage: the provider's usage object.
    """
    found: dict[str, int] = {}
    names = _NAMES.get(op.usage_format)
    if names is None:
        return found
    totals = dict(zip(("input", "output"), names, strict=True))
    for attribute, name in (
        (semconv.USAGE_INPUT_TOKENS, totals["input"]),
        (semconv.USAGE_OUTPUT_TOKENS, totals["output"]),
    ):
        _put(found, attribute, field(usage, name))
    details = {side: field(usage, f"{name}_details") for side, name in totals.items()}
    for side, key, attribute in _DETAILS:
        if details[side] is not None:
            _put(found, attribute, field(details[side], key))
    if semconv.USAGE_CACHE_READ_INPUT_TOKENS not in found:
        # DeepSeek tells cache hits beside the totals.
        _put(found, semconv.USAGE_CACHE_READ_INPUT_TOKENS, field(usage, "prompt_cache_hit_tokens"))
    if op.api == "embeddings":
        found.pop(semconv.USAGE_OUTPUT_TOKENS, None)
    return found


def _put(found: dict[str, int], attribute: str, value: Any) -> None:
    count = integer(value)
    if count is not None and count >= 0:
        found[attribute] = count
