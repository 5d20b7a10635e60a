"""A websocket of the Responses API: its events are those of a stream, its requests those of a call."""

from __future__ import annotations

from typing import Any, Final

from spantally.calls.telemetry import Telemetry
from spantally.instrumentors.openai.call import OpenAICall
from spantally.instrumentors.openai.socket_connection import Connection, Options, Target, types_of
from spantally.instrumentors.openai.wire import frames
from spantally.instrumentors.stainless.wire.fields import field, text


class ResponsesConnection(Connection):
    """A connection of the Responses API: one response after the other, on one or several lanes."""

    telling = types_of(
        "error response.created response.queued response.in_progress response.output_item.done"
        " response.completed response.incomplete response.failed"
    )
    content = types_of(
        "response.output_item.added response.output_text.delta response.refusal.delta"
        " response.reasoning_text.delta response.reasoning_summary_text.delta"
        " response.function_call_arguments.delta response.custom_tool_call_input.delta"
    )

    def __init__(self, telemetry: Telemetry, target: Target) -> None:
        super().__init__(telemetry, target)
        self.reads_content = telemetry.wants_content or telemetry.stream_usage == "estimate"

    def refused(self, event: dict[str, Any]) -> None:
        """An error ends what is under way on its lane."""
        lane = text(event.get("stream_id"))
        response_id = self.lanes.pop(lane, None)
        call = self.open.pop(response_id or "", None)
        self.unheard.pop(response_id or "", None)
        if call is None:
            asked = self.match(None, lane)
            call = None if asked is None else asked.call
        if call is not None:
            self.observe(call, event)
            call.exhausted()

    handlers = {  # noqa: RUF012 - never changed
        "error": refused,
        "response.created": Connection.created,
        "response.completed": Connection.ended,
        "response.incomplete": Connection.ended,
        "response.failed": Connection.ended,
        **dict.fromkeys(
            [one.decode() for one in content]
            + ["response.queued", "response.in_progress", "response.output_item.done"],
            Connection.piece,
        ),
    }

    def _begin(self, body: dict[str, Any]) -> OpenAICall | None:
        call = self.start(Options("WEBSOCKET", "/responses", {**body, "stream": True}))
        if call is not None:
            call.stream_facts = call.new_stream_facts()
        return call

    def asked_body(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event itself."""
        return event

    def told_body(self, response: Any) -> dict[str, Any]:
        """What a response repeats of its request."""
        found = {name: field(response, name) for name in _TOLD}
        return {name: value for name, value in found.items() if value is not None}

    def params(self, event: dict[str, Any]) -> Any:
        """They stand in the event itself."""
        return event

    def piece_of(self, frame: bytes) -> str | None:
        """A piece names its lane."""
        if len(self.lanes) == 1 and None in self.lanes:
            return self.lanes[None]
        return self.lanes.get(frames.lane(frame))


_TOLD: Final = (
    "model",
    "instructions",
    "tools",
    "temperature",
    "top_p",
    "max_output_tokens",
    "reasoning",
    "text",
    "service_tier",
    "previous_response_id",
    "conversation",
)
"""What a response that the server began says of its request."""
