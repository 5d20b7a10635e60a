"""The dialect of Langfuse: ``langfuse.observation.*``, with usage as JSON in the provider's shape or its own.

In its own shape ``input`` and ``output`` stand beside ``input_*`` and ``output_*``, disjoint from them
(langfuse.com/docs/observability/features/token-and-cost-tracking). ``cost_details`` are estimates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from spantally.ground.records import COUNTED_KINDS, Kind, UsageFormat
from spantally.otel.dialects_genai import Dialect, Facts
from spantally.otel.dialects_providers import provider_of
from spantally.otel.dialects_raw import Usage, as_json, is_count, raw_usage

_BEFORE: Final = "langfuse.observation."
TYPE: Final = _BEFORE + "type"
MODEL: Final = _BEFORE + "model.name"
USAGE_DETAILS: Final = _BEFORE + "usage_details"
LS_PROVIDER: Final = _BEFORE + "metadata.ls_provider"
LS_MODEL: Final = _BEFORE + "metadata.ls_model_name"

OF_LANGCHAIN: Final = (
    LS_MODEL,
    LS_PROVIDER,
    _BEFORE + "metadata.ls_integration",
    _BEFORE + "metadata.langgraph_node",
)
"""Any of which its handler of LangChain has from the run."""

_OPERATIONS: Final[Mapping[str, tuple[str, Kind]]] = {
    "generation": ("chat", Kind.INFERENCE),
    "embedding": ("embeddings", Kind.EMBEDDINGS),
    "agent": ("invoke_agent", Kind.AGENT),
    "tool": ("execute_tool", Kind.TOOL),
    "retriever": ("retrieval", Kind.RETRIEVAL),
}
"""By type of observation; a span, chain, event, evaluator or guardrail is no operation."""
_NAMED: Final = frozenset({Kind.AGENT, Kind.TOOL})
_READ: Final = frozenset(
    {"input_cached_tokens", "input_cache_read", "cache_read_input_tokens", "cached_tokens"}
)
_WRITE: Final = frozenset(
    {"input_cache_creation", "input_cache_write", "cache_creation_input_tokens", "cache_write_tokens"}
)
_REASONING: Final = frozenset({"output_reasoning", "output_reasoning_tokens", "reasoning_tokens"})
_AUDIO_IN: Final = frozenset({"input_audio", "input_audio_tokens"})
_AUDIO_OUT: Final = frozenset({"output_audio", "output_audio_tokens"})


def recognises(attributes: Mapping[str, Any]) -> bool:
    """True for an observation of Langfuse's SDK."""
    return TYPE in attributes


def read(attributes: Mapping[str, Any], span_name: str) -> Facts | None:
    """Read an observation; None where its type is no operation."""
    found = _OPERATIONS.get(str(attributes.get(TYPE)).lower())
    if found is None:
        return None
    operation, kind = found
    if kind not in COUNTED_KINDS:
        return Facts(operation, kind, span_name if kind in _NAMED else None)
    usage = _usage(as_json(attributes.get(USAGE_DETAILS)))
    return Facts(
        operation,
        kind,
        provider=_provider(attributes, span_name),
        request_model=_plain(attributes.get(MODEL)) or _plain(attributes.get(LS_MODEL)),
        usage=None if usage is None else usage[0],
        usage_format=None if usage is None else usage[1],
    )


def _plain(value: object) -> str | None:
    """A text, which some versions write as JSON."""
    if not isinstance(value, str) or not value:
        return None
    if value[0] == '"':
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, str) and value else None


def _provider(attributes: Mapping[str, Any], span_name: str) -> str | None:
    named = provider_of(_plain(attributes.get(LS_PROVIDER)))
    # Its own wrapper of the openai SDK names observations so; nothing else on them tells the provider.
    return named or ("openai" if span_name.startswith("OpenAI-") else None)


def _usage(details: object) -> Usage | None:
    found = raw_usage(details)
    if found is not None or not isinstance(details, Mapping):
        return found
    counts = {key: value for key, value in details.items() if is_count(value)}
    if not {"input", "output"} & counts.keys():
        return None
    reasoning = _sum(counts, _REASONING)
    parts = {
        "uncached_input": counts.get("input", 0),
        "cache_read": _sum(counts, _READ),
        "cache_write_5m": _sum(counts, _WRITE),
        "audio_input": _sum(counts, _AUDIO_IN),
        "output": counts.get("output", 0) + reasoning,
        "reasoning": reasoning,
        "audio_output": _sum(counts, _AUDIO_OUT),
    }
    return {name: count for name, count in parts.items() if count}, UsageFormat.PARTS


def _sum(counts: Mapping[str, Any], names: frozenset[str]) -> int:
    """One of several spellings: where a span has two, they say the same."""
    return max((int(counts[name]) for name in names if name in counts), default=0)


DIALECT: Final = Dialect("langfuse", recognises, read)
