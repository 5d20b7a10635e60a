"""Usage of Cohere, versions 1 and 2: what is billed stands in ``billed_units``.

``tokens`` counts all that the model saw, the preamble of Cohere's own too, and is not what is billed
(docs.cohere.com/docs/how-does-cohere-pricing-work). Reranking is billed by search units, pictures to embed by
tokens of their own (docs.cohere.com/reference/rerank, /reference/embed).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spantally.ground.money import UsageParts
from spantally.pricing.usage.counts import MAX_COUNT, NoUsage, Reading, bad, details

_UNITS = ("input_tokens", "text_tokens", "output_tokens", "image_tokens", "search_units", "images", "pages")


def billed(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """``usage`` of version 2, or ``meta`` of version 1."""
    units = details(raw, "billed_units")
    if any(units.get(name) is not None for name in (*_UNITS, "classifications")):
        text_in = _whole(units, "input_tokens")
        if units.get("input_tokens") is None:
            text_in = _whole(units, "text_tokens")
        parts = UsageParts(
            uncached_input=text_in,
            image_input=_whole(units, "image_tokens"),
            output=_whole(units, "output_tokens"),
            search_units=_whole(units, "search_units"),
            pages=_whole(units, "pages"),
            images=_whole(units, "images"),
        )
        return Reading(parts, "classifications" if _whole(units, "classifications") else None)
    tokens = details(raw, "tokens")
    if all(tokens.get(name) is None for name in ("input_tokens", "output_tokens")):
        raise NoUsage("neither billed_units nor tokens")
    # More than is billed: the nearest that is told.
    parts = UsageParts(uncached_input=_whole(tokens, "input_tokens"), output=_whole(tokens, "output_tokens"))
    return Reading(parts, approximate=True)


def _whole(units: Mapping[str, Any], name: str) -> int:
    """A count, which Cohere declares as a float."""
    value = units.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_COUNT:
        raise bad(name, value)
    if value != int(value):
        raise bad(name, value)
    return int(value)
