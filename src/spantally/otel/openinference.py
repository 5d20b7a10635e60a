"""The dialect of OpenInference: ``openinference.span.kind``, ``llm.*``, ``embedding.*``, ``tool.*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import Kind, UsageFormat
from spantally.otel.dialects import Dialect, Facts

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
    usage = {
        name[_PREFIX:]: attributes[key]
        for key, name in _USAGE.items()
        if isinstance(attributes.get(key), (int, float)) and not isinstance(attributes[key], bool)
    }
    model = _text(attributes, "llm.model_name") or _text(attributes, "embedding.model_name")
    return Facts(
        operation=operation,
        kind=kind,
        name=_name(attributes, kind, span_name),
        provider=_text(attributes, "llm.provider") or _text(attributes, "llm.system"),
        request_model=model,
        usage=usage or None,
        usage_format=UsageFormat.SEMCONV if usage else None,
        tool_call_id=_text(attributes, "tool_call.id"),
    )


def _name(attributes: Mapping[str, Any], kind: Kind, span_name: str) -> str | None:
    if kind is Kind.AGENT:
        return _text(attributes, "agent.name") or span_name
    if kind is Kind.TOOL:
        return _text(attributes, "tool.name") or span_name
    return None


def _text(attributes: Mapping[str, Any], key: str) -> str | None:
    value = attributes.get(key)
    return value if isinstance(value, str) and value else None


OPENINFERENCE: Final = Dialect("openinference", recognises, read)
