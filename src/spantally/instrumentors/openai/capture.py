"""Content of one call, gathered only when somebody wants it, and redacted whole before it goes anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.operation import Operation
from spantally.calls.telemetry import Telemetry
from spantally.ground import semconv
from spantally.instrumentors.openai.wire import content
from spantally.instrumentors.openai.wire.operation import Operation as WireOperation
from spantally.instrumentors.openai.wire.stream import StreamFacts

_FIELDS: Final = (
    (semconv.SYSTEM_INSTRUCTIONS, "system_instructions"),
    (semconv.INPUT_MESSAGES, "input"),
    (semconv.OUTPUT_MESSAGES, "output"),
    (semconv.TOOL_DEFINITIONS, "tool_definitions"),
)


class Capture:
    """Input and output of one call in the shapes of the GenAI content schemas."""

    __slots__ = ("done", "parts", "telemetry", "texts")

    def __init__(self, telemetry: Telemetry, wire: WireOperation, body: Any) -> None:
        self.telemetry = telemetry
        self.done = False
        self.parts: dict[str, Any] = {}
        self.texts: dict[str, str] = {}
        """The parts as JSON."""
        self._keep(semconv.SYSTEM_INSTRUCTIONS, content.system_instructions(wire, body))
        self._keep(semconv.INPUT_MESSAGES, content.input_messages(wire, body))
        self._keep(semconv.TOOL_DEFINITIONS, content.tool_definitions(body))

    def _keep(self, key: str, value: Any) -> None:
        if value:
            self.parts[key], self.texts[key] = encodable(self.telemetry.redactor.value(value, key))

    def take_output(self, wire: WireOperation, body: Any) -> None:
        """Take the answer of a complete body."""
        self._keep(semconv.OUTPUT_MESSAGES, content.output_messages(wire, body))

    def take_stream(self, wire: WireOperation, stream_facts: StreamFacts) -> None:
        """Take the answer of a stream, joined: a secret split over chunks is whole again."""
        self._keep(semconv.OUTPUT_MESSAGES, content.output_messages(wire, stream_facts))

    def finish(self, operation: Operation) -> None:
        """Put what was gathered where the policy wants it: span, event, ledger."""
        if self.done or not self.parts:
            return
        self.done = True
        telemetry = self.telemetry
        if telemetry.keep_content:
            operation.content = {name: self.parts[key] for key, name in _FIELDS if key in self.parts}
        if operation.joined is not None:
            return  # what leaves is the other instrumentor's to decide
        if telemetry.capture_spans:
            operation.end_attributes.update(self.texts)
        if telemetry.capture_events and telemetry.emit_event is not None:
            telemetry.emit_event(
                semconv.EVENT_OPERATION_DETAILS,
                event_attributes(operation, self.parts),
                operation.inner_context(),
            )


def event_attributes(operation: Operation, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of the operation-details event: those of the span, and the content in structured form."""
    attributes: dict[str, Any] = {semconv.OPERATION_NAME: operation.operation}
    if operation.provider is not None:
        attributes[semconv.PROVIDER_NAME] = operation.provider
    if operation.request_model is not None:
        attributes[semconv.REQUEST_MODEL] = operation.request_model
    attributes.update(operation.telemetry.redactor.attributes(operation.end_attributes))
    attributes.update(parts)
    return attributes


def encodable(value: Any) -> tuple[Any, str]:
    """The value and its JSON, with lone surrogates replaced if it has any: no exporter can encode those."""
    text = to_json(value)
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            text = text.encode("utf-8", "replace").decode("utf-8")
            return json.loads(text), text
    return value, text


_encode: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=lambda item: type(item).__name__
).encode


def to_json(value: Any) -> str:
    """Compact JSON; what has no JSON form is written by its type's name, never by its ``str``."""
    return _encode(value)
