"""Token counts of a raw usage object as span attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import UsageFormat
from spantally.instrumentors.openai.wire.endpoints import usage_format_of
from spantally.instrumentors.openai.wire.fields import field, integer
from spantally.instrumentors.openai.wire.operation import Operation

_INPUT_DETAILS: Final = (
    ("cached_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
    ("cache_write_tokens", semconv.USAGE_CACHE_WRITE_INPUT_TOKENS),
    ("audio_tokens", semconv.USAGE_AUDIO_INPUT_TOKENS),
    ("image_tokens", semconv.USAGE_IMAGE_INPUT_TOKENS),
)
_OUTPUT_DETAILS: Final = (
    ("reasoning_tokens", semconv.USAGE_REASONING_OUTPUT_TOKENS),
    ("audio_tokens", semconv.USAGE_AUDIO_OUTPUT_TOKENS),
    ("image_tokens", semconv.USAGE_IMAGE_OUTPUT_TOKENS),
)

_FORMATS: Final[Mapping[str, tuple[tuple[tuple[str, str], ...], ...]]] = {
    form: (
        (
            (names[0], semconv.USAGE_INPUT_TOKENS),
            (names[1], semconv.USAGE_OUTPUT_TOKENS),
            # Some tell cache hits beside the totals (DeepSeek; Together and Moonshot; Mistral); details,
            # read later, win.
            ("prompt_cache_hit_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
            ("cached_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
            ("num_cached_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
        ),
        ((f"{names[0]}_details", ""), *_INPUT_DETAILS),
        ((f"{names[1]}_details", ""), *_OUTPUT_DETAILS),
    )
    for form, names in {
        UsageFormat.OPENAI_CHAT: ("prompt_tokens", "completion_tokens"),
        UsageFormat.OPENAI_RESPONSES: ("input_tokens", "output_tokens"),
    }.items()
}
"""By format: keys and attributes of the totals, then two groups of details, each led by its own key."""


_PLAIN_COUNT: Final = 1 << 53
"""Counts up to here need no second look."""


def usage_attributes(op: Operation, usage: Any) -> dict[str, int]:
    """``gen_ai.usage.*`` of a raw usage object; a count that is missing, negative or no number is left out.

    Args:
        op: what :func:`classify` said; its ``usage_format`` tells the keys.
        usage: the provider's usage object.
    """
    found: dict[str, int] = {}
    tables = _FORMATS.get(usage_format_of(op, usage))
    if tables is None:
        return found
    _take(found, usage, tables[0])
    for (key, _), *counts in tables[1:]:
        details = field(usage, key)
        if details is None:  # runs of assistants, and Mistral
            details = field(usage, key.replace("_tokens_", "_token_"))
        if details is not None:
            _take(found, details, counts)
    if op.api == "embeddings":
        found.pop(semconv.USAGE_OUTPUT_TOKENS, None)
    return found


def _take(found: dict[str, int], source: Any, table: Any) -> None:
    is_dict = type(source) is dict
    for key, attribute in table:
        value = source.get(key) if is_dict else field(source, key)
        if type(value) is int and 0 <= value <= _PLAIN_COUNT:
            found[attribute] = value
        elif value is not None:
            count = integer(value)
            if count is not None and count >= 0:
                found[attribute] = count
