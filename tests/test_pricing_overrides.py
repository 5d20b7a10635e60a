"""Rates of the user's own: they win over the table, exactly, and say so on each row."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

import spantally
from own_rates_kit import UseOwn, own
from pricing_records import NOVEMBER, at, chat, record
from spantally.ground import guard
from spantally.ground.money import CostStatus, Rating, UsageParts
from spantally.ground.records import Status, UsageFormat
from spantally.pricing.rate import rate

__all__ = ["own"]

LIST = 10 * 2_500 + 10 * 10_000
"""gpt-4o, 10 and 10 tokens, by the table."""


def call(model: str | None = "gpt-4o", **more: Any) -> Rating:
    """The rating of ten tokens in and ten out."""
    return rate(record(model, chat(10, 10), **more))


def test_own_rates_win_over_the_table(own: UseOwn) -> None:
    """In dollars for a million tokens; the row names the entry and the file."""
    own('[[rate]]\nname = "contract"\nprovider = "openai"\nmodel = "gpt-4o"\ninput = 2\noutput = 8.50\n')
    assert call()[:5] == (
        10 * 2_000 + 10 * 8_500,
        CostStatus.OVERRIDE,
        UsageParts(uncached_input=10, output=10),
        "override spantally.toml@0",
        "contract",
    )
    assert call("gpt-4o-mini").status == CostStatus.PRICED


PARTS = """
[[rate]]
model = "m"
input = 1
cache_read = 2
cache_write = 3
cache_write_1h = 4
output = 5
reasoning = 6
audio_input = 7
cache_audio_read = 8
audio_output = 9
image_input = 10
image_output = 11
web_searches = 12
file_searches = 13
per_request = 0.000014
"""


@pytest.mark.parametrize(
    ("part", "nano"),
    [
        ("uncached_input", 1_000),
        ("cache_read", 2_000),
        ("cache_write_5m", 3_000),
        ("cache_write_1h", 4_000),
        ("output", 5_000),
        ("audio_input", 7_000),
        ("cache_audio_read", 8_000),
        ("audio_output", 9_000),
        ("image_input", 10_000),
        ("image_output", 11_000),
        ("web_searches", 12_000_000),
        ("file_searches", 13_000_000),
    ],
)
def test_every_part_has_a_rate_of_its_own(own: UseOwn, part: str, nano: int) -> None:
    """Tokens by the million, searches by the thousand, and the request by itself."""
    own(PARTS)
    found = rate(record("m", {part: 1}, provider="mine", usage_format=UsageFormat.PARTS))
    assert (found.nano_usd, found.status) == (nano + 14_000, CostStatus.OVERRIDE)


def test_reasoning_lies_within_output(own: UseOwn) -> None:
    """Three of ten tokens are reasoning: seven cost 5, three cost 6."""
    own(PARTS)
    found = rate(record("m", {"output": 10, "reasoning": 3}, usage_format=UsageFormat.PARTS))
    assert found.nano_usd == 7 * 5_000 + 3 * 6_000 + 14_000


def test_a_part_without_a_rate_is_partial(own: UseOwn) -> None:
    """Nothing falls back to another part's rate, nor to the table's; images in a prompt are tokens of it."""
    own('[[rate]]\nmodel = "gpt-4o"\ninput = 1\noutput = 2\n')
    found = rate(record("gpt-4o", chat(10, 10, cached=4)))
    assert (found.nano_usd, found.status) == (6 * 1_000 + 10 * 2_000, "partial:cache_read")
    image = rate(record("gpt-4o", {"image_input": 5}, usage_format=UsageFormat.PARTS))
    assert (image.nano_usd, image.status) == (5_000, CostStatus.OVERRIDE)


def test_long_context_is_a_cliff(own: UseOwn) -> None:
    """Above a threshold all tokens have its rates; what it does not name keeps the base's."""
    own(
        '[[rate]]\nname = "l"\nmodel = "m"\ninput = 1\noutput = 2\n'
        "[[rate.long_context]]\nabove = 200\ninput = 3\n"
        "[[rate.long_context]]\nabove = 100\ninput = 2\n"
    )
    for tokens, nano, price_id in (
        (100, 1_000, "l"),
        (101, 2_000, "l;input>100"),
        (201, 3_000, "l;input>200"),
    ):
        found = rate(record("m", chat(tokens, 1)))
        assert (found.nano_usd, found.price_id) == (tokens * nano + 2_000, price_id)


def test_a_discount_is_taken_of_the_listed_rate(own: UseOwn) -> None:
    """Of the rate of the day and tier; the row names the entry and the listed rate."""
    own('[[rate]]\nname = "deal"\nprovider = "openai"\nmultiplier = 0.85\n')
    found = call()
    assert (found.nano_usd, found.status) == (LIST * 85 // 100, CostStatus.OVERRIDE)
    assert (found.price_id or "").startswith("deal;x0.85 of openai/gpt-4o")
    assert (found.source or "").startswith("override spantally.toml@0 on genai-prices ")
    assert call("no-such-model").status == CostStatus.UNKNOWN_MODEL
    flex = rate(record("gpt-5.4", chat(10, 10), price_context={"service_tier": "flex"}))
    assert "tier=flex" in (flex.price_id or "")
    assert call(price_context={"service_tier": "scale"}).status == "partial:service_tier"


def test_a_discount_is_rounded_once(own: UseOwn) -> None:
    """The factor goes into the rate as a fraction: a third of a nano-dollar a token is not lost."""
    own('[[rate]]\nprovider = "openai"\nmultiplier = 0.33333\n')
    one = rate(record("text-embedding-3-small", {"prompt_tokens": 7, "total_tokens": 7}, kind="embeddings"))
    exact = Fraction(7 * 20) * Fraction("0.33333")
    assert one.nano_usd == round(exact)


def test_free_is_said(own: UseOwn) -> None:
    """A model at home costs 0, by the user's word."""
    own('[[rate]]\nname = "home"\nhost = "localhost"\nfree = true\n')
    found = call("llama3.2", provider="ollama", server_address="localhost")
    assert (found.nano_usd, found.status, found.price_id) == (0, CostStatus.FREE, "home")
    assert call("llama3.2", provider="ollama", server_address="gpu.lan").status == CostStatus.UNKNOWN_MODEL


def test_a_flat_plan_keeps_the_list_value_apart(own: UseOwn) -> None:
    """No cost, and what the call would have cost by the list; none where the list has no rate."""
    own('[[rate]]\nname = "plan"\nprovider = "openai"\ncovered = true\n')
    found = call()
    assert (found.nano_usd, found.status, found.list_nano_usd) == (None, CostStatus.COVERED, LIST)
    assert (found.price_id or "").startswith("plan;list openai/gpt-4o")
    unknown = call("gpt-made-up")
    assert (unknown.status, unknown.list_nano_usd, unknown.source) == (
        CostStatus.COVERED,
        None,
        "override spantally.toml@0",
    )


def test_gpu_seconds(own: UseOwn) -> None:
    """A call of 2.5 s at $3.60 an hour; tokens beside it have the rates that are given, or none."""
    own('[[rate]]\nname = "gpu"\nhost = "gpu.lan"\nper_second = 0.001\n')
    ends = NOVEMBER + 2_500_000_000
    found = call("llama", server_address="gpu.lan", end_ns=ends)
    assert (found.nano_usd, found.status, found.price_id) == (2_500_000, CostStatus.OVERRIDE, "gpu")
    for unknown in ({}, {"end_ns": NOVEMBER - 1}):  # it runs, or its clock was set back
        found = call("llama", server_address="gpu.lan", **unknown)
        assert (found.nano_usd, found.status) == (None, "partial:seconds")


ANSWER = {"object": "chat.completion", "model": "m", "choices": []}


@pytest.mark.parametrize(
    ("entry", "body", "expected"),
    [
        ("free = true", ANSWER, (0, "free")),
        ("covered = true", {**ANSWER, "usage": None}, (None, "covered")),
        ("per_request = 0.01", ANSWER, (10_000_000, "override")),
        ("input = 1", ANSWER, (None, "no_usage")),
        ("free = true", {"error": {"message": "no"}}, (None, "no_usage")),
        ("free = true", {"object": "response", "status": "failed"}, (None, "no_usage")),
        ("free = true", {"custom_id": "a", "result": {"type": "expired"}}, (None, "no_usage")),
        ("free = true", {}, (None, "no_usage")),
    ],
)
def test_bodies_without_usage_are_rated_as_rows_are(
    own: UseOwn, entry: str, body: Any, expected: Any
) -> None:
    """``price()`` says of an answer without usage what the ledger says; a failure is none."""
    own(f'[[rate]]\nprovider = "acme"\n{entry}\n')
    cost = spantally.price(body, provider="acme")
    assert (cost.nano_usd, cost.status) == expected


def test_what_needs_no_usage_is_priced_without(own: UseOwn) -> None:
    """A stream that told no usage costs its seconds; one that broke off, or was refused, is not guessed."""
    own('[[rate]]\nhost = "gpu.lan"\nper_second = 0.001\n[[rate]]\nhost = "api.lan"\ninput = 1\n')
    ends = NOVEMBER + 1_000_000_000
    quiet = record("llama", None, server_address="gpu.lan", end_ns=ends)
    assert rate(quiet)[:5] == (
        1_000_000,
        CostStatus.OVERRIDE,
        None,
        "override spantally.toml@0",
        "gpu.lan/*",
    )
    zeros = rate(record("llama", chat(0, 0), server_address="gpu.lan", end_ns=ends))
    assert (zeros.nano_usd, zeros.status) == (1_000_000, CostStatus.OVERRIDE)
    for other in (
        quiet._replace(status=Status.ERROR),
        quiet._replace(possibly_billed=True),
        quiet._replace(server_address="api.lan"),
        quiet._replace(kind="agent"),
    ):
        assert rate(other) == Rating(None, CostStatus.NO_USAGE)


DATES = """
[[rate]]
name = "old"
model = "m"
to = 2026-06-30
input = 1
[[rate]]
name = "new"
model = "m"
from = 2026-07-01
to = 2026-12-31
input = 2
[[rate]]
name = "noon"
model = "m"
from = 2026-09-01T12:30:00Z
to = 2026-09-02
input = 3
"""


@pytest.mark.parametrize(
    ("when", "price_id"),
    [
        ("2026-06-30T23:59:59", "old"),
        ("2026-07-01T00:00:00", "new@2026-07-01"),
        ("2026-09-01T12:29:59", "new@2026-07-01"),
        ("2026-09-01T12:30:00", "noon@2026-09-01T12:30:00+00:00"),
        ("2026-09-02T23:59:59", "noon@2026-09-01T12:30:00+00:00"),
        ("2026-09-03T00:00:00", "new@2026-07-01"),
        ("2026-12-31T23:59:59", "new@2026-07-01"),
        ("2027-01-01T00:00:00", None),
    ],
)
def test_an_entry_holds_from_its_first_to_its_last_day(own: UseOwn, when: str, price_id: str | None) -> None:
    """By the moment the call began, in UTC; the later beginning wins where two hold, even within an hour."""
    own(DATES)
    for _ in range(2):  # the second time from what is kept
        rate(record("m", chat(1, 0), start_ns=at("2026-09-01T12:00:00")))
        assert rate(record("m", chat(1, 0), start_ns=at(when))).price_id == price_id


def test_rates_in_another_currency(own: UseOwn) -> None:
    """Turned into dollars at the rate of the day the call began; before the first rate it has no cost."""
    own(
        "[currencies.EUR]\n2026-01-01 = 1.1\n2026-11-18 = 1.07123456789\n"
        '[[rate]]\nname = "e"\nmodel = "m"\ncurrency = "EUR"\ninput = 2.5\n'
    )
    usage = chat(1_000_000, 0)
    found = rate(record("m", usage))
    assert (found.nano_usd, found.price_id) == (2_678_086_420, "e;EUR of 2026-11-18")  # 2.678086419725
    assert rate(record("m", usage, start_ns=at("2026-11-17T23:59:59"))).nano_usd == 2_750_000_000
    early = rate(record("m", usage, start_ns=at("2025-12-31T23:59:59")))
    assert (early.nano_usd, early.status) == (None, "partial:currency")


TIERS = """
[[rate]]
name = "standard"
model = "m"
input = 4
[[rate]]
name = "flex"
model = "m"
service_tier = "flex"
input = 3
[[rate]]
name = "batch"
model = "m"
batch = true
input = 2
[[rate]]
name = "fast"
model = "m"
speed = "fast"
input = 6
"""


@pytest.mark.parametrize(
    ("context", "nano", "price_id"),
    [
        ({}, 4_000, "standard"),
        ({"service_tier": "default"}, 4_000, "standard"),
        ({"service_tier": "flex"}, 3_000, "flex;tier=flex"),
        ({"batch": True}, 2_000, "batch;batch"),
        ({"service_tier": "batch"}, 2_000, "batch;batch"),
        ({"speed": "fast"}, 6_000, "fast;speed=fast"),
        ({"service_tier": "priority"}, None, None),
        ({"service_tier": "flex", "batch": True}, None, None),
    ],
)
def test_tier_and_batch_choose_the_entry(
    own: UseOwn, context: dict[str, Any], nano: int | None, price_id: str | None
) -> None:
    """Rates that name no tier are those of standard processing; they say nothing of another."""
    own(TIERS)
    found = rate(record("m", chat(1, 0), provider="mine", price_context=context))
    assert (found.nano_usd, found.price_id) == (nano, price_id)


def test_an_entry_for_every_tier(own: UseOwn) -> None:
    """``service_tier = "*"`` takes whatever comes."""
    own('[[rate]]\nmodel = "m"\nservice_tier = "*"\ninput = 1\n')
    for context in ({}, {"service_tier": "priority"}, {"batch": True}):
        assert rate(record("m", chat(1, 0), price_context=context)).nano_usd == 1_000


def test_the_tier_auto_is_an_estimate(own: UseOwn) -> None:
    """Nobody told which tier it was."""
    own('[[rate]]\nmodel = "m"\ninput = 1\n')
    found = rate(record("m", chat(1, 0), price_context={"service_tier": "auto"}))
    assert (found.nano_usd, found.status) == (1_000, CostStatus.ESTIMATED)


def test_what_the_provider_reports_stays_the_bill(own: UseOwn) -> None:
    """A figure of the provider's own is no rate to be replaced."""
    own('[[rate]]\nprovider = "openrouter"\nfree = true\n')
    found = rate(record("x/y", {**chat(1, 1), "cost": 0.5}, provider="openrouter"))
    assert (found.nano_usd, found.status) == (500_000_000, CostStatus.PROVIDER_REPORTED)


def test_a_broken_override_hurts_nobody(own: UseOwn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong while an entry is looked for, the rating is one without a cost."""
    own('[[rate]]\nhost = "gpu.lan"\nper_second = 1\n')

    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr("spantally.pricing.rate.card_for", broken)
    guard.reset()
    assert call(server_address="gpu.lan").nano_usd is None
    assert rate(record("m", None, server_address="gpu.lan")) == Rating(None, CostStatus.NO_USAGE)
    guard.reset()
