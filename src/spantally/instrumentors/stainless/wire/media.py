"""Texts that may be media, megabytes long."""

from __future__ import annotations

from typing import Any

from spantally.instrumentors.stainless.wire.fields import text


def media_text(value: Any) -> str | None:
    """The value as a text without checking or copying its characters (media can be megabytes long)."""
    return value if type(value) is str and value else text(value)
