"""The shapes of content: what the JSON schemas of the conventions ask for, as plain functions.

Each yields what is wrong with a parsed value, led by the place: ``[0].parts[1] has no content``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from spantally.conformance import vocabulary as words
from spantally.conformance.profiles import Profile
from spantally.conformance.rules.base import listed, show

_TEXT: Final = "a string"
_TYPED: Final = "an object with a type"
_ANY: Final = "a value"

PARTS: Final[Mapping[str, Mapping[str, str]]] = {
    "text": {"content": _TEXT},
    "reasoning": {"content": _TEXT},
    "tool_call": {"name": _TEXT},
    "tool_call_response": {"response": _ANY},
    "server_tool_call": {"name": _TEXT, "server_tool_call": _TYPED},
    "server_tool_call_response": {"server_tool_call_response": _TYPED},
    "blob": {"modality": _TEXT, "content": _TEXT},
    "file": {"modality": _TEXT, "file_id": _TEXT},
    "uri": {"modality": _TEXT, "uri": _TEXT},
    "compaction": {},
}
"""By type of a part: the fields it must have. A part of another type needs nothing but its type."""

_OPTIONAL: Final = ("id", "mime_type", "transcript")
"""Fields of parts of a known type that are a string or null where they are there."""


def input_messages(value: Any, profile: Profile) -> Iterator[str]:
    """What is wrong with ``gen_ai.input.messages``."""
    for place, message in _objects(value, "a list of messages"):
        yield from _message(place, message)


def output_messages(value: Any, profile: Profile) -> Iterator[str]:
    """What is wrong with ``gen_ai.output.messages``."""
    for place, message in _objects(value, "a list of messages"):
        yield from _message(place, message)
        if isinstance(message, dict):
            reason = message.get("finish_reason")
            if reason is None and profile.message_finish_reason:
                yield f"{place} has no finish_reason; {profile.name} requires it"
            elif reason is not None and not isinstance(reason, str):
                yield f"{place}.finish_reason is {show(reason)}; a string is expected"


def message_advice(value: Any, profile: Profile) -> Iterator[str]:
    """What a message that is allowed could say better."""
    for place, message in _objects(value, ""):
        if not isinstance(message, dict):
            continue
        role = message.get("role")
        if isinstance(role, str) and role not in words.ROLES:
            yield f"{place}.role is {show(role)}; known are {listed(words.ROLES)}"
        if message.get("finish_reason") is not None and not profile.message_finish_reason:
            yield f"{place}.finish_reason is deprecated; use gen_ai.response.finish_reasons"
        parts = message.get("parts")
        for index, part in enumerate(parts if isinstance(parts, list) else ()):
            uri = part.get("uri") if isinstance(part, dict) and part.get("type") == "uri" else None
            if isinstance(uri, str) and uri[:5].lower() == "data:":
                yield f"{place}.parts[{index}] is a uri part with a data URL; a blob part is expected"


def system_instructions(value: Any, profile: Profile) -> Iterator[str]:
    """What is wrong with ``gen_ai.system_instructions``."""
    for place, part in _objects(value, "a list of parts"):
        yield from _part(place, part)
        kind = part.get("type") if isinstance(part, dict) else None
        if profile.text_instructions and kind != "text" and isinstance(kind, str) and kind in PARTS:
            yield f"{place} is a {kind} part; instructions have text parts only"


def tool_definitions(value: Any, profile: Profile) -> Iterator[str]:
    """What is wrong with ``gen_ai.tool.definitions``."""
    for place, tool in _objects(value, "a list of tools"):
        if isinstance(tool, dict):
            yield from _fields(place, tool, {"type": _TEXT, "name": _TEXT})
            if not isinstance(tool.get("description"), (str, type(None))):
                yield f"{place}.description is {show(tool['description'])}; a string is expected"
            if not isinstance(tool.get("parameters"), (dict, bool, type(None))):
                yield f"{place}.parameters is {show(tool['parameters'])}; a JSON schema is expected"
        else:
            yield _no_object(place, tool)


def retrieval_documents(value: Any, profile: Profile) -> Iterator[str]:
    """What is wrong with ``gen_ai.retrieval.documents``."""
    for place, document in _objects(value, "a list of documents"):
        yield from _scored(place, document)


def memory_records(value: Any, profile: Profile) -> Iterator[str]:
    """What is wrong with ``gen_ai.memory.records``."""
    for place, record in _objects(value, "a list of records"):
        yield from _scored(place, record)
        if isinstance(record, dict):
            yield from _fields(place, record, {"content": _ANY})
            if not isinstance(record.get("metadata", {}), dict):
                yield f"{place}.metadata is {show(record['metadata'])}; an object is expected"


def _message(place: str, message: Any) -> Iterator[str]:
    if not isinstance(message, dict):
        yield _no_object(place, message)
        return
    yield from _fields(place, message, {"role": _TEXT})
    if not isinstance(message.get("name"), (str, type(None))):
        yield f"{place}.name is {show(message['name'])}; a string is expected"
    parts = message.get("parts")
    if not isinstance(parts, list):
        yield f"{place}.parts is {_absent_or(message, 'parts')}; a list of parts is expected"
        return
    for index, part in enumerate(parts):
        yield from _part(f"{place}.parts[{index}]", part)


def _part(place: str, part: Any) -> Iterator[str]:
    if not isinstance(part, dict):
        yield _no_object(place, part)
        return
    kind = part.get("type")
    if not isinstance(kind, str):
        yield f"{place}.type is {_absent_or(part, 'type')}; a string is expected"
        return
    if kind in PARTS:
        yield from _fields(f"{place} ({kind})", part, PARTS[kind])
        for name in _OPTIONAL:
            if not isinstance(part.get(name), (str, type(None))):
                yield f"{place} ({kind}).{name} is {show(part[name])}; a string is expected"


def _scored(place: str, thing: Any) -> Iterator[str]:
    if not isinstance(thing, dict):
        yield _no_object(place, thing)
        return
    if not isinstance(thing.get("id", ""), str):
        yield f"{place}.id is {show(thing['id'])}; a string is expected"
    score = thing.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float, type(None))):
        yield f"{place}.score is {show(score)}; a number is expected"


def _fields(place: str, thing: dict[str, Any], wanted: Mapping[str, str]) -> Iterator[str]:
    for name, kind in wanted.items():
        value = thing.get(name)
        fits = {
            _TEXT: isinstance(value, str),
            _TYPED: isinstance(value, dict) and isinstance(value.get("type"), str),
            _ANY: name in thing,
        }[kind]
        if not fits:
            yield f"{place}.{name} is {_absent_or(thing, name)}; {kind} is expected"


def _absent_or(thing: dict[str, Any], name: str) -> str:
    return show(thing[name]) if name in thing else "missing"


def _objects(value: Any, wanted: str) -> Iterator[tuple[str, Any]]:
    """Items of a list with their places; a value that is none gives itself, to be found wrong."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif wanted:
        yield f" (which should be {wanted})", value


def _no_object(place: str, value: Any) -> str:
    return f"{place} is {show(value)}; an object is expected"
