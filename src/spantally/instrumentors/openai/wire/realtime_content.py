"""Items of a realtime conversation as messages: what is spoken stands there by its transcript."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from spantally.calls.media import blob
from spantally.instrumentors.openai.wire.parts import (
    Message,
    Part,
    content_part,
    item_parts,
    role_of,
    text_part,
)
from spantally.instrumentors.openai.wire.parts import item_message as plain_message
from spantally.instrumentors.stainless.wire.fields import field, items, text
from spantally.instrumentors.stainless.wire.media import media_text

_SPOKEN: Final = frozenset({"audio", "input_audio", "output_audio"})


def _part(part: Any) -> Part | None:
    if text(field(part, "type")) not in _SPOKEN:
        return content_part(part)
    said = media_text(field(part, "transcript"))
    if said is not None:
        return text_part(said)
    sound = media_text(field(part, "audio"))
    return None if sound is None else blob(sound, None, "audio")


def _parts(item: Any) -> list[Part]:
    return [part for one in items(field(item, "content")) or () if (part := _part(one)) is not None]


def input_message(item: Any) -> Message | None:
    """An item that a response was given, as a message; None where nothing of it can be told."""
    if text(field(item, "type")) not in (None, "message"):
        return plain_message(item)
    parts = _parts(item)
    return {"role": role_of(item), "parts": parts} if parts else None


def output_message(output: Iterable[Any]) -> list[Message] | None:
    """The output of a response: one generation, so one message with the parts of all its items."""
    parts: list[Part] = []
    for item in output:
        kind = text(field(item, "type"))
        if kind == "message":
            parts += _parts(item)
        elif kind is not None:
            parts += item_parts(item, kind)
    return [{"role": "assistant", "parts": parts}] if parts else None


def pieces_message(done: Mapping[str, Any], pieces: Mapping[str, list[str]]) -> list[Message] | None:
    """The same of a response that broke off: items that were done, and the pieces of the one that was not."""
    parts = [part for message in output_message(done.values()) or () for part in message["parts"]]
    parts += [text_part("".join(texts)) for item_id, texts in pieces.items() if item_id not in done]
    return [{"role": "assistant", "parts": parts}] if parts else None
