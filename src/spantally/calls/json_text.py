"""Values as JSON text that every exporter can carry: no lone surrogate and no NaN."""

from __future__ import annotations

import json
import math
import sys
from typing import Any, Final

_encode_compact: Final = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    default=lambda item: type(item).__name__,
).encode


def encode(value: Any) -> str:
    """Compact JSON of a plain value.

    What has no JSON form is written by its type's name, never by its ``str``; a number that JSON lacks
    (NaN, the infinities) is null; a lone surrogate is a question mark.
    """
    core = sys.modules.get("pydantic_core")
    if core is not None:
        # Five times as fast as the standard library, and there already wherever the OpenAI SDK is.
        try:
            text: str = core.to_json(value, inf_nan_mode="null").decode()
        except Exception:
            pass  # stricter in some corners
        else:
            return text
    try:
        return printable(_encode_compact(value))
    except ValueError:
        return printable(_encode_compact(_without_nan(value)))


def printable(text: str) -> str:
    """The text with lone surrogates replaced: one of them would lose an exporter's whole batch."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text


def _without_nan(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {name: _without_nan(one) for name, one in value.items()}
    if kind is list or kind is tuple:
        return [_without_nan(one) for one in value]
    return None if issubclass(kind, float) and not math.isfinite(value) else value
