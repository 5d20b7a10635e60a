"""Token counts of a raw usage object as span attributes, and what they leave out.

Anthropic counts cached tokens beside ``input_tokens``; the conventions count them in
(platform.claude.com/docs/en/build-with-claude/prompt-caching, "Tracking cache performance").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.instrumentors.stainless.wire.fields import field, integer, items

_INPUTS: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_COUNTS: Final = (*_INPUTS, "output_tokens", "output_tokens_details")


def usage_attributes(usage: Any) -> dict[str, int]:
    """``gen_ai.usage.*`` of a usage object; a count that is missing, negative or no number is left out.

    Args:
        usage: the provider's usage object.
    """
    passes = _passes(usage)
    if passes:
        sums: dict[str, int] = {}
        for one in passes:
            for key, value in usage_attributes(one).items():
                sums[key] = sums.get(key, 0) + value
        return sums
    found: dict[str, int] = {}
    counts = [_count(usage, name) for name in _INPUTS]
    if counts[0] is not None:
        found[semconv.USAGE_INPUT_TOKENS] = sum(count for count in counts if count is not None)
    if counts[1] is not None:
        found[semconv.USAGE_CACHE_READ_INPUT_TOKENS] = counts[1]
    if counts[2] is not None:
        found[semconv.USAGE_CACHE_WRITE_INPUT_TOKENS] = counts[2]
    said = _count(usage, "output_tokens")
    if said is not None:
        found[semconv.USAGE_OUTPUT_TOKENS] = said
        thought = _count(field(usage, "output_tokens_details"), "thinking_tokens")
        if thought is not None:
            found[semconv.USAGE_REASONING_OUTPUT_TOKENS] = thought
    return found


def _passes(usage: Any) -> list[Any]:
    """The passes that a call consists of where its usage lists them: the counts at the top leave some out.

    Read as the rating reads them (:mod:`~spantally.pricing.usage.anthropic`): a span's tokens are its row's.
    """
    listed = items(field(usage, "iterations")) or ()
    passes = [{name: field(one, name) for name in _COUNTS} for one in listed]
    return passes if any(any(usage_attributes(one).values()) for one in passes) else []


def parts_beyond(usage: Any) -> dict[str, int] | None:
    """The usage in full as parts, for ``spantally.usage``; None where the conventions carry all of it.

    They have no name for how long a cache entry is kept and for searches. A usage with passes of other models
    (``iterations``) is no sum of parts at all.

    Args:
        usage: the provider's usage object.
    """
    long = _count(field(usage, "cache_creation"), "ephemeral_1h_input_tokens") or 0
    searches = _count(field(usage, "server_tool_use"), "web_search_requests") or 0
    inputs = [_count(usage, name) or 0 for name in _INPUTS]
    if not (long or searches) or long > inputs[2] or field(usage, "iterations"):
        return None
    found = {
        "uncached_input": inputs[0],
        "cache_read": inputs[1],
        "cache_write_5m": inputs[2] - long,
        "cache_write_1h": long,
        "output": _count(usage, "output_tokens") or 0,
        "reasoning": _count(field(usage, "output_tokens_details"), "thinking_tokens") or 0,
        "web_searches": searches,
    }
    return {name: count for name, count in found.items() if count}


def merged(before: Mapping[str, Any] | None, later: Mapping[str, Any] | None) -> dict[str, Any]:
    """The usage of a stream: its last event counts from the beginning, and repeats only a part of the first.

    A total so far never falls: a host that fills in zeros for what it told at the start has not told it anew.

    Args:
        before: of the ``message_start``.
        later: of a ``message_delta``: each of its counts is the total so far.
    """
    made = dict(before or {})
    made.update(
        {
            name: value
            for name, value in (later or {}).items()
            if value is not None and not (_counts_nothing(value) and made.get(name))
        }
    )
    return made


def _counts_nothing(value: Any) -> bool:
    """True for 0, and for counts by kind that are all 0."""
    if isinstance(value, Mapping):
        return not any(value.values())
    return type(value) is int and value == 0


def _count(source: Any, name: str) -> int | None:
    count = integer(field(source, name))
    return count if count is not None and count >= 0 else None
