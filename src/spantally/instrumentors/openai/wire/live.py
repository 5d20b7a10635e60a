"""Events of the Live API, read into plain facts: a voice session that is billed by its length.

What the session is billed stands in its events as seconds so far (developers.openai.com/api/docs/models
says that they cover sound in both directions): each event has the whole, so the last one counts. What the
session delegates to another model comes within ``response.event``, as events of the Responses API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from spantally.instrumentors.openai.wire.operation import LIVE
from spantally.instrumentors.openai.wire.parts import Message, text_part
from spantally.instrumentors.openai.wire.response import MISSING, ResponseFacts
from spantally.instrumentors.openai.wire.stream import StreamFacts
from spantally.instrumentors.stainless.wire.errors import error_code, says_refused
from spantally.instrumentors.stainless.wire.fields import field, number, plain, plain_mapping, text

MAX_PIECES: Final = 16_384
"""Pieces of the transcript of one session that are kept."""

_REASONS: Final[Mapping[str, str]] = {
    "close_requested": "stop",
    "remote_hangup": "stop",
    "expired": "length",
    "content": "content_filter",
}
"""Why a session ended, in the conventions' words."""

_LOST: Final = "connection_lost"


def session_body(session: Any) -> dict[str, Any]:
    """What a session is started with, as the body of a request."""
    found = {name: plain(field(session, name)) for name in ("model", "instructions", "input")}
    return {name: value for name, value in found.items() if value is not None}


def delegate_of(session: Any) -> dict[str, Any] | None:
    """How a session has its Responses backend work; None where it has none, or does not say."""
    delegation = field(session, "delegation")
    if text(field(delegation, "type")) != "responses":
        return None
    return plain_mapping(field(delegation, "responses"))


def usage_of(event: Any) -> dict[str, Any] | None:
    """The usage so far that an event tells, in the form of what is billed by time."""
    told = plain_mapping(field(event, "usage"))
    if told is None or number(told.get("seconds")) is None:
        return None
    return {**told, "type": "duration"}


class LiveFacts(StreamFacts):
    """What the events of one session told so far.

    Attributes:
        usage: the last that was told.
        complete: True once the usage is that of the whole session.
    """

    __slots__ = ("_reason", "_said", "complete", "usage")

    def __init__(self, *, collect: bool) -> None:
        """Make one for a session; ``collect`` keeps what the model said for :meth:`content`."""
        self._id: str | None = None
        self._model: str | None = None
        self._reason: str | None = None
        self._said: list[str] | None = [] if collect else None
        self.usage: dict[str, Any] | None = None
        self.complete = False
        self.error_type: str | None = None
        self.refused = False
        self.begun = False

    def __new__(cls, *, collect: bool) -> Self:  # noqa: ARG004 - __init__ takes it
        """Make one; the operation that the base class asks for is always the same."""
        return super().__new__(cls, LIVE)

    def observe(self, chunk: Any) -> None:
        """Look at one event as JSON."""
        kind = field(chunk, "type")
        if kind == "session.output_transcript.delta":
            piece = text(field(chunk, "delta"))
            if self._said is not None and piece is not None and len(self._said) < MAX_PIECES:
                self._said.append(piece)
        elif kind == "error":
            self.error_type = error_code(field(chunk, "error")) or "_OTHER"
            self.refused = says_refused(field(chunk, "error"))
        else:
            session = field(chunk, "session")
            self._id = text(field(session, "id")) or self._id
            self._model = text(field(session, "model")) or self._model
            self.begun = True
            told = usage_of(chunk)
            self.usage = told or self.usage
            if kind == "session.closed":
                self.complete = told is not None
                self._reason = text(field(chunk, "reason"))
                if self._reason == _LOST:
                    self.error_type = _LOST

    def facts(self) -> ResponseFacts:
        """The facts so far."""
        reason = MISSING if self._reason is None else _REASONS.get(self._reason, self._reason)
        return ResponseFacts(
            model=self._model,
            response_id=self._id,
            finish_reasons=(MISSING if reason == _LOST else reason,),
            usage=self.usage,
            conversation_id=self._id,
            error_type=self.error_type,
            refused=self.refused,
        )

    def content(self) -> list[Message] | None:
        """What the model said, as one message."""
        if not self._said:
            return None
        return [{"role": "assistant", "parts": [text_part("".join(self._said))]}]
