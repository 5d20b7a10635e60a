"""What the answers of the smaller endpoints say: images, audio, runs of assistants, and what is stored.

Each endpoint words its usage a little differently; here it becomes the form of the Responses API by adding
what the endpoint implies. What came stays as it came, and nothing is guessed.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import UsageFormat
from spantally.instrumentors.openai.wire.operation import Operation
from spantally.instrumentors.stainless.wire.fields import (
    AttributeValue,
    field,
    integer,
    items,
    number,
    plain_mapping,
    text,
)

_MODALITY: Final[Mapping[str, str]] = {"images": "image_tokens", "speech": "audio_tokens"}
"""What the output of an endpoint is made of, where its usage does not say so itself."""

RUN_REASONS: Final[Mapping[str, tuple[str, ...]]] = {
    "completed": ("stop",),
    "requires_action": ("tool_call",),
    "incomplete": ("length",),
    "failed": ("error",),
    "cancelled": ("error",),
    "expired": ("error",),
}
"""Finish reason of a run by its status; one that goes on has none."""

RUN_ENDS: Final = frozenset({"completed", "incomplete", "failed", "cancelled", "expired"})


def usage_of_endpoint(api: str, usage: Any) -> dict[str, Any] | None:
    """A usage object with the details that the endpoint words otherwise or leaves to be understood.

    Audio endpoints say ``input_token_details`` for ``input_tokens_details``. The output of an image endpoint
    is image tokens, that of speech is audio tokens: only some models say so.

    Args:
        api: of the operation.
        usage: the object as it came.
    """
    found = plain_mapping(usage)
    if found is None:
        return None
    for side in ("input", "output"):
        told = found.get(f"{side}_token_details")
        if told is not None:
            found.setdefault(f"{side}_tokens_details", told)
    part = _MODALITY.get(api)
    count = integer(found.get("output_tokens"))
    if part is not None and count and not found.get("output_tokens_details"):
        found["output_tokens_details"] = {part: count}
    return found


def usage_of_embeddings(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    """The usage of embeddings with its input told: some hosts (Voyage) say the total only, and it is that."""
    if usage is not None and "prompt_tokens" not in usage and "total_tokens" in usage:
        usage["prompt_tokens"] = usage["total_tokens"]
    return usage


def usage_format_of(op: Operation, usage: Any) -> UsageFormat:
    """How a usage object is to be read: by the endpoint, or by its keys where they are the other API's.

    Gateways translate answers and leave the usage as it was.
    """
    if op.api in _MODALITY and is_by_piece(usage):
        return UsageFormat.PARTS
    names = _COUNTS.get(op.usage_format)
    if names is None:
        return op.usage_format
    get = usage.get if type(usage) is dict else functools.partial(field, usage)
    if get(names[0]) is None and get(names[1]) is None:
        other = _OTHER[op.usage_format]
        if any(get(name) is not None for name in _COUNTS[other]):
            return other
    return op.usage_format


_COUNTS: Final[Mapping[UsageFormat, tuple[str, str]]] = {
    UsageFormat.OPENAI_CHAT: ("prompt_tokens", "completion_tokens"),
    UsageFormat.OPENAI_RESPONSES: ("input_tokens", "output_tokens"),
}
_OTHER: Final[Mapping[UsageFormat, UsageFormat]] = {
    UsageFormat.OPENAI_CHAT: UsageFormat.OPENAI_RESPONSES,
    UsageFormat.OPENAI_RESPONSES: UsageFormat.OPENAI_CHAT,
}


def reports_tokens(usage: Any) -> bool:
    """True for a usage object with a count of tokens under a name that can be read."""
    return any(integer(field(usage, name)) for name in ("prompt_tokens", "input_tokens", "output_tokens"))


def counts_something(usage: Mapping[str, Any]) -> bool:
    """False for a usage object whose totals are all 0 or absent, which some hosts send with every chunk."""
    return any(usage.get(name) for name in _TOTALS)


_TOTALS: Final = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")


def pieces_of(op: Operation, body: Any) -> dict[str, Any] | None:
    """What else of an answer is billed where it reports no usage: the length of a recording, pictures.

    Whisper's verbose transcripts tell the length, in some versions of the API as a text
    (platform.openai.com/docs/api-reference/audio/verbose-json-object).

    Args:
        op: of the request.
        body: of the answer.
    """
    if op.api == "transcriptions":
        length = field(body, "duration")
        seconds = _seconds(length) if type(length) is str else number(length)
        return None if seconds is None else {"type": "duration", "seconds": seconds}
    made = len(items(field(body, "data")) or ()) if op.api == "images" else 0
    return {"images": made} if made else None


def pictures_in(content: bytes) -> dict[str, int] | None:
    """The pictures of a large JSON body; within its texts a quotation mark would have a backslash."""
    made = content.count(b'"b64_json"')
    return {"images": made} if made else None


def _seconds(length: str) -> float | None:
    try:
        return float(length)
    except ValueError:
        return None


def characters_of(op: Operation, body: Any, model: str | None) -> dict[str, int] | None:
    """What is billed of a text that is read aloud, whose answer is sound alone: its characters.

    Not for models that are billed by tokens, which is told only where the sound comes as events
    (platform.openai.com/docs/api-reference/audio/createSpeech).

    Args:
        op: of the request.
        body: of the request.
        model: that was asked for.
    """
    said = field(body, "input") if op.api == "speech" else None
    if type(said) is not str or not said or model is None or "gpt" in model.lower():
        return None
    return {"characters": len(said)}


_PIECES: Final = frozenset({"characters", "images"})


def is_by_piece(usage: Any) -> bool:
    """True for what :func:`pieces_of` and :func:`characters_of` count beside all that providers report."""
    return type(usage) is dict and len(usage) == 1 and not _PIECES.isdisjoint(usage)


def usage_in_tail(content: bytes) -> dict[str, Any] | None:
    """The usage object near the end of a large JSON body, without parsing what stands before it.

    An answer with an image is megabytes of base64 and then its usage.
    """
    window = content[-4096:]
    at = window.rfind(b'"usage"')
    if at < 0:
        return None
    rest = window[at + 7 :].decode("utf-8", "replace").lstrip(" \r\n\t:")
    try:
        found, _ = json.JSONDecoder().raw_decode(rest)
    except (ValueError, RecursionError):
        return None
    return found if type(found) is dict else None


# -- attributes ------------------------------------------------------------------------------------------


def answer_attributes(op: Operation, body: Any) -> tuple[tuple[str, AttributeValue], ...]:
    """Further span attributes that an answer gives."""
    read = _ATTRIBUTES.get(op.api)
    return () if read is None else tuple(read(body))


def _of_transcription(body: Any) -> list[tuple[str, AttributeValue]]:
    seconds = number(field(field(body, "usage"), "seconds"))
    return [] if seconds is None else [(semconv.USAGE_AUDIO_SECONDS, seconds)]


def _of_run(body: Any) -> list[tuple[str, AttributeValue]]:
    found: list[tuple[str, AttributeValue]] = []
    for name, key in (("assistant_id", semconv.AGENT_ID), ("status", semconv.RESPONSE_STATUS)):
        value = text(field(body, name))
        if value is not None:
            found.append((key, value))
    return found


def _of_assistant(body: Any) -> list[tuple[str, AttributeValue]]:
    made = text(field(body, "id"))
    return [] if made is None else [(semconv.AGENT_ID, made)]


def _of_embeddings(body: Any) -> list[tuple[str, AttributeValue]]:
    """How long the vectors are; as base64 they are floats of four bytes."""
    listed = items(field(body, "data"))
    vector = field(listed[0], "embedding") if listed else None
    if type(vector) is str:
        size = (len(vector) * 3 // 4 - vector[-2:].count("=")) // 4
    else:
        size = len(items(vector) or ())
    return [(semconv.EMBEDDINGS_DIMENSION_COUNT, size)] if size else []


_ATTRIBUTES: Final[Mapping[str, Callable[[Any], list[tuple[str, AttributeValue]]]]] = {
    "transcriptions": _of_transcription,
    "runs": _of_run,
    "assistants": _of_assistant,
    "embeddings": _of_embeddings,
}


def run_tool_calls(body: Any) -> list[Any]:
    """The tool calls that a run waits for."""
    action = field(field(body, "required_action"), "submit_tool_outputs")
    return list(items(field(action, "tool_calls")) or ())
