"""Prompt caches: whether a provider tells of one, what reading saved and what writing cost more.

A provider that says nothing of a cache is not one of which nothing was read: its calls have no hit rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from spantally.ground.money import UsageParts
from spantally.pricing.card import Step
from spantally.pricing.parts import nano_of

_FLAT: Final = (
    "cache_read_input_tokens",  # platform.claude.com/docs/en/api/messages, and the GenAI conventions of old
    "cache_read.input_tokens",  # the GenAI conventions, without their prefix
    "cacheReadInputTokens",  # docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
    "prompt_cache_hit_tokens",  # api-docs.deepseek.com/guides/kv_cache
    "cached_tokens",  # platform.moonshot.ai/docs/api/chat
    "num_cached_tokens",  # docs.mistral.ai/api
    "cachedContentTokenCount",  # ai.google.dev/api/generate-content#UsageMetadata
    "cached_content_token_count",
    "cache_read",  # parts, as spantally.usage carries them
)
_NESTED: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
"""Objects that hold ``cached_tokens`` (platform.openai.com/docs/guides/prompt-caching)."""

_ALWAYS: Final = frozenset({"gemini"})
"""Formats whose JSON leaves out a count of 0 (protobuf.dev/programming-guides/json): absent means none."""

Effect: TypeAlias = tuple[int | None, int | None]
"""Nano-USD saved by reads, and spent more for writes; None where a rate is not known."""

NOTHING: Final[Effect] = (0, 0)
_UNKNOWN: Final[Effect] = (None, None)

_TEXT, _READ, _SHORT, _LONG, _AUDIO, _AUDIO_READ = map(
    UsageParts._fields.index,
    ("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "cache_audio_read"),
)


def reports_cache(usage: Mapping[str, Any], usage_format: str | None) -> bool:
    """Whether a provider's usage object tells how much was read from a cache, be it nothing.

    Args:
        usage: as the provider sent it.
        usage_format: a :class:`~spantally.ground.records.UsageFormat`.
    """
    for name in _NESTED:
        details = usage.get(name)
        if isinstance(details, Mapping):
            if details.get("cached_tokens") is not None or details.get("cache_read") is not None:
                return True
            break
    if any(usage.get(name) is not None for name in _FLAT):
        return True
    return usage_format in _ALWAYS


def cache_effect(parts: UsageParts, step: Step) -> Effect:
    """What a call's cached tokens cost less, and its written ones more, than uncached ones would have.

    Args:
        parts: of the call.
        step: the rates that applied to it.

    Returns:
        Nano-USD, each rounded half-even once; None of both where one of the rates is not known.
    """
    used = [index for index in (_READ, _SHORT, _LONG, _AUDIO_READ) if parts[index]]
    if not used:
        return NOTHING
    needed = {_AUDIO if index == _AUDIO_READ else _TEXT for index in used}
    if not needed.union(used).isdisjoint(step.gaps):
        return _UNKNOWN
    rates = step.vector
    saved = parts[_READ] * (rates[_TEXT] - rates[_READ]) + parts[_AUDIO_READ] * (
        rates[_AUDIO] - rates[_AUDIO_READ]
    )
    more = parts[_SHORT] * (rates[_SHORT] - rates[_TEXT]) + parts[_LONG] * (rates[_LONG] - rates[_TEXT])
    return nano_of(saved), nano_of(more)
