"""The dialect of LangSmith's OpenTelemetry export: ``langsmith.span.kind`` beside the GenAI names.

Input includes cached tokens, for Anthropic too: its wrapper adds them. The details stand as JSON in
``langsmith.metadata.usage_metadata``, and as the text of a Python mapping in
``gen_ai.usage.*_token_details``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import COUNTED_KINDS, Kind, UsageFormat
from spantally.otel.dialects_genai import Dialect, Facts, read_genai
from spantally.otel.dialects_raw import as_json, is_count

SPAN_KIND: Final = "langsmith.span.kind"
METADATA: Final = "langsmith.metadata.usage_metadata"
INTEGRATION: Final = "langsmith.metadata.ls_integration"
_INPUT_DETAILS: Final = "gen_ai.usage.input_token_details"
_OUTPUT_DETAILS: Final = "gen_ai.usage.output_token_details"
_TIER: Final = "gen_ai.response.service_tier"
_LONGEST: Final = 2_000

_OPERATIONS: Final[Mapping[str, str]] = {
    "llm": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "retriever": "retrieval",
}
"""By kind of run; a chain, prompt or parser is no operation."""


def recognises(attributes: Mapping[str, Any]) -> bool:
    """True for a run of LangSmith's."""
    return SPAN_KIND in attributes


def read(attributes: Mapping[str, Any], span_name: str) -> Facts | None:
    """Read a run; None where its kind is no operation."""
    operation = _OPERATIONS.get(str(attributes.get(SPAN_KIND)).lower())
    if operation is None:
        return None
    made = {**attributes, semconv.OPERATION_NAME: operation}
    tier = attributes.get(_TIER)
    if isinstance(tier, str):
        made.setdefault(semconv.OPENAI_RESPONSE_SERVICE_TIER, tier)
    facts = read_genai(made, span_name)
    if facts is None:
        return None
    if facts.kind == Kind.TOOL:
        return facts._replace(name=facts.name or span_name)
    if facts.kind not in COUNTED_KINDS or facts.usage is None or facts.usage_format != UsageFormat.SEMCONV:
        return facts
    usage = {key: value for key, value in facts.usage.items() if is_count(value)}
    told = as_json(attributes.get(METADATA))
    told = told if isinstance(told, Mapping) else {}
    _add(usage, told.get("input_token_details") or _mapping(attributes.get(_INPUT_DETAILS)), _OF_INPUT)
    _add(usage, told.get("output_token_details") or _mapping(attributes.get(_OUTPUT_DETAILS)), _OF_OUTPUT)
    return facts._replace(usage=usage)


_CUT: Final = len("gen_ai.usage.")
_OF_INPUT: Final[Mapping[str, str]] = {
    "cache_read": semconv.USAGE_CACHE_READ_INPUT_TOKENS[_CUT:],
    "cache_creation": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS[_CUT:],
    "ephemeral_5m_input_tokens": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS[_CUT:],
    "ephemeral_1h_input_tokens": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS[_CUT:],
    "audio": semconv.USAGE_AUDIO_INPUT_TOKENS[_CUT:],
}
_OF_OUTPUT: Final[Mapping[str, str]] = {
    "reasoning": semconv.USAGE_REASONING_OUTPUT_TOKENS[_CUT:],
    "audio": semconv.USAGE_AUDIO_OUTPUT_TOKENS[_CUT:],
}


def _mapping(text: object) -> Any:
    """The mapping that such a text stands for, or None."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _add(usage: dict[str, Any], details: object, names: Mapping[str, str]) -> None:
    if not isinstance(details, Mapping):
        return
    found: dict[str, Any] = {}
    for key, value in details.items():
        name = names.get(key)
        if name is not None and is_count(value) and value:
            found[name] = found.get(name, 0) + value  # two retentions, one name
    usage.update(found)


DIALECT: Final = Dialect("langsmith", recognises, read)
