"""What content may take; apart from the code that sees to it, so that start-up need not load that."""

from __future__ import annotations

from typing import Final, NamedTuple

ATTRIBUTE_LIMIT: Final = 131_072
"""Most characters of one attribute of content, unless a setting says otherwise."""

SPAN_LIMIT: Final = 262_144
"""Most characters of the content of one span or event, unless a setting says otherwise."""


class Limits(NamedTuple):
    """What content may take, in characters of its JSON.

    Attributes:
        attribute: of one attribute.
        span: of all content of one span, event or row.
    """

    attribute: int = ATTRIBUTE_LIMIT
    span: int = SPAN_LIMIT
