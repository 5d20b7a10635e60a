"""What the headers of a response say: the kind of its body, and rate limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from spantally.instrumentors.stainless.wire.fields import AttributeValue, integer

_TYPE: Final = b"content-type"
_TYPE_LENGTH: Final = len(_TYPE)
"""No header of rate limits has a name this short."""
_MAX_VALUE: Final = 64
_MOST: Final = 16
"""More rate limits than this no host sends."""


def head_facts(
    raw: Iterable[tuple[Any, Any]], mark: bytes, prefix: str
) -> tuple[bytes, dict[str, AttributeValue]]:
    """The content type, in lower case, and the rate limits of a response's headers.

    Args:
        raw: names and values of the headers as bytes; looked at once, since a look-up by name walks them all.
        mark: how names of rate limits begin, in lower case.
        prefix: what their attributes begin with.

    Returns:
        Counts as numbers, times to a reset as the text that was sent: ``x-ratelimit-remaining-tokens`` is
        ``...remaining_tokens``.
    """
    kind = b""
    length = len(mark)
    found: dict[str, AttributeValue] = {}
    for name, value in raw:
        if len(name) == _TYPE_LENGTH:
            if name.lower() == _TYPE:
                kind = value.lower()
        elif name[:length].lower() == mark and len(value) <= _MAX_VALUE and len(found) < _MOST:
            key = name[length:].decode("ascii", "replace").lower().replace("-", "_")
            said = value.decode("latin-1").strip()
            number = integer(int(said)) if said.isdecimal() else None  # "no limit" may be more than 64 bits
            found[prefix + key] = said if number is None else number
    return kind, found
