"""Messages and items of the APIs as message parts of the GenAI conventions.

Values stay raw: whoever exports them redacts them first. Base64 media never passes (``calls/media.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from spantally.calls.media import blob, referenced, without_media
from spantally.instrumentors.openai.wire.response import CLIENT_TOOLS
from spantally.instrumentors.stainless.wire.fields import field, items, plain, text
from spantally.instrumentors.stainless.wire.media import media_text
from spantally.instrumentors.stainless.wire.parts import (
    Message,
    Part,
    generic_part,
    parsed,
    reasoning_part,
    text_part,
    tool_call_part,
)

__all__ = ["Message", "Part", "chat_message", "item_message", "reasoning_part", "text_part", "tool_call_part"]

_ROLES: Final = {"developer": "system", "function": "tool"}
_TEXTS: Final = frozenset({"text", "input_text", "output_text", "summary_text"})


def role_of(message: Any, default: str = "user") -> str:
    """The role in the conventions' words: system, user, assistant, tool, or what else was sent."""
    role = text(field(message, "role")) or default
    return _ROLES.get(role, role)


def tool_response_part(call_id: Any, content: Any) -> Part:
    """The result of a tool call, as it was sent."""
    part: Part = {"type": "tool_call_response", "response": response_value(content)}
    known = text(call_id)
    if known is not None:
        part["id"] = known
    return part


def response_value(content: Any) -> Any:
    """A tool's result: a text as it is, a list of parts as message parts, other values plain."""
    if type(content) is str:
        return without_media(content)
    if items(content) is not None:
        return content_parts(content)
    return without_media(plain(content))


def content_parts(content: Any) -> list[Part]:
    """The parts of a message's ``content``: a text, or a list of texts and parts; iterators give none."""
    if type(content) is str:
        return [text_part(content)] if content else []
    single = text(content)
    if single is not None:
        return [text_part(single)]
    found: list[Part] = []
    for one in items(content) or ():
        inner = media_text(one)
        part = text_part(inner) if inner is not None else content_part(one)
        if part is not None:
            found.append(part)
    return found


def content_part(part: Any) -> Part | None:
    """One content part of either API, or None where nothing is known of it."""
    kind = text(field(part, "type"))
    if kind is None:
        return None
    if kind in _TEXTS:
        content = media_text(field(part, "text"))
        return None if content is None else text_part(content)
    read = _READERS.get(kind)
    found = read(part) if read is not None else None
    return found if found is not None else generic_part(part, kind)


def _refusal(part: Any) -> Part | None:
    content = media_text(field(part, "refusal"))
    return None if content is None else text_part(content)


def _reasoning(part: Any) -> Part | None:
    thought = field(part, "thinking")
    content = media_text(field(part, "text")) or media_text(thought)
    if content is None and (listed := content_parts(thought)):  # Mistral's are texts in a list
        content = "".join(str(one.get("content", "")) for one in listed) or None
    return None if content is None else reasoning_part(content)


def _linked(name: str, kind: str) -> Callable[[Any], Part | None]:
    """A reader of ``{name: url}`` and ``{name: {"url": url}}``, with a ``file_id`` beside it."""

    def read(part: Any) -> Part | None:
        inner = field(part, name)
        url = media_text(inner) or media_text(field(inner, "url"))
        if url is not None:
            return referenced(url, kind)
        return _uploaded(part, kind)

    return read


def _uploaded(part: Any, kind: str) -> Part | None:
    file_id = text(field(part, "file_id"))
    return None if file_id is None else {"type": "file", "modality": kind, "file_id": file_id}


def _audio(part: Any) -> Part | None:
    inner = field(part, "input_audio")
    data = media_text(field(inner, "data"))
    if data is None:
        return None
    encoding = text(field(inner, "format"))
    return blob(data, f"audio/{encoding}" if encoding else None, "audio")


def _file(part: Any) -> Part | None:
    inner = field(part, "file")
    inner = part if inner is None else inner
    name = text(field(inner, "filename"))
    data = media_text(field(inner, "file_data"))
    url = media_text(field(inner, "file_url"))
    if data is not None:
        found: Part | None = (
            referenced(data, "document") if data[:5].lower() == "data:" else blob(data, None, "document")
        )
    else:
        found = _uploaded(inner, "document") if url is None else referenced(url, "document")
    if found is not None and name is not None:
        found["filename"] = name
    return found


_READERS: Final[dict[str, Callable[[Any], Part | None]]] = {
    "refusal": _refusal,
    "reasoning": _reasoning,
    "reasoning_text": _reasoning,
    "thinking": _reasoning,
    "image_url": _linked("image_url", "image"),
    "input_image": _linked("image_url", "image"),
    "video_url": _linked("video_url", "video"),
    "audio_url": _linked("audio_url", "audio"),
    "input_audio": _audio,
    "file": _file,
    "input_file": _file,
}


# -- whole messages and items ----------------------------------------------------------------------------


def chat_message(message: Any) -> Message:
    """A message of chat completions, sent or received."""
    role = role_of(message)
    content = field(message, "content")
    found: Message = {"role": role}
    if role == "tool":
        found["parts"] = [tool_response_part(field(message, "tool_call_id"), content)]
    else:
        parts = _thoughts(message)
        parts += content_parts(content)
        if role == "assistant":
            parts += _assistant_extras(message)
        found["parts"] = parts
    name = text(field(message, "name"))
    if name is not None:
        found["name"] = name
    return found


def _thoughts(message: Any) -> list[Part]:
    """Reasoning beside the content, as DeepSeek, OpenRouter, vLLM and others send it."""
    for name in ("reasoning_content", "reasoning"):
        content = media_text(field(message, name))
        if content is not None:
            return [reasoning_part(content)]
    return []


def _assistant_extras(message: Any) -> list[Part]:
    parts: list[Part] = []
    refusal = media_text(field(message, "refusal"))
    if refusal is not None:
        parts.append(text_part(refusal))
    audio = field(message, "audio")
    if audio is not None:
        parts += _spoken(audio)
    parts += drawn(message)
    for call in items(field(message, "tool_calls")) or ():
        function = field(call, "function")
        if function is not None:
            made = tool_call_part(field(call, "id"), field(function, "name"), field(function, "arguments"))
        else:
            custom = field(call, "custom")
            made = tool_call_part(field(call, "id"), field(custom, "name"), field(custom, "input"))
        parts.append(made)
    legacy = field(message, "function_call")
    if legacy is not None:
        parts.append(tool_call_part(None, field(legacy, "name"), field(legacy, "arguments")))
    return parts


def drawn(message: Any) -> list[Part]:
    """Images beside the content, as OpenRouter and others send what a model drew."""
    return content_parts(field(message, "images"))


def _spoken(audio: Any) -> list[Part]:
    """Audio that a model spoke, or refers to by id."""
    data = media_text(field(audio, "data"))
    audio_id = text(field(audio, "id"))
    if data is not None:
        part = blob(data, None, "audio")
    elif audio_id is not None:
        part = {"type": "file", "modality": "audio", "file_id": audio_id}
    else:
        return []
    transcript = media_text(field(audio, "transcript"))
    if transcript is not None:
        part["transcript"] = transcript
    return [part]


def item_message(item: Any) -> Message | None:
    """An item of the Responses API as a message, or None where nothing of it can be told."""
    kind = text(field(item, "type"))
    if kind is None or kind == "message":
        parts = content_parts(field(item, "content"))
        return {"role": role_of(item), "parts": parts} if kind is not None or parts else None
    if kind.endswith("_call_output"):
        return {"role": "tool", "parts": [tool_response_part(field(item, "call_id"), field(item, "output"))]}
    parts = item_parts(item, kind)
    return {"role": role_of(item, "assistant"), "parts": parts} if parts else None


def item_parts(item: Any, kind: str) -> list[Part]:
    """The parts of an item that the model made."""
    if kind == "message":
        return content_parts(field(item, "content"))
    if kind in CLIENT_TOOLS:
        return [_client_call(item, kind)]
    if kind == "reasoning":
        summary = content_parts(field(item, "summary"))
        told = [reasoning_part(part["content"]) for part in summary if part.get("content")]
        return told + content_parts(field(item, "content"))
    if kind == "compaction":
        known = text(field(item, "id"))
        return [{"type": "compaction"} if known is None else {"type": "compaction", "id": known}]
    if kind.endswith("_call"):
        return _server_call(item, kind)
    return [generic_part(item, kind)]


def _client_call(item: Any, kind: str) -> Part:
    arguments: Any = None
    for name in ("arguments", "input", "action", "actions", "operation"):
        arguments = field(item, name)
        if arguments is not None:
            break
    return tool_call_part(
        field(item, "call_id"), text(field(item, "name")) or kind.removesuffix("_call"), arguments
    )


_RESULTS: Final = ("output", "outputs", "results", "result", "error")
_ASIDE: Final = frozenset({"id", "type", "status", "name", *_RESULTS})


def _server_call(item: Any, kind: str) -> list[Part]:
    """A tool that the provider ran: the call, and what came of it where the item tells it."""
    fields = plain(item)
    if type(fields) is not dict:
        return []
    tool = kind.removesuffix("_call")
    known = text(fields.get("id"))
    details: Part = {"type": tool}
    for name, value in fields.items():
        if name not in _ASIDE and value is not None:
            details[name] = parsed(value) if name == "arguments" else without_media(value)
    call: Part = {
        "type": "server_tool_call",
        "name": text(fields.get("name")) or tool,
        "server_tool_call": details,
    }
    outcome: Part = {"type": tool}
    for name in _RESULTS:
        value = fields.get(name)
        if value is not None:
            if tool == "image_generation" and type(value) is str:
                outcome[name] = blob(value, f"image/{fields.get('output_format') or 'png'}", "image")
            else:
                outcome[name] = without_media(value)
    answer: Part = {"type": "server_tool_call_response", "server_tool_call_response": outcome}
    if known is not None:
        call["id"] = answer["id"] = known
    return [call, answer] if len(outcome) > 1 else [call]


def response_messages(response: Any) -> list[Message] | None:
    """The output of the Responses API: one generation, so one message with the parts of all its items."""
    listed = items(field(response, "output"))
    if not listed:
        return None
    parts: list[Part] = []
    for item in listed:
        kind = text(field(item, "type"))
        if kind is not None:
            parts += item_parts(item, kind)
    return [{"role": "assistant", "parts": parts}]
