"""The second redaction net: every span of a provider, whoever made it, loses its secrets as it ends.

The SDK freezes a span *before* it calls ``_on_ending``, so the public setters do nothing there. The finished
``ReadableSpan`` is built *after* that hook and shared by all processors: replacing the span's private
parts inside the hook is therefore seen by every processor, added before ours or after. It leans on
private names: where an SDK lacks them, the place in front of the other processors is the net that is left.
``spantally doctor`` says which one holds (``net_probe``).

It fails closed: what cannot be scanned becomes ``[REDACTED:error]``; the span and its numbers survive.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from operator import is_
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status, StatusCode

from spantally.calls.own_spans import MARK, OwnSpan
from spantally.calls.telemetry import RedactorLike
from spantally.ground.guard import swallowed
from spantally.otel.bounded import Bounded
from spantally.otel.safe_values import REDACTED_ERROR, safe_attributes, safe_text
from spantally.otel.shared_parts import (
    context_with,
    resources,
    safe_context,
    safe_resource,
    safe_scope,
    safe_state,
    stamp_of,
)


class SafeAttributes(BoundedAttributes):
    """Attributes that went through the net.

    Attributes:
        note: whatever the processor wants to hand from ``_on_ending`` to ``on_end``.
        by: the redactor that all of the span went through, and its stamp; None where it did not.
    """

    note: Any = None
    by: tuple[Any, int | None] | None = None

    @classmethod
    def replacing(cls, old: Any, values: dict[str, Any]) -> SafeAttributes:
        """Frozen attributes with ``values``, keeping limits and the count of dropped ones of ``old``."""
        if isinstance(old, BoundedAttributes):
            made = cls.__new__(cls)
            made.__dict__.update(old.__dict__)
            made._dict = values
            made._immutable = True
            return made
        return cls(attributes=values, immutable=True)


def _safe_of(span: Any, attributes: Any, redactor: RedactorLike, bounded: RedactorLike) -> dict[str, Any]:
    """The span's attributes without their secrets; what our own calls redacted is not scanned again.

    A value is passed only if it is the very one that this redactor gave for this key: whatever others set
    on the span, and whatever a limit cut, is scanned.
    """
    mark: OwnSpan | None = getattr(span, MARK, None)
    if mark is None or not mark.is_of(redactor):
        return safe_attributes(attributes, bounded)
    known = mark.values
    values = dict(attributes)
    others = {
        key: value
        for key, value in values.items()
        if (given := known.get(key)) is not value and (type(value) is str or given != value)
    }
    if others:
        for key in others:
            del values[key]
        values.update(safe_attributes(others, bounded))
    return values


def passes_whole(span: Any, redactor: RedactorLike) -> bool:
    """Let a span of ours pass that holds what we set and redacted, in our order, and nothing else.

    The usual case. Its attributes are frozen and safe as they are; a span of which anything is otherwise is
    left to :func:`redact_ending_span`.

    Args:
        span: an SDK span inside ``_on_ending``.
        redactor: what it must have been redacted by.
    """
    mark: OwnSpan | None = getattr(span, MARK, None)
    attributes = span._attributes
    if mark is None or type(attributes) is not BoundedAttributes:
        return False
    asked, mark.asked = mark.asked, None
    just_asked = asked is not None and asked == mark.revision and mark.redactor is redactor
    if not just_asked and not mark.is_of(redactor):
        return False
    inner, known, status = attributes._dict, mark.values, span._status
    resource = resources.get(id(span._resource))
    stamp = mark.generation if mark.revision is None else mark.revision
    state = span._context.trace_state
    if (
        resource is None
        or resource[2] is not span._resource
        or resource[1] is not redactor
        or resource[3] != stamp
        or len(inner) != len(known)
        or span._name is not mark.title
        or not attributes._immutable
        or span._events
        or span._links
        or (status is not None and status.description)
        or (state and safe_state(state, redactor) is not state)
        or not all(map(is_, inner, known))
        or not all(map(is_, inner.values(), known.values()))
    ):
        return False
    attributes.__class__ = SafeAttributes
    attributes.by = (redactor, stamp)  # type: ignore[attr-defined]
    return True


def redact_ending_span(span: Any, redactor: RedactorLike) -> SafeAttributes:
    """Replace the private parts of a span that is ending by redacted ones.

    Args:
        span: an SDK span inside ``_on_ending``, or a finished ``ReadableSpan`` (then only processors
            after ours see it).
        redactor: what scans.

    Returns:
        The attributes that the span has now.
    """
    old = span._attributes
    mark: OwnSpan | None = getattr(span, MARK, None)
    stamp = stamp_of(redactor)
    bounded = Bounded(redactor)
    try:
        made = SafeAttributes.replacing(old, _safe_of(span, old, redactor, bounded))
    except Exception as error:
        swallowed("redaction.attributes", error)
        made = SafeAttributes(attributes={}, immutable=True)
    span._attributes = made
    if mark is None or span._name is not mark.title or not mark.is_of(redactor):
        _part(span, "_name", _redact_name, bounded)
    if span._status is not None and span._status.description:
        _part(span, "_status", _redact_status, bounded)
    if span._events:
        _part(span, "_events", _redact_events, bounded)
    if span._links:
        _part(span, "_links", _redact_links, bounded)
    _shared(span, redactor, stamp)
    made.by = (redactor, stamp)
    return made


def _shared(span: Any, redactor: RedactorLike, stamp: int | None) -> None:
    """Replace what the span has in common with others; seldom is anything of it secret."""
    try:
        if (
            safe_resource(span._resource, redactor, stamp) is span._resource
            and safe_scope(span._instrumentation_scope, redactor, stamp) is span._instrumentation_scope
            and not span._context.trace_state
        ):
            return
    except Exception as error:
        swallowed("redaction.shared", error)
    _part(span, "_resource", _redact_resource, redactor)
    _part(span, "_instrumentation_scope", _redact_scope, redactor)
    _part(span, "_context", _redact_context, redactor)


def redact_starting_span(span: Any, redactor: RedactorLike) -> None:
    """Replace what a span was started with, for processors that send spans as they start.

    Args:
        span: an SDK span that is recording.
        redactor: what scans.
    """
    bounded = Bounded(redactor)
    attributes = span._attributes
    safe = safe_attributes(attributes, bounded)
    changed = {key: value for key, value in safe.items() if attributes.get(key) != value}
    gone = [key for key in attributes if key not in safe]
    if changed:
        span.set_attributes(changed)
    for key in gone:  # a name that held data
        del attributes[key]
    _part(span, "_name", _redact_name, bounded)
    if span._links:
        _part(span, "_links", _redact_links, bounded)
    _part(span, "_resource", _redact_resource, redactor)
    _part(span, "_instrumentation_scope", _redact_scope, redactor)


def redacted_copy(span: Any, redactor: RedactorLike) -> Any:
    """A finished span without its secrets; the span itself, which is others' too, stays as it is.

    Args:
        span: a ``ReadableSpan``.
        redactor: what scans.

    Returns:
        The span itself where this redactor has seen it as it ended.

    Raises:
        AttributeError: this SDK keeps the parts of a span elsewhere.
    """
    attributes = span._attributes
    if isinstance(attributes, SafeAttributes) and attributes.by is not None:
        by, stamp = attributes.by
        if by is redactor and stamp == stamp_of(redactor):
            return span
    made = copy.copy(span)
    if made._events:
        made._events = _like(made._events, [copy.copy(event) for event in made._events])
    safe = redact_ending_span(made, redactor)
    if made.attributes is not safe and dict(made.attributes) != dict(safe):
        raise AttributeError("attributes")
    if made.name is not made._name or list(made.events) != list(made._events):
        raise AttributeError("name")
    return made


_CLOSED: Final[dict[str, Any]] = {
    "_name": REDACTED_ERROR,
    "_status": Status(StatusCode.UNSET),
    "_events": (),
    "_links": (),
    "_resource": Resource({}),
    "_instrumentation_scope": InstrumentationScope(REDACTED_ERROR),
}
"""What stands for a part that could not be redacted."""


def _closed(span: Any, name: str) -> Any:
    return context_with(span._context, None) if name == "_context" else _CLOSED[name]


def _part(span: Any, name: str, redact: Callable[[Any, RedactorLike], None], redactor: RedactorLike) -> None:
    """Run one replacement; where it raises, the part is lost rather than let through."""
    try:
        redact(span, redactor)
    except Exception as error:
        swallowed(f"redaction.span{name}", error)
        try:
            setattr(span, name, _closed(span, name))
        except Exception as failure:
            swallowed(f"redaction.span{name}.closed", failure)


def close_span(span: Any) -> None:
    """Fail closed: where even replacing a span's parts failed, it goes out without them."""
    status = span._status
    span._attributes = {}
    for name in (*_CLOSED, "_context"):
        setattr(span, name, _closed(span, name))
    span._status = None if status is None else Status(status.status_code)


def _redact_name(span: Any, redactor: RedactorLike) -> None:
    if span._name:
        span._name = safe_text(span._name, redactor)


def _redact_status(span: Any, redactor: RedactorLike) -> None:
    status = span._status
    if status is not None and status.description:
        span._status = Status(status.status_code, safe_text(status.description, redactor))


def _redact_events(span: Any, redactor: RedactorLike) -> None:
    """Events are the SDK's own objects: they are changed in place, so that nobody keeps a raw one."""
    events = span._events
    if not events:
        return
    for event in events:
        event._name = safe_text(event._name, redactor)
        old = event._attributes
        if old:
            event._attributes = SafeAttributes.replacing(old, safe_attributes(old, redactor))


def _redact_links(span: Any, redactor: RedactorLike) -> None:
    """Links are the program's objects: they are replaced, never changed."""
    links = span._links
    if not links or not any(link.attributes or link.context.trace_state for link in links):
        return
    safe = [
        Link(
            safe_context(link.context, redactor),
            SafeAttributes.replacing(link.attributes, safe_attributes(link.attributes, redactor)),
        )
        for link in links
    ]
    span._links = _like(links, safe)


def _like(old: Any, items: list[Any]) -> Any:
    """``items`` in the SDK's own kind of list, which knows how many were dropped."""
    from_seq = getattr(type(old), "from_seq", None)
    if from_seq is None:
        return items
    made = from_seq(old._dq.maxlen, items)
    made.dropped = old.dropped
    return made


def _redact_resource(span: Any, redactor: RedactorLike) -> None:
    resource = span._resource
    safe = safe_resource(resource, redactor)
    if safe is not resource:
        span._resource = safe


def _redact_scope(span: Any, redactor: RedactorLike) -> None:
    """The scope, and the older form of it that some exporters read."""
    scope = span._instrumentation_scope
    safe = safe_scope(scope, redactor)
    if safe is scope:
        return
    span._instrumentation_scope = safe
    info = getattr(span, "_instrumentation_info", None)
    if info is not None:
        older = copy.copy(info)  # making one is deprecated
        older._name, older._version, older._schema_url = safe.name, safe.version, safe.schema_url
        span._instrumentation_info = older


def _redact_context(span: Any, redactor: RedactorLike) -> None:
    """The trace state, which came with the request or was made by a sampler."""
    context = span._context
    safe = safe_context(context, redactor)
    if safe is not context:
        span._context = safe


def multi_processor(provider: Any) -> Any:
    """The object that holds the span processors of a provider (or of one that it wraps), or None."""
    inner = sdk_provider(provider)
    return None if inner is None else inner._active_span_processor


def sdk_provider(provider: Any) -> Any:
    """The SDK's provider that a provider is, or wraps as Logfire's does; None for any other."""
    for candidate in (provider, getattr(provider, "provider", None)):
        multi = getattr(candidate, "_active_span_processor", None)
        if isinstance(getattr(multi, "_span_processors", None), tuple):
            return candidate
    return None


def place_in_front(provider: Any, processor: SpanProcessor) -> bool:
    """Put ``processor`` before all others of ``provider``.

    Returns:
        True if it stands in front; False if it was added at the end, the public way, since this
        provider does not let itself be reordered.

    Raises:
        AttributeError: if the provider takes no span processors at all.
    """
    multi = multi_processor(provider)
    if multi is not None:
        try:
            with multi._lock:
                rest = tuple(one for one in multi._span_processors if one is not processor)
                multi._span_processors = (processor, *rest)
            if multi._span_processors[0] is processor:
                return True
        except Exception as error:
            swallowed("otel.place_in_front", error)
    provider.add_span_processor(processor)
    return False


__all__ = [
    "SafeAttributes",
    "close_span",
    "multi_processor",
    "place_in_front",
    "redact_ending_span",
    "redacted_copy",
]
