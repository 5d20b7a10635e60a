"""The Realtime API: sessions, responses, items and transcripts, read into plain facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from spantally.ground import semconv
from spantally.instrumentors.openai.wire.operation import REALTIME
from spantally.instrumentors.openai.wire.parts import Message
from spantally.instrumentors.openai.wire.realtime_content import output_message, pieces_message
from spantally.instrumentors.openai.wire.response import (
    MISSING,
    ResponseFacts,
    count_server_tools,
    finish_reason,
    item_call,
    usage_of,
)
from spantally.instrumentors.openai.wire.stream import StreamFacts
from spantally.instrumentors.stainless.wire.errors import error_code, says_refused
from spantally.instrumentors.stainless.wire.fields import AttributeValue, field, integer, items, plain, text

_MAX_ITEMS: Final = 1024
"""Output items of one response that are told apart."""


class SessionFacts:
    """What the server said of the session so far.

    Attributes:
        model: the model that answers.
        transcription_model: the model that writes down what the user says, if any does.
        settings: what its responses have in common, as far as a span tells of it.
    """

    __slots__ = ("model", "settings", "transcription_model")

    def __init__(self, model: str | None) -> None:
        self.model = model
        self.transcription_model: str | None = None
        self.settings: dict[str, Any] = {}

    def learn(self, session: Any) -> None:
        """Take a session as the server sent it; the older API names some things otherwise."""
        self.model = text(field(session, "model")) or self.model
        heard = field(field(field(session, "audio"), "input"), "transcription")
        if heard is None:
            heard = field(session, "input_audio_transcription")
        self.transcription_model = text(field(heard, "model"))
        self.settings = _settings(session)


_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "temperature": ("temperature",),
    "max_output_tokens": ("max_output_tokens", "max_response_output_tokens"),
    "output_modalities": ("output_modalities", "modalities"),
    "reasoning": ("reasoning",),
    "instructions": ("instructions",),
    "tools": ("tools",),
}
"""What a response takes from its request or else from its session, with older spellings."""


def _settings(source: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, spellings in _SETTINGS.items():
        value = next((one for one in (field(source, key) for key in spellings) if one is not None), None)
        if value is not None:
            found[name] = value
    return found


def request_body(session: SessionFacts, asked: Any, given: list[Any]) -> dict[str, Any]:
    """What a response is asked for, as one body.

    Args:
        session: what holds for all of its responses.
        asked: the ``response`` of the event that asks for it, or of the one that tells of it.
        given: items that the conversation got since the last response.
    """
    sent = items(field(asked, "input"))
    body: dict[str, Any] = {"stream": True, **session.settings, **_settings(asked)}
    body["model"] = session.model
    body["input"] = given if sent is None else list(sent)
    return body


def is_users(item: Any) -> bool:
    """True for a message of the user; False for a tool's result and all else."""
    return text(field(item, "role")) == "user" and text(field(item, "type")) in (None, "message")


def result_id(item: Any) -> str | None:
    """The id of the tool call whose result an item hands back, if it is such an item."""
    kind = text(field(item, "type")) or ""
    return text(field(item, "call_id")) if kind.endswith("_call_output") else None


# -- the answer ------------------------------------------------------------------------------------------

_INPUT: Final = (
    ("cached_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
    ("text_tokens", semconv.USAGE_TEXT_INPUT_TOKENS),
    ("audio_tokens", semconv.USAGE_AUDIO_INPUT_TOKENS),
    ("image_tokens", semconv.USAGE_IMAGE_INPUT_TOKENS),
)
_CACHED: Final = (
    ("text_tokens", semconv.USAGE_TEXT_CACHE_READ_INPUT_TOKENS),
    ("audio_tokens", semconv.USAGE_AUDIO_CACHE_READ_INPUT_TOKENS),
    ("image_tokens", semconv.USAGE_IMAGE_CACHE_READ_INPUT_TOKENS),
)
_OUTPUT: Final = (
    ("text_tokens", semconv.USAGE_TEXT_OUTPUT_TOKENS),
    ("audio_tokens", semconv.USAGE_AUDIO_OUTPUT_TOKENS),
    ("reasoning_tokens", semconv.USAGE_REASONING_OUTPUT_TOKENS),
)


def usage_details(usage: Any) -> list[tuple[str, AttributeValue]]:
    """The token counts of a usage object beside its totals, as span attributes."""
    inner = field(usage, "input_token_details")
    found: list[tuple[str, AttributeValue]] = []
    for source, table in (
        (inner, _INPUT),
        (field(inner, "cached_tokens_details"), _CACHED),
        (field(usage, "output_token_details"), _OUTPUT),
    ):
        for key, attribute in table:
            count = integer(field(source, key))
            if count is not None and count >= 0:
                found.append((attribute, count))
    return found


def response_facts(response: Any, model: str | None) -> ResponseFacts:
    """The facts of a response that is done.

    Args:
        response: as the event has it.
        model: of the session: a response does not name it.
    """
    status = text(field(response, "status"))
    details = field(response, "status_details")
    output = items(field(response, "output")) or ()
    kinds = [text(field(item, "type")) or "" for item in output]
    calls = tuple(pair for item in output if (pair := item_call(item)) is not None)
    error = None
    if status == "failed":
        error = error_code(field(details, "error")) or "_OTHER"
        reasons: tuple[str, ...] = (MISSING,)
    elif status == "incomplete":
        reasons = (finish_reason(field(details, "reason")),)
    elif status == "completed":
        reasons = ("tool_call",) if calls else ("stop",)
    else:
        reasons = (MISSING,)
    usage = usage_of(response)
    attributes = usage_details(usage)
    if status is not None:
        attributes.append((semconv.RESPONSE_STATUS, status))
    spoken = items(field(response, "output_modalities")) or items(field(response, "modalities"))
    if spoken:
        attributes.append((semconv.OUTPUT_TYPE, "speech" if "audio" in spoken else "text"))
    return ResponseFacts(
        model=model,
        response_id=text(field(response, "id")),
        finish_reasons=reasons,
        usage=usage,
        tool_calls=calls,
        conversation_id=text(field(response, "conversation_id")),
        status=status,
        error_type=error,
        server_tools=count_server_tools(kinds),
        attributes=tuple(attributes),
        refused=not output and says_refused(field(details, "error")),
    )


CONTENT_DELTAS: Final = frozenset(
    {
        "response.output_text.delta",
        "response.text.delta",
        "response.output_audio_transcript.delta",
        "response.audio_transcript.delta",
    }
)
"""Pieces of text, in both spellings: read only where content is wanted."""


class RealtimeFacts(StreamFacts):
    """What the events of one response told so far."""

    __slots__ = ("_done", "_pieces", "_session", "_started", "_told", "_whole", "cancelled")

    def __init__(self, session: SessionFacts, *, collect: bool) -> None:
        """Make one for a response of ``session``; ``collect`` keeps its texts for :meth:`content`."""
        self._session = session
        self._started: Any = None
        self._whole: Any = None
        self._done: dict[str, Any] = {}
        """Output items that were done before the response was, by their ids."""
        self._pieces: dict[str, list[str]] | None = {} if collect else None
        self._told: set[str] = set()
        self.error_type: str | None = None
        self.refused = False
        self.begun = False
        self.cancelled = False
        """True where the response ended before it was complete: by the program, or since the user spoke."""

    def __new__(cls, session: SessionFacts, *, collect: bool) -> Self:  # noqa: ARG004 - __init__ takes them
        """Make one; the operation that the base class asks for is always the same."""
        return super().__new__(cls, REALTIME)

    def observe(self, chunk: Any) -> None:
        """Look at one event as JSON."""
        kind = field(chunk, "type")
        if kind in CONTENT_DELTAS:
            self.begun = True
            if self._pieces is not None:
                piece = text(field(chunk, "delta"))
                item_id = text(field(chunk, "item_id")) or ""
                if piece is not None and len(self._pieces) < _MAX_ITEMS:
                    self._pieces.setdefault(item_id, []).append(piece)
        elif kind == "response.created":
            self._started = field(chunk, "response")
        elif kind == "response.output_item.added":
            self.begun = True
        elif kind == "response.output_item.done":
            self.begun = True
            item = field(chunk, "item")
            if len(self._done) < _MAX_ITEMS:
                self._done[text(field(item, "id")) or str(len(self._done))] = item
        elif kind == "response.done":
            self._whole = field(chunk, "response")
            self.cancelled = field(self._whole, "status") == "cancelled"
        elif kind == "error":
            self.error_type = error_code(field(chunk, "error")) or "_OTHER"
            self.refused = says_refused(field(chunk, "error"))

    def call_of(self, item: Any) -> tuple[str, str] | None:
        """Id and name of an item that asks for a tool of the program, the first time that it is met."""
        call = item_call(item)
        if call is None or call[0] in self._told or text(field(item, "name")) is None:
            return None
        self._told.add(call[0])
        return call

    def facts(self) -> ResponseFacts:
        """The facts so far; tools whose calls were told of before are left out."""
        source = self._whole if self._whole is not None else self._started
        found = response_facts(source, self._session.model)
        calls = tuple(call for call in found.tool_calls if call[0] not in self._told)
        error = found.error_type or self.error_type
        if self._whole is None:  # what began, or was refused, has no status to tell of
            kept = tuple(pair for pair in found.attributes if pair[0] != semconv.RESPONSE_STATUS)
            found = found._replace(status=None, attributes=kept, finish_reasons=(MISSING,))
        return found._replace(tool_calls=calls, error_type=error, refused=found.refused or self.refused)

    def content(self) -> list[Message] | None:
        """One message: of the whole response where that came, else of what came of it."""
        if self._pieces is None:
            return None
        whole = items(field(self._whole, "output"))
        if whole:
            return output_message(whole)
        return pieces_message(self._done, self._pieces)


# -- what the user said, written down by another model ---------------------------------------------------


def transcription_body(event: Any, session: SessionFacts) -> dict[str, Any]:
    """The event of a transcript that is complete, in the form of an answer of the transcriptions endpoint."""
    return {
        "model": session.transcription_model,
        "text": field(event, "transcript"),
        "usage": plain(field(event, "usage")),
    }
