"""From the attributes of somebody's GenAI span to plain facts: which dialect reads which span.

The first dialect that recognises a span reads it. The GenAI names are read by
:mod:`~spantally.otel.dialects_genai`; every other dialect is a module of its own, loaded with the first span
that bears a sign of it (:data:`SIGNED`), or joins by :func:`register`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from spantally.calls.price_basis import READINGS, basis_in
from spantally.ground import semconv
from spantally.ground.records import COUNTED_KINDS, Kind
from spantally.otel.dialects_genai import GENAI, Dialect, Facts, host_and_port, read_genai

__all__ = ["LATER_READING", "SIGNED", "Dialect", "Facts", "dialect_of", "facts_of", "read_genai", "register"]

LATER_READING: Final = "fetch_response"
"""The operation that rows have of a request that told the usage of an answer which an earlier call began."""

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
    text = attributes.get(semconv.COST_BASIS)
    if text is None or not (facts is None or facts.kind in COUNTED_KINDS or facts.operation in READINGS):
        return facts
    basis = basis_in(text)
    if basis is None:
        return facts
    answer = basis.answer
    if facts is None or facts.kind not in COUNTED_KINDS:
        # It told the usage of what an earlier call began.
        if facts is None:
            if answer is None:
                return None
            host, port = host_and_port(attributes)
            facts = Facts(LATER_READING, Kind.INFERENCE, server_address=host, server_port=port)
        told: dict[str, Any] = {"operation": LATER_READING, "kind": Kind.INFERENCE, **(answer or {})}
        facts = facts._replace(**told)
    merged = {**(facts.price_context or {}), **basis.context}
    return facts._replace(usage=basis.usage, usage_format=basis.usage_format, price_context=merged or None)
