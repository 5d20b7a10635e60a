"""A rating whose rates are compiled must be cheap enough for the caller's thread."""

from __future__ import annotations

import timeit
from typing import Any

import pytest

from pricing_records import chat, record
from spantally.ground.records import CallRecord
from spantally.pricing import rates
from spantally.pricing.rate import rate, rate_if_loaded

CASES: dict[str, CallRecord] = {
    "chat, cached and reasoning": record("gpt-4o", chat(1000, 100, cached=200, reasoning=30)),
    "long-context rates, a tier": record(
        "gpt-5.4", chat(1000, 100), price_context={"service_tier": "flex", "server_address": "api.openai.com"}
    ),
    "a model that nobody knows": record("no-such-model", chat(1000, 100)),
    "a provider that nobody knows": record("gpt-4o", chat(1000, 100), provider="vllm"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_known_rate_costs_microseconds(name: str, record_property: Any) -> None:
    """About 5 microseconds on a quiet machine, hit or miss; the library's own arithmetic takes 70 to 120.

    The bound leaves room for a busy machine, and none for a look-up in the table on each call (0.3 ms).
    """
    assert rates.load() is not None
    call = CASES[name]
    rate(call)
    best = min(timeit.repeat(lambda: rate_if_loaded(call), number=2_000, repeat=15)) / 2_000 * 1e6
    record_property("microseconds", round(best, 2))
    assert best < 20
