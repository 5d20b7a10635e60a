"""Content of one call, gathered only when somebody wants it, and redacted whole before it goes anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from spantally.calls.content import attribute_limit, sends_details, wants_on_span
from spantally.calls.fragments import Maker, fragments_of
from spantally.calls.json_text import printable
from spantally.calls.limits import Limits
from spantally.calls.media import kept_by
from spantally.calls.operation import Operation
from spantally.calls.own_spans import safe_of, stamps
from spantally.calls.payload import (
    DOCUMENTS,
    MESSAGES,
    PARTS,
    TOOLS,
    Item,
    Listed,
    governed,
    texts,
    values_of,
)
from spantally.calls.shorten import cut, cut_leaves
from spantally.ground import semconv

_NAMES: Final = {
    semconv.SYSTEM_INSTRUCTIONS: "system_instructions",
    semconv.INPUT_MESSAGES: "input",
    semconv.OUTPUT_MESSAGES: "output",
    semconv.RETRIEVAL_DOCUMENTS: "documents",
    semconv.TOOL_DEFINITIONS: "tool_definitions",
}
"""By attribute: the name in the ledger's rows. In this order they are told."""


class Capture:
    """Input and output of one call in the shapes of the content schemas, and the event of its details.

    Attributes:
        content: False where only the event of the details is wanted: then content is not even looked at.
        reader: the module that reads content off the wire of the SDK.
    """

    __slots__ = ("content", "done", "gathered", "maker", "most", "operation", "query", "request")

    reader: ClassVar[Any]

    def __init__(
        self,
        operation: Operation,
        wire: Any,
        body: Any,
        request: Mapping[str, Any],
        *,
        content: bool,
    ) -> None:
        """Take the request.

        Args:
            operation: the call.
            wire: what kind of operation it is.
            body: the body of its request.
            request: the attributes of its request, for the event.
            content: whether anybody gets content.
        """
        self.operation = operation
        self.content = content
        self.request = request
        self.done = False
        self.gathered: dict[str, Listed] = {}
        """What was gathered, redacted."""
        self.query: str | None = None
        """The text that was searched for, redacted."""
        if not content:
            return
        telemetry = operation.telemetry
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

    def _take_request(self, wire: Any, body: Any) -> None:
        if wire.api != "chat_completions":
            found = self.reader.system_instructions(wire, body)
            if found:
                parts = [self.maker.part(one) for one in found]
                self.gathered[semconv.SYSTEM_INSTRUCTIONS] = Listed(PARTS, parts)
            query = self.reader.query_text(wire, body)
            if query is not None:
                redactor = self.operation.telemetry.redactor
                self.query = printable(redactor.text(query, semconv.RETRIEVAL_QUERY_TEXT))
        self._take_input(wire, body)
        offered = None
        if type(body) is not dict or "tools" in body or "functions" in body:
            offered = self.reader.tool_definitions(body)
        if offered:
            listed = Listed(TOOLS, [self.maker.tool(one) for one in offered])
            self.gathered[semconv.TOOL_DEFINITIONS] = listed

    def _take_input(self, wire: Any, body: Any) -> None:
        """The messages sent, the newest first: those that no limit has room for are not even looked at."""
        sent = self.reader.input_sources(wire, body)
        if not sent:
            return
        items: list[Item] = []
        left = self.most
        number = len(sent)
        while number and left > 0:
            number -= 1
            source = sent[number]
            plain = self.reader.plain_message(wire, source)
            if plain is not None:
                item = self.maker.spoken(*plain)
            else:
                message = self.reader.input_message(wire, source)
                if message is None:
                    continue
                item = self.maker.message(message)
            items.append(item)
            left -= item.size(left) + 1
        items.reverse()
        if items:
            self.gathered[semconv.INPUT_MESSAGES] = Listed(MESSAGES, items, number)

    def take_output(self, wire: Any, source: Any, reasons: Sequence[str] = ()) -> None:
        """Take the answer.

        Args:
            wire: what kind of operation it is.
            source: a complete body, or what a stream told, joined: a secret split over chunks is whole again.
            reasons: why the model stopped, one for each message.
        """
        if not self.content:
            return
        maker = self._maker()
        telemetry = self.operation.telemetry
        said = None if telemetry.renames else self.reader.plain_answers(wire, source)
        if said is not None:
            items = [maker.spoken("assistant", text) for text in said]
        else:
            with kept_by(telemetry.media_files):
                found = self.reader.found_documents(wire, source)
                messages = self.reader.output_messages(wire, source) or []
            if found:
                listed = Listed(DOCUMENTS, [maker.document(one) for one in found])
                self.gathered[semconv.RETRIEVAL_DOCUMENTS] = listed
            if telemetry.renames:
                # Before the newest conventions each message had to say why the model stopped.
                messages = [
                    {**message, "finish_reason": reasons[index] if index < len(reasons) else "error"}
                    for index, message in enumerate(messages)
                ]
            items = [maker.message(message) for message in messages]
        if items:
            self.gathered[semconv.OUTPUT_MESSAGES] = Listed(MESSAGES, items)

    def _maker(self) -> Maker:
        """What makes fragments now: another one where a secret became known since."""
        if not self.maker.is_stale:
            return self.maker
        telemetry = self.operation.telemetry
        return fragments_of(telemetry).maker(telemetry.redactor, self.most)

    def _redact_again(self) -> None:
        """A secret became known while the call ran."""
        maker = self._maker()
        makes = {MESSAGES: maker.message, PARTS: maker.part, TOOLS: maker.tool, DOCUMENTS: maker.document}
        for key, listed in self.gathered.items():
            make = makes[listed.kind]
            self.gathered[key] = listed._replace(items=[make(item.value) for item in listed.items])
        if self.query is not None:
            redactor = self.operation.telemetry.redactor
            self.query = printable(redactor.text(self.query, semconv.RETRIEVAL_QUERY_TEXT))

    def finish(self, operation: Operation, error_type: str | None = None) -> None:
        """Put what was gathered where the policy wants it: span, event, ledger.

        Args:
            operation: the call, which is about to end.
            error_type: by what, if by an error.
        """
        if self.done:
            return
        self.done = True
        if self.gathered or self.query is not None:
            if self.maker.is_stale:
                self._redact_again()
            if len(self.gathered) > 1:  # what was asked and answered comes before the tools
                self.gathered = {key: self.gathered[key] for key in _NAMES if key in self.gathered}
            self._put(operation)
        if sends_details(operation):
            operation.telemetry.emit_event(
                semconv.EVENT_OPERATION_DETAILS,
                event_attributes(operation, self.request, self._event_content(operation), error_type),
                operation.inner_context(),
            )

    def _put(self, operation: Operation) -> None:
        telemetry = operation.telemetry
        if telemetry.keep_content:
            room, whole = telemetry.ledger_limits
            kept: dict[str, Any] = {}
            if self.query is not None:
                kept["query"] = cut(self.query, min(room, whole))
                whole = max(0, whole - len(kept["query"]))
            for key, items in governed(self.gathered, Limits(room, whole)).items():
                kept[_NAMES[key]] = values_of(items)
            operation.content = kept
        if wants_on_span(operation) and operation.joined is None:
            room, whole = telemetry.content_limits
            limit = attribute_limit(operation.span)
            if limit is not None and limit < room:
                room = limit
            safe: dict[str, Any] = {}
            if self.query is not None:
                safe[semconv.RETRIEVAL_QUERY_TEXT] = query = cut(self.query, min(room, whole))
                whole = max(0, whole - len(query))
            safe.update(texts(self.gathered, Limits(room, whole)))
            operation.safe_attributes = safe

    def _event_content(self, operation: Operation) -> dict[str, Any]:
        """Content in structured form, for the event."""
        telemetry = operation.telemetry
        if not self.gathered or not telemetry.capture_events:
            return {}
        parts = governed(self.gathered, telemetry.content_limits)
        limit = getattr(telemetry.emit_event, "value_limit", None)
        found = {key: values_of(items) for key, items in parts.items()}
        return found if limit is None else {key: cut_leaves(one, limit) for key, one in found.items()}


def event_attributes(
    operation: Operation, request: Mapping[str, Any], parts: Mapping[str, Any], error_type: str | None
) -> dict[str, Any]:
    """Attributes of the operation-details event: those of the span, and content in structured form.

    Args:
        operation: the call.
        request: attributes of its request.
        parts: the content, redacted.
        error_type: by what it ended, if by an error.
    """
    raw = {
        **stamps(operation.scope, genai=True),
        semconv.OPERATION_NAME: operation.operation,
        **request,
        **operation.end_attributes,
    }
    if error_type is not None:
        raw[semconv.ERROR_TYPE] = error_type
    telemetry = operation.telemetry
    return {**safe_of(telemetry.redactor, telemetry.renames, raw), **parts}
