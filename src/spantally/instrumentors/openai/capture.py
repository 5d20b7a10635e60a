"""Content of one call, gathered only when somebody wants it, and redacted whole before it goes anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.content import attribute_limit
from spantally.calls.media import kept_by
from spantally.calls.operation import Operation
from spantally.calls.payload import (
    MESSAGES,
    PARTS,
    TOOLS,
    Item,
    Limits,
    Listed,
    governed,
    text_of,
    values_of,
)
from spantally.calls.shorten import cut_leaves
from spantally.ground import semconv
from spantally.instrumentors.openai.wire import content
from spantally.instrumentors.openai.wire.operation import Operation as WireOperation
from spantally.instrumentors.openai.wire.stream import StreamFacts

_NAMES: Final = {
    semconv.SYSTEM_INSTRUCTIONS: "system_instructions",
    semconv.INPUT_MESSAGES: "input",
    semconv.OUTPUT_MESSAGES: "output",
    semconv.TOOL_DEFINITIONS: "tool_definitions",
}
"""By attribute: the name in the ledger's rows."""


class Capture:
    """Input and output of one call in the shapes of the GenAI content schemas."""

    __slots__ = ("content", "done", "maker", "most", "operation", "revision")

    def __init__(self, operation: Operation, wire: WireOperation, body: Any) -> None:
        telemetry = operation.telemetry
        self.operation = operation
        self.done = False
        self.content: dict[str, Listed] = {}
        """What was gathered, redacted."""
        exported = telemetry.capture_spans or telemetry.capture_events
        self.most = max(
            telemetry.content_limits.attribute if exported else 0,
            telemetry.ledger_limits.attribute if telemetry.keep_content else 0,
        )
        """No attribute has room for more characters, wherever it goes."""
        self.revision = getattr(telemetry.redactor, "revision", None)
        self.maker = telemetry.fragments.maker(telemetry.redactor, self.most)
        with kept_by(telemetry.media_files):
            if wire.api != "chat_completions":
                found = content.system_instructions(wire, body)
                if found:
                    parts = [self.maker.part(one) for one in found]
                    self.content[semconv.SYSTEM_INSTRUCTIONS] = Listed(PARTS, parts)
            self._take_input(wire, body)
        offered = content.tool_definitions(body)
        if offered:
            self.content[semconv.TOOL_DEFINITIONS] = Listed(TOOLS, [self.maker.tool(one) for one in offered])

    def _take_input(self, wire: WireOperation, body: Any) -> None:
        """The messages sent, the newest first: those that no limit has room for are not even looked at."""
        sent = content.input_sources(wire, body)
        if not sent:
            return
        items: list[Item] = []
        left = self.most
        number = len(sent)
        while number and left > 0:
            number -= 1
            source = sent[number]
            plain = content.plain_message(wire, source)
            if plain is not None:
                item = self.maker.spoken(*plain)
            else:
                message = content.input_message(wire, source)
                if message is None:
                    continue
                item = self.maker.message(message)
            items.append(item)
            left -= item.size(left) + 1
        items.reverse()
        if items:
            self.content[semconv.INPUT_MESSAGES] = Listed(MESSAGES, items, number)

    def take_output(self, wire: WireOperation, body: Any) -> None:
        """Take the answer of a complete body."""
        telemetry = self.operation.telemetry
        maker = telemetry.fragments.maker(telemetry.redactor, self.most)
        said = content.plain_answers(wire, body)
        with kept_by(telemetry.media_files):
            if said is not None:
                items = [maker.spoken("assistant", text) for text in said]
            else:
                items = [maker.message(message) for message in content.output_messages(wire, body) or ()]
        if items:
            self.content[semconv.OUTPUT_MESSAGES] = Listed(MESSAGES, items)

    def take_stream(self, wire: WireOperation, stream_facts: StreamFacts) -> None:
        """Take the answer of a stream, joined: a secret split over chunks is whole again."""
        self.take_output(wire, stream_facts)

    def _again(self, listed: Listed) -> Listed:
        """The same, redacted again: a secret became known while the call ran."""
        telemetry = self.operation.telemetry
        maker = telemetry.fragments.maker(telemetry.redactor, self.most)
        makes = {MESSAGES: maker.message, PARTS: maker.part, TOOLS: maker.tool}[listed.kind]
        return listed._replace(items=[makes(item.value) for item in listed.items])

    def finish(self, operation: Operation) -> None:
        """Put what was gathered where the policy wants it: span, event, ledger."""
        if self.done or not self.content:
            return
        self.done = True
        telemetry = operation.telemetry
        gathered = self.content
        if semconv.TOOL_DEFINITIONS in gathered:  # what was asked and answered comes before
            gathered[semconv.TOOL_DEFINITIONS] = gathered.pop(semconv.TOOL_DEFINITIONS)
        if getattr(telemetry.redactor, "revision", None) != self.revision:
            gathered = {key: self._again(listed) for key, listed in gathered.items()}
        if telemetry.keep_content:
            kept = governed(gathered, telemetry.ledger_limits)
            operation.content = {_NAMES[key]: values_of(items) for key, items in kept.items()}
        if telemetry.capture_spans and operation.span.is_recording():
            attribute, whole = telemetry.content_limits
            limit = attribute_limit(operation.span)
            sent = governed(gathered, Limits(attribute if limit is None else min(attribute, limit), whole))
            operation.safe_attributes.update({key: text_of(items) for key, items in sent.items()})
        emit = telemetry.emit_event
        if telemetry.capture_events and emit is not None:
            parts = governed(gathered, telemetry.content_limits)
            emit(
                semconv.EVENT_OPERATION_DETAILS,
                event_attributes(operation, {key: values_of(items) for key, items in parts.items()}),
                operation.inner_context(),
            )


def event_attributes(operation: Operation, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of the operation-details event: those of the span, and the content in structured form."""
    telemetry = operation.telemetry
    attributes: dict[str, Any] = {semconv.OPERATION_NAME: operation.operation}
    if operation.provider is not None:
        attributes[semconv.PROVIDER_NAME] = operation.provider
    if operation.request_model is not None:
        attributes[semconv.REQUEST_MODEL] = operation.request_model
    attributes.update(telemetry.redactor.attributes(operation.end_attributes))
    limit = getattr(telemetry.emit_event, "value_limit", None)
    attributes.update(parts if limit is None else {key: cut_leaves(one, limit) for key, one in parts.items()})
    return attributes
