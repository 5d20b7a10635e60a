"""Usage of Amazon Bedrock: of Converse, and of the models that InvokeModel passes on in shapes of their own.

Cache reads and writes lie outside ``inputTokens``
(docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html, "effects of prompt caching on token
usage"); ``cacheDetails`` splits the writes by their time to live
(docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html). InvokeModel says the same
counts in the metrics of a stream's last chunk and in headers
(docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground.money import UsageParts
from spantally.pricing.usage.counts import BadUsage, NoUsage, Reading, count, first

_INPUT: Final = ("inputTokens", "inputTokenCount", "inputTextTokenCount", "prompt_token_count")
_OUTPUT: Final = ("outputTokens", "outputTokenCount", "generation_token_count", "tokenCount")
_READ: Final = ("cacheReadInputTokens", "cacheReadInputTokenCount")
_WRITE: Final = ("cacheWriteInputTokens", "cacheWriteInputTokenCount")
_LONG: Final = frozenset({"1h", "60m", "3600"})


def converse(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """``usage`` of Converse, the metrics of a stream, or the counts of a model's own body."""
    given_in, given_out = first(raw, _INPUT), first(raw, _OUTPUT)
    if given_in is None and given_out is None:
        raise NoUsage("neither inputTokens nor outputTokens")
    written = first(raw, _WRITE)
    short, long = _by_retention(raw, written)
    parts = UsageParts(
        uncached_input=given_in or 0,
        cache_read=first(raw, _READ) or 0,
        cache_write_5m=short,
        cache_write_1h=long,
        output=given_out or 0,
    )
    return Reading(parts, "input" if given_in is None else ("output" if given_out is None else None))


def _by_retention(raw: Mapping[str, Any], written: int | None) -> tuple[int, int]:
    total = written or 0
    listed = raw.get("cacheDetails")
    if not listed:
        return total, 0
    if isinstance(listed, (str, bytes, Mapping)) or not hasattr(listed, "__iter__"):
        raise BadUsage(f"cacheDetails is a {type(listed).__name__}: not a list")
    short = long = 0
    for one in listed:
        if not isinstance(one, Mapping):
            raise BadUsage(f"an item of cacheDetails is a {type(one).__name__}: not an object")
        if str(one.get("ttl")).lower() in _LONG:
            long += count(one, "inputTokens")
        else:
            short += count(one, "inputTokens")
    if short + long > total and written is not None:
        raise BadUsage(f"parts of cacheWriteInputTokens exceed its {total}")
    return short + max(0, total - short - long), long
