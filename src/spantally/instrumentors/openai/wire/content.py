"""The content of requests and responses as structured messages of the GenAI conventions.

Called only where somebody wants content. Values are raw: redaction is the caller's, on the whole structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from spantally.calls.media import without_data_urls
from spantally.instrumentors.openai.wire import realtime_content
from spantally.instrumentors.openai.wire.operation import Operation
from spantally.instrumentors.openai.wire.parts import (
    Message,
    Part,
    chat_message,
    content_parts,
    item_message,
    response_messages,
    text_part,
)
from spantally.instrumentors.openai.wire.response import in_order
from spantally.instrumentors.openai.wire.stream import StreamFacts
from spantally.instrumentors.stainless.wire.fields import field, items, number, plain, text, texts
from spantally.instrumentors.stainless.wire.media import media_text

_PROMPTS: Final = {
    "completions": "prompt",
    "images": "prompt",
    "videos": "prompt",
    "transcriptions": "prompt",
    "speech": "input",
}
"""By API: the key under which a request tells what it wants, where that is a text."""

_SPOKEN: Final = ("realtime", "live")

_ONLY_ITEMS: Final = frozenset({*_PROMPTS, *_SPOKEN})
"""APIs whose sources are never plain messages, and that have no input at all where none can be told."""

_ANSWER: Final = frozenset({"role", "content"})
_SPEAKERS: Final = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""By role of a message that holds a text: the role in the conventions' words."""


def input_messages(op: Operation, body: Any) -> list[Message] | None:
    """``gen_ai.input.messages`` of a request; None where it has none or they cannot be read unharmed.

    Args:
        op: what :func:`classify` said.
        body: the request's body.
    """
    sources = input_sources(op, body)
    if sources is None:
        return None
    made = [message for one in sources if (message := input_message(op, one)) is not None]
    return made if made or op.api not in _ONLY_ITEMS else None


def input_sources(op: Operation, body: Any) -> Sequence[Any] | None:
    """What the input messages of a request are made of, one by one, as it was sent."""
    if op.api == "chat_completions":
        return items(field(body, "messages"))
    if op.api in ("responses", "compact"):
        sent = field(body, "input")
        single = media_text(sent)
        return items(sent) if single is None else (single,)
    if op.api in _SPOKEN:
        return items(field(body, "input"))
    key = _PROMPTS.get(op.api)
    return None if key is None else content_parts(field(body, key))


def input_message(op: Operation, source: Any) -> Message | None:
    """The message that one of :func:`input_sources` is; None where nothing of it can be told."""
    if op.api == "chat_completions":
        return chat_message(source)
    if type(source) is str:
        return {"role": "user", "parts": [text_part(source)]}
    if op.api in _SPOKEN:
        return realtime_content.input_message(source)
    return {"role": "user", "parts": [source]} if op.api in _PROMPTS else item_message(source)


def plain_message(op: Operation, source: Any) -> tuple[str, str] | None:
    """Role and text of a source that says nothing else, as most of a history does; None for any other.

    What :func:`input_message` would make of it is a message of this role with one text part.
    """
    if type(source) is not dict or len(source) != 2 or op.api in _ONLY_ITEMS:
        return None
    content = source.get("content")
    role = source.get("role")
    if type(content) is not str or not content or type(role) is not str or role not in _SPEAKERS:
        return None
    return _SPEAKERS[role], content


def output_messages(op: Operation, source: Any) -> list[Message] | None:
    """``gen_ai.output.messages`` of a response, one for each choice.

    Args:
        op: what :func:`classify` said.
        source: the response's body (JSON or the SDK's object), or the :class:`StreamFacts` of a stream that
            collected.
    """
    if issubclass(type(source), StreamFacts):
        found: list[Message] | None = source.content()
        return found
    if op.api in ("responses", "compact"):
        return response_messages(source)
    if op.api == "transcriptions":
        # With a plain format the SDK's result is the text itself.
        heard = media_text(source) or media_text(field(source, "text"))
        return None if heard is None else [{"role": "assistant", "parts": [text_part(heard)]}]
    if op.api not in ("chat_completions", "completions"):
        return None
    choices = items(field(source, "choices"))
    if not choices:
        return None
    choices = in_order(choices)  # as their finish reasons are
    if op.api == "completions":
        return [{"role": "assistant", "parts": content_parts(field(one, "text"))} for one in choices]
    answers: list[Message] = []
    for one in choices:
        message = field(one, "message")
        if message is not None:
            answers.append(chat_message(message) | {"role": "assistant"})
    return answers or None


def query_text(op: Operation, body: Any) -> str | None:
    """``gen_ai.retrieval.query.text``: what a search asks for, several questions line by line."""
    asked = texts(field(body, "query")) if op.api == "retrieval" else None
    return None if asked is None else "\n".join(asked)


def found_documents(op: Operation, body: Any) -> list[dict[str, Any]] | None:
    """``gen_ai.retrieval.documents``: ids and scores of what a search found."""
    if op.api != "retrieval":
        return None
    found: list[dict[str, Any]] = []
    for one in items(field(body, "data")) or ():
        document = {"id": text(field(one, "file_id")), "score": number(field(one, "score"))}
        found.append({name: value for name, value in document.items() if value is not None})
    return found or None


def plain_answers(op: Operation, source: Any) -> list[str] | None:
    """The texts of a chat's answer that says nothing else, one for each choice; None for any other.

    What :func:`output_messages` would make of each is a message of the assistant's with one text part.
    """
    if op.api != "chat_completions" or type(source) is not dict:
        return None
    choices = source.get("choices")
    if type(choices) is not list or not choices:
        return None
    said: list[str] = []
    for choice in choices if len(choices) == 1 else in_order(choices):
        message: Any = choice.get("message") if type(choice) is dict else None
        if type(message) is not dict:
            return None
        content = message.get("content")
        if type(content) is not str or not content:
            return None
        for name, value in message.items():
            if value and name not in _ANSWER:
                return None
        said.append(content)
    return said


def system_instructions(op: Operation, body: Any) -> list[Part] | None:
    """``gen_ai.system_instructions``: instructions that a request keeps apart from its messages."""
    if op.api not in ("responses", "realtime", "live"):
        return None
    parts = content_parts(field(body, "instructions"))
    return [part for part in parts if part["type"] == "text"] or None


def tool_definitions(body: Any, *, parameters: bool = False) -> list[dict[str, Any]] | None:
    """``gen_ai.tool.definitions``: the tools that a request offers.

    Args:
        body: the request's body.
        parameters: also their JSON schemas, which can be large.
    """
    found: list[dict[str, Any]] = []
    for tool in items(field(body, "tools")) or ():
        _add_tool(found, tool, parameters)
    for function in items(field(body, "functions")) or ():
        _add_described(found, "function", function, parameters)
    return found or None


def _add_tool(found: list[dict[str, Any]], tool: Any, parameters: bool) -> None:
    kind = text(field(tool, "type"))
    if kind is None:
        return
    if kind == "namespace":
        for inner in items(field(tool, "tools")) or ():
            if text(field(inner, "type")) != "namespace":
                _add_tool(found, inner, parameters)
        return
    nested = field(tool, kind)
    _add_described(found, kind, tool if nested is None else nested, parameters)


def _add_described(found: list[dict[str, Any]], kind: str, tool: Any, parameters: bool) -> None:
    name = text(field(tool, "name")) or text(field(tool, "server_label"))
    if name is None:
        if kind == "function":
            return
        name = kind  # a tool of the provider's is named by its type
    definition: dict[str, Any] = {"type": kind, "name": name}
    described = text(field(tool, "description"))
    if described is not None:
        definition["description"] = without_data_urls(described)
    if parameters:
        schema = plain(field(tool, "parameters"))
        if schema is not None:
            definition["parameters"] = schema
    found.append(definition)
