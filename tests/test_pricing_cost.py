"""Costs worked out by hand, from the rates that genai-prices 0.2.3 lists in US dollars per million tokens.

One dollar per million tokens is 1,000 nano-USD per token, so every case reads ``tokens * rate * 1_000``.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from typing import Any

import pytest

from pricing_records import NOVEMBER, at, chat, record
from spantally.ground.money import CostStatus
from spantally.ground.records import Kind, Status, UsageFormat
from spantally.pricing import rates
from spantally.pricing.rate import rate
from spantally.pricing.supplement import extra_for

CHAT = [
    # name, model, usage, nano-USD
    ("gpt-4o: 2.5 in, 10 out", "gpt-4o", chat(1000, 100), 1000 * 2_500 + 100 * 10_000),
    ("dated snapshot", "gpt-4o-2024-08-06", chat(7, 3), 7 * 2_500 + 3 * 10_000),
    ("older snapshot with rates of its own", "gpt-4o-2024-05-13", chat(10, 10), 10 * 5_000 + 10 * 15_000),
    ("cached at 1.25", "gpt-4o", chat(1000, 100, cached=400), 600 * 2_500 + 400 * 1_250 + 100 * 10_000),
    ("all cached", "gpt-4o", chat(1024, 1, cached=1024), 1024 * 1_250 + 10_000),
    ("gpt-4o-mini: 0.15, 0.075, 0.6", "gpt-4o-mini", chat(100, 10, cached=50), 50 * 150 + 50 * 75 + 10 * 600),
    ("gpt-4.1: 2, 0.5, 8", "gpt-4.1", chat(300, 20, cached=128), 172 * 2_000 + 128 * 500 + 20 * 8_000),
    ("gpt-4.1-nano: 0.1, 0.025, 0.4", "gpt-4.1-nano", chat(3, 1, cached=1), 2 * 100 + 25 + 400),
    ("gpt-5: reasoning is output", "gpt-5", chat(50, 900, reasoning=800), 50 * 1_250 + 900 * 10_000),
    ("gpt-5-nano: 0.05, 0.4", "gpt-5-nano", chat(1, 1), 50 + 400),
    ("o3: 2, 0.5, 8", "o3", chat(100, 500, cached=64, reasoning=448), 36 * 2_000 + 64 * 500 + 500 * 8_000),
    ("o1: 15, 7.5, 60", "o1", chat(10, 10, cached=4), 6 * 15_000 + 4 * 7_500 + 10 * 60_000),
    ("o3-mini: 1.1, 0.55, 4.4", "o3-mini", chat(10, 10, cached=4), 6 * 1_100 + 4 * 550 + 10 * 4_400),
    ("gpt-4-turbo: 10, 30", "gpt-4-turbo", chat(10, 10), 10 * 10_000 + 10 * 30_000),
    ("gpt-3.5-turbo: 0.5, 1.5", "gpt-3.5-turbo-0125", chat(9, 9), 9 * 500 + 9 * 1_500),
    ("fine-tuned with a listed rate", "ft:gpt-4o-mini-2024-07-18:acme::x", chat(10, 10),
     10 * 300 + 10 * 1_200),
    ("gpt-audio: 2.5, 10, audio 32, 64", "gpt-audio", chat(100, 50, audio_in=80, audio_out=40),
     20 * 2_500 + 80 * 32_000 + 10 * 10_000 + 40 * 64_000),
    ("gpt-audio-mini: 0.6, 2.4, audio 10, 20", "gpt-audio-mini", chat(10, 10, audio_in=10, audio_out=4),
     10 * 10_000 + 6 * 2_400 + 4 * 20_000),
    ("cache write at 1.25 x input", "gpt-6-sol", chat(3000, 10, cached=1000, written=1500),
     500 * 2_000 + 1000 * 200 + 1500 * 2_500 + 10 * 10_000),
    ("gpt-5.4 at the threshold: 2.5, 0.25, 15", "gpt-5.4", chat(272_000, 10), 272_000 * 2_500 + 10 * 15_000),
    ("gpt-5.4 above it: 5, 22.5", "gpt-5.4", chat(272_001, 10), 272_001 * 5_000 + 10 * 22_500),
    ("the threshold counts cached input", "gpt-5.4", chat(272_001, 10, cached=272_000),
     1 * 5_000 + 272_000 * 500 + 10 * 22_500),
    ("models/ prefix", "models/gpt-4o", chat(1, 1), 2_500 + 10_000),
    ("upper case", "GPT-4o", chat(1, 1), 2_500 + 10_000),
]  # fmt: skip


@pytest.mark.parametrize(("model", "usage", "nano"), [case[1:] for case in CHAT], ids=[c[0] for c in CHAT])
def test_a_chat_call_costs_what_its_parts_cost(model: str, usage: Mapping[str, Any], nano: int) -> None:
    """Each part at its own rate, each token once."""
    found = rate(record(model, usage))
    assert (found.nano_usd, found.status) == (nano, CostStatus.PRICED)
    assert found.source == f"genai-prices {version('genai-prices')}"


OTHERS = [
    # name, provider, model, usage, nano-USD
    ("claude-sonnet-4-5: 3, read 0.3, 15", "anthropic", "claude-sonnet-4-5-20250929",
     {"input_tokens": 1000, "output_tokens": 10, "cache_read.input_tokens": 900},
     100 * 3_000 + 900 * 300 + 10 * 15_000),
    ("above 200k: 6, 0.6, 22.5", "anthropic", "claude-sonnet-4-5",
     {"input_tokens": 200_001, "output_tokens": 10, "cache_read.input_tokens": 200_000},
     6_000 + 200_000 * 600 + 10 * 22_500),
    ("exactly 200k is below", "anthropic", "claude-sonnet-4-5",
     {"input_tokens": 200_000, "output_tokens": 10}, 200_000 * 3_000 + 10 * 15_000),
    ("gemini-2.5-pro: 1.25, 10", "gcp.gemini", "models/gemini-2.5-pro",
     {"input_tokens": 100, "output_tokens": 10}, 100 * 1_250 + 10 * 10_000),
    ("gemini-2.5-pro above 200k: 2.5, 0.25, 15", "gcp.vertex_ai", "gemini-2.5-pro",
     {"input_tokens": 300_000, "output_tokens": 1, "cache_read.input_tokens": 100_000},
     200_000 * 2_500 + 100_000 * 250 + 15_000),
    ("gemini-2.5-flash: 0.3, audio 1, cached 0.03, cached audio 0.1, 2.5", "gcp.gemini", "gemini-2.5-flash",
     {"input_tokens": 100, "output_tokens": 10, "audio.input_tokens": 60, "cache_read.input_tokens": 30,
      "audio.cache_read.input_tokens": 20}, 30 * 300 + 10 * 30 + 40 * 1_000 + 20 * 100 + 10 * 2_500),
    ("groq: 0.59, 0.79", "groq", "llama-3.3-70b-versatile",
     {"input_tokens": 100, "output_tokens": 10}, 100 * 590 + 10 * 790),
    ("grok-3-mini: 0.3, 0.5", "x_ai", "grok-3-mini",
     {"input_tokens": 10, "output_tokens": 10}, 10 * 300 + 10 * 500),
    ("azure sells openai's models: 2.5, 10", "azure.ai.openai", "gpt-4o-2024-11-20",
     {"input_tokens": 10, "output_tokens": 10}, 10 * 2_500 + 10 * 10_000),
    ("sonar: 1, 1 and 12 per thousand requests", "perplexity", "sonar",
     {"input_tokens": 10, "output_tokens": 10}, 10 * 1_000 + 10 * 1_000 + 12_000_000),
]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "model", "usage", "nano"), [case[1:] for case in OTHERS], ids=[c[0] for c in OTHERS]
)
def test_other_vendors(provider: str, model: str, usage: Mapping[str, Any], nano: int) -> None:
    """The provider's name chooses the vendor whose rates apply."""
    found = rate(record(model, usage, provider=provider, usage_format=UsageFormat.SEMCONV))
    assert (found.nano_usd, found.status) == (nano, CostStatus.PRICED)


REALTIME: dict[str, Any] = {
    "input_tokens": 100,
    "output_tokens": 10,
    "input_token_details": {
        "text_tokens": 30,
        "audio_tokens": 40,
        "image_tokens": 30,
        "cached_tokens": 50,
        "cached_tokens_details": {"text_tokens": 20, "audio_tokens": 30, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 4, "audio_tokens": 6},
}


def test_realtime_usage_is_rated_by_modality() -> None:
    """gpt-realtime-mini: text 0.6, cached 0.06, audio 10, cached 0.3, image 0.8; out 2.4, audio 20."""
    found = rate(record("gpt-realtime-mini", REALTIME, usage_format=UsageFormat.OPENAI_RESPONSES))
    nano = 10 * 600 + 20 * 60 + 10 * 10_000 + 30 * 300 + 30 * 800 + 4 * 2_400 + 6 * 20_000
    assert (found.nano_usd, found.status) == (nano, CostStatus.PRICED)


def test_cached_images_have_a_rate_of_their_own() -> None:
    """gpt-realtime-mini lists cached images at 0.08, beside 0.06 for cached text."""
    details = REALTIME["input_token_details"]
    cached = {"text_tokens": 10, "audio_tokens": 30, "image_tokens": 10}
    usage = {**REALTIME, "input_token_details": {**details, "cached_tokens_details": cached}}
    found = rate(record("gpt-realtime-mini", usage, usage_format=UsageFormat.OPENAI_RESPONSES))
    nano = 20 * 600 + 10 * 60 + 10 * 10_000 + 30 * 300 + 20 * 800 + 10 * 80 + 4 * 2_400 + 6 * 20_000
    assert (found.nano_usd, found.status) == (nano, CostStatus.PRICED)
    assert found.parts is not None
    assert (found.parts.input_total, found.parts.output_total) == (100, 10)


def test_a_model_that_is_billed_by_time_is_not_free_by_its_tokens() -> None:
    """gpt-live-1 is billed by the second: tokens alone do not tell the cost."""
    found = rate(record("gpt-live-1", chat(10, 10)))
    assert (found.nano_usd, found.status) == (None, "partial:audio_ms")


def test_an_embedding_of_four_tokens_costs_80_nano_usd() -> None:
    """text-embedding-3-small at 0.02 a million: 4 * 20; an embedding has no output to miss."""
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    found = rate(record("text-embedding-3-small", usage, kind=Kind.EMBEDDINGS))
    assert (found.nano_usd, found.status) == (80, CostStatus.PRICED)
    assert found.price_id == "openai/text-embedding-3-small"


def test_the_responses_shape_costs_the_same() -> None:
    """input_tokens and output_tokens of the Responses API: 60 * 2_000 + 40 * 500 + 30 * 8_000."""
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 10},
        "total_tokens": 130,
    }
    found = rate(record("gpt-4.1", usage, usage_format=UsageFormat.OPENAI_RESPONSES))
    assert (found.nano_usd, found.status) == (60 * 2_000 + 40 * 500 + 30 * 8_000, CostStatus.PRICED)


def test_reasoning_with_a_rate_of_its_own() -> None:
    """sonar-deep-research: 2 in, 8 out, reasoning 3; it lies within output and is not billed as both."""
    usage = {"input_tokens": 10, "output_tokens": 100, "reasoning.output_tokens": 60}
    found = rate(
        record("sonar-deep-research", usage, provider="perplexity", usage_format=UsageFormat.SEMCONV)
    )
    assert (found.nano_usd, found.status) == (10 * 2_000 + 40 * 8_000 + 60 * 3_000, CostStatus.PRICED)


def test_images_in_a_prompt_are_input() -> None:
    """gpt-4o lists no image rate and meters images as input; gpt-realtime lists 5 beside 4 for text."""
    usage = {"input_tokens": 100, "output_tokens": 0, "image.input_tokens": 80}
    plain = rate(record("gpt-4o", usage, usage_format=UsageFormat.SEMCONV))
    apart = rate(record("gpt-realtime", usage, usage_format=UsageFormat.SEMCONV))
    assert plain.nano_usd == 100 * 2_500
    assert apart.nano_usd == 20 * 4_000 + 80 * 5_000


def test_a_long_cache_write_is_not_billed_as_a_short_one() -> None:
    """The table has no rate for OpenAI's 12-hour retention: 50 * 1_000 + 20 * 1_250 + 1 * 5_000 is known."""
    usage = {
        "input_tokens": 100,
        "output_tokens": 1,
        "input_tokens_details": {
            "cached_tokens": 0,
            "cache_write_tokens": 50,
            "cache_write_tokens_details": {"ttl_30m_tokens": 20, "ttl_12h_tokens": 30},
        },
    }
    found = rate(record("gpt-6.1-terra", usage, usage_format=UsageFormat.OPENAI_RESPONSES))
    assert (found.nano_usd, found.status) == (50 * 1_000 + 20 * 1_250 + 5_000, "partial:cache_write_1h")


def test_fees_are_per_request() -> None:
    """gpt-4.1: web search 10 and file search 2.5 dollars a thousand, beside 10 input tokens at 2."""
    usage = {"uncached_input": 10, "output": 0, "web_searches": 3, "file_searches": 2}
    found = rate(record("gpt-4.1", usage, usage_format=UsageFormat.PARTS))
    assert found.nano_usd == 10 * 2_000 + 3 * 10_000_000 + 2 * 2_500_000


def test_cache_writes_by_retention() -> None:
    """claude-haiku-4-5: 1 in, write 1.25 for 5 minutes and 2 for an hour, read 0.1, 5 out."""
    usage = {
        "uncached_input": 10,
        "cache_write_5m": 100,
        "cache_write_1h": 1000,
        "cache_read": 500,
        "output": 7,
    }
    found = rate(record("claude-haiku-4-5", usage, provider="anthropic", usage_format=UsageFormat.PARTS))
    assert found.nano_usd == 10 * 1_000 + 100 * 1_250 + 1000 * 2_000 + 500 * 100 + 7 * 5_000
    assert found.status == CostStatus.PRICED


def test_a_cache_write_of_unknown_retention_is_an_estimate() -> None:
    """The conventions cannot say how long an entry is kept: 5 minutes is assumed and the row says so."""
    usage = {"input_tokens": 100, "output_tokens": 1, "cache_write.input_tokens": 90}
    found = rate(record("claude-haiku-4-5", usage, provider="anthropic", usage_format=UsageFormat.SEMCONV))
    assert (found.nano_usd, found.status) == (10 * 1_000 + 90 * 1_250 + 5_000, CostStatus.ESTIMATED)


TIERS = [
    # model, tier, cost of 1000 in and 100 out, price id
    ("gpt-5", "default", 1000 * 1_250 + 100 * 10_000, "openai/gpt-5"),
    ("gpt-5", "flex", 1000 * 625 + 100 * 5_000, "openai/gpt-5@2026-10-12;tier=flex"),
    ("gpt-5", "priority", 1000 * 2_500 + 100 * 20_000, "openai/gpt-5@2026-10-12;tier=priority"),
    ("gpt-5", "batch", 1000 * 625 + 100 * 5_000, "openai/gpt-5@2026-10-14;batch"),
    ("gpt-4o", "priority", 1000 * 4_250 + 100 * 17_000, "openai/gpt-4o@2026-10-12;tier=priority"),
    ("gpt-4o-mini", "priority", 1000 * 250 + 100 * 1_000, "openai/gpt-4o-mini@2026-10-12;tier=priority"),
]


@pytest.mark.parametrize(("model", "tier", "nano", "price_id"), TIERS)
def test_the_tier_of_the_response_chooses_the_rate(model: str, tier: str, nano: int, price_id: str) -> None:
    """Flex is half, priority dearer, batch half; the price id names what was used."""
    found = rate(record(model, chat(1000, 100), price_context={"service_tier": tier}))
    assert (found.nano_usd, found.status) == (nano, CostStatus.PRICED)
    assert found.price_id == price_id


def test_a_tier_and_a_long_context_combine() -> None:
    """gpt-5.4 flex above 272,000: 2.5 in, 0.25 cached, 11.25 out."""
    found = rate(record("gpt-5.4", chat(300_000, 8, cached=100_000), price_context={"service_tier": "flex"}))
    assert found.nano_usd == 200_000 * 2_500 + 100_000 * 250 + 8 * 11_250
    assert found.price_id == "openai/gpt-5.4@2026-10-12;tier=flex;input>272000"


def test_batch_is_a_submission_mode_beside_the_tier() -> None:
    """A batch row reports tier ``default``; gpt-4o is 1.25 and 5 then, cached stays at 1.25 (none listed)."""
    context = {"service_tier": "default", "batch": True}
    found = rate(record("gpt-4o", chat(10, 10, cached=4), price_context=context))
    assert found.nano_usd == 6 * 1_250 + 4 * 1_250 + 10 * 5_000


@pytest.mark.parametrize(
    ("model", "provider", "context", "part"),
    [
        ("gpt-4o", "openai", {"service_tier": "scale"}, "service_tier"),
        ("gpt-4o", "openai", {"service_tier": "flex"}, "service_tier"),
        ("gpt-4o", "azure.ai.openai", {"service_tier": "priority"}, "service_tier"),
        ("gpt-4o", "azure.ai.openai", {"batch": True}, "batch"),
        ("gpt-5", "openai", {"service_tier": "flex", "batch": True}, "service_tier"),
        ("gpt-5", "openai", {"speed": "fast"}, "speed"),
    ],
)
def test_a_tier_without_a_rate_is_never_the_standard_price(
    model: str, provider: str, context: Mapping[str, Any], part: str
) -> None:
    """No part's cost is known then, so there is none, and the status names what is lacking."""
    found = rate(record(model, chat(10, 10), provider=provider, price_context=context))
    assert (found.nano_usd, found.status) == (None, f"partial:{part}")
    assert found.parts is not None


@pytest.mark.parametrize(
    "context", [{"service_tier": "auto"}, {"geography": "eu"}, {"server_address": "eu.api.openai.com"}]
)
def test_what_nobody_told_is_an_estimate(context: Mapping[str, Any]) -> None:
    """``auto`` names no tier, and a region may cost more: the standard price is marked."""
    found = rate(record("gpt-4o", chat(10, 10), price_context=context))
    assert (found.nano_usd, found.status) == (125_000, CostStatus.ESTIMATED)


def test_a_tier_known_from_a_later_date_is_an_estimate() -> None:
    """The table knows flex of gpt-5 from 2026-10-12 on, when somebody looked; a call of June was flex too."""
    june = at("2026-06-01T00:00:00")
    found = rate(record("gpt-5", chat(1000, 100), start_ns=june, price_context={"service_tier": "flex"}))
    assert (found.nano_usd, found.status) == (1000 * 625 + 100 * 5_000, CostStatus.ESTIMATED)


@pytest.mark.parametrize(
    ("when", "nano", "price_id"),
    [
        ("2025-06-09T23:59:59", 10 * 10_000 + 10 * 40_000, "openai/o3"),
        ("2025-06-10T00:00:00", 10 * 2_000 + 10 * 8_000, "openai/o3@2025-06-10"),
    ],
)
def test_a_call_costs_what_the_model_cost_that_day(when: str, nano: int, price_id: str) -> None:
    """o3 fell from 10 and 40 to 2 and 8 on 2025-06-10, UTC."""
    found = rate(record("o3", chat(10, 10), start_ns=at(when)))
    assert (found.nano_usd, found.price_id) == (nano, price_id)


@pytest.mark.parametrize(
    ("when", "unit"),
    [
        ("2026-11-18T00:29:59", 135),
        ("2026-11-18T00:30:00", 270),
        ("2026-11-18T16:29:59", 270),
        ("2026-11-18T16:30:00", 135),
    ],
)
def test_a_rate_that_changes_within_an_hour(when: str, unit: int) -> None:
    """deepseek-chat: 0.27 from 00:30 to 16:30 UTC, else 0.135; one hour has two rates and no cached card."""
    usage = {"input_tokens": 10, "output_tokens": 0}
    found = rate(
        record("deepseek-chat", usage, provider="deepseek", usage_format="semconv", start_ns=at(when))
    )
    assert found.nano_usd == 10 * unit


@pytest.mark.parametrize(
    ("model", "usage", "part", "nano"),
    [
        ("gpt-4o", chat(100, 10, audio_in=60), "audio_input", 40 * 2_500 + 10 * 10_000),
        (
            "gpt-4o",
            chat(100, 10, audio_out=4),
            "audio_output",
            100 * 2_500 + 6 * 10_000,
        ),
        ("gpt-4o", chat(100, 10, written=50), "cache_write_5m", 50 * 2_500 + 10 * 10_000),
        ("gpt-4o-2024-05-13", chat(100, 10, cached=50), "cache_read", 50 * 5_000 + 10 * 15_000),
        ("text-embedding-3-small", chat(100, 10), "output", 100 * 20),
    ],
)
def test_a_part_without_a_rate_is_not_billed_at_another(
    model: str, usage: Mapping[str, Any], part: str, nano: int
) -> None:
    """The cost is the sum of the known parts, and the status names the part that it lacks."""
    found = rate(record(model, usage))
    assert (found.nano_usd, found.status) == (nano, f"partial:{part}")


def test_no_known_part_is_no_cost() -> None:
    """An audio-only prompt on a model without audio rates: nothing is known, and nothing is not 0."""
    found = rate(record("gpt-4o", chat(60, 0, audio_in=60)))
    assert (found.nano_usd, found.status) == (None, "partial:audio_input")


def test_a_total_that_was_not_reported_is_partial() -> None:
    """A chat whose output nobody counted costs at least its input: 100 * 2_500."""
    found = rate(record("gpt-4o", {"input_tokens": 100}, usage_format=UsageFormat.SEMCONV))
    assert (found.nano_usd, found.status) == (250_000, "partial:output")


def test_an_interrupted_call_is_partial() -> None:
    """Its process ended before the call did: what was counted is a lower bound."""
    found = rate(record("gpt-4o", chat(10, 10), status=Status.INTERRUPTED))
    assert (found.nano_usd, found.status) == (125_000, "partial:interrupted")


def test_estimated_usage_gives_an_estimated_cost() -> None:
    """The record says that its counts were estimated, so does the cost."""
    assert rate(record("gpt-4o", chat(10, 10), estimated=True)).status == CostStatus.ESTIMATED


def test_a_free_model_is_free_and_says_so() -> None:
    """A zero is a cost only with the status that explains it."""
    found = rate(record("deepseek/deepseek-chat:free", chat(10, 10), provider="openrouter"))
    assert (found.nano_usd, found.status) == (0, CostStatus.FREE)


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        ({"cost": 0.95}, 950_000_000),
        ({"cost": 0.00000012345}, 123),
        ({"cost": 0.0000000005}, 0),
        ({"cost": 0.0000000015}, 2),
        ({"cost": 0}, 0),
        ({"cost": 1}, 1_000_000_000),
        ({"cost": {"total_cost": 0.006, "input_tokens_cost": 0.001}}, 6_000_000),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}, 210_000_000),
        ({"cost": 0.01, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.01}}, 10_000_000),
    ],
)
def test_what_the_provider_reports_wins(usage: Mapping[str, Any], nano: int) -> None:
    """The bill beats every estimate, for a model that nobody knows too."""
    found = rate(record("some/model", {**chat(10, 2), **usage}, provider="openrouter"))
    assert (found.nano_usd, found.status, found.source) == (nano, CostStatus.PROVIDER_REPORTED, "provider")
    assert found.parts is not None
    assert found.parts.input_total == 10


def test_a_reported_null_is_no_report() -> None:
    """``cost: null`` leaves the rate table: 10 * 2_500 + 10 * 10_000."""
    assert rate(record("gpt-4o", {**chat(10, 10), "cost": None})).nano_usd == 125_000


@pytest.mark.parametrize("cost", [-1, float("nan"), float("inf"), "0.1", True, 1e12])
def test_an_impossible_report_is_bad_usage(cost: object) -> None:
    """It is not replaced by an estimate: the body cannot be trusted."""
    found = rate(record("gpt-4o", {**chat(10, 10), "cost": cost}))
    assert (found.nano_usd, found.status) == (None, CostStatus.BAD_USAGE)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"other": 1}, chat(0, 0)])
def test_no_usage_is_no_cost(usage: Mapping[str, Any] | None) -> None:
    """Absent, empty and filled with zeros are the same: nothing was reported."""
    found = rate(record("gpt-4o", usage))
    assert (found.nano_usd, found.status) == (None, CostStatus.NO_USAGE)


def test_impossible_usage_is_no_cost() -> None:
    """More cached tokens than input."""
    found = rate(record("gpt-4o", chat(10, 10, cached=11)))
    assert (found.nano_usd, found.status) == (None, CostStatus.BAD_USAGE)


@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.TOOL, Kind.WORKFLOW, Kind.RETRIEVAL])
def test_only_model_operations_cost(kind: str) -> None:
    """Agents, tools and workflows aggregate: usage on their spans is a second view of their calls."""
    assert rate(record("gpt-4o", chat(10, 10), kind=kind)).nano_usd is None


def test_half_a_nano_dollar_rounds_to_even() -> None:
    """gpt-5-nano reads its cache at 0.0025 a million in the flex tier: 2.5 nano-USD a token."""
    flex = {"service_tier": "flex"}
    one = rate(record("gpt-5-nano", chat(1, 0, cached=1), price_context=flex))
    three = rate(record("gpt-5-nano", chat(3, 0, cached=3), price_context=flex))
    assert one.nano_usd == 2  # 2.5, the even neighbour is below
    assert three.nano_usd == 8  # 7.5, the even neighbour is above


def test_parts_are_summed_before_rounding() -> None:
    """2.5 of cached and 25 of input and 200 of output is 227.5: one rounding, to 228, not 2 + 25 + 200."""
    usage = chat(2, 1, cached=1)
    found = rate(record("gpt-5-nano", usage, price_context={"service_tier": "flex"}))
    assert found.nano_usd == 228


def test_a_sum_does_not_depend_on_the_order() -> None:
    """Integers add up the same in any order, and no rating changes a later one."""
    calls = [
        record(model, chat(n, n % 7 + 1, cached=n // 2), price_context={"service_tier": tier})
        for n, (model, tier) in enumerate(
            itertools.product(["gpt-4o", "gpt-5", "gpt-5-nano", "o3"], ["default", "priority", "auto"]), 3
        )
    ]
    first = [rate(call).nano_usd for call in calls]
    shuffled = list(enumerate(calls))
    random.Random(7).shuffle(shuffled)
    again = {index: rate(call).nano_usd for index, call in shuffled}
    assert [again[index] for index in range(len(calls))] == first


def test_every_model_agrees_with_the_library_where_it_has_a_rate() -> None:
    """Text and cached input over the whole table: our compiled rates against the library's own arithmetic."""
    from genai_prices import Usage
    from genai_prices.data_snapshot import DataSnapshot

    table = rates.load()
    assert table is not None
    snapshot = DataSnapshot(providers=list(table.providers), from_auto_update=False)
    when = datetime.fromtimestamp(NOVEMBER // 10**9, UTC)
    compared = 0
    for provider in table.providers:
        for model in provider.models:
            if extra_for(provider.id, model.id) is not None:
                continue  # the library does not know the whole price
            for total in (1_001, 300_001):
                found = rate(
                    record(
                        model.id,
                        {"input_tokens": total, "output_tokens": 77, "cache_read.input_tokens": 333},
                        provider=provider.id,
                        usage_format=UsageFormat.SEMCONV,
                    )
                )
                if found.status != CostStatus.PRICED:
                    continue
                usage = Usage(input_tokens=total, output_tokens=77, cache_read_tokens=333)
                theirs = snapshot.calc(usage, model.id, provider.id, None, when).total_price
                expected = int((theirs * 10**9).to_integral_value(ROUND_HALF_EVEN))
                assert found.nano_usd == expected, (provider.id, model.id)
                compared += 1
    assert compared > 1_500


def test_a_fraction_of_a_nano_dollar_a_million_is_exact() -> None:
    """A rate with more than nine places is kept as a fraction: 0.18000000000000002 * 10^6 tokens."""
    usage = {"input_tokens": 1_000_000, "output_tokens": 0}
    found = rate(
        record("Qwen/Qwen3-VL-8B-Instruct", usage, provider="huggingface_together", usage_format="semconv")
    )
    assert found.nano_usd == int(Decimal("0.18000000000000002") * 10**9)


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("gpt-4o", {**chat(10, 1), "cost": 9_000_001}),
        ("gpt-4o", {**chat(10, 1), "cost_in_usd_ticks": 9 * 10**16 + 1}),
        ("o1-pro", chat(1, 100_000_000_000)),
    ],
)
def test_a_cost_that_no_call_has_is_bad_usage(model: str, usage: Any) -> None:
    """The ledger takes none beyond 2^53 nano-dollars: spans and live totals must not either."""
    found = rate(record(model, usage))
    assert (found.nano_usd, found.status) == (None, "bad_usage")
    assert rate(record("gpt-4o", {**chat(10, 1), "cost": 9_000_000})).nano_usd == 9_000_000 * 10**9
