"""Whose rates apply: a model's name alone never decides."""

from __future__ import annotations

from typing import Any

import pytest

from pricing_records import chat, record
from spantally.ground import guard
from spantally.ground.money import CostStatus
from spantally.ground.records import Precedence
from spantally.instrumentors.providers import provider_of as of_frameworks
from spantally.instrumentors.stainless.wire.hosts import HOSTS
from spantally.otel.dialects_providers import provider_of as of_dialects
from spantally.pricing import rate as rating
from spantally.pricing.rate import rate
from spantally.pricing.rates import load
from spantally.pricing.vendors import canonical, vendor_of

READERS = (of_frameworks, of_dialects, canonical)
PAID = 10 * 2_500 + 10 * 10_000
"""gpt-4o, 10 and 10 tokens."""


def _cost(model: str | None, provider: str | None, **more: Any) -> tuple[int | None, str]:
    found = rate(record(model, chat(10, 10), provider=provider, **more))
    return found.nano_usd, found.status


@pytest.mark.parametrize(
    ("model", "provider", "more"),
    [
        ("no-such-model", "openai", {}),
        (None, "openai", {}),
        ("gpt-4o", None, {}),
        ("gpt-4o", "", {}),
        ("gpt-4o", "vllm", {}),
        ("gpt-4o", "ollama", {}),
        ("gpt-4o", "my-openai-proxy", {}),
        ("gpt-4o", "ibm.watsonx.ai", {}),
        ("gpt-4o", "anthropic", {}),
        ("gpt-4o", None, {"server_address": "127.0.0.1"}),
        ("gpt-4o", None, {"server_address": "gateway.example.org"}),
        ("gpt-4o", None, {"server_address": "api.openai.com.example.org"}),
        ("gpt-oss-20b", "openai", {"server_address": "127.0.0.1"}),
        ("gpt-oss-120b", "openai", {}),
        ("gpt-4o", "openai", {"server_address": "gateway.example.org", "precedence": Precedence.FOREIGN}),
        ("gpt-4o", "openai", {"server_address": "api.groq.com"}),
        ("ft:gpt-9-2030-01-01:acme::x", "openai", {}),
        ("ft:gpt-9-2030-01-01:acme::x", "openai", {"request_model": "gpt-4.1-mini"}),
    ],
)
def test_no_known_rate_is_unknown_model(
    model: str | None, provider: str | None, more: dict[str, Any]
) -> None:
    """No vendor, no such model, a foreign host, or a fine-tune without a listed rate: no cost, and why."""
    assert _cost(model, provider, **more) == (None, CostStatus.UNKNOWN_MODEL)


@pytest.mark.parametrize(
    ("provider", "more"),
    [
        ("openai", {}),
        ("OpenAI", {}),
        ("openai", {"server_address": "127.0.0.1"}),
        ("openai", {"server_address": "localhost", "precedence": Precedence.FOREIGN}),
        ("openai", {"server_address": "gateway.example.org"}),
        ("openai", {"server_address": "api.openai.com", "precedence": Precedence.FOREIGN}),
        ("azure.ai.openai", {}),
        ("az.ai.openai", {}),
        (None, {"server_address": "api.openai.com"}),
        ("custom", {"price_context": {"server_address": "api.openai.com"}}),
        ("openai", {"server_address": "acme.openai.azure.com", "precedence": Precedence.FOREIGN}),
    ],
)
def test_a_known_vendor_is_priced(provider: str | None, more: dict[str, Any]) -> None:
    """By the provider's name as our instrumentor gives it, or by the vendor's own address."""
    assert _cost("gpt-4o", provider, **more) == (PAID, CostStatus.PRICED)


def test_the_host_corrects_a_provider_that_says_openai() -> None:
    """The openai SDK against Groq's address: Groq's rate, 10 * 590 + 10 * 790."""
    found = rate(record("llama-3.3-70b-versatile", chat(10, 10), server_address="api.groq.com"))
    assert found.nano_usd == 10 * 590 + 10 * 790
    assert found.price_id == "groq/llama-3.3-70b-versatile"


def test_the_response_model_goes_before_the_request_model() -> None:
    """An alias or deployment answers with its model's name; the request's name is the second choice."""
    first = rate(record("gpt-4o-mini", chat(10, 10), request_model="gpt-4o"))
    second = rate(record("internal-build-7", chat(10, 10), request_model="gpt-4o"))
    third = rate(record(None, chat(10, 10), request_model="gpt-4o"))
    assert first.nano_usd == 10 * 150 + 10 * 600
    assert second.nano_usd == third.nano_usd == PAID


def test_one_lookup_does_not_answer_for_another() -> None:
    """The cache tells apart provider, models, host, tier and whether the span is foreign."""
    rating.forget()
    assert _cost("gpt-4o", "openai")[0] == PAID
    assert _cost("gpt-4o", "vllm")[0] is None
    assert _cost("gpt-4o", "openai", server_address="gateway.example.org")[0] == PAID
    foreign = {"server_address": "gateway.example.org", "precedence": Precedence.FOREIGN}
    assert _cost("gpt-4o", "openai", **foreign)[0] is None
    assert _cost("gpt-4o", "openai", price_context={"service_tier": "scale"})[0] is None
    assert _cost("gpt-4o", "openai")[0] == PAID


def test_the_cache_is_bounded() -> None:
    """Names made up by a caller do not fill the memory."""
    rating.forget()
    for number in range(rating.CACHE_SIZE + 10):
        rate(record(f"model-{number}", chat(1, 1), provider="nobody"))
    assert 0 < len(rating._cards) <= rating.CACHE_SIZE


@pytest.mark.parametrize(
    "broken",
    [
        {"price_context": {"service_tier": ["flex"]}},
        {"usage": [1, 2]},
        {"usage": "text"},
        {"start_ns": 10**30},
        {"provider": 7},
        {"response_model": b"gpt-4o"},
        {"usage_format": None},
    ],
)
def test_rating_never_raises(broken: dict[str, Any]) -> None:
    """Whatever a record holds, the answer is a rating without a cost."""
    guard.reset()
    found = rate(record("gpt-4o", chat(10, 10))._replace(**broken))
    assert found.nano_usd is None
    assert found.status in {CostStatus.BAD_USAGE, CostStatus.UNKNOWN_MODEL}
    guard.reset()


@pytest.mark.parametrize(
    ("host", "vendor"),
    [
        (None, "anthropic"),
        ("api.anthropic.com", "anthropic"),
        ("localhost", "anthropic"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "aws"),
        ("gateway.example.org", None),
        ("api.anthropic.com.example.org", None),
    ],
)
def test_others_spans_of_anthropics_sdk_need_a_host_of_its_own(host: str | None, vendor: str | None) -> None:
    """They write ``anthropic`` for gateways and clouds too, which ask prices of their own."""
    table = load()
    assert table is not None
    found = vendor_of("anthropic", host, True, table.providers)
    assert (None if found is None else found.id) == vendor


@pytest.mark.parametrize("name", ["together", "fireworks"])
def test_a_provider_has_one_name_whoever_saw_the_call(name: str) -> None:
    """By its host, by a framework's word and by a span's: else one provider has two groups of costs."""
    assert {read(f"{name}{end}") for read in READERS for end in ("", "_ai")} == {name}
    assert name in {provider for _, provider in HOSTS}
