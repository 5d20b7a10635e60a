"""Content of one call, gathered only when somebody wants it, and redacted whole before it goes anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.content import attribute_limit, wants_as_event, wants_on_span
from spantally.calls.fragments import Maker, fragments_of
from spantally.calls.limits import Limits
from spantally.calls.media import kept_by
from spantally.calls.operation import Operation
from spantally.calls.payload import (
    MESSAGES,
    PARTS,
    TOOLS,
    Item,
    Listed,
    governed,
    texts,
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

    __slots__ = ("content", "done", "maker", "most", "operation")

    def __init__(self, operation: Operation, wire: WireOperation, body: Any) -> None:
        telemetry = operation.telemetry
        self.operation = operation
        self.done = False
        self.content: dict[str, Listed] = {}
        """What was gathered, redacted."""
        most = telemetry.content_limits[0] if telemetry.capture_spans or telemetry.capture_events else 0
        if telemetry.keep_content and telemetry.ledger_limits[0] > most:
            most = telemetry.ledger_limits[0]
        self.most = most
        """No attribute has room for more characters, wherever it goes."""
        self.maker = fragments_of(telemetry).maker(telemetry.redactor, most)
        if telemetry.media_files is None:
            self._take_request(wire, body)
        else:
            with kept_by(telemetry.media_files):
                self._take_request(wire, body)

    def _take_request(self, wire: WireOperation, body: Any) -> None:
        is_dict = type(body) is dict
        if wire.api != "chat_completions":
            found = content.system_instructions(wire, body)
            if found:
                parts = [self.maker.part(one) for one in found]
                self.content[semconv.SYSTEM_INSTRUCTIONS] = Listed(PARTS, parts)
        self._take_input(wire, body)
        offered = None
        if not is_dict or "tools" in body or "functions" in body:
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
        maker = self._maker()
        said = content.plain_answers(wire, body)
        if said is not None:
            items = [maker.spoken("assistant", text) for text in said]
        else:
            with kept_by(self.operation.telemetry.media_files):
                messages = content.output_messages(wire, body)
            items = [maker.message(message) for message in messages or ()]
        if items:
            self.content[semconv.OUTPUT_MESSAGES] = Listed(MESSAGES, items)

    def take_stream(self, wire: WireOperation, stream_facts: StreamFacts) -> None:
        """Take the answer of a stream, joined: a secret split over chunks is whole again."""
        self.take_output(wire, stream_facts)

    def _maker(self) -> Maker:
        """What makes fragments now: another one where a secret became known since."""
        if not self.maker.is_stale:
            return self.maker
        telemetry = self.operation.telemetry
        return fragments_of(telemetry).maker(telemetry.redactor, self.most)

    def _again(self, listed: Listed) -> Listed:
        """The same, redacted again: a secret became known while the call ran."""
        maker = self._maker()
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
        if self.maker.is_stale:
            gathered = {key: self._again(listed) for key, listed in gathered.items()}
        if telemetry.keep_content:
            kept = governed(gathered, telemetry.ledger_limits)
            operation.content = {_NAMES[key]: values_of(items) for key, items in kept.items()}
        if wants_on_span(operation):
            attribute, whole = telemetry.content_limits
            limit = attribute_limit(operation.span)
            if limit is not None and limit < attribute:
                attribute = limit
            operation.safe_attributes.update(texts(gathered, Limits(attribute, whole)))
        if wants_as_event(telemetry):
            parts = governed(gathered, telemetry.content_limits)
            telemetry.emit_event(
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
