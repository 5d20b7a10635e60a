"""Which rate of the table is whose: the rates of all parts of a model's usage, and those it has none for.

No part silently takes the rate of another. Where it does take one, the vendor's own price list says that both
are the same: pictures in a prompt are input tokens (platform.openai.com/docs/guides/images-vision), and
Gemini's list has one input price for all that a model takes unless it names audio apart
(ai.google.dev/gemini-api/docs/pricing).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeAlias

from spantally.ground.money import UsageParts

Rate: TypeAlias = int | Fraction
"""Nano-USD per million units."""

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "uncached_input": ("input_text_mtok", "input_mtok"),
    "cache_read": ("cache_text_read_mtok", "cache_read_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "audio_input": ("input_audio_mtok",),
    "image_input": ("input_image_mtok",),
    "video_input": ("input_video_mtok",),
    "cache_audio_read": ("cache_audio_read_mtok",),
    "cache_image_read": ("cache_image_read_mtok",),
    "cache_video_read": ("cache_video_read_mtok",),
    "output": ("output_text_mtok", "output_mtok"),
    "reasoning": ("output_reasoning_mtok",),
    "audio_output": ("output_audio_mtok",),
    "image_output": ("output_image_mtok",),
    "video_output": ("output_video_mtok",),
    "citations": ("output_citation_mtok",),
    "web_searches": ("web_searches_kcount",),
    "file_searches": ("storage_searches_kcount",),
    "search_units": ("rerank_searches_kcount",),
    "audio_ms": ("input_audio_hours", "audio_hours"),
    "characters": ("input_mchars",),
    "pages": ("input_document_kpages",),
    "annotated_pages": ("input_annotated_document_kpages",),
    "images": (),
}
"""The table's keys for each part, the more specific first."""

_PER: Final[Mapping[str, Fraction]] = {
    "mtok": Fraction(1_000_000),
    "mchars": Fraction(1_000_000),
    "kcount": Fraction(1_000),
    "kpages": Fraction(1_000),
    "hours": Fraction(3_600_000),  # parts count milliseconds
}

TOKENS: Final = UsageParts._fields.index("web_searches")
"""Parts before this one are tokens, the others uses and units."""

UNITS: Final = tuple(
    UsageParts._fields.index(name)
    for name in ("search_units", "audio_ms", "characters", "pages", "annotated_pages", "images")
)
"""Parts by which a model may be billed instead of by tokens."""

_APART: Final = frozenset({"cohere", "voyageai"})
"""Vendors that bill pictures at a rate of their own, which the table does not have."""

_REASONING: Final = UsageParts._fields.index("reasoning")
_OUTPUT: Final = UsageParts._fields.index("output")


def nano_of(amount: Rate) -> int:
    """A sum of units times rates as whole nano-USD, rounded half-even: the one rounding of a cost."""
    nano, rest = divmod(amount, 1_000_000)
    if rest >= 500_000 and (rest > 500_000 or nano & 1):
        nano += 1
    return nano


def scaled(value: Decimal, key: str) -> Rate:
    """A price of the table in nano-USD per million units."""
    exact = Fraction(value) * 10**15 / _PER[key.rpartition("_")[2]]
    return exact.numerator if exact.denominator == 1 else exact


def at(price: Any, total_input: int) -> Decimal:
    """A price, which may depend on the input, for an input just above ``total_input`` tokens."""
    if isinstance(price, Decimal):
        return price
    chosen = price.base
    for tier in price.tiers:
        if total_input >= tier.start:
            chosen = tier.price
    return chosen  # type: ignore[no-any-return]


def by_units(prices: Mapping[str, Any]) -> bool:
    """True for a model that is billed by time, characters or pages alone, whatever tokens it tells."""
    told = [key for key, value in prices.items() if value is not None]
    return bool(told) and not any(key.endswith("_mtok") for key in told)


def rates_of(prices: Mapping[str, Any], vendor: str, model: str, above: int) -> list[Rate | None]:
    """A rate for each part, None where the table has none.

    Args:
        prices: of the model, by the table's keys.
        vendor: the table's name of the vendor.
        model: the table's name of the model.
        above: the input is larger than this.
    """
    found: list[Rate | None] = []
    only_units = by_units(prices)
    for place, part in enumerate(UsageParts._fields):
        key = next((one for one in _KEYS[part] if prices.get(one) is not None), None)
        if key is None:
            key = _same_as(part, prices, vendor, model)
        if key is not None and prices.get(key) is not None:
            found.append(scaled(at(prices[key], above), key))
        else:
            found.append(0 if only_units and place < TOKENS else None)
    if vendor == "perplexity" and prices.get("requests_kcount") is not None:
        # The fee of a request is for its searches (docs.perplexity.ai/docs/getting-started/pricing).
        found[UsageParts._fields.index("web_searches")] = 0
    own, output = found[_REASONING], found[_OUTPUT]
    # Reasoning lies within output and is billed as output, unless it has a rate: then by the difference.
    found[_REASONING] = 0 if own is None or output is None or only_units else own - output
    return found


def _same_as(part: str, prices: Mapping[str, Any], vendor: str, model: str) -> str | None:
    """The key of another part that the vendor bills this one as."""
    if part in ("image_input", "video_input"):
        return None if vendor in _APART else "input_mtok"
    if part == "audio_input":
        return "input_mtok" if vendor == "google" else None
    if part in ("cache_image_read", "cache_video_read"):
        kind = part.split("_")[1]
        return "cache_read_mtok" if prices.get(f"input_{kind}_mtok") is None else None
    if part == "cache_audio_read":
        one_price = vendor == "google" and prices.get("input_audio_mtok") is None
        return "cache_read_mtok" if one_price else None
    if part == "audio_output":
        return "output_mtok" if "tts" in model else None  # all that such a model gives out is speech
    if part == "image_output":
        return "output_mtok" if vendor in ("openai", "azure") and "image" in model else None
    return None
