"""The dialect of OpenLLMetry (Traceloop): ``traceloop.*`` for structure, older ``llm.*`` for calls.

Its newer spans speak the GenAI names. Cached tokens are within the input, for Anthropic too: its instrumentor
adds them. Of an Anthropic *stream* it adds the output tokens that the first event names to those of the last,
which contain them: its usage is taken for an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import Kind
from spantally.otel.dialects_genai import Dialect, Facts, read_genai
from spantally.otel.dialects_providers import place_of, provider_of

SPAN_KIND: Final = "traceloop.span.kind"
ENTITY_NAME: Final = "traceloop.entity.name"
REQUEST_TYPE: Final = "llm.request.type"
STREAMING: Final = "gen_ai.is_streaming"
API_BASE: Final = "gen_ai.openai.api_base"

_STRUCTURE: Final[Mapping[str, tuple[str, Kind]]] = {
    "workflow": ("invoke_workflow", Kind.WORKFLOW),
    "agent": ("invoke_agent", Kind.AGENT),
    "tool": ("execute_tool", Kind.TOOL),
}
"""A task is a function like any other."""
_REQUESTS: Final[Mapping[str, str]] = {
    "chat": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
    "embeddings": "embeddings",
    "rerank": "rerank",
}
_OLDER: Final[Mapping[str, str]] = {
    "llm.vendor": semconv.PROVIDER_NAME,
    "llm.request.model": semconv.REQUEST_MODEL,
    "llm.response.model": semconv.RESPONSE_MODEL,
    "llm.usage.prompt_tokens": semconv.USAGE_INPUT_TOKENS,
    "llm.usage.completion_tokens": semconv.USAGE_OUTPUT_TOKENS,
}


def recognises(attributes: Mapping[str, Any]) -> bool:
    """True for a span of the structure, or a call in the older names."""
    return any(sign in attributes for sign in (SPAN_KIND, REQUEST_TYPE, API_BASE, STREAMING))


def read(attributes: Mapping[str, Any], span_name: str) -> Facts | None:
    """Read a span; None for a task."""
    named = semconv.OPERATION_NAME in attributes
    if SPAN_KIND in attributes and not named and REQUEST_TYPE not in attributes:
        return _structure(attributes, span_name)
    made = {name: attributes[older] for older, name in _OLDER.items() if older in attributes}
    operation = _REQUESTS.get(str(attributes.get(REQUEST_TYPE)).lower())
    if operation is not None and not named:
        made[semconv.OPERATION_NAME] = operation
    facts = read_genai({**made, **attributes}, span_name)
    if facts is None:
        return None
    if facts.provider == "anthropic" and attributes.get(STREAMING) is True:
        facts = facts._replace(estimated=True)
    host, port = place_of(attributes.get(API_BASE))
    if host is not None and facts.server_address is None:
        context = {**(facts.price_context or {}), "server_address": host}
        facts = facts._replace(server_address=host, server_port=port, price_context=context)
    return facts


def _structure(attributes: Mapping[str, Any], span_name: str) -> Facts | None:
    found = _STRUCTURE.get(str(attributes.get(SPAN_KIND)))
    if found is None:
        return None
    operation, kind = found
    own = semconv.AGENT_NAME if kind is Kind.AGENT else semconv.TOOL_NAME
    name = attributes.get(ENTITY_NAME) or attributes.get(own) or attributes.get("traceloop.workflow.name")
    if not isinstance(name, str) or not name:
        name = span_name.removesuffix(f".{kind}")
    provider = attributes.get(semconv.PROVIDER_NAME)
    return Facts(operation, kind, name, provider_of(provider if isinstance(provider, str) else None))


DIALECT: Final = Dialect("openllmetry", recognises, read)
