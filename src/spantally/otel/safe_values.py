"""Texts, values and attributes through a redactor that may fail: then the value is withheld, and only it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.telemetry import RedactorLike
from spantally.ground.guard import swallowed

REDACTED_ERROR: Final = "[REDACTED:error]"
"""What stands for a value that could not be scanned."""

_PLAIN: Final = (bool, int, float, type(None))


def safe_text(text: str, redactor: RedactorLike, key: str | None = None) -> str:
    """``text`` without its secrets, or :data:`REDACTED_ERROR` where the redactor fails."""
    try:
        return redactor.text(text, key)
    except Exception as error:
        swallowed("redaction.text", error)
        return REDACTED_ERROR


def safe_value(value: Any, redactor: RedactorLike, key: str | None = None) -> Any:
    """``value`` without its secrets; a number survives a redactor that fails, anything else does not."""
    try:
        return redactor.value(value, key)
    except Exception as error:
        swallowed("redaction.value", error)
        return value if isinstance(value, _PLAIN) else REDACTED_ERROR


def safe_attributes(attributes: Mapping[str, Any] | None, redactor: RedactorLike) -> dict[str, Any]:
    """Attributes without their secrets; where the whole cannot be scanned, value by value."""
    if not attributes:
        return {}
    try:
        return redactor.attributes(attributes)
    except Exception as error:
        swallowed("redaction.attributes", error)
        return {key: safe_value(value, redactor, key) for key, value in attributes.items()}
