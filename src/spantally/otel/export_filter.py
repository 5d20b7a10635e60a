"""The export filter: only GenAI spans reach exporters, and what is left of a trace stays connected.

A span that is not to be exported keeps its place everywhere but behind our processor: there its finished form
says that it is not sampled, which every span processor of the SDK, and each that derives from one, heeds. The
span itself, its context and what it propagates stay as they are.

A kept span whose parent is left out hangs beneath the nearest ancestor of this process that is kept; where
there is none, beneath what called into this process from outside (whatever that service exports), and where
nothing did, it is a root. Children end before their parents: an ancestor is judged by what it says by then.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.trace import SpanContext, TraceFlags

from spantally.calls.telemetry import SCOPE_NAME
from spantally.ground import semconv
from spantally.otel.dialects import facts_of

_PREFIX: Final = "gen_ai."


class Place:
    """Where a span stands among the spans of this process: what is needed to judge it and to hang others.

    Attributes:
        parent: context of its parent, of whatever process.
        around: place of its parent in this process.
        decided: whether it was exported; None while it runs.
    """

    __slots__ = ("_span", "around", "decided", "parent")

    def __init__(self, span: Any, around: Place | None) -> None:
        self.parent: SpanContext | None = span.parent
        self.around = around
        self.decided: bool | None = None
        self._span = weakref.ref(span)

    @property
    def kept(self) -> bool:
        """Whether the span is exported, by what it says so far."""
        if self.decided is not None:
            return self.decided
        span = self._span()
        return span is not None and is_genai(span._attributes or {}, span._name, span.instrumentation_scope)


def is_genai(attributes: Mapping[str, Any], name: str, scope: Any) -> bool:
    """Whether a span is of GenAI: of the conventions, of a dialect that is read, or of ours.

    Args:
        attributes: of the span.
        name: of the span.
        scope: instrumentation scope that made it.
    """
    return (
        semconv.CALL_ID in attributes
        or (scope is not None and scope.name == SCOPE_NAME)
        or any(key.startswith(_PREFIX) for key in attributes)
        or facts_of(attributes, name) is not None
    )


def filter_span(span: Any, place: Place | None) -> None:
    """Leave a finished span out, or hang it where its exported trace goes on.

    Args:
        span: the ``ReadableSpan`` that processors behind ours get.
        place: where it stood; None where it began before we saw spans begin.
    """
    kept = is_genai(span.attributes or {}, span.name, span.instrumentation_scope)
    if place is not None:
        place.decided = kept
    if not kept:
        context = span._context
        span._context = SpanContext(
            context.trace_id,
            context.span_id,
            context.is_remote,
            TraceFlags(context.trace_flags & ~TraceFlags.SAMPLED),
            context.trace_state,
        )
        return
    if place is None or place.around is None:
        return
    around: Place | None = place.around
    above = place.parent
    while around is not None and not around.kept:
        above, around = around.parent, around.around
    if above is not place.parent:
        span._parent = above
