"""The content of a stream: texts and tool arguments of its chunks, joined when asked for.

Made only where content is wanted. Pieces are gathered in lists and joined once; media is hashed as it passes.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from typing import Any, Final

from spantally.calls import media
from spantally.instrumentors.openai.wire.parts import (
    Message,
    Part,
    content_parts,
    drawn,
    item_parts,
    reasoning_part,
    response_messages,
    text_part,
    tool_call_part,
)
from spantally.instrumentors.stainless.wire.fields import field, integer, items, text
from spantally.instrumentors.stainless.wire.media import media_text

_MOST_HEARD: Final = 33_554_432
"""Most bytes of sound that are gathered to be kept."""
_MAX_PARTS: Final = 4096
"""Choices, tool calls or items of one stream that are told apart; a further one is left out."""


class _Call:
    """A tool call in the making."""

    __slots__ = ("arguments", "call_id", "name")

    def __init__(self) -> None:
        self.call_id: str | None = None
        self.name: list[str] = []
        self.arguments: list[str] = []

    def part(self) -> Part:
        return tool_call_part(self.call_id, "".join(self.name), "".join(self.arguments) or None)


class _Audio:
    """Spoken output: its transcript, and size and hash of what was heard."""

    __slots__ = ("digest", "heard", "size", "transcript")

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        """The sound itself, only where somebody keeps it."""
        self.transcript: list[str] = []
        self.digest = hashlib.sha256()
        self.size = 0

    def add(self, audio: Any) -> None:
        spoken = media_text(field(audio, "transcript"))
        if spoken is not None:
            self.transcript.append(spoken)
        data = media_text(field(audio, "data"))
        if data is not None:
            try:
                heard = binascii.a2b_base64(data)
            except (ValueError, UnicodeError):
                heard = data.encode("utf-8", "replace")
            self.digest.update(heard)
            self.size += len(heard)
            if media.is_kept() and self.size <= _MOST_HEARD:
                self.heard.append(heard)

    def part(self) -> Part:
        if self.heard and self.size <= _MOST_HEARD:
            media.offer(b"".join(self.heard), self.size, self.digest.hexdigest())
        found: Part = {"type": "blob", "modality": "audio", "content": ""}
        if self.transcript:
            found["transcript"] = "".join(self.transcript)
        found["size"] = self.size
        found["sha256"] = self.digest.hexdigest()
        return found


class _Choice:
    """One choice in the making."""

    __slots__ = ("at", "audio", "calls", "drawn", "reasoning", "refusal", "said")

    def __init__(self) -> None:
        self.said: list[str] = []
        self.refusal: list[str] = []
        self.reasoning: list[str] = []
        self.calls: list[_Call] = []
        self.at: dict[int, _Call] = {}
        """The newest call of each index."""
        self.audio: _Audio | None = None
        self.drawn: list[Part] = []

    def add(self, delta: Any) -> None:
        for name, target in (
            ("content", self.said),
            ("refusal", self.refusal),
            ("reasoning_content", self.reasoning),
        ):
            piece = media_text(field(delta, name))
            if piece is not None:
                target.append(piece)
        content = field(delta, "content")
        if type(content) is list:
            self._add_listed(content)
        piece = media_text(field(delta, "reasoning"))
        if piece is not None and media_text(field(delta, "reasoning_content")) is None:
            self.reasoning.append(piece)
        for position, call in enumerate(items(field(delta, "tool_calls")) or ()):
            index = integer(field(call, "index"))
            function = field(call, "function")
            if function is None:
                function = field(call, "custom")
            self._add_call(index, text(field(call, "id")), function, position)
        legacy = field(delta, "function_call")
        if legacy is not None:
            self._add_call(-1, None, legacy, 0)
        audio = field(delta, "audio")
        if audio is not None:
            if self.audio is None:
                self.audio = _Audio()
            self.audio.add(audio)
        if len(self.drawn) < _MAX_PARTS:
            self.drawn += drawn(delta)

    def _add_listed(self, content: list[Any]) -> None:
        """Content that comes in parts, as Mistral's does where it has thought."""
        for part in content_parts(content):
            said = part.get("content")
            if part["type"] in ("text", "reasoning") and type(said) is str:
                (self.said if part["type"] == "text" else self.reasoning).append(said)

    def _call_of(self, index: int | None, call_id: str | None, name: str | None, place: int) -> _Call | None:
        """The call that a piece belongs to, or None for one too many.

        Some hosts give no index and some always the same one: there a new id with a name begins a new call.
        An id alone does not, since others make one up for each piece.
        """
        if index is None:
            known = (call for call in reversed(self.calls) if call_id is not None and call.call_id == call_id)
            last = self.calls[-1] if self.calls and place == 0 else None
            call = next(known, last)
        else:
            call = self.at.get(index)
        begins = call_id is not None and name is not None
        if call is None or (begins and call.call_id is not None and call.call_id != call_id):
            if len(self.calls) >= _MAX_PARTS:
                return None
            call = _Call()
            self.calls.append(call)
        if index is not None:
            self.at[index] = call
        return call

    def _add_call(self, index: int | None, call_id: str | None, function: Any, place: int) -> None:
        name = text(field(function, "name"))
        call = self._call_of(index, call_id, name, place)
        if call is None:
            return
        call.call_id = call.call_id or call_id
        # Some servers repeat the whole name with every piece.
        if name is not None and call.name != [name]:
            call.name.append(name)
        told = field(function, "arguments")
        piece = media_text(told) or media_text(field(function, "input"))
        if piece is None and type(told) is dict:  # of servers that send them parsed
            piece = json.dumps(told)
        if piece is not None:
            call.arguments.append(piece)

    def message(self) -> Message:
        parts: list[Part] = []
        if self.reasoning:
            parts.append(reasoning_part("".join(self.reasoning)))
        parts += [text_part("".join(pieces)) for pieces in (self.said, self.refusal) if pieces]
        if self.audio is not None:
            parts.append(self.audio.part())
        parts += self.drawn
        parts += [call.part() for call in self.calls]
        return {"role": "assistant", "parts": parts}


class ChatContent:
    """Content of the chunks of chat completions and completions."""

    __slots__ = ("_choices",)

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}

    def say(self, index: Any, piece: Any) -> bool:
        """Take a piece of plain text; False where its choice is new or it is no text."""
        made = self._choices.get(index)
        if made is None or type(piece) is not str:
            return False
        made.said.append(piece)
        return True

    def add(self, chunk: Any) -> None:
        """Take the pieces of one chunk."""
        for position, choice in enumerate(items(field(chunk, "choices")) or ()):
            index = integer(field(choice, "index"))
            index = position if index is None else index
            made = self._choices.get(index)
            if made is None:
                if len(self._choices) >= _MAX_PARTS:
                    continue
                made = self._choices[index] = _Choice()
            delta = field(choice, "delta")
            if delta is not None:
                made.add(delta)
            else:
                piece = media_text(field(choice, "text"))
                if piece is not None:
                    made.said.append(piece)

    def messages(self) -> list[Message] | None:
        """One message for each choice, by its index."""
        return [self._choices[index].message() for index in sorted(self._choices)] or None


_DELTAS: Final = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "arguments",
}
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


class _Item:
    """An output item in the making: its parts once it is done, until then the pieces."""

    __slots__ = ("arguments", "call_id", "done", "name", "reasoning", "said")

    def __init__(self) -> None:
        self.said: list[str] = []
        self.reasoning: list[str] = []
        self.arguments: list[str] = []
        self.call_id: str | None = None
        self.name: str | None = None
        self.done: list[Part] | None = None

    def parts(self) -> list[Part]:
        if self.done is not None:
            return self.done
        parts: list[Part] = []
        if self.reasoning:
            parts.append(reasoning_part("".join(self.reasoning)))
        if self.said:
            parts.append(text_part("".join(self.said)))
        if self.name is not None or self.arguments:
            parts.append(tool_call_part(self.call_id, self.name, "".join(self.arguments) or None))
        return parts


class ResponseContent:
    """Content of the events of the Responses API; the whole response of the last one wins over pieces."""

    __slots__ = ("_items", "_whole")

    def __init__(self) -> None:
        self._items: dict[int, _Item] = {}
        self._whole: list[Message] | None = None

    def add(self, kind: str | None, event: Any) -> None:
        """Take what one event of this type carries."""
        if kind is None:
            return
        sort = _DELTAS.get(kind)
        if sort is not None:
            piece = media_text(field(event, "delta"))
            made = self._item(event)
            if piece is not None and made is not None:
                target = made.said if sort == "text" else made.reasoning
                (made.arguments if sort == "arguments" else target).append(piece)
        elif kind == "response.output_item.added":
            made = self._item(event)
            if made is not None:
                item = field(event, "item")
                made.call_id = text(field(item, "call_id"))
                made.name = text(field(item, "name"))
        elif kind == "response.output_item.done":
            made = self._item(event)
            item = field(event, "item")
            sort = text(field(item, "type"))
            if made is not None and sort is not None:
                made.done = item_parts(item, sort)
        elif kind in _ENDS:
            self._whole = response_messages(field(event, "response"))

    def _item(self, event: Any) -> _Item | None:
        index = integer(field(event, "output_index")) or 0
        made = self._items.get(index)
        if made is None and len(self._items) < _MAX_PARTS:
            made = self._items[index] = _Item()
        return made

    def messages(self) -> list[Message] | None:
        """One message: a response is one generation."""
        if self._whole is not None:
            return self._whole
        parts = [part for index in sorted(self._items) for part in self._items[index].parts()]
        return [{"role": "assistant", "parts": parts}] if parts else None
