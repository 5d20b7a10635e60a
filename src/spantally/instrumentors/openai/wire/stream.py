"""The facts of a stream, gathered while its chunks pass.

:meth:`StreamFacts.observe` runs for every chunk between provider and program, so it looks only for what
changes something and passes over a plain piece of text in a fraction of a microsecond. No chunk is kept.
"""

from __future__ import annotations

from typing import Any, Final, Self

from spantally.instrumentors.openai.wire.endpoints import counts_something
from spantally.instrumentors.openai.wire.operation import Operation
from spantally.instrumentors.openai.wire.parts import Message
from spantally.instrumentors.openai.wire.request import tool_name
from spantally.instrumentors.openai.wire.response import (
    MISSING,
    ResponseFacts,
    count_server_tools,
    failure_of,
    finish_reason,
    item_call,
    item_kind,
    response_facts,
    usage_of,
)
from spantally.instrumentors.openai.wire.stream_content import ChatContent, ResponseContent
from spantally.instrumentors.stainless.wire.errors import error_code, says_refused
from spantally.instrumentors.stainless.wire.fields import field, integer, items, text

_HEAD: Final = 3
"""How many chunks at the start are looked at in full, until id and model are known."""

_MAX_CHOICES: Final = 1024
_MAX_CALLS: Final = 4096

_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_TELLING: Final = _TERMINAL | {
    "response.created",
    "response.queued",
    "response.in_progress",
    "response.output_item.done",
    "error",
}
"""Events of the Responses API that carry a fact; all others are passed over."""


def stream_error(chunk: Any) -> str | None:
    """The error type of a chunk that reports an error instead of content, else None."""
    kind = text(field(chunk, "type"))
    if kind == "response.failed":
        return error_code(field(field(chunk, "response"), "error")) or "_OTHER"
    error = field(chunk, "error")
    if error is not None:
        return error_code(error)
    if kind == "error":
        return error_code(_Coded(chunk)) or "_OTHER"
    return None


def stream_refused(chunk: Any) -> bool:
    """True where a chunk that reports an error is of a kind that stands for a rejection."""
    error = field(chunk, "error")
    if error is None:
        error = field(field(chunk, "response"), "error")
    return says_refused(_Coded(chunk) if error is None else error)


class _Coded:
    """The code of an error event without its type, which is just ``error``."""

    __slots__ = ("code",)

    def __init__(self, event: Any) -> None:
        self.code = field(event, "code")


class StreamFacts:
    """What the chunks of one stream told so far. Make it with the operation: the right kind comes back.

    Attributes:
        error_type: the provider's error where a chunk reported one.
        refused: True where that error is of a kind that stands for a rejection.
        begun: True once something of an answer came.
    """

    __slots__ = (
        "_calls",
        "_collector",
        "_expected",
        "_fingerprint",
        "_head",
        "_id",
        "_model",
        "_reasons",
        "_tier",
        "_tools",
        "_usage",
        "begun",
        "error_type",
        "refused",
    )

    def __new__(cls, op: Operation, *, collect: bool = False, **_: Any) -> Self:
        """Give the kind that reads the chunks of this operation."""
        if cls is not StreamFacts:
            return super().__new__(cls)
        kind: type[StreamFacts] = _CollectingChatFacts if collect else _ChatFacts
        if op.api == "responses":
            kind = _ResponsesFacts
        elif op.api in _EVENT_APIS:
            kind = _EventFacts
        return super().__new__(kind)  # type: ignore[return-value]

    def __init__(self, op: Operation, *, collect: bool = False, choices: int = 1, tools: bool = True) -> None:
        """Make one for a stream that begins.

        Args:
            op: what :func:`classify` said.
            collect: True to keep texts and tool arguments for :meth:`content`.
            choices: how many choices were asked for (``n``): one that never ends is reported as ``error``.
            tools: False where the request offers none, so that no chunk has to be searched for their calls.
        """
        self._head = _HEAD
        self._expected = choices
        self._tools = tools
        self._id: str | None = None
        self._model: str | None = None
        self._tier: str | None = None
        self._fingerprint: str | None = None
        self._usage: dict[str, Any] | None = None
        self._reasons: dict[int, str] = {}
        self._calls: dict[str, str] = {}
        self._collector: Any = None
        self.error_type: str | None = None
        self.refused = False
        self.begun = False
        if collect:
            self._collector = ResponseContent() if op.api == "responses" else ChatContent()

    def observe(self, chunk: Any) -> None:
        """Look at one chunk, an SDK object or JSON; it is neither changed nor kept."""
        raise NotImplementedError  # __new__ gives a kind that has it

    def facts(self) -> ResponseFacts:
        """The facts so far; what a stream that was cut off did not tell is missing or ``error``."""
        raise NotImplementedError

    def content(self) -> list[Message] | None:
        """Output messages with the texts joined, or None if nothing was collected."""
        return None if self._collector is None else self._collector.messages()

    def _note_error(self, chunk: Any) -> None:
        found = stream_error(chunk)
        if found is not None:
            self.error_type = found
            self.refused = stream_refused(chunk)

    def _note_identity(self, source: Any) -> None:
        self._id = self._id or text(field(source, "id"))
        self._model = self._model or text(field(source, "model"))
        self._tier = text(field(source, "service_tier")) or self._tier
        self._fingerprint = text(field(source, "system_fingerprint")) or self._fingerprint


class _ChatFacts(StreamFacts):
    """Chunks of chat completions and completions."""

    __slots__ = ()

    def observe(self, chunk: Any) -> None:
        if not self._head:
            try:
                if chunk.usage is None:
                    (choice,) = chunk.choices
                    if choice.finish_reason is None:
                        if not self._tools:
                            return
                        calls = choice.delta.tool_calls
                        if calls is None:
                            return
                        (call,) = calls
                        if call.id is None:
                            return
            except Exception:  # not such an object, or not such a chunk
                pass
        self._look(chunk)

    def _look(self, chunk: Any) -> None:
        if self._collector is not None:
            self._collector.add(chunk)
        if self._head:
            self._head -= 1
            if type(chunk) is dict:
                self._head = _HEAD  # the short look is for SDK objects only
        usage = usage_of(chunk)
        # Some providers repeat it, growing, with each chunk, and some fill in zeros in the last.
        if usage is not None and (self._usage is None or counts_something(usage)):
            self._usage = usage
        self._note_identity(chunk)
        choices = items(field(chunk, "choices")) or ()
        for position, choice in enumerate(choices):
            self._look_at_choice(choice, position)
        if field(chunk, "error") is not None or self._id is None:
            self._note_error(chunk)
        elif choices:
            self.begun = True

    def _look_at_choice(self, choice: Any, position: int) -> None:
        index = integer(field(choice, "index"))
        index = position if index is None else index
        if 0 <= index < _MAX_CHOICES:
            self._expected = max(self._expected, index + 1)
            reason = text(field(choice, "finish_reason"))
            if reason is not None:
                self._reasons[index] = finish_reason(reason)
                if reason == "error" and self.error_type is None:
                    failure = failure_of((choice,))
                    self.error_type = None if failure is None else error_code(failure)
        for call in items(field(field(choice, "delta"), "tool_calls")) or ():
            call_id = text(field(call, "id"))
            name = tool_name(call)
            if call_id is not None and name is not None and len(self._calls) < _MAX_CALLS:
                self._calls[call_id] = name

    def facts(self) -> ResponseFacts:
        return ResponseFacts(
            model=self._model,
            response_id=self._id,
            finish_reasons=tuple(self._reasons.get(index, MISSING) for index in range(self._expected)),
            usage=self._usage,
            service_tier=self._tier,
            system_fingerprint=self._fingerprint,
            tool_calls=tuple(self._calls.items()),
            error_type=self.error_type,
            refused=self.refused,
        )


_ONLY_CONTENT: Final = {"content"}


class _CollectingChatFacts(_ChatFacts):
    """The same where content is wanted: the short look takes the text along."""

    __slots__ = ()

    def observe(self, chunk: Any) -> None:
        if not self._head:
            try:
                if chunk.usage is None:
                    (choice,) = chunk.choices
                    delta = choice.delta
                    # Nothing else was sent with it: no call, refusal, audio, and no reasoning as an extra.
                    if (
                        choice.finish_reason is None
                        and delta.__pydantic_fields_set__ == _ONLY_CONTENT
                        and not delta.__pydantic_extra__
                        and self._collector.say(choice.index, delta.content)
                    ):
                        return
            except Exception:  # not such an object, or not such a chunk
                pass
        self._look(chunk)


_EVENT_APIS: Final = frozenset({"images", "speech", "transcriptions", "runs"})
_RUN_EVENT: Final = "thread.run."
_ANSWERING: Final = ("thread.message.", "thread.run.step.")
"""What the model made, of the events of a run."""


class _EventFacts(StreamFacts):
    """Events of images, audio and runs of assistants: the last one carries the usage."""

    __slots__ = ("_op", "_whole")

    def __init__(self, op: Operation, *, collect: bool = False, choices: int = 1, tools: bool = True) -> None:
        super().__init__(op, choices=choices, tools=tools)
        self._op = op
        self._whole = ResponseFacts()

    def observe(self, chunk: Any) -> None:
        kind = text(field(chunk, "type")) or ""
        if self._op.api == "runs":
            event = text(field(chunk, "event"))
            if event is not None:
                kind, chunk = event, field(chunk, "data")
            # Steps of a run report their part of the same usage.
            if kind.startswith(_RUN_EVENT) and not kind.startswith("thread.run.step."):
                self._whole = response_facts(self._op, chunk)
                self.error_type, self.refused = self._whole.error_type, self._whole.refused
        elif field(chunk, "usage") is not None:
            self._whole = response_facts(self._op, chunk)
        if kind == "error" or field(chunk, "error") is not None:
            self._note_error(chunk)
        elif not self.begun:
            self.begun = self._op.api != "runs" or kind.startswith(_ANSWERING)

    def facts(self) -> ResponseFacts:
        return self._whole._replace(error_type=self.error_type, refused=self.refused)


class _ResponsesFacts(StreamFacts):
    """Events of the Responses API."""

    __slots__ = ("_background", "_conversation", "_kinds", "_op", "_status", "_whole")

    def __init__(self, op: Operation, *, collect: bool = False, choices: int = 1, tools: bool = True) -> None:
        super().__init__(op, collect=collect, choices=choices, tools=tools)
        self._op = op
        self._conversation: str | None = None
        self._status: str | None = None
        self._background = False
        self._kinds: list[str] = []
        self._whole: ResponseFacts | None = None

    def observe(self, chunk: Any) -> None:
        try:
            kind = chunk["type"] if type(chunk) is dict else chunk.__dict__["type"]
            if kind not in _TELLING and self._collector is None:
                self.begun = True
                return
        except Exception:  # then field by field
            pass
        self._look(chunk)

    def _look(self, chunk: Any) -> None:
        kind = text(field(chunk, "type"))
        if self._collector is not None:
            self._collector.add(kind, chunk)
        if kind not in _TELLING:
            if field(chunk, "error") is not None:
                self._note_error(chunk)
            else:
                self.begun = True
            return
        if kind == "error":
            self._note_error(chunk)
            return
        if kind == "response.output_item.done":
            self.begun = True
            self._look_at_item(field(chunk, "item"))
            return
        response = field(chunk, "response")
        if kind in _TERMINAL:
            self._finish(response, kind)
        else:
            self._note_identity(response)
            self._conversation = text(field(field(response, "conversation"), "id")) or self._conversation
            self._status = text(field(response, "status")) or self._status
            self._background = self._background or field(response, "background") is True

    def _look_at_item(self, item: Any) -> None:
        if len(self._kinds) >= _MAX_CALLS:
            return
        self._kinds.append(item_kind(item))
        call = item_call(item)
        if call is not None:
            self._calls[call[0]] = call[1]

    def _finish(self, response: Any, kind: str) -> None:
        facts = response_facts(self._op, response)
        if kind == "response.failed" and facts.error_type is None:
            facts = facts._replace(error_type="_OTHER")
        if facts.status is None:
            facts = facts._replace(status=kind.rpartition(".")[2])
        self._whole = facts
        if facts.error_type is not None:
            self.error_type, self.refused = facts.error_type, facts.refused or self.refused

    def facts(self) -> ResponseFacts:
        whole = self._whole
        if whole is not None:
            return whole._replace(
                model=whole.model or self._model,
                response_id=whole.response_id or self._id,
                error_type=self.error_type,
                refused=self.refused,
                # A server that sends a bare last event told its items before.
                tool_calls=whole.tool_calls or tuple(self._calls.items()),
                server_tools=whole.server_tools or count_server_tools(self._kinds),
            )
        return ResponseFacts(
            model=self._model,
            response_id=self._id,
            finish_reasons=(MISSING,),
            service_tier=self._tier,
            tool_calls=tuple(self._calls.items()),
            conversation_id=self._conversation,
            status=self._status,
            error_type=self.error_type,
            server_tools=count_server_tools(self._kinds),
            background=self._background,
            refused=self.refused,
        )
