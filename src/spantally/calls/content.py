"""Who wants the content of an operation, and what the span in use would cut."""

from __future__ import annotations

import os
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes

from spantally.calls.operation import Operation
from spantally.calls.telemetry import Telemetry
from spantally.ground import semconv

_VARIABLES: Final = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")


def wants_content(operation: Operation) -> bool:
    """Whether anybody will get the content of this operation: else it is never even looked at."""
    telemetry = operation.telemetry
    return telemetry.keep_content or wants_on_span(operation) or wants_as_event(telemetry)


def wants_as_event(telemetry: Telemetry) -> bool:
    """Whether content goes out as events, and somebody hears them."""
    if not telemetry.capture_events or telemetry.emit_event is None:
        return False
    listens = getattr(telemetry.emit_event, "is_heard", None)
    return listens is None or bool(listens())


def wants_on_span(operation: Operation) -> bool:
    """Whether content goes onto the operation's span: a recorded one, and a GenAI one."""
    return (
        operation.telemetry.capture_spans
        and operation.span.is_recording()
        and operation.operation in semconv.OPERATIONS
    )


def attribute_limit(span: Any) -> int | None:
    """The most characters that this span keeps of a text; what is longer its SDK would cut in the middle.

    Read from the span itself, so that limits given in code count like those of the environment.
    """
    attributes = getattr(span, "_attributes", None)
    if isinstance(attributes, BoundedAttributes):
        limit: int | None = attributes.max_value_len
        return limit
    for name in _VARIABLES:  # another SDK, which may heed the standard variables
        text = os.environ.get(name, "").strip()
        if text.isdigit():
            return int(text)
    return None
