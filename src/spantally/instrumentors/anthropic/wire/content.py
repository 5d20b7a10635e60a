"""The content of requests and answers as structured messages of the GenAI conventions.

Called only where somebody wants content. Values are raw: redaction is the caller's, on the whole structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from spantally.calls.media import without_data_urls
from spantally.instrumentors.anthropic.wire.operation import Operation
from spantally.instrumentors.anthropic.wire.parts import content_parts, message_of
from spantally.instrumentors.anthropic.wire.stream import StreamFacts
from spantally.instrumentors.stainless.wire.fields import field, items, plain, text
from spantally.instrumentors.stainless.wire.media import media_text
from spantally.instrumentors.stainless.wire.parts import Message, Part, text_part

_SPEAKERS: Final = frozenset({"user", "assistant"})


def input_sources(op: Operation, body: Any) -> Sequence[Any] | None:
    """What the input messages of a request are made of, one by one, as it was sent."""
    if op.api == "messages":
        return items(field(body, "messages"))
    if op.api == "complete":
        prompt = media_text(field(body, "prompt"))
        return None if prompt is None else (prompt,)
    return None


def input_message(op: Operation, source: Any) -> Message | None:
    """The message that one of :func:`input_sources` is."""
    if type(source) is str:
        return {"role": "user", "parts": [text_part(source)]}
    return message_of(source)


def input_messages(op: Operation, body: Any) -> list[Message]:
    """All of them."""
    made = (input_message(op, source) for source in input_sources(op, body) or ())
    return [message for message in made if message is not None]


def plain_message(op: Operation, source: Any) -> tuple[str, str] | None:
    """Role and text of a source that says nothing else, as most of a history does; None for any other."""
    if type(source) is not dict or len(source) != 2:
        return None
    content, role = source.get("content"), source.get("role")
    if type(content) is not str or not content or type(role) is not str or role not in _SPEAKERS:
        return None
    return role, content


def output_messages(op: Operation, source: Any) -> list[Message] | None:
    """The answer as one message.

    Args:
        op: what ``classify`` said.
        source: the response's body (JSON or the SDK's object), or the :class:`StreamFacts` of a stream that
            collected.
    """
    if issubclass(type(source), StreamFacts):
        found: list[Message] | None = source.content()
        return found
    if op.api == "complete":
        said = media_text(field(source, "completion"))
        return None if said is None else [{"role": "assistant", "parts": [text_part(said)]}]
    if op.api != "messages":
        return None
    parts = content_parts(field(source, "content"))
    return [{"role": "assistant", "parts": parts}] if parts else None


def plain_answers(op: Operation, source: Any) -> list[str] | None:
    """The text of an answer that is one text block and nothing else; None for any other."""
    if op.api != "messages" or type(source) is not dict:
        return None
    blocks = source.get("content")
    if type(blocks) is not list or len(blocks) != 1 or type(blocks[0]) is not dict:
        return None
    said = blocks[0].get("text")
    if blocks[0].get("type") != "text" or type(said) is not str or not said:
        return None
    return [said]


def system_instructions(op: Operation, body: Any) -> list[Part] | None:
    """``gen_ai.system_instructions``: what a request says apart from its messages."""
    if op.api != "messages":
        return None
    parts = content_parts(field(body, "system"))
    return [part for part in parts if part["type"] == "text"] or None


def tool_definitions(body: Any, *, parameters: bool = False) -> list[dict[str, Any]] | None:
    """``gen_ai.tool.definitions``: the tools that a request offers.

    Args:
        body: the request's body.
        parameters: also their JSON schemas, which can be large.
    """
    found: list[dict[str, Any]] = []
    for tool in items(field(body, "tools")) or ():
        name = text(field(tool, "name"))
        kind = text(field(tool, "type")) or "custom"
        if name is None:
            continue
        definition: dict[str, Any] = {"type": "function" if kind == "custom" else kind, "name": name}
        described = text(field(tool, "description"))
        if described is not None:
            definition["description"] = without_data_urls(described)
        schema = plain(field(tool, "input_schema")) if parameters else None
        if schema is not None:
            definition["parameters"] = schema
        found.append(definition)
    return found or None


def query_text(op: Operation, body: Any) -> str | None:
    """Nothing is searched for here."""
    return None


def found_documents(op: Operation, body: Any) -> list[dict[str, Any]] | None:
    """Nothing is searched for here."""
    return None
