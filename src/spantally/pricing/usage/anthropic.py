"""Usage of Anthropic's Messages API, which Bedrock, Vertex AI and Foundry pass on as it is.

``input_tokens`` is what was neither read from nor written to the cache: the three are disjoint
(platform.claude.com/docs/en/build-with-claude/prompt-caching, "tracking cache performance").
``cache_creation_input_tokens`` is the sum of ``cache_creation.ephemeral_*``, which tells the retention;
without them it was the default of five minutes. Thinking lies within ``output_tokens``
(.../build-with-claude/extended-thinking). Searches cost a fee each, fetching does not
(.../about-claude/pricing, "specific tool pricing"); neither does code that runs beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground.money import UsageParts
from spantally.pricing.usage.counts import BadUsage, NoUsage, Pass, Reading, count, details

_INPUTS: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation")
_FREE: Final = frozenset({"web_search_requests", "web_fetch_requests", "tool_search_requests"})
"""Tools that have no fee, or whose fee has a part of its own."""

_CONTEXT: Final = (("service_tier", "service_tier"), ("speed", "speed"), ("geography", "inference_geo"))


def messages(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """The usage object of a message, or of the last ``message_delta`` of a stream."""
    passes = _passes(raw)
    if passes:
        parts = UsageParts(*map(sum, zip(*(one.parts for one in passes), strict=True)))
        missing = None
    else:
        if raw.get("output_tokens") is None and all(raw.get(name) is None for name in _INPUTS):
            raise NoUsage("neither input_tokens nor output_tokens")
        parts = _tokens(raw)
        missing = "output" if raw.get("output_tokens") is None else None
        if raw.get("input_tokens") is None:
            missing = "input"
    context = {key: value for key, name in _CONTEXT if isinstance(value := raw.get(name), str) and value}
    tools = details(raw, "server_tool_use")
    if tools:
        missing = missing or _fee(tools)
        searches = count(tools, "web_search_requests")
        if searches:
            parts = parts._replace(web_searches=searches)
            if passes:
                passes = (*passes, Pass(None, UsageParts(web_searches=searches), "web_search"))
    # A retry that was granted credit is billed as if it had not been one: by figures that are not told
    # (platform.claude.com/docs/en/build-with-claude/refusals-and-fallback).
    credit = details(raw, "fallback_credit")
    redeemed = bool(credit) and details(credit, "status").get("type") == "redeemed"
    return Reading(parts, missing, approximate=redeemed, passes=passes, context=context, tools_counted=True)


def _fee(tools: Mapping[str, Any]) -> str | None:
    """The name of a tool with a fee that no count tells.

    Running code is billed by the hours of its container, and is free beside a search or a fetch
    (platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool).
    """
    free = count(tools, "web_search_requests") or count(tools, "web_fetch_requests")
    for name, times in tools.items():
        if name in _FREE or not times or (name == "code_execution_requests" and free):
            continue
        return str(name).removesuffix("_requests")
    return None


def _passes(raw: Mapping[str, Any]) -> tuple[Pass, ...]:
    """The passes of a call that compacted its context, asked an advisor or fell back to another model.

    The counts at the top leave these out, so all of ``iterations`` is the bill, each pass at the rates of
    its own model (platform.claude.com/docs/en/build-with-claude/compaction, "understanding usage";
    .../agents-and-tools/tool-use/advisor-tool).
    """
    listed = raw.get("iterations")
    if not listed:
        return ()
    if isinstance(listed, (str, bytes, Mapping)) or not hasattr(listed, "__iter__"):
        raise BadUsage(f"iterations is a {type(listed).__name__}: not a list")
    found = []
    for one in listed:
        if not isinstance(one, Mapping):
            raise BadUsage(f"an iteration is a {type(one).__name__}: not an object")
        model, kind = one.get("model"), one.get("type")
        own = model if isinstance(model, str) and model else None
        found.append(Pass(own, _tokens(one), kind if isinstance(kind, str) and kind else "iteration"))
    if len(found) == 1 and found[0].model is None and found[0].parts == _tokens(raw):
        return ()  # says once more what stands at the top
    return tuple(found) if any(any(one.parts) for one in found) else ()


def _tokens(raw: Mapping[str, Any]) -> UsageParts:
    written = raw.get("cache_creation_input_tokens")
    total = count(raw, "cache_creation_input_tokens")
    short, long = total, 0
    split = raw.get("cache_creation")
    if split:
        split = details(raw, "cache_creation")
        short = count(split, "ephemeral_5m_input_tokens")
        long = count(split, "ephemeral_1h_input_tokens")
        if short + long > total and written is not None:
            raise BadUsage(f"parts of cache_creation_input_tokens exceed its {total}")
        # What the split does not tell was kept for the default time.
        short += max(0, total - short - long)
    output = count(raw, "output_tokens")
    reasoning = count(details(raw, "output_tokens_details"), "thinking_tokens")
    if reasoning > output:
        raise BadUsage(f"thinking_tokens {reasoning} exceed output_tokens {output}")
    return UsageParts(
        uncached_input=count(raw, "input_tokens"),
        cache_read=count(raw, "cache_read_input_tokens"),
        cache_write_5m=short,
        cache_write_1h=long,
        output=output,
        reasoning=reasoning,
    )
