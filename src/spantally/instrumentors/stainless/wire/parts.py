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

_MAX_DEPTH: Final = 16
"""Deepest nesting of arguments that are parsed, as of all else that is copied: exporters encode structured
values to a depth of about thirty and lose what is deeper."""


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
    """Arguments as structured as they were meant: valid JSON is parsed, unless it is huge or deep."""
    if type(arguments) is not str:
        return without_media(plain(arguments))
    if len(arguments) <= _MAX_ARGUMENTS and arguments[:1] in ("{", "["):
        try:
            value = json.loads(arguments)
        except (ValueError, RecursionError):
            return without_media(arguments)
        opened = arguments.count("{") + arguments.count("[")
        if opened <= _MAX_DEPTH or not _is_deeper(value, _MAX_DEPTH):
            return without_media(value)
    return without_media(arguments)


def _is_deeper(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind is not dict and kind is not list:
        return False
    if depth <= 0:
        return True
    return any(_is_deeper(one, depth - 1) for one in (value.values() if kind is dict else value))


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
