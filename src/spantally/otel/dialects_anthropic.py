"""Spans that the anthropic SDK makes by itself (from 2.11 on): the GenAI names, and ``anthropic.*``.

``gen_ai.usage.input_tokens`` includes cached tokens there; how long written ones are kept, and the tier that
served, stand under names of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import UsageFormat
from spantally.otel.dialects_genai import Dialect, Facts, read_genai
from spantally.otel.dialects_raw import is_count

_PREFIX: Final = "anthropic.usage.cache_creation.ephemeral_"
SHORT: Final = _PREFIX + "5m_input_tokens"
LONG: Final = _PREFIX + "1h_input_tokens"
TIER: Final = "anthropic.response.service_tier"


def tier_facts(tier: object) -> dict[str, Any]:
    """What Anthropic's service tier means for the price (docs.claude.com, service tiers)."""
    if tier == "batch":
        return {"batch": True}
    return {"service_tier": tier} if isinstance(tier, str) and tier != "standard" else {}


def recognises(attributes: Mapping[str, Any]) -> bool:
    """True for a span that tells of cache writes in Anthropic's own names."""
    return LONG in attributes or TIER in attributes


def read(attributes: Mapping[str, Any], span_name: str) -> Facts | None:
    """Read a span."""
    facts = read_genai(attributes, span_name)
    if facts is None:
        return None
    context = {**(facts.price_context or {}), **tier_facts(attributes.get(TIER))}
    facts = facts._replace(price_context=context or None)
    usage, long = facts.usage, attributes.get(LONG)
    if usage is None or facts.usage_format != UsageFormat.SEMCONV or not is_count(long):
        return facts
    cut = len("gen_ai.usage.")
    read_tokens = usage.get(semconv.USAGE_CACHE_READ_INPUT_TOKENS[cut:], 0)
    written = usage.get(semconv.USAGE_CACHE_WRITE_INPUT_TOKENS[cut:], 0)
    parts = {
        "uncached_input": usage.get("input_tokens", 0) - read_tokens - written,
        "cache_read": read_tokens,
        "cache_write_5m": written - long,
        "cache_write_1h": long,
        "output": usage.get("output_tokens", 0),
    }
    return facts._replace(usage=parts, usage_format=UsageFormat.PARTS)


DIALECT: Final = Dialect("anthropic", recognises, read)
