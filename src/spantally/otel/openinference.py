"""The dialect of OpenInference: ``openinference.span.kind``, ``llm.*``, ``embedding.*``, ``tool.*``.

``llm.token_count.prompt`` includes cached tokens, for Anthropic too: its instrumentor adds them. No attribute
names the response; where ``output.value`` holds it as JSON, its id, tier and usage are read from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import COUNTED_KINDS, Kind, UsageFormat
from spantally.otel.dialects_anthropic import tier_facts
from spantally.otel.dialects_genai import Dialect, Facts
from spantally.otel.dialects_providers import provider_of
from spantally.otel.dialects_raw import raw_usage, response_id_of, response_of

SPAN_KIND: Final = "openinference.span.kind"

_OPERATIONS: Final[Mapping[str, tuple[str, Kind]]] = {
    "LLM": ("chat", Kind.INFERENCE),
    "EMBEDDING": ("embeddings", Kind.EMBEDDINGS),
    "RETRIEVER": ("retrieval", Kind.RETRIEVAL),
    "AGENT": ("invoke_agent", Kind.AGENT),
    "TOOL": ("execute_tool", Kind.TOOL),
}
"""By span kind; a CHAIN, PROMPT, GUARDRAIL, ... is no operation of the GenAI conventions."""

_USAGE: Final[Mapping[str, str]] = {
    "llm.token_count.prompt": semconv.USAGE_INPUT_TOKENS,
    "llm.token_count.completion": semconv.USAGE_OUTPUT_TOKENS,
    "llm.token_count.prompt_details.cache_read": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
    "llm.token_count.prompt_details.cache_write": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "llm.token_count.prompt_details.audio": semconv.USAGE_AUDIO_INPUT_TOKENS,
    "llm.token_count.completion_details.reasoning": semconv.USAGE_REASONING_OUTPUT_TOKENS,
    "llm.token_count.completion_details.audio": semconv.USAGE_AUDIO_OUTPUT_TOKENS,
}
_PREFIX: Final = len("gen_ai.usage.")


def recognises(attributes: Mapping[str, Any]) -> bool:
    """True for a span of this dialect that does not speak the conventions' as well."""
    return SPAN_KIND in attributes and semconv.OPERATION_NAME not in attributes


def read(attributes: Mapping[str, Any], span_name: str) -> Facts | None:
    """Read a span; None where its kind is no operation."""
    found = _OPERATIONS.get(str(attributes.get(SPAN_KIND)).upper())
    if found is None:
        return None
    operation, kind = found
    if kind not in COUNTED_KINDS:
        named = _name(attributes, kind, span_name)
        return Facts(operation, kind, named, tool_call_id=_text(attributes, "tool_call.id"))
    counts = {
        name[_PREFIX:]: attributes[key]
        for key, name in _USAGE.items()
        if isinstance(attributes.get(key), (int, float)) and not isinstance(attributes[key], bool)
    }
    output = attributes.get("output.value")
    body = response_of(output)
    usage = raw_usage(body.get("usage")) if counts else None
    if usage is None and counts:
        usage = counts, UsageFormat.SEMCONV
    provider = provider_of(_text(attributes, "llm.provider") or _text(attributes, "llm.system"))
    model = _text(attributes, "llm.model_name") or _text(attributes, "embedding.model_name")
    return Facts(
        operation=operation,
        kind=kind,
        provider=provider,
        request_model=_text(attributes, "llm.request.model_name") or model,
        response_model=_text(attributes, "llm.response.model_name"),
        response_id=response_id_of(output, body),
        usage=None if usage is None else usage[0],
        usage_format=None if usage is None else usage[1],
        price_context=_price_context(body, provider),
    )


def _price_context(body: Mapping[str, Any], provider: str | None) -> Mapping[str, Any] | None:
    """The tier that served, of the response that the span carries."""
    if provider == "anthropic":
        usage = body.get("usage")
        return tier_facts(usage.get("service_tier")) or None if isinstance(usage, Mapping) else None
    tier = body.get("service_tier")
    return {"service_tier": tier} if isinstance(tier, str) else None


def _name(attributes: Mapping[str, Any], kind: Kind, span_name: str) -> str | None:
    if kind is Kind.AGENT:
        return _text(attributes, "agent.name") or span_name
    if kind is Kind.TOOL:
        return _text(attributes, "tool.name") or span_name
    return None


def _text(attributes: Mapping[str, Any], key: str) -> str | None:
    value = attributes.get(key)
    return value if isinstance(value, str) and value else None


DIALECT: Final = Dialect("openinference", recognises, read)
