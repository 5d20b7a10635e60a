"""What the headers of a response say: the kind of its body, and rate limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from spantally.ground import semconv
from spantally.instrumentors.openai.wire.fields import AttributeValue

_PREFIX: Final = b"x-ratelimit-"
_LENGTH: Final = len(_PREFIX)
_TYPE: Final = b"content-type"
_TYPE_LENGTH: Final = len(_TYPE)
"""No header of rate limits has a name this short."""
_MAX_VALUE: Final = 64
_MOST: Final = 16
"""More rate limits than this no host sends."""


def rate_limits(raw: Iterable[tuple[Any, Any]]) -> dict[str, AttributeValue]:
    """Rate limits as span attributes: ``x-ratelimit-remaining-tokens`` as ``...remaining_tokens``.

    Args:
        raw: names and values of the headers as bytes; looked at once, since a look-up by name walks them all.

    Returns:
        Counts as numbers, times to a reset as the text that was sent.
    """
    return head_facts(raw)[1]


def head_facts(raw: Iterable[tuple[Any, Any]]) -> tuple[bytes, dict[str, AttributeValue]]:
    """The content type, in lower case, and the rate limits of a response's headers.

    Args:
        raw: names and values of the headers as bytes.
    """
    kind = b""
    found: dict[str, AttributeValue] = {}
    for name, value in raw:
        if len(name) == _TYPE_LENGTH:
            if name.lower() == _TYPE:
                kind = value.lower()
        elif name[:_LENGTH].lower() == _PREFIX and len(value) <= _MAX_VALUE and len(found) < _MOST:
            key = name[_LENGTH:].decode("ascii", "replace").lower().replace("-", "_")
            said = value.decode("latin-1").strip()
            found[semconv.OPENAI_RATE_LIMIT_PREFIX + key] = int(said) if said.isdecimal() else said
    return kind, found
