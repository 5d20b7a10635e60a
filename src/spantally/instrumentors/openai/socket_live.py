"""A websocket of the Live API: one voice session after the other, and what each delegates.

The session is a call that is billed by its length: it lasts from the event that starts it to the one that
closes it. A response that it has another model make is billed by itself, and a call beside it: a call with
another one beneath it counts for nothing, since as a rule its usage is that of the other one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spantally.calls.telemetry import Telemetry
from spantally.calls.tool_results import ToolResult, infer_tool_results
from spantally.ground import semconv
from spantally.ground.scope import is_paused
from spantally.instrumentors.openai.call import OpenAICall
from spantally.instrumentors.openai.socket_connection import (
    Options,
    Target,
    types_of,
)
from spantally.instrumentors.openai.socket_responses import ResponsesConnection
from spantally.instrumentors.openai.wire import frames, live, realtime
from spantally.instrumentors.stainless.call import parsed
from spantally.instrumentors.stainless.wire.fields import field, text

MAX_RESULTS = 256
"""Results of tools that are kept until the next response."""


class LiveConnection(ResponsesConnection):
    """A connection of the Live API, or to a fork of one of its sessions, which is a session of its own."""

    telling = types_of("error session.started session.updated session.usage.updated session.closed")
    content = types_of("session.output_transcript.delta")

    def __init__(self, telemetry: Telemetry, target: Target) -> None:
        super().__init__(telemetry, target)
        self.reads_content = telemetry.wants_content
        self.session: OpenAICall | None = None
        self.start_id: str | None = None
        """The id of the event that started the session."""
        self.started = False
        """True once the server has told of it."""
        self.unmetered = False
        """True where the program started the newest session while metering was paused."""
        self.session_id: str | None = None
        """The id of the newest session, by which it and what it delegates are one conversation."""
        self.delegate: dict[str, Any] = {}
        """What delegated responses have in common."""
        self.results: list[ToolResult] = []

    # -- what the program sends ----------------------------------------------------------------------

    def sending(self, event: Any) -> OpenAICall | None:
        """A session begins when it is started; a response, when the server tells of it."""
        kind = text(field(event, "type"))
        if kind == "response.item.create":
            call_id = realtime.result_id(field(event, "item"))
            if call_id is not None and len(self.results) < MAX_RESULTS:
                self.results.append(ToolResult(call_id, None, None))
        if kind != "session.start" or self.session is not None:
            return None
        self.unmetered = is_paused()
        self.started = False
        self.delegate = {}
        self.session_id = None
        if not self.unmetered:
            fields = frames.fields_of(event)
            self.start_id = text(fields.get("event_id"))
            self._start(fields.get("session"))
        return self.session

    def _start(self, session: Any) -> None:
        self.delegate = live.delegate_of(session) or {}
        call = self.start(Options("WEBSOCKET", "/live", live.session_body(session)))
        self.session = call  # whatever fails from here on, it is ended
        if call is None:
            return
        call.estimated_input = None  # nothing of it is billed by tokens
        call.operation.turn = False
        call.operation.usage_format = call.wire.usage_format
        wanted = call.capture is not None and call.capture.content
        call.stream_facts = live.LiveFacts(collect=wanted)

    def unsent(self, call: OpenAICall, error: BaseException) -> None:
        """The session could not be started."""
        if call is self.session:
            self.session = None
        super().unsent(call, error)

    # -- what the server sends -----------------------------------------------------------------------

    def received(self, frame: Any) -> None:
        """Look at one frame; pieces of sound and text are passed over, also those of delegated responses."""
        data = frames.raw(frame)
        if data is None:
            return
        kind = frames.event_type(data)
        if kind is None or kind.startswith(_WRAPPING):
            if not self.reads_content and not self.unheard and frames.is_piece(data):
                return
        elif kind not in self.telling and not (kind in self.content and self.reads_content):
            return
        if len(data) <= frames.MAX_PARSED:
            event = parsed(data)
            if type(event) is dict:
                self.take(event)

    def _began(self, event: dict[str, Any]) -> None:
        session = event.get("session")
        if self.session is None and not self.started and not self.unmetered:
            self._start(session)  # it was started in a way that was not seen
        self.started = True
        self._learn(event)

    def _learn(self, event: dict[str, Any]) -> None:
        """What holds for the session from now on."""
        self.delegate = live.delegate_of(event.get("session")) or self.delegate
        self._observe(event)

    def _observe(self, event: dict[str, Any]) -> None:
        call = self.session
        if call is None or not isinstance(call.stream_facts, live.LiveFacts):
            return
        facts = call.stream_facts
        facts.observe(event)
        # Also for a process that ends with the session open: its row has what was told by then.
        call.operation.usage = facts.usage
        session_id = text(field(event.get("session"), "id"))
        if session_id is not None:
            call.operation.response_id = self.session_id = session_id

    def _over(self, event: dict[str, Any]) -> None:
        """The session is closed, and tells its whole usage."""
        self._observe(event)
        call = self._taken()
        if call is not None:
            call.exhausted()

    def _session_error(self, event: dict[str, Any]) -> None:
        """An error: it ends the session only where it is about its start."""
        about = text(field(event.get("error"), "client_event_id")) or text(event.get("client_event_id"))
        if self.started or (about is not None and about != self.start_id):
            return
        call, self.session = self.session, None
        if call is not None:
            self.observe(call, event)
            call.exhausted()

    def _nested(self, event: dict[str, Any]) -> None:
        """An event of a delegated response; the delegation stands for its lane."""
        told = event.get("event")
        if type(told) is not dict or self.unmetered:
            return
        kind = text(told.get("type")) or ""
        handler = ResponsesConnection.handlers.get(kind)
        lane = text(event.get("delegation_id"))
        if kind.endswith(".delta"):
            self.heard(self.lanes.get(lane))
        if handler is not None:
            handler(self, {**told, "stream_id": lane})

    def _decided(self, event: dict[str, Any]) -> None:
        """A decision of another model, which tells its tokens."""
        decision = field(event.get("event"), "decision")
        if self.unmetered or field(decision, "usage") is None:
            return
        call = self.start(Options("POST", "/decisions", {"model": text(field(decision, "model"))}))
        if call is not None:
            decision_id = text(field(decision, "id"))
            if decision_id is not None:
                call.operation.response_id = decision_id
                call.operation.end_attributes[semconv.RESPONSE_ID] = decision_id
            if self.session_id is not None:
                call.operation.end_attributes[semconv.CONVERSATION_ID] = self.session_id
            call.succeeded(decision)

    handlers = {  # noqa: RUF012 - never changed
        "error": _session_error,
        "session.started": _began,
        "session.updated": _learn,
        "session.usage.updated": _observe,
        "session.closed": _over,
        "session.output_transcript.delta": _observe,
        "response.event": _nested,
        "decision.event": _decided,
    }

    # -- delegated responses -------------------------------------------------------------------------

    def _begin(self, body: dict[str, Any]) -> OpenAICall | None:
        call = super()._begin(body)
        if call is not None:
            call.estimated_input = None  # what the session gave it is not told
            call.operation.turn = False
            if self.session_id is not None:
                call.operation.end_attributes[semconv.CONVERSATION_ID] = self.session_id
            results, self.results = self.results, []
            infer_tool_results(call.operation, results)
        return call

    def told_body(self, response: Any) -> dict[str, Any]:
        """What the session says, and over it what the response repeats; its lists are cleared."""
        told = super().told_body(response)
        return {**self.delegate, **{name: value for name, value in told.items() if value != []}}

    # -- ends ----------------------------------------------------------------------------------------

    def _taken(self) -> OpenAICall | None:
        """The session, for its end; a usage that is not that of all of it is less than what is billed."""
        call, self.session = self.session, None
        if call is not None and isinstance(call.stream_facts, live.LiveFacts):
            call.operation.estimated = call.stream_facts.usage is not None and not call.stream_facts.complete
        return call

    def _drain(self) -> Iterator[OpenAICall]:
        """What the session delegated ends before it."""
        yield from super()._drain()
        call = self._taken()
        if call is not None:
            yield call


_WRAPPING = (b"response.", b"decision.")
"""What the types of events begin with that hold another one; the inner type may be met first."""
