"""The second redaction net: every span of a provider, whoever made it, loses its secrets as it ends.

The SDK freezes a span *before* it calls ``_on_ending``, so the public setters do nothing there. The finished
``ReadableSpan`` is built *after* that hook and shared by all processors: replacing the span's private
parts inside the hook is therefore seen by every processor, added before ours or after. It leans on
private names: where an SDK lacks them, the place in front of the other processors is the net that is left.
``spantally doctor`` says which one holds (``net_probe``).

It fails closed: what cannot be scanned becomes ``[REDACTED:error]``; the span and its numbers survive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import is_
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import Link, Status, StatusCode

from spantally.calls.own_spans import MARK, OwnSpan, revision_of
from spantally.calls.telemetry import RedactorLike
from spantally.ground.guard import swallowed

REDACTED_ERROR: Final = "[REDACTED:error]"
"""What stands for a value that could not be scanned."""

_PLAIN: Final = (bool, int, float, type(None))


class SafeAttributes(BoundedAttributes):
    """Attributes that went through the net.

    Attributes:
        note: whatever the processor wants to hand from ``_on_ending`` to ``on_end``.
    """

    note: Any = None

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


def safe_text(text: str, redactor: RedactorLike, key: str | None = None) -> str:
    """``text`` without its secrets, or :data:`REDACTED_ERROR` where the redactor fails."""
    try:
        return redactor.text(text, key)
    except Exception as error:
        swallowed("redaction.text", error)
        return REDACTED_ERROR


def safe_value(value: Any, redactor: RedactorLike, key: str | None = None) -> Any:
    """``value`` without its secrets; a number survives a redactor that fails, anything else does not."""
    try:
        return redactor.value(value, key)
    except Exception as error:
        swallowed("redaction.value", error)
        return value if isinstance(value, _PLAIN) else REDACTED_ERROR


def safe_attributes(attributes: Mapping[str, Any] | None, redactor: RedactorLike) -> dict[str, Any]:
    """Attributes without their secrets; where the whole cannot be scanned, value by value."""
    if not attributes:
        return {}
    try:
        return redactor.attributes(attributes)
    except Exception as error:
        swallowed("redaction.attributes", error)
        return {key: safe_value(value, redactor, key) for key, value in attributes.items()}


def _safe_of(span: Any, attributes: Any, redactor: RedactorLike) -> dict[str, Any]:
    """The span's attributes without their secrets; what our own calls redacted is not scanned again.

    A value is passed only if it is the very one that this redactor gave for this key: whatever others set
    on the span, and whatever a limit cut, is scanned.
    """
    mark: OwnSpan | None = getattr(span, MARK, None)
    if mark is None or not mark.is_of(redactor):
        return safe_attributes(attributes, redactor)
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
        values.update(safe_attributes(others, redactor))
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
    if mark is None or type(attributes) is not BoundedAttributes or not mark.is_of(redactor):
        return False
    inner, known, status = attributes._dict, mark.values, span._status
    resource = _resources.get(id(span._resource))
    if (
        resource is None
        or resource[2] is not span._resource
        or resource[1] is not redactor
        or resource[3] != mark.revision
        or len(inner) != len(known)
        or span._name is not mark.title
        or not attributes._immutable
        or len(span._events)
        or len(span._links)
        or (status is not None and status.description)
        or not all(map(is_, inner, known))
        or not all(map(is_, inner.values(), known.values()))
    ):
        return False
    attributes.__class__ = SafeAttributes
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
    try:
        made = SafeAttributes.replacing(old, _safe_of(span, old, redactor))
    except Exception as error:
        swallowed("redaction.attributes", error)
        made = SafeAttributes(attributes={}, immutable=True)
    span._attributes = made
    if mark is None or not mark.is_of(redactor) or span._name is not mark.title:
        _part(span, "_name", REDACTED_ERROR, _redact_name, redactor)
    if span._status is not None and span._status.description:
        _part(span, "_status", Status(StatusCode.UNSET), _redact_status, redactor)
    if span._events:
        _part(span, "_events", (), _redact_events, redactor)
    if span._links:
        _part(span, "_links", (), _redact_links, redactor)
    _part(span, "_resource", None, _redact_resource, redactor)
    return made


def _part(
    span: Any, name: str, closed: Any, redact: Callable[[Any, RedactorLike], None], redactor: RedactorLike
) -> None:
    """Run one replacement; where it raises, the part is lost rather than let through."""
    try:
        redact(span, redactor)
    except Exception as error:
        swallowed(f"redaction.span{name}", error)
        try:
            setattr(span, name, Resource({}) if name == "_resource" else closed)
        except Exception as failure:
            swallowed(f"redaction.span{name}.closed", failure)


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
    if not links or not any(link.attributes for link in links):
        return
    safe = [
        Link(
            link.context,
            SafeAttributes.replacing(link.attributes, safe_attributes(link.attributes, redactor)),
        )
        for link in links
    ]
    from_seq = getattr(type(links), "from_seq", None)
    span._links = safe if from_seq is None else from_seq(links._dq.maxlen, safe)


_resources: Final[dict[int, tuple[Any, Any, Any, int | None]]] = {}
"""By identity: a resource, the redactor, the resource without secrets, the revision. One a provider."""

_RESOURCES_LIMIT: Final = 64


def _redact_resource(span: Any, redactor: RedactorLike) -> None:
    """A resource may hold the command line; it is scanned once, since all spans of a provider share it.

    Once more where a secret became known since, or another redactor asks.
    """
    resource = span._resource
    if resource is None:
        return
    revision = revision_of(redactor)
    known = _resources.get(id(resource))
    if known is None or known[0] is not resource or known[1] is not redactor or known[3] != revision:
        values = dict(resource.attributes)
        safe = safe_attributes(values, redactor)
        made = resource if safe == values else Resource(safe, resource.schema_url)
        if len(_resources) >= _RESOURCES_LIMIT:
            _resources.clear()
        known = (resource, redactor, made, revision)
        _resources[id(resource)] = known
    span._resource = known[2]


def multi_processor(provider: Any) -> Any:
    """The object that holds the span processors of a provider (or of one that it wraps), or None."""
    for candidate in (provider, getattr(provider, "provider", None)):
        multi = getattr(candidate, "_active_span_processor", None)
        if isinstance(getattr(multi, "_span_processors", None), tuple):
            return multi
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
    "REDACTED_ERROR",
    "SafeAttributes",
    "multi_processor",
    "place_in_front",
    "redact_ending_span",
    "safe_attributes",
    "safe_text",
    "safe_value",
]
