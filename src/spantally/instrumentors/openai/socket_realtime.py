"""A websocket of the Realtime API: a conversation to which both sides add, and responses to it."""

from __future__ import annotations

import time
from typing import Any, Final

from spantally.calls.telemetry import Telemetry
from spantally.calls.tool_results import ToolResult, expect_tool_calls, infer_tool_results
from spantally.ground import semconv
from spantally.instrumentors.openai.call import OpenAICall
from spantally.instrumentors.openai.socket_connection import Connection, Options, Target, types_of
from spantally.instrumentors.openai.wire import frames, realtime
from spantally.instrumentors.stainless.wire.fields import field, items, plain, text

MAX_ITEMS: Final = 256
"""Items kept between two responses."""


class RealtimeConnection(Connection):
    """A connection of the Realtime API."""

    telling = types_of(
        "error session.created session.updated transcription_session.created transcription_session.updated"
        " response.created response.done response.output_item.added response.output_item.done"
        " input_audio_buffer.committed conversation.item.input_audio_transcription.completed"
    )
    content = frozenset(name.encode() for name in realtime.CONTENT_DELTAS)

    def __init__(self, telemetry: Telemetry, target: Target, model: str | None) -> None:
        super().__init__(telemetry, target)
        self.session = realtime.SessionFacts(model)
        self.given: list[Any] = []
        """Items since the last response, where content is wanted."""
        self.results: list[ToolResult] = []
        self.of_user = False
        """True where the newest item of the conversation is the user's."""
        self.committed: dict[str, int] = {}
        """When the audio of each item was complete."""

    def sending(self, event: Any) -> OpenAICall | None:
        """Items that the program adds are noted too."""
        if text(field(event, "type")) == "conversation.item.create":
            self._give(field(event, "item"))
            return None
        return super().sending(event)

    def _give(self, item: Any) -> None:
        self.of_user = realtime.is_users(item)
        call_id = realtime.result_id(item)
        if call_id is not None and len(self.results) < MAX_ITEMS:
            self.results.append(ToolResult(call_id, None, None))
        if self.telemetry.wants_content and len(self.given) < MAX_ITEMS:
            self.given.append(plain(item))

    def _begin(self, body: dict[str, Any]) -> OpenAICall | None:
        call = self.start(Options("WEBSOCKET", "/realtime", body))
        if call is None:
            return None
        target = call.operation
        call.estimated_input = None  # a response that is complete has its usage
        wanted = call.capture is not None and call.capture.content
        call.stream_facts = realtime.RealtimeFacts(self.session, collect=wanted)
        target.turn = target.scope.run_id is None and self.of_user
        self.of_user = False
        results, self.results = self.results, []
        infer_tool_results(target, results)
        return call

    def asked_body(self, event: dict[str, Any]) -> dict[str, Any]:
        """What the session says, and over it what the event asks for."""
        body = self.told_body(event.get("response"))
        sent = items(field(event.get("response"), "input"))
        if sent:
            self.of_user = realtime.is_users(sent[-1])
        return body

    def told_body(self, response: Any) -> dict[str, Any]:
        """What the session says, and over it what the response tells."""
        given, self.given = self.given, []
        return realtime.request_body(self.session, response, given)

    def params(self, event: dict[str, Any]) -> Any:
        """They stand one level down."""
        return event.get("response")

    def piece_of(self, frame: bytes) -> str | None:
        """A piece names its response."""
        return frames.response_id(frame)

    # -- events --------------------------------------------------------------------------------------

    def _learn(self, event: dict[str, Any]) -> None:
        self.session.learn(event.get("session"))

    def _commit(self, event: dict[str, Any]) -> None:
        self.of_user = True
        item_id = text(event.get("item_id"))
        if item_id is not None:
            self.committed[item_id] = time.time_ns()
            if len(self.committed) > MAX_ITEMS:
                self.committed.pop(next(iter(self.committed)), None)

    def _item(self, event: dict[str, Any]) -> None:
        """An output item: a tool that it asks for may run before the response is done."""
        call = self.of_event(event)
        if call is None or not isinstance(call.stream_facts, realtime.RealtimeFacts):
            return
        self.heard(text(event.get("response_id")))
        call.stream_facts.observe(event)
        wanted = call.stream_facts.call_of(event.get("item"))
        if wanted is not None:
            expect_tool_calls(call.operation.scope, (wanted,))

    def _transcribed(self, event: dict[str, Any]) -> None:
        """Another model wrote down what the user said: a call of its own, where its usage is told."""
        item_id = text(event.get("item_id"))
        began = self.committed.pop(item_id or "", None)
        if self.telemetry.wants_content and len(self.given) < MAX_ITEMS and not self.open:
            said = {"type": "input_audio", "transcript": event.get("transcript")}
            self.given.append({"type": "message", "role": "user", "content": [said]})
        if event.get("usage") is None:
            return
        body = realtime.transcription_body(event, self.session)
        call = self.start(
            Options("POST", "/audio/transcriptions", {"model": self.session.transcription_model}), began
        )
        if call is None:
            return
        call.operation.response_id = item_id
        if item_id is not None:
            call.operation.end_attributes[semconv.RESPONSE_ID] = item_id
        call.succeeded(body)

    def _refused(self, event: dict[str, Any]) -> None:
        """An error: it ends a response only where one was asked for by the event that it names."""
        error = event.get("error")
        event_id = text(field(error, "event_id"))
        about = text(field(error, "param")) or "", text(field(error, "code")) or ""
        if event_id is None and any(one.startswith(_OTHERS) for one in about):
            return
        for one in tuple(self.asked):
            if one.event_id == event_id:
                self.forget(one)
                if one.call is not None:
                    self.observe(one.call, event)
                    one.call.exhausted()
                return

    handlers = {  # noqa: RUF012 - never changed
        "error": _refused,
        "session.created": _learn,
        "session.updated": _learn,
        "transcription_session.created": _learn,
        "transcription_session.updated": _learn,
        "response.created": Connection.created,
        "response.done": Connection.ended,
        "response.output_item.added": _item,
        "response.output_item.done": _item,
        "input_audio_buffer.committed": _commit,
        "conversation.item.input_audio_transcription.completed": _transcribed,
        **dict.fromkeys(realtime.CONTENT_DELTAS, Connection.piece),
    }


_OTHERS: Final = ("session", "item", "audio", "input_audio")
"""What parameter or code of an error begin with that is about another event than a request for a response."""
