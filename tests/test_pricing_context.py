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
