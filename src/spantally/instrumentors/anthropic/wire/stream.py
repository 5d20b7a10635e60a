"""The facts of a stream, gathered while its events pass.

:meth:`StreamFacts.observe` runs for every event between provider and program: a piece of text is passed over
at once, unless content is wanted. No event is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from spantally.instrumentors.anthropic.wire.operation import Operation
from spantally.instrumentors.anthropic.wire.response import (
    MISSING,
    ResponseFacts,
    finish_reason,
    server_tool,
    server_tools,
    tool_call,
)
from spantally.instrumentors.anthropic.wire.stream_content import StreamContent
from spantally.instrumentors.anthropic.wire.usage import merged
from spantally.instrumentors.stainless.wire.errors import error_code, says_refused
from spantally.instrumentors.stainless.wire.fields import field, plain_mapping, text
from spantally.instrumentors.stainless.wire.parts import Message

_MOST: Final = 4096
"""Tool calls of one answer that are remembered."""

_FINAL: Final = ("output_tokens", "output_tokens_details")
"""Counts that are placeholders until the event that ends the message."""


class StreamFacts:
    """What the events of one stream told so far.

    Attributes:
        error_type: the provider's error where an event reported one.
        refused: True where that error is of a kind that stands for a rejection.
        begun: True once something of an answer came.
        on_end: called when all but the end itself is known, while the SDK's own span is still open.
    """

    __slots__ = (
        "_calls",
        "_content",
        "_counted",
        "_id",
        "_model",
        "_op",
        "_reason",
        "_served",
        "_usage",
        "begun",
        "error_type",
        "on_end",
        "refused",
    )

    def __init__(self, op: Operation, *, collect: bool = False) -> None:
        """Make one for a stream that begins.

        Args:
            op: what ``classify`` said.
            collect: True to keep texts and tool arguments for :meth:`content`.
        """
        self._op = op
        self._id: str | None = None
        self._model: str | None = None
        self._reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._counted = False
        self._calls: dict[str, str] = {}
        self._served: list[str] = []
        self._content = StreamContent() if collect else None
        self.error_type: str | None = None
        self.refused = False
        self.begun = False
        self.on_end: Callable[[], None] | None = None

    def observe(self, event: Any) -> None:
        """Look at one event, an SDK object or JSON; it is neither changed nor kept."""
        try:
            kind = event["type"] if type(event) is dict else event.__dict__["type"]
        except Exception:
            kind = text(field(event, "type"))
        if kind == "content_block_delta" and self._content is None:
            return
        if self._content is not None:
            self._content.add(kind, event)
        look = _LOOKS.get(kind)
        if look is not None:
            look(self, event)
        elif field(event, "error") is not None:
            self._fail(event)

    def _start(self, event: Any) -> None:
        message = field(event, "message")
        self._id = text(field(message, "id")) or self._id
        self._model = text(field(message, "model")) or self._model
        self._usage = merged(plain_mapping(field(message, "usage")), None) or None

    def _block(self, event: Any) -> None:
        self.begun = True
        block = field(event, "content_block")
        call = tool_call(block)
        if call is not None and len(self._calls) < _MOST:
            self._calls[call[0]] = call[1]
        served = server_tool(block)
        if served is not None and len(self._served) < _MOST:
            self._served.append(served)

    def _delta(self, event: Any) -> None:
        usage = plain_mapping(field(event, "usage"))
        if usage is not None:
            self._usage = merged(self._usage, usage)
            self._counted = True
        reason = text(field(field(event, "delta"), "stop_reason"))
        if reason is not None:
            self._reason = finish_reason(reason)
        if self.on_end is not None:
            self.on_end()

    def _completion(self, event: Any) -> None:
        """A piece of a legacy completion."""
        self.begun = True
        self._model = text(field(event, "model")) or self._model
        self._id = text(field(event, "id")) or self._id
        reason = text(field(event, "stop_reason"))
        if reason is not None:
            self._reason = finish_reason(reason)

    def _fail(self, event: Any) -> None:
        error = field(event, "error")
        self.error_type = error_code(error) or "_OTHER"
        self.refused = says_refused(error)

    def facts(self) -> ResponseFacts:
        """The facts so far; what a stream that was cut off did not tell is missing or ``error``."""
        usage = self._usage
        if usage is not None and not self._counted:
            usage = {name: value for name, value in usage.items() if name not in _FINAL} or None
        return ResponseFacts(
            model=self._model,
            response_id=self._id,
            finish_reasons=(self._reason or MISSING,),
            usage=usage,
            tool_calls=tuple(self._calls.items()),
            error_type=self.error_type,
            refused=self.refused,
            server_tools=server_tools(self._served),
        )

    def content(self) -> list[Message] | None:
        """The output message with its texts joined, or None if nothing was collected."""
        return None if self._content is None else self._content.messages()


_LOOKS: Final[dict[Any, Callable[[StreamFacts, Any], None]]] = {
    "message_start": StreamFacts._start,
    "content_block_start": StreamFacts._block,
    "message_delta": StreamFacts._delta,
    "completion": StreamFacts._completion,
    "error": StreamFacts._fail,
}
"""By type of event, for those that carry a fact."""
