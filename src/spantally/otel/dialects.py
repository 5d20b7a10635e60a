"""From the attributes of somebody's GenAI span to plain facts: which dialect reads which span.

The first dialect that recognises a span reads it. The GenAI names are read by
:mod:`~spantally.otel.dialects_genai`; every other dialect is a module of its own, loaded with the first span
that bears a sign of it (:data:`SIGNED`), or joins by :func:`register`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from spantally.calls.price_basis import basis_in
from spantally.ground import semconv
from spantally.ground.records import COUNTED_KINDS, Kind
from spantally.otel.dialects_genai import GENAI, Dialect, Facts, read_genai

__all__ = ["SIGNED", "Dialect", "Facts", "dialect_of", "facts_of", "read_genai", "register"]

_dialects: list[Dialect] = [GENAI]


def register(dialect: Dialect) -> None:
    """Read spans of one more dialect; a later one is asked before the earlier ones."""
    _dialects[:] = [dialect, *(one for one in _dialects if one.name != dialect.name)]


SIGNED: Final[tuple[tuple[frozenset[str], str], ...]] = (
    (frozenset({"openinference.span.kind"}), "spantally.otel.openinference"),
    (frozenset({"langfuse.observation.type"}), "spantally.otel.dialects_langfuse"),
    (frozenset({"langsmith.span.kind"}), "spantally.otel.dialects_langsmith"),
    (frozenset({"mlflow.spanType"}), "spantally.otel.dialects_mlflow"),
    (frozenset({"ai.operationId"}), "spantally.otel.dialects_vercel"),
    (frozenset({"gen_ai.sdk.version", "telemetry.sdk.name"}), "spantally.otel.dialects_openlit"),
    (frozenset({"gen_ai.usage.raw", "request_data"}), "spantally.otel.dialects_logfire"),
    (
        frozenset(
            {"traceloop.span.kind", "llm.request.type", "gen_ai.openai.api_base", "gen_ai.is_streaming"}
        ),
        "spantally.otel.dialects_openllmetry",
    ),
    (
        frozenset(
            {"anthropic.response.service_tier", "anthropic.usage.cache_creation.ephemeral_1h_input_tokens"}
        ),
        "spantally.otel.dialects_anthropic",
    ),
)
"""Attributes that a dialect's spans bear, and the module that reads it; the first that recognises a span."""

_ALL_SIGNS: Final = frozenset().union(*(signs for signs, _ in SIGNED))


def _signed(attributes: Mapping[str, Any]) -> Dialect | None:
    if _ALL_SIGNS.isdisjoint(attributes):
        return None  # the way of nearly all spans
    for signs, module in SIGNED:
        if not signs.isdisjoint(attributes):
            dialect: Dialect = import_module(module).DIALECT
            if dialect.recognises(attributes):
                return dialect
    return None


def dialect_of(attributes: Mapping[str, Any]) -> Dialect | None:
    """The dialect that recognises the attributes, or None: then the span is no GenAI span."""
    for dialect in _dialects:
        if dialect is GENAI:
            signed = _signed(attributes)
            if signed is not None:
                return signed
        if dialect.recognises(attributes):
            return dialect
    return None


def facts_of(attributes: Mapping[str, Any] | None, span_name: str) -> Facts | None:
    """What the attributes of a span say in whichever dialect; None for a span that is no GenAI operation."""
    if not attributes:
        return None
    dialect = dialect_of(attributes)
    facts = None if dialect is None else dialect.read(attributes, span_name)
    if facts is None or semconv.COST_BASIS not in attributes:
        return facts
    if facts.kind not in COUNTED_KINDS and facts.operation != "fetch_response":
        return facts
    basis = basis_in(attributes[semconv.COST_BASIS])
    if basis is None:
        return facts
    usage, usage_format, context = basis
    merged = {**(facts.price_context or {}), **context}
    if facts.kind not in COUNTED_KINDS:
        facts = facts._replace(kind=Kind.INFERENCE)  # it told the usage of what an earlier call began
    return facts._replace(usage=usage, usage_format=usage_format, price_context=merged or None)
