"""What the table of rates does not hold: shares for a geography, and fees of a request by how it searched.

Each comes from the price list that it names, and is used only where the call says that it applies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final

_TENTH_MORE: Final = Fraction(11, 10)

_REGIONAL_VERTEX: Final = re.compile(
    r"(?!global)[a-z]+(?:-[a-z]+\d+)?-aiplatform\.googleapis\.com|aiplatform\.[a-z]+\.rep\.googleapis\.com"
)
_BEFORE_PREMIUM: Final = ("claude-3", "claude-4-")
"""Claude models that Vertex AI sells at one price everywhere."""

_BEDROCK_TIERS: Final[Mapping[str, Fraction]] = {
    "flex": Fraction(1, 2),
    "batch": Fraction(1, 2),
    "priority": Fraction(7, 4),
}

_SEARCH_FEES: Final[Mapping[str, Mapping[str, str]]] = {
    "sonar": {"low": "5", "medium": "8", "high": "12"},
    "sonar-reasoning": {"low": "5", "medium": "8", "high": "12"},
    "sonar-pro": {"low": "6", "medium": "10", "high": "14"},
    "sonar-reasoning-pro": {"low": "6", "medium": "10", "high": "14"},
}
"""US dollars for a thousand requests, by the size of the search context
(docs.perplexity.ai/docs/getting-started/pricing, as published until Sonar's end in September 2026)."""

_PREVIEW_SEARCH: Final = Decimal(25)
"""US dollars for a thousand uses of ``web_search_preview`` by a model that does not reason
(platform.openai.com/docs/pricing, built-in tools); all other searches have the table's rate."""

_NOT_REASONING: Final = ("gpt-4o", "gpt-4.1", "chatgpt-4o")


def share_of(vendor: str, model: str, host: str | None, geography: str) -> Fraction:
    """By what the rates of tokens are multiplied.

    Anthropic: inference in the US costs 1.1 times as much, tokens of every kind, fees of tools not
    (platform.claude.com/docs/en/about-claude/pricing, data residency pricing). Vertex AI: Claude on a
    regional or multi-region endpoint, likewise (cloud.google.com/vertex-ai/generative-ai/pricing, Claude
    models). Bedrock's regional prefixes have rates of their own in the table.

    Args:
        vendor: the table's name of the vendor.
        model: the table's name of the model.
        host: ``server.address``.
        geography: where the call was processed, in lower case.
    """
    if vendor == "anthropic" and geography == "us":
        return _TENTH_MORE
    claude = vendor == "google" and model.startswith("claude") and not model.startswith(_BEFORE_PREMIUM)
    regional = claude and host is not None and _REGIONAL_VERTEX.fullmatch(host.lower()) is not None
    return _TENTH_MORE if regional else Fraction(1)


def tier_share(vendor: str, model: str, choice: tuple[str, str]) -> Fraction | None:
    """By what a tier multiplies the standard rates, where the vendor says so for all models at once.

    The lists round such rates, so what comes of it is an estimate. Bedrock: flex and batches cost half,
    priority 75 % more (aws.amazon.com/bedrock/pricing, service tiers). Gemini: priority costs 1.8 times as
    much, flex what a batch does (ai.google.dev/gemini-api/docs/pricing).

    Args:
        vendor: the table's name of the vendor.
        model: the table's name of the model.
        choice: the table's context of the tier.
    """
    if vendor == "aws":
        return _BEDROCK_TIERS.get(choice[1])
    if vendor == "google" and model.startswith("gemini") and choice == ("service_tier", "priority"):
        return Fraction(9, 5)
    return None


def same_as_batch(vendor: str, choice: tuple[str, str]) -> bool:
    """True for a tier that the vendor's list gives the rates of a batch."""
    return vendor == "google" and choice == ("service_tier", "flex")


def request_fee(vendor: str, model: str, search: str) -> Decimal | None:
    """The fee of a thousand requests by how much of the web they looked at; None where the table's holds."""
    if vendor != "perplexity":
        return None
    fee = _SEARCH_FEES.get(model, {}).get(search)
    return None if fee is None else Decimal(fee)


def search_fee(vendor: str, model: str, search: str) -> Decimal | None:
    """The fee of a thousand searches where it is not the table's."""
    if vendor == "openai" and search == "preview" and model.startswith(_NOT_REASONING):
        return _PREVIEW_SEARCH
    return None
