"""``usage`` of Anthropic's Messages API as parts: the plain counts, without the passes of other models.

Cached tokens are beside ``input_tokens``, and ``cache_creation`` splits what was written by how long it is
kept (platform.claude.com/docs/en/build-with-claude/prompt-caching); thinking is within the output
(.../build-with-claude/extended-thinking).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spantally.ground.money import UsageParts


def parts_of(raw: Mapping[str, Any]) -> tuple[UsageParts, str | None, bool]:
    """Parts, the name of a total that is missing, and whether the time that writes are kept was assumed.

    Args:
        raw: the provider's usage object.

    Raises:
        ValueError: when a count cannot be true.
    """
    written = _count(raw, "cache_creation_input_tokens")
    split = raw.get("cache_creation")
    long = _count(split, "ephemeral_1h_input_tokens") if isinstance(split, Mapping) else 0
    details = raw.get("output_tokens_details")
    said = _count(raw, "output_tokens")
    thought = _count(details, "thinking_tokens") if isinstance(details, Mapping) else 0
    if long > written or thought > said:
        raise ValueError("parts exceed their total")
    tools = raw.get("server_tool_use")
    parts = UsageParts(
        uncached_input=_count(raw, "input_tokens"),
        cache_read=_count(raw, "cache_read_input_tokens"),
        cache_write_5m=written - long,
        cache_write_1h=long,
        output=said,
        reasoning=thought,
        web_searches=_count(tools, "web_search_requests") if isinstance(tools, Mapping) else 0,
    )
    missing = next((name for name in ("input", "output") if raw.get(f"{name}_tokens") is None), None)
    return parts, missing, written > 0 and not isinstance(split, Mapping)


def _count(raw: Mapping[str, Any], name: str) -> int:
    value = raw.get(name)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {type(value).__name__}: not a count")
    return value
