"""Who wants the content and the details of an operation, and what the span in use would cut."""

from __future__ import annotations

import os
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes

from spantally.calls.operation import Operation
from spantally.ground import semconv
from spantally.ground.records import Kind

_VARIABLES: Final = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")


def wants_content(operation: Operation) -> bool:
    """Whether anybody will get the content of this operation: else it is never even looked at."""
    if operation.hidden:
        return False
    telemetry = operation.telemetry
    return (
        telemetry.keep_content
        or wants_on_span(operation)
        or (telemetry.capture_events and sends_details(operation))
    )


def sends_details(operation: Operation) -> bool:
    """Whether the operation sends the event of its details, with or without content, and somebody hears it.

    One that another instrumentor's span stands for sends none: what leaves is the other one's to decide.
    """
    telemetry = operation.telemetry
    emit = telemetry.emit_event
    if (
        not telemetry.emit_details
        or emit is None
        or operation.hidden
        or operation.joined is not None
        or operation.kind != Kind.INFERENCE
    ):
        return False
    listens = getattr(emit, "is_heard", None)
    return listens is None or bool(listens(semconv.EVENT_OPERATION_DETAILS))


def wants_on_span(operation: Operation) -> bool:
    """Whether content goes onto the operation's span: one of ours, recorded, and a GenAI one."""
    telemetry = operation.telemetry
    return (
        telemetry.capture_spans
        and operation.span.is_recording()
        and semconv.is_operation(operation.operation, telemetry.renames)
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
