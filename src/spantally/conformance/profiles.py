"""Span types of the conventions, by profile: kinds, names, and which attributes are expected.

Taken from the conventions' tables as of November 2026 and of version 1.41.0. An attribute that is named under
``required`` or ``recommended`` is expected on every span of its type. What depends on a condition that a span
alone does not show is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from spantally.conformance import vocabulary as words
from spantally.conformance.model import Span, word

SCHEMA_BASE: Final = "https://opentelemetry.io/schemas/"


class SpanType(NamedTuple):
    """One span type of the conventions."""

    name: str
    operations: frozenset[str]
    kinds: frozenset[str]
    """Span kinds that it may have."""
    keyed: str | None
    """The attribute whose value follows the operation in the span's name."""
    required: frozenset[str]
    recommended: frozenset[str]
    """Recommended without a condition, and known to whoever saw request and response."""
    requested: frozenset[str] = frozenset()
    """Recommended without a condition, though only a request that names them lets them be known."""
    removed: frozenset[str] = frozenset()
    """Attributes that this span type had and has no longer, or that stand elsewhere."""
    sums: bool = False
    """Whether it tells of others: what is recommended is expected where the model calls beneath have it."""


class Profile(NamedTuple):
    """One state of the conventions."""

    name: str
    span_types: tuple[SpanType, ...]
    types: Mapping[str, str]
    """By attribute: its type."""
    renamed: Mapping[str, str | None]
    """By attribute that is no longer used: its successor, or None."""
    operations: frozenset[str]
    providers: frozenset[str]
    finish_reasons: frozenset[str]
    schema_url: str
    """What the schema URL of a scope begins with."""
    message_finish_reason: bool
    """Whether an output message must carry its finish reason."""
    text_instructions: bool
    """Whether system instructions have text parts only."""


def _names(text: str) -> frozenset[str]:
    return frozenset(
        name if name.startswith(("server.", "error.")) else f"gen_ai.{name}" for name in text.split()
    )


def _type(
    name: str,
    operations: str,
    kinds: str,
    keyed: str | None,
    *,
    required: str = "",
    recommended: str = "",
    requested: str = "",
    removed: str = "",
    sums: bool = False,
) -> SpanType:
    return SpanType(
        name,
        frozenset(operations.split()),
        frozenset(kinds.split()),
        None if keyed is None else f"gen_ai.{keyed}",
        _names(f"operation.name {required}"),
        _names(recommended),
        _names(requested),
        _names(removed),
        sums,
    )


_RESPONSE = "response.id response.model response.finish_reasons usage.input_tokens usage.output_tokens"

_SPAN_TYPES: Final = (
    _type(
        "gen_ai.client.inference",
        "chat generate_content text_completion",
        "CLIENT INTERNAL",
        "request.model",
        required="provider.name",
        recommended=f"{_RESPONSE} server.address",
    ),
    _type(
        "gen_ai.embeddings.client",
        "embeddings",
        "CLIENT",
        "request.model",
        required="provider.name",
        recommended="response.model usage.input_tokens server.address",
        requested="embeddings.dimension.count request.encoding_formats",
    ),
    _type(
        "gen_ai.retrieval.client",
        "retrieval",
        "CLIENT",
        "data_source.id",
        recommended="server.address",
        requested="retrieval.top_k",
    ),
    _type(
        "gen_ai.memory.client",
        "create_memory_store delete_memory_store create_memory update_memory upsert_memory search_memory"
        " delete_memory",
        "CLIENT INTERNAL",
        None,
        recommended="server.address",
    ),
    _type(
        "gen_ai.fetch_response.client",
        "fetch_response",
        "CLIENT",
        None,
        required="provider.name response.id",
        recommended="response.model response.status response.finish_reasons server.address",
        # They count where the answer was made.
        removed="usage.input_tokens usage.output_tokens",
    ),
    _type(
        "gen_ai.create_agent.client",
        "create_agent",
        "CLIENT",
        "agent.name",
        required="provider.name",
        recommended="server.address",
    ),
    _type(
        "gen_ai.invoke_agent.client",
        "invoke_agent",
        "CLIENT",
        "agent.name",
        required="provider.name",
        recommended="response.finish_reasons usage.input_tokens usage.output_tokens server.address",
    ),
    _type(
        "gen_ai.invoke_agent.internal",
        "invoke_agent",
        "INTERNAL",
        "agent.name",
        recommended="response.finish_reasons usage.input_tokens usage.output_tokens",
        removed="agent.id agent.version provider.name usage.cache_read.input_tokens"
        " usage.cache_write.input_tokens",
        sums=True,
    ),
    _type("gen_ai.execute_tool.internal", "execute_tool", "INTERNAL", "tool.name", required="tool.name"),
    _type("gen_ai.invoke_workflow.internal", "invoke_workflow", "INTERNAL", "workflow.name"),
    _type("gen_ai.plan.internal", "plan", "INTERNAL", "agent.name"),
)

MCP_KINDS: Final = frozenset({"CLIENT", "SERVER"})


def is_mcp(span: Span) -> bool:
    """True for a span of the MCP conventions, which has a name of its own form.

    An execute_tool span may carry MCP attributes too; its kind tells it apart.
    """
    return "mcp.method.name" in span.attributes and span.kind in MCP_KINDS


def _of_1_41(one: SpanType) -> SpanType:
    """A span type as it was in 1.41.0, where that differs."""
    if one.name == "gen_ai.retrieval.client":
        return one._replace(requested=_names("request.top_k"))
    if one.sums:
        earlier = _names("provider.name usage.cache_read.input_tokens usage.cache_creation.input_tokens")
        return one._replace(recommended=one.recommended | earlier, removed=frozenset())
    return one._replace(removed=frozenset())


_RENAMED_1_41: Final[Mapping[str, str | None]] = {
    **words.RENAMED,
    "gen_ai.usage.cache_creation_input_tokens": words.CACHE_CREATION,
}

PROFILES: Final[Mapping[str, Profile]] = {
    "latest": Profile(
        name="latest",
        span_types=_SPAN_TYPES,
        types=words.ATTRIBUTE_TYPES,
        renamed={**words.RENAMED, words.CACHE_CREATION: words.CACHE_WRITE},
        operations=words.OPERATIONS,
        providers=words.PROVIDERS,
        finish_reasons=words.FINISH_REASONS,
        schema_url=f"{SCHEMA_BASE}gen-ai-dev/",
        message_finish_reason=False,
        text_instructions=True,
    ),
    "1.41": Profile(
        name="1.41",
        span_types=tuple(_of_1_41(one) for one in _SPAN_TYPES if one.operations & words.OPERATIONS_1_41),
        types={
            **{key: kind for key, kind in words.ATTRIBUTE_TYPES.items() if key not in words.NOT_IN_1_41},
            words.CACHE_CREATION: "int",
            "gen_ai.request.top_k": "double",
        },
        renamed=_RENAMED_1_41,
        operations=words.OPERATIONS_1_41,
        providers=words.PROVIDERS_1_41,
        finish_reasons=words.FINISH_REASONS_1_41,
        schema_url=f"{SCHEMA_BASE}1.41.",
        message_finish_reason=True,
        text_instructions=False,
    ),
}
"""By name; the setting ``semconv`` has the same names."""


def span_type(span: Span, profile: Profile) -> SpanType | None:
    """The span type of a span, or None where its operation names none.

    Where an operation has two types, the span's kind decides; a kind of neither gives the first.
    """
    operation = word(span.attributes, "gen_ai.operation.name")
    fitting = [one for one in profile.span_types if operation in one.operations]
    of_kind = [one for one in fitting if span.kind in one.kinds]
    return next(iter(of_kind or fitting), None)


def kinds_of(operation: object, profile: Profile) -> frozenset[str]:
    """The span kinds that an operation may have; empty where it names no span type."""
    return frozenset(kind for one in profile.span_types if operation in one.operations for kind in one.kinds)
