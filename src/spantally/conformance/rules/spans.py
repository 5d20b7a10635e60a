"""Rules about a span as a whole: name, kind, status, and what must be on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from spantally.conformance.apis import unsupplied
from spantally.conformance.model import Span, word
from spantally.conformance.profiles import Profile, is_mcp, kinds_of, span_type
from spantally.conformance.rules.base import (
    AGENTS,
    GENERAL,
    MIGRATION,
    SPANS,
    Rule,
    error,
    show,
    warning,
)

_OPERATION: Final = "gen_ai.operation.name"
_STREAM: Final = "gen_ai.request.stream"
_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
_DIMENSIONS: Final = "gen_ai.embeddings.dimension.count"
_ANSWERED: Final = ("gen_ai.response.", "gen_ai.usage.")
"""What the names of attributes begin with that only an answer tells."""


def _span_name(span: Span, profile: Profile) -> Iterator[str]:
    """``{operation} {keyed attribute}``, or the operation alone where there is no such attribute."""
    if is_mcp(span):
        subject = span.attributes.get("gen_ai.tool.name") or span.attributes.get("gen_ai.prompt.name")
        first: Any = span.attributes.get("mcp.method.name")
    else:
        kind = span_type(span, profile)
        if kind is None:
            return
        first = span.attributes.get(_OPERATION)
        subject = span.attributes.get(kind.keyed) if kind.keyed else None
    expected = f"{first} {subject}" if isinstance(subject, str) and subject else f"{first}"
    if span.name != expected:
        yield f"the span is named {show(span.name)}; {show(expected)} is expected"


def _span_kind(span: Span, profile: Profile) -> Iterator[str]:
    if is_mcp(span):
        return
    operation = word(span.attributes, _OPERATION)
    kinds = kinds_of(operation, profile)
    if kinds and span.kind not in kinds:
        yield f"the kind of {operation} is {span.kind}; {' or '.join(sorted(kinds))} is expected"


def _operation_missing(span: Span, profile: Profile) -> Iterator[str]:
    if _OPERATION not in span.attributes and not is_mcp(span):
        yield f"a span with gen_ai.* attributes has no {_OPERATION}; one is required"


def _status_ok(span: Span, profile: Profile) -> Iterator[str]:
    if span.status == "OK":
        yield "the status is OK; instrumentation leaves it UNSET, since OK belongs to the application"


def _error_type_missing(span: Span, profile: Profile) -> Iterator[str]:
    if span.status == "ERROR" and "error.type" not in span.attributes:
        yield "the status is ERROR without error.type; the error's code or type is expected"


def _error_type_stray(span: Span, profile: Profile) -> Iterator[str]:
    if span.status != "ERROR" and "error.type" in span.attributes:
        value = show(span.attributes["error.type"])
        yield f"error.type is {value} and the status {span.status}; ERROR is expected beside error.type"


def _required(span: Span, profile: Profile) -> Iterator[str]:
    kind = None if is_mcp(span) else span_type(span, profile)
    if kind is not None:
        for name in sorted(kind.required - span.attributes.keys()):
            if not (name.startswith(_ANSWERED) and not _answered(span)):
                yield f"{name} is missing; {kind.name} spans require it"


def _recommended(span: Span, profile: Profile) -> Iterator[str]:
    for name in _missing(span, profile):
        if not _perhaps_unsent(span, name):
            yield f"{name} is missing; every span of this type should have it"


def _stream_usage(span: Span, profile: Profile) -> Iterator[str]:
    for name in _missing(span, profile):
        if _perhaps_unsent(span, name):
            yield (
                f"{name} is missing on a stream; many providers send usage there only when asked"
                " (OpenAI: stream_options.include_usage)"
            )


def _missing(span: Span, profile: Profile) -> list[str]:
    """Unconditionally recommended attributes that could be known and are not there."""
    kind = None if is_mcp(span) else span_type(span, profile)
    if kind is None or span.kind not in kind.kinds:
        return []
    answered = _answered(span)
    expected = kind.recommended & span.beneath if kind.sums else kind.recommended - unsupplied(span)
    missing = sorted(expected - span.attributes.keys())
    return [name for name in missing if answered or not name.startswith(_ANSWERED)]


def _perhaps_unsent(span: Span, name: str) -> bool:
    return name.startswith("gen_ai.usage.") and span.attributes.get(_STREAM) is True


def _answered(span: Span) -> bool:
    """False where the answer failed or broke off, so that nothing of it need be known."""
    reasons = span.attributes.get("gen_ai.response.finish_reasons")
    broken = isinstance(reasons, list) and "error" in reasons
    return span.status != "ERROR" and not broken


def _requested(span: Span, profile: Profile) -> Iterator[str]:
    kind = None if is_mcp(span) else span_type(span, profile)
    if kind is not None:
        for name in sorted(kind.requested - span.attributes.keys()):
            if name == _DIMENSIONS and not _answered(span):
                continue  # where the request does not name them, an answer shows them
            yield f"{name} is missing; it is expected where the request names it"


def _server_port(span: Span, profile: Profile) -> Iterator[str]:
    if "server.address" in span.attributes and "server.port" not in span.attributes and not is_mcp(span):
        yield "server.address is set without server.port; both are expected"


def _first_chunk(span: Span, profile: Profile) -> Iterator[str]:
    if span.attributes.get(_STREAM) is True and _FIRST_CHUNK not in span.attributes and _answered(span):
        yield f"a stream that was answered has no {_FIRST_CHUNK}; it is recommended for streams"


def _removed(span: Span, profile: Profile) -> Iterator[str]:
    kind = None if is_mcp(span) else span_type(span, profile)
    if kind is not None and span.kind in kind.kinds:
        for name in sorted(kind.removed & span.attributes.keys()):
            yield f"{name} does not belong on {kind.name} spans; leave it out"


SPAN_RULES: Final[tuple[Rule[Span], ...]] = (
    error(
        "GENAI-OPERATION-MISSING",
        f"A span with gen_ai.* attributes has {_OPERATION}.",
        SPANS,
        _operation_missing,
    ),
    error(
        "GENAI-SPAN-NAME",
        "A span is named by its operation, followed by its model, agent, tool, workflow or data source.",
        SPANS,
        _span_name,
    ),
    error("GENAI-SPAN-KIND", "A span has a kind that its operation may have.", SPANS, _span_kind),
    error("GENAI-STATUS-OK", "Instrumentation does not set the status OK.", GENERAL, _status_ok),
    error(
        "GENAI-ERROR-TYPE-MISSING",
        "A span with status ERROR has error.type.",
        SPANS,
        _error_type_missing,
    ),
    error(
        "GENAI-ERROR-TYPE-STRAY",
        "A span with error.type has status ERROR.",
        GENERAL,
        _error_type_stray,
    ),
    error("GENAI-REQUIRED", "Every required attribute is there.", SPANS, _required),
    error(
        "GENAI-RECOMMENDED",
        "Every attribute that is recommended without a condition is there, as far as an answer came.",
        SPANS,
        _recommended,
    ),
    warning(
        "GENAI-STREAM-USAGE",
        "A stream that was answered has its token counts, where the provider sent them.",
        SPANS,
        _stream_usage,
    ),
    warning(
        "GENAI-REQUESTED",
        "A recommended parameter of embeddings and retrieval is there, where the request names it.",
        SPANS,
        _requested,
    ),
    error("GENAI-SERVER-PORT", "server.port stands beside server.address.", SPANS, _server_port),
    warning("GENAI-FIRST-CHUNK", f"A stream has {_FIRST_CHUNK}.", SPANS, _first_chunk),
    warning(
        "GENAI-REMOVED",
        "Attributes that were taken from a span type, or stand elsewhere, are not on its spans.",
        f"{AGENTS}; {MIGRATION}",
        _removed,
    ),
)
