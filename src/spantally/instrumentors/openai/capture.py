"""Content of one call, gathered only when somebody wants it, and redacted whole before it goes anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from spantally.calls.operation import Operation
from spantally.calls.own_spans import safe_of, stamps
from spantally.calls.telemetry import Telemetry
from spantally.ground import semconv
from spantally.ground.records import Kind
from spantally.instrumentors.openai.wire import content
from spantally.instrumentors.openai.wire.operation import Operation as WireOperation

_FIELDS: Final = (
    (semconv.SYSTEM_INSTRUCTIONS, "system_instructions"),
    (semconv.INPUT_MESSAGES, "input"),
    (semconv.OUTPUT_MESSAGES, "output"),
    (semconv.TOOL_DEFINITIONS, "tool_definitions"),
    (semconv.RETRIEVAL_QUERY_TEXT, "query"),
    (semconv.RETRIEVAL_DOCUMENTS, "documents"),
)


class Capture:
    """Input and output of one call in the shapes of the content schemas, and the event of its details."""

    __slots__ = ("content", "details", "done", "parts", "telemetry", "texts")

    def __init__(
        self, telemetry: Telemetry, wire: WireOperation, body: Any, attributes: Mapping[str, Any]
    ) -> None:
        self.telemetry = telemetry
        self.done = False
        self.content = telemetry.wants_content
        """False where only the event of the details is wanted: then content is not even looked at."""
        self.details = attributes if telemetry.emit_details and wire.kind is Kind.INFERENCE else None
        """Attributes of the request, for the event."""
        self.parts: dict[str, Any] = {}
        self.texts: dict[str, str] = {}
        """The parts as JSON."""
        if not self.content:
            return
        self._keep(semconv.SYSTEM_INSTRUCTIONS, content.system_instructions(wire, body))
        self._keep(semconv.INPUT_MESSAGES, content.input_messages(wire, body))
        self._keep(semconv.TOOL_DEFINITIONS, content.tool_definitions(body))
        query = content.query_text(wire, body)
        if query is not None:
            safe = encodable(telemetry.redactor.value(query, semconv.RETRIEVAL_QUERY_TEXT))[0]
            self.parts[semconv.RETRIEVAL_QUERY_TEXT] = self.texts[semconv.RETRIEVAL_QUERY_TEXT] = safe

    def _keep(self, key: str, value: Any) -> None:
        if value:
            self.parts[key], self.texts[key] = encodable(self.telemetry.redactor.value(value, key))

    def take_output(self, wire: WireOperation, source: Any, reasons: Sequence[str] = ()) -> None:
        """Take the answer.

        Args:
            wire: what kind of operation it is.
            source: a complete body, or what a stream told, joined: a secret split over chunks is whole again.
            reasons: why the model stopped, one for each message.
        """
        if not self.content:
            return
        self._keep(semconv.RETRIEVAL_DOCUMENTS, content.found_documents(wire, source))
        messages = content.output_messages(wire, source)
        if messages and self.telemetry.renames:
            # Before the newest conventions each message had to say it.
            messages = [
                {**message, "finish_reason": reasons[index] if index < len(reasons) else "error"}
                for index, message in enumerate(messages)
            ]
        self._keep(semconv.OUTPUT_MESSAGES, messages)

    def finish(self, operation: Operation, error_type: str | None = None) -> None:
        """Put what was gathered where the policy wants it: span, event, ledger.

        Args:
            operation: the call, which is about to end.
            error_type: by what, if by an error.
        """
        if self.done:
            return
        self.done = True
        telemetry = self.telemetry
        if telemetry.keep_content and self.parts:
            operation.content = {name: self.parts[key] for key, name in _FIELDS if key in self.parts}
        if operation.joined is not None:
            return  # what leaves is the other instrumentor's to decide
        if telemetry.capture_spans:
            operation.end_attributes.update(self.texts)
        if self.details is not None and telemetry.emit_event is not None:
            telemetry.emit_event(
                semconv.EVENT_OPERATION_DETAILS,
                self._event_attributes(operation, self.details, error_type),
                operation.inner_context(),
            )

    def _event_attributes(
        self, operation: Operation, request: Mapping[str, Any], error_type: str | None
    ) -> dict[str, Any]:
        """Attributes of the operation-details event: those of the span, and content in structured form."""
        raw = {
            **stamps(operation.scope, genai=True),
            semconv.OPERATION_NAME: operation.operation,
            **request,
            **{key: value for key, value in operation.end_attributes.items() if key not in self.texts},
        }
        if error_type is not None:
            raw[semconv.ERROR_TYPE] = error_type
        found = safe_of(self.telemetry.redactor, self.telemetry.renames, raw)
        if self.telemetry.capture_events:
            found.update(self.parts)
        return found


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
