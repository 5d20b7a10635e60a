"""Asking for the usage of a streamed chat completion, and hiding the chunk that then comes with it.

Only where the user's policy is ``request``, the program set no ``include_usage`` itself, and the program
reads the stream through the SDK's Stream object: who reads raw bytes would see the further chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.instrumentors.openai.wire.operation import CHAT, COMPLETIONS, Operation

_RAW_HEADER: Final = "x-stainless-raw-response"


def with_usage(wire: Operation, options: Any, body: Any) -> Any | None:
    """A copy of the request's options that asks for usage, or None where the program's own stand.

    Args:
        wire: what kind of operation it is.
        options: the SDK's ``FinalRequestOptions``; never changed.
        body: the body that they send.
    """
    if wire not in (CHAT, COMPLETIONS) or not isinstance(body, Mapping) or body.get("stream") is not True:
        return None
    asked = body.get("stream_options")
    if asked is not None and (not isinstance(asked, Mapping) or "include_usage" in asked):
        return None
    headers = options.headers
    if isinstance(headers, Mapping) and any(str(name).lower() == _RAW_HEADER for name in headers):
        return None
    sent = options.json_data
    if not isinstance(sent, Mapping):
        return None
    extra = getattr(options, "extra_json", None)
    if isinstance(extra, Mapping) and "stream_options" in extra:
        return None  # it would be laid over ours
    changed = {**sent, "stream_options": {**(asked or {}), "include_usage": True}}
    return options.model_copy(update={"json_data": changed})


def is_extra(chunk: Any) -> bool:
    """True for the chunk that came because we asked; on all others the empty usage is taken off again."""
    if type(chunk) is dict:  # a program that posts by itself may have its chunks as they came
        if chunk.get("usage") is not None:
            return not chunk.get("choices")
        chunk.pop("usage", None)
        return False
    try:
        usage = chunk.usage
        if usage is not None:
            return not chunk.choices
        chunk.__pydantic_fields_set__.discard("usage")
    except AttributeError:
        pass
    return False
