"""What many spans, log records and metrics share: resource, instrumentation scope, trace state.

They are the SDK's or the program's, so they are replaced and never changed. Each is scanned once and not with
every span; once more where a secret became known since, or another redactor asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceState

from spantally.calls.own_spans import generation_now, revision_of
from spantally.calls.telemetry import RedactorLike
from spantally.otel.safe_values import safe_attributes, safe_text

Known = tuple[Any, Any, Any, int | None]
"""What was scanned, by which redactor, what it is without secrets, the redactor's stamp."""

MOST_KEPT: Final = 256
LONGEST_ENTRY: Final = 256
"""Most characters of one value of a trace state, by its specification."""

resources: Final[dict[int, Known]] = {}
"""By identity; one a provider."""

_scopes: Final[dict[int, Known]] = {}
"""By identity; one a tracer, meter or logger."""

_clean: Final[dict[Any, tuple[Any, int | None]]] = {}
"""Trace states without secrets, by their entries: each span of a trace has the state of its parent."""


def stamp_of(redactor: Any) -> int | None:
    """Changes whenever this redactor may give another answer than before."""
    revision = revision_of(redactor)
    return generation_now() if revision is None else revision


def _scanned(
    known: dict[int, Known], thing: Any, redactor: Any, stamp: int | None, make: Callable[[Any, Any], Any]
) -> Any:
    if stamp is None:
        stamp = stamp_of(redactor)
    found = known.get(id(thing))
    if found is None or found[0] is not thing or found[1] is not redactor or found[3] != stamp:
        if len(known) >= MOST_KEPT:
            known.clear()
        found = known[id(thing)] = (thing, redactor, make(thing, redactor), stamp)
    return found[2]


def safe_resource(resource: Any, redactor: RedactorLike, stamp: int | None = None) -> Any:
    """The resource without secrets; the same object where there are none.

    It may hold the command line, and whatever a program passes.

    Args:
        resource: the SDK's; None stays None.
        redactor: what scans.
        stamp: of the redactor, where it is known already.
    """
    return None if resource is None else _scanned(resources, resource, redactor, stamp, _make_resource)


def _make_resource(resource: Any, redactor: RedactorLike) -> Any:
    values = dict(resource.attributes)
    safe = safe_attributes(values, redactor)
    schema_url = safe_text(resource.schema_url, redactor) if resource.schema_url else resource.schema_url
    if safe == values and schema_url == resource.schema_url:
        return resource
    return Resource(safe, schema_url)


def safe_scope(scope: Any, redactor: RedactorLike, stamp: int | None = None) -> Any:
    """The instrumentation scope without secrets; the same object where there are none.

    Args:
        scope: the SDK's; None stays None.
        redactor: what scans.
        stamp: of the redactor, where it is known already.
    """
    return None if scope is None else _scanned(_scopes, scope, redactor, stamp, _make_scope)


def _make_scope(scope: Any, redactor: RedactorLike) -> Any:
    old = (scope.name, scope.version, scope.schema_url)
    new = tuple(safe_text(text, redactor) if text else text for text in old)
    values = dict(scope.attributes or {})
    safe = safe_attributes(values, redactor) if values else values
    if new == old and safe == values:
        return scope
    name, version, schema_url = new
    return InstrumentationScope(name or "", version, schema_url, safe)


def safe_state(state: Any, redactor: RedactorLike) -> Any:
    """The trace state without secrets; the same object where there are none.

    An entry whose key holds data goes, since a key has no room for what would stand there instead.
    """
    if not state:
        return state
    entries = tuple(state.items())
    stamp = stamp_of(redactor)
    known = _clean.get(entries)
    if known is not None and known[0] is redactor and known[1] == stamp:
        return state
    safe = safe_attributes(dict(entries), redactor)
    if tuple(safe.items()) == entries:
        if len(_clean) >= MOST_KEPT:
            _clean.clear()
        _clean[entries] = (redactor, stamp)
        return state
    pairs = [(key, _as_value(safe[key], old)) for key, old in entries if key in safe]
    return TraceState([(key, text) for key, text in pairs if len(text) <= LONGEST_ENTRY])


def _as_value(value: Any, old: str) -> str:
    """A redacted value of a trace state: ``,`` and ``=`` have no place in one."""
    if value is old or value == old:
        return old
    return str(value).replace(",", ";").replace("=", ":")


def safe_context(context: Any, redactor: RedactorLike) -> Any:
    """A span context whose trace state holds no secret; the same object where it holds none."""
    if context is None or not context.trace_state:
        return context
    state = safe_state(context.trace_state, redactor)
    return context if state is context.trace_state else context_with(context, state)


def context_with(context: Any, state: TraceState | None) -> SpanContext:
    """The same context with another trace state."""
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, state)
