"""The dialect of MLflow's tracing: ``mlflow.*``, each value as JSON.

``mlflow.chat.tokenUsage`` includes cached tokens in the input, for Anthropic too: its autologging adds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import COUNTED_KINDS, Kind, UsageFormat
from spantally.otel.dialects_genai import Dialect, Facts
from spantally.otel.dialects_providers import provider_of
from spantally.otel.dialects_raw import as_json, is_count, raw_usage, response_id_of, response_of

SPAN_TYPE: Final = "mlflow.spanType"
MODEL: Final = "mlflow.llm.model"
PROVIDER: Final = "mlflow.llm.provider"
FORMAT: Final = "mlflow.message.format"
TOKENS: Final = "mlflow.chat.tokenUsage"
OUTPUTS: Final = "mlflow.spanOutputs"

_OPERATIONS: Final[Mapping[str, tuple[str, Kind]]] = {
    "CHAT_MODEL": ("chat", Kind.INFERENCE),
    "LLM": ("chat", Kind.INFERENCE),
    "EMBEDDING": ("embeddings", Kind.EMBEDDINGS),
    "AGENT": ("invoke_agent", Kind.AGENT),
    "TOOL": ("execute_tool", Kind.TOOL),
    "RETRIEVER": ("retrieval", Kind.RETRIEVAL),
}
"""By span type; a chain, parser, reranker or task is no operation."""
_FORMATS: Final = frozenset({"openai", "anthropic", "gemini", "groq", "mistral", "bedrock"})
"""Message formats that are named after the provider."""
_CUT: Final = len("gen_ai.usage.")
_NAMES: Final[Mapping[str, str]] = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS[_CUT:],
    "cache_creation_input_tokens": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS[_CUT:],
}


def recognises(attributes: Mapping[str, Any]) -> bool:
    """True for a span of MLflow's that speaks no other dialect as well."""
    return SPAN_TYPE in attributes and semconv.OPERATION_NAME not in attributes


def read(attributes: Mapping[str, Any], span_name: str) -> Facts | None:
    """Read a span; None where its type is no operation."""
    found = _OPERATIONS.get(_value(attributes, SPAN_TYPE).upper())
    if found is None:
        return None
    operation, kind = found
    if kind not in COUNTED_KINDS:
        return Facts(operation, kind, span_name if kind in (Kind.AGENT, Kind.TOOL) else None)
    outputs = attributes.get(OUTPUTS)
    body = response_of(outputs)
    usage = raw_usage(body.get("usage"))
    if usage is None:
        told = as_json(attributes.get(TOKENS))
        counts = _counts(told) if isinstance(told, Mapping) else {}
        usage = (counts, UsageFormat.SEMCONV) if counts else None
    form, tier = _value(attributes, FORMAT), body.get("service_tier")
    provider = _value(attributes, PROVIDER) or (form if form in _FORMATS else "")
    if not provider and body.get("object") in ("list", "response", "chat.completion"):
        provider = "openai"
    return Facts(
        operation,
        kind,
        provider=provider_of(provider),
        request_model=_value(attributes, MODEL) or _value(attributes, "model") or None,
        response_model=body["model"] if isinstance(body.get("model"), str) else None,
        response_id=response_id_of(outputs, body),
        usage=None if usage is None else usage[0],
        usage_format=None if usage is None else usage[1],
        price_context={"service_tier": tier} if provider == "openai" and isinstance(tier, str) else None,
    )


def _value(attributes: Mapping[str, Any], key: str) -> str:
    """A text, as JSON or as it is."""
    value = attributes.get(key)
    if isinstance(value, str) and value[:1] == '"':
        value = as_json(value)
    return value if isinstance(value, str) else ""


def _counts(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: told[key] for key, name in _NAMES.items() if is_count(told.get(key))}


DIALECT: Final = Dialect("mlflow", recognises, read)
