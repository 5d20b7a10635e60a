"""The dialect of the Vercel AI SDK: ``ai.operationId``, ``ai.model.*``, ``ai.usage.*``.

A call is the inner span, ``doGenerate``, ``doStream`` or ``doEmbed``; ``ai.generateText`` and its kin around
it aggregate (ai-sdk.dev/docs/ai-sdk-core/telemetry). Up to version 5 the input of an Anthropic call excludes
cached tokens; from 6 on (``ai.usage.inputTokenDetails.*``) it includes them. Version 5's
``ai.usage.promptTokens`` comes without the cached part. The newest telemetry (``@ai-sdk/otel``) speaks the
GenAI names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import Kind, UsageFormat
from spantally.otel.dialects_anthropic import tier_facts
from spantally.otel.dialects_genai import Dialect, Facts, inclusive
from spantally.otel.dialects_providers import provider_of
from spantally.otel.dialects_raw import as_json, is_count, raw_usage

OPERATION: Final = "ai.operationId"
_DETAILS: Final = "ai.usage.inputTokenDetails."
_OUTPUT_DETAILS: Final = "ai.usage.outputTokenDetails."
_CUT: Final = len("gen_ai.usage.")
_READ: Final = semconv.USAGE_CACHE_READ_INPUT_TOKENS[_CUT:]
_WRITE: Final = semconv.USAGE_CACHE_WRITE_INPUT_TOKENS[_CUT:]
_REASONING: Final = semconv.USAGE_REASONING_OUTPUT_TOKENS[_CUT:]

_USAGE: Final[Mapping[str, tuple[str, ...]]] = {
    "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
    "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
    _READ: (_DETAILS + "cacheReadTokens", "ai.usage.cachedInputTokens"),
    _WRITE: (_DETAILS + "cacheWriteTokens",),
    _REASONING: (_OUTPUT_DETAILS + "reasoningTokens", "ai.usage.reasoningTokens"),
}
_EXCLUSIVE: Final = frozenset({"anthropic", "aws.bedrock"})


def recognises(attributes: Mapping[str, Any]) -> bool:
    """True for a span of the SDK."""
    return OPERATION in attributes


def read(attributes: Mapping[str, Any], span_name: str) -> Facts | None:
    """Read a span."""
    operation = str(attributes.get(OPERATION))
    name = _text(attributes, "ai.telemetry.functionId")
    if operation.endswith((".doGenerate", ".doStream")):
        return _call(attributes, "chat", Kind.INFERENCE)
    if operation.endswith(".doEmbed"):
        return _call(attributes, "embeddings", Kind.EMBEDDINGS)
    if operation == "ai.toolCall":
        called = _text(attributes, "ai.toolCall.id")
        tool = _text(attributes, "ai.toolCall.name")
        return Facts("execute_tool", Kind.TOOL, tool or span_name, tool_call_id=called)
    if operation.startswith(("ai.embed", "ai.rerank")):
        return None
    return Facts("invoke_agent", Kind.AGENT, name or operation.removeprefix("ai."))


def _call(attributes: Mapping[str, Any], operation: str, kind: Kind) -> Facts:
    provider = provider_of(_text(attributes, "ai.model.provider"))
    told = _metadata(attributes)
    usage, usage_format, estimated = _usage(attributes, provider, told)
    tier = told.get("serviceTier")
    context: dict[str, Any] = {"service_tier": tier} if isinstance(tier, str) else {}
    raw = told.get("usage")
    if provider == "anthropic" and isinstance(raw, Mapping):
        context |= tier_facts(raw.get("service_tier"))
    first: Any = attributes.get("ai.response.msToFirstChunk")
    return Facts(
        operation,
        kind,
        provider=provider,
        request_model=_text(attributes, "ai.model.id"),
        response_model=_text(attributes, "ai.response.model"),
        response_id=_text(attributes, "ai.response.id"),
        usage=usage or None,
        usage_format=usage_format if usage else None,
        price_context=context or None,
        first_chunk_ns=round(first * 1e6) if is_count(first) else None,
        estimated=estimated,
    )


def _metadata(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the provider's part of the SDK adds; only one provider answers a call."""
    found = as_json(attributes.get("ai.response.providerMetadata"))
    inner = next(iter(found.values()), None) if isinstance(found, Mapping) and len(found) == 1 else None
    return inner if isinstance(inner, Mapping) else {}


def _usage(
    attributes: Mapping[str, Any], provider: str | None, told: Mapping[str, Any]
) -> tuple[Mapping[str, Any], str, bool]:
    raw = raw_usage(told.get("usage"))
    if raw is not None and provider == "anthropic":
        return raw[0], raw[1], False
    usage = {
        name: attributes[key]
        for name, keys in _USAGE.items()
        if (key := next((one for one in keys if is_count(attributes.get(one))), None)) is not None
    }
    if provider in _EXCLUSIVE and not any(key.startswith(_DETAILS) for key in attributes):
        written = told.get("cacheCreationInputTokens")
        if is_count(written):
            usage[_WRITE] = written
        usage = dict(inclusive(usage))
    return usage, UsageFormat.SEMCONV, "ai.usage.promptTokens" in attributes


def _text(attributes: Mapping[str, Any], key: str) -> str | None:
    value = attributes.get(key)
    return value if isinstance(value, str) and value else None


DIALECT: Final = Dialect("vercel", recognises, read)
