"""Events of a websocket as raw frames: what each is, told without parsing it.

Most frames of a spoken answer are pieces of audio, kilobytes of base64 each, which the SDK parses for the
program. Nothing is parsed a second time unless its type says that it carries a fact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from spantally.instrumentors.stainless.wire.fields import field

_HEAD: Final = 256
"""How far into a frame its type is looked for: servers put it first, or after an id."""

_TAIL: Final = 256
"""The same from the end: some servers sort their keys."""

_TYPE: Final = re.compile(rb'"type"\s*:\s*"([^"\\]{1,128})"')
_RESPONSE_ID: Final = re.compile(rb'"response_id"\s*:\s*"([^"\\]{1,256})"')
_LANE: Final = re.compile(rb'"stream_id"\s*:\s*"([^"\\]{1,256})"')

MAX_PARSED: Final = 16 * 1024 * 1024
"""Largest frame, in bytes, that is parsed for its facts."""

Frame = bytes | bytearray | memoryview | str


def raw(frame: Any) -> bytes | None:
    """The bytes of a frame, or None for what is none."""
    if type(frame) is bytes:
        return frame
    if isinstance(frame, str):
        return frame.encode("utf-8", "replace")
    if isinstance(frame, (bytes, bytearray, memoryview)):
        return bytes(frame)
    return None


def event_type(frame: bytes) -> bytes | None:
    """The type of the event in a frame, or None where only parsing can tell.

    Types of events have a dot in them, those of items, parts and tools have none: so a type that is met
    first and belongs to something inside the event is not taken for the event's.
    """
    found = _TYPE.search(frame, 0, _HEAD)
    if found is not None:
        name = found.group(1)
        if b"." in name or name == b"error":
            return name
    at = frame.rfind(b'"type"', max(0, len(frame) - _TAIL))
    if at >= 0:
        found = _TYPE.match(frame, at)
        if found is not None and b"." in found.group(1):
            return found.group(1)
    return None


def is_piece(frame: bytes) -> bool:
    """True where an event, or the one within it, is a piece of an answer."""
    return any(found.group(1).endswith(b".delta") for found in _TYPE.finditer(frame, 0, 2 * _HEAD))


def response_id(frame: bytes) -> str | None:
    """The id of the response that a piece in a frame belongs to (Realtime API)."""
    return _near_an_end(_RESPONSE_ID, frame)


def lane(frame: bytes) -> str | None:
    """The lane of the connection that a frame belongs to (Responses API); None is the default one."""
    return _near_an_end(_LANE, frame)


def _near_an_end(wanted: re.Pattern[bytes], frame: bytes) -> str | None:
    found = wanted.search(frame, 0, 2 * _HEAD) or wanted.search(frame, max(0, len(frame) - _TAIL))
    return None if found is None else found.group(1).decode("utf-8", "replace")


def fields_of(event: Any) -> dict[str, Any]:
    """The fields of an event that a program sends, a mapping or an object of the SDK; nothing is consumed."""
    if isinstance(event, Mapping):
        return {name: event[name] for name in list(event) if isinstance(name, str)}
    sent = getattr(event, "__pydantic_fields_set__", None)
    found = {name: field(event, name) for name in sent} if type(sent) is set else {}
    extra = getattr(event, "__pydantic_extra__", None)
    return {**found, **extra} if type(extra) is dict else found
