"""What the request's surroundings add to a price: the address it went to, the provider's own tools."""

from __future__ import annotations

from typing import Any

import pytest

from pricing_records import record
from spantally.pricing.rate import rate

USAGE = {"input_tokens": 1000, "output_tokens": 100}


def rated(**context: Any) -> Any:
    return rate(record("gpt-4o", USAGE, usage_format="openai.responses", price_context=context))


def test_an_address_that_is_not_the_vendors_has_no_rate() -> None:
    """Where the instrumentor knows no price list for the address, the cost is absent with a reason."""
    assert rated(provider=None).status == "unknown_model"
    assert rated(provider=None).nano_usd is None
    assert rated(provider="openai").nano_usd == 1000 * 2500 + 100 * 10_000


def test_a_web_search_adds_its_fee() -> None:
    """gpt-4o lists web searches at $10 per 1,000: one search is $0.01 beside the tokens."""
    assert rated(server_tools={"web_search_call": 2}).nano_usd == 3_500_000 + 2 * 10_000_000


@pytest.mark.parametrize("tool", ["code_interpreter_call", "image_generation_call"])
def test_a_tool_without_a_known_fee_makes_the_cost_partial(tool: str) -> None:
    """A fee that nothing tells is named, never left out in silence."""
    rating = rated(server_tools={tool: 1})
    assert rating.status == f"partial:{tool.removesuffix('_call')}"
    assert rating.nano_usd == 3_500_000


def test_a_transcription_is_billed_for_its_audio() -> None:
    """gpt-4o-transcribe: 14 audio tokens at $6 and 45 output tokens at $10 a million."""
    usage = {
        "type": "tokens",
        "input_tokens": 14,
        "output_tokens": 45,
        "total_tokens": 59,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
    }
    rating = rate(record("gpt-4o-transcribe", usage, usage_format="openai.responses"))
    assert rating.nano_usd == 14 * 6000 + 45 * 10_000
    assert rating.status == "priced"


def test_an_image_is_billed_for_its_parts() -> None:
    """gpt-image-1: text at $5, images at $10 a million in, images at $40 a million out."""
    usage = {
        "input_tokens": 50,
        "output_tokens": 1000,
        "total_tokens": 1050,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    }
    rating = rate(record("gpt-image-1", usage, usage_format="openai.responses"))
    assert rating.nano_usd == 10 * 5000 + 40 * 10_000 + 1000 * 40_000
