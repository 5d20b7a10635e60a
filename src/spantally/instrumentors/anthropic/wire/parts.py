"""Content blocks as message parts of the GenAI conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from spantally.calls.media import blob, referenced, without_media
from spantally.instrumentors.stainless.wire.fields import field, items, plain, text
from spantally.instrumentors.stainless.wire.media import media_text
from spantally.instrumentors.stainless.wire.parts import (
    Message,
    Part,
    generic_part,
    reasoning_part,
    text_part,
    tool_call_part,
)


def message_of(message: Any) -> Message:
    """A message that is sent; one that holds nothing but results of tools is the tools'."""
    role = text(field(message, "role")) or "user"
    parts = content_parts(field(message, "content"))
    if role == "user" and parts and all(part["type"] == "tool_call_response" for part in parts):
        role = "tool"
    return {"role": role, "parts": parts}


def content_parts(content: Any) -> list[Part]:
    """The parts of a message's ``content``: a text, or a list of blocks; iterators give none."""
    single = media_text(content)
    if single is not None:
        return [text_part(single)]
    found: list[Part] = []
    for block in items(content) or ():
        inner = media_text(block)
        part = text_part(inner) if inner is not None else block_part(block)
        if part is not None:
            found.append(part)
    return found


def block_part(block: Any) -> Part | None:
    """One content block, or None where nothing is known of it."""
    kind = text(field(block, "type"))
    if kind is None:
        return None
    read = _READERS.get(kind)
    if read is not None:
        return read(block)
    if kind.endswith("_tool_result"):
        return _server_result(block, kind)
    return generic_part(block, kind)


def _text(block: Any) -> Part | None:
    content = media_text(field(block, "text"))
    return None if content is None else text_part(content)


def _thinking(block: Any) -> Part | None:
    content = media_text(field(block, "thinking"))
    return None if content is None else reasoning_part(content)


def _redacted(block: Any) -> Part:
    """Thinking that the provider encrypted: that it is there, not its bytes."""
    return {"type": "redacted_thinking"}


def _tool_use(block: Any) -> Part:
    return tool_call_part(field(block, "id"), field(block, "name"), field(block, "input"))


def _tool_result(block: Any) -> Part:
    part: Part = {"type": "tool_call_response", "response": _response(field(block, "content"))}
    known = text(field(block, "tool_use_id"))
    if known is not None:
        part["id"] = known
    return part


def _response(content: Any) -> Any:
    if type(content) is str:
        return without_media(content)
    return content_parts(content) if items(content) is not None else without_media(plain(content))


def _server_use(block: Any) -> Part:
    """A tool that the provider runs, its own or of an MCP server."""
    name = text(field(block, "name")) or "tool"
    details: Part = {"type": name}
    arguments = without_media(plain(field(block, "input")))
    if arguments is not None:
        details["arguments"] = arguments
    call: Part = {"type": "server_tool_call", "name": name, "server_tool_call": details}
    known = text(field(block, "id"))
    if known is not None:
        call["id"] = known
    return call


def _server_result(block: Any, kind: str) -> Part:
    outcome: Part = {"type": kind.removesuffix("_tool_result"), "content": _told(field(block, "content"))}
    answer: Part = {"type": "server_tool_call_response", "server_tool_call_response": outcome}
    known = text(field(block, "tool_use_id"))
    if known is not None:
        answer["id"] = known
    return answer


def _told(content: Any) -> Any:
    """What a server tool found, without the provider's encrypted copies."""
    value = without_media(plain(content))
    for one in value if type(value) is list else [value]:
        if type(one) is dict:
            one.pop("encrypted_content", None)
            one.pop("encrypted_index", None)
    return value


def _media(kind: str) -> Callable[[Any], Part | None]:
    """A reader of a block with a ``source``: base64 data, a URL, an uploaded file, text or blocks."""

    def read(block: Any) -> Part | None:
        source = field(block, "source")
        sort = text(field(source, "type"))
        mime = text(field(source, "media_type"))
        data, url = media_text(field(source, "data")), media_text(field(source, "url"))
        if sort == "base64" and data is not None:
            return blob(data, mime, kind)
        if sort == "text" and data is not None:
            return text_part(data)
        if url is not None:
            return referenced(url, kind)
        file_id = text(field(source, "file_id"))
        if file_id is not None:
            return {"type": "file", "modality": kind, "file_id": file_id}
        if sort == "content":
            return {"type": "document", "content": content_parts(field(source, "content"))}
        return None

    return read


_READERS: Final[dict[str, Callable[[Any], Part | None]]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "server_tool_use": _server_use,
    "mcp_tool_use": _server_use,
    "image": _media("image"),
    "document": _media("document"),
}
