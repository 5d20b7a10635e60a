"""The parts that messages of any API are made of, in the shapes of the GenAI conventions.

Values stay raw: whoever exports them redacts them first. Base64 media never passes (``calls/media.py``).
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

from spantally.calls.media import without_data_urls, without_media
from spantally.instrumentors.stainless.wire.fields import plain, text

Part: TypeAlias = dict[str, Any]
Message: TypeAlias = dict[str, Any]

_MAX_ARGUMENTS: Final = 1 << 16
"""Longest arguments, in characters, that are parsed; longer ones stay a text."""


def text_part(content: str) -> Part:
    """A text part."""
    return {"type": "text", "content": without_data_urls(content)}


def tool_call_part(call_id: Any, name: Any, arguments: Any) -> Part:
    """A tool call; arguments that are a JSON object or array are parsed, others kept as sent."""
    part: Part = {"type": "tool_call", "name": text(name) or ""}
    known = text(call_id)
    if known is not None:
        part["id"] = known
    value = parsed(arguments)
    if value is not None:
        part["arguments"] = value
    return part


def parsed(arguments: Any) -> Any:
    """Arguments as structured as they were meant: JSON is parsed where it is valid and not huge."""
    if type(arguments) is not str:
        return without_media(plain(arguments))
    if len(arguments) <= _MAX_ARGUMENTS and arguments[:1] in ("{", "["):
        try:
            return json.loads(arguments)
        except (ValueError, RecursionError):
            return arguments
    return arguments


def generic_part(thing: Any, kind: str) -> Part:
    """Any other part or item: its own fields, media replaced, secrets of the provider's left out."""
    fields = plain(thing)
    found: Part = {"type": kind}
    if type(fields) is dict:
        fields.pop("encrypted_content", None)
        for name, value in fields.items():
            if name != "type" and value is not None:
                found[name] = without_media(value)
    return found


def reasoning_part(content: str) -> Part:
    """A reasoning part."""
    return {"type": "reasoning", "content": content}
