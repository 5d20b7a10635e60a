"""Counting rules: what lies inside what, and which usage cannot be true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pricing_records import chat
from spantally.ground.money import UsageParts
from spantally.ground.records import UsageFormat
from spantally.pricing.usage import MAX_COUNT, BadUsage, NoUsage, normalise, read

CHAT, RESPONSES = UsageFormat.OPENAI_CHAT, UsageFormat.OPENAI_RESPONSES
SEMCONV, PARTS = UsageFormat.SEMCONV, UsageFormat.PARTS

PARTS_GIVEN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]

GOOD: list[tuple[str, str, str | None, Mapping[str, Any], UsageParts]] = [
    ("plain", CHAT, "openai", chat(10, 5), UsageParts(uncached_input=10, output=5)),
    (
        "cached is inside the prompt",
        CHAT,
        "openai",
        chat(10, 5, cached=4),
        UsageParts(uncached_input=6, cache_read=4, output=5),
    ),
    (
        "reasoning is inside the completion",
        CHAT,
        "openai",
        chat(10, 5, reasoning=5),
        UsageParts(uncached_input=10, output=5, reasoning=5),
    ),
    (
        "audio is inside both",
        CHAT,
        "openai",
        chat(10, 5, audio_in=7, audio_out=2),
        UsageParts(uncached_input=3, audio_input=7, output=3, audio_output=2),
    ),
    (
        "predictions, accepted or rejected, are output",
        CHAT,
        "openai",
        {
            "prompt_tokens": 1,
            "completion_tokens": 90,
            "completion_tokens_details": {"accepted_prediction_tokens": 40, "rejected_prediction_tokens": 32},
        },
        UsageParts(uncached_input=1, output=90),
    ),
    (
        "cached audio: what cannot be either must be both",
        CHAT,
        "openai",
        chat(10, 1, cached=6, audio_in=7),
        UsageParts(cache_read=3, audio_input=4, cache_audio_read=3, output=1),
    ),
    (
        "realtime says which cached tokens were audio",
        RESPONSES,
        "openai",
        {
            "input_tokens": 132,
            "output_tokens": 121,
            "input_token_details": {
                "text_tokens": 119,
                "audio_tokens": 13,
                "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4},
            },
            "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
        },
        UsageParts(
            uncached_input=59,
            cache_read=60,
            audio_input=9,
            cache_audio_read=4,
            output=30,
            audio_output=91,
        ),
    ),
    (
        "realtime: nothing was cached",
        RESPONSES,
        "openai",
        {
            "input_tokens": 20,
            "output_tokens": 1,
            "input_token_details": {
                "text_tokens": 5,
                "audio_tokens": 15,
                "cached_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
        },
        UsageParts(uncached_input=5, audio_input=15, output=1),
    ),
    (
        "null details",
        CHAT,
        "openai",
        {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": None},
        UsageParts(uncached_input=3, output=1),
    ),
    (
        "null counts in details",
        CHAT,
        "openai",
        {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": None}},
        UsageParts(uncached_input=3, output=1),
    ),
    (
        "unknown fields are ignored",
        CHAT,
        "openai",
        {**chat(3, 1), "queue_time": 0.2, "x": {"y": -1}},
        UsageParts(uncached_input=3, output=1),
    ),
    (
        "embeddings",
        CHAT,
        "openai",
        {"prompt_tokens": 4, "total_tokens": 4},
        UsageParts(uncached_input=4),
    ),
    (
        "DeepSeek's cache hits",
        CHAT,
        "deepseek",
        {
            "prompt_tokens": 10,
            "completion_tokens": 1,
            "prompt_cache_hit_tokens": 8,
            "prompt_cache_miss_tokens": 2,
        },
        UsageParts(uncached_input=2, cache_read=8, output=1),
    ),
    (
        "Moonshot's cached tokens",
        CHAT,
        "moonshot_ai",
        {"prompt_tokens": 10, "completion_tokens": 1, "cached_tokens": 7},
        UsageParts(uncached_input=3, cache_read=7, output=1),
    ),
    (
        "cache writes are inside the input",
        RESPONSES,
        "openai",
        {
            "input_tokens": 100,
            "output_tokens": 1,
            "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 30},
        },
        UsageParts(uncached_input=50, cache_read=20, cache_write_5m=30, output=1),
    ),
    (
        "the long retention is told apart",
        RESPONSES,
        "openai",
        {
            "input_tokens": 100,
            "output_tokens": 1,
            "input_tokens_details": {
                "cached_tokens": 0,
                "cache_write_tokens": 30,
                "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 20},
            },
        },
        UsageParts(uncached_input=70, cache_write_5m=10, cache_write_1h=20, output=1),
    ),
    (
        "xAI counts reasoning beside the completion",
        CHAT,
        "x_ai",
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 315,
            "completion_tokens_details": {"reasoning_tokens": 300},
        },
        UsageParts(uncached_input=10, output=305, reasoning=300),
    ),
    (
        "xAI where the total says inside",
        CHAT,
        "x_ai",
        {
            "prompt_tokens": 10,
            "completion_tokens": 50,
            "total_tokens": 60,
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        UsageParts(uncached_input=10, output=50, reasoning=30),
    ),
    (
        "Gemini's thoughts are in the total only",
        CHAT,
        "gcp.gemini",
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 95},
        UsageParts(uncached_input=10, output=85),
    ),
    (
        "OpenAI's total says nothing",
        CHAT,
        "openai",
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 95},
        UsageParts(uncached_input=10, output=5),
    ),
    (
        "conventions: input is inclusive",
        SEMCONV,
        "anthropic",
        {
            "input_tokens": 100,
            "output_tokens": 9,
            "cache_read.input_tokens": 50,
            "cache_write.input_tokens": 20,
            "reasoning.output_tokens": 4,
        },
        UsageParts(uncached_input=30, cache_read=50, cache_write_5m=20, output=9, reasoning=4),
    ),
    (
        "conventions: older spellings",
        SEMCONV,
        None,
        {
            "prompt_tokens": 100,
            "completion_tokens": 9,
            "cache_read_input_tokens": 50,
            "cache_creation.input_tokens": 20,
        },
        UsageParts(uncached_input=30, cache_read=50, cache_write_5m=20, output=9),
    ),
    (
        "conventions: audio and its cached part",
        SEMCONV,
        "gcp.gemini",
        {
            "input_tokens": 100,
            "output_tokens": 9,
            "audio.input_tokens": 60,
            "cache_read.input_tokens": 30,
            "audio.cache_read.input_tokens": 20,
            "audio.output_tokens": 3,
            "image.input_tokens": 5,
            "image.output_tokens": 1,
        },
        UsageParts(
            uncached_input=25,
            cache_read=10,
            audio_input=40,
            image_input=5,
            cache_audio_read=20,
            output=5,
            audio_output=3,
            image_output=1,
        ),
    ),
    (
        "parts come back as they went",
        PARTS,
        None,
        UsageParts._make(PARTS_GIVEN)._asdict(),
        UsageParts._make(PARTS_GIVEN),
    ),
]


@pytest.mark.parametrize(
    ("usage_format", "provider", "raw", "parts"), [one[1:] for one in GOOD], ids=[one[0] for one in GOOD]
)
def test_parts_are_disjoint(
    usage_format: str, provider: str | None, raw: Mapping[str, Any], parts: UsageParts
) -> None:
    """Every token stands in one part."""
    assert normalise(raw, usage_format, provider=provider) == parts


@pytest.mark.parametrize("case", [one for one in GOOD if one[1] != PARTS], ids=lambda case: str(case[0]))
def test_the_totals_are_kept(case: tuple[str, str, str | None, Mapping[str, Any], UsageParts]) -> None:
    """Splitting loses and invents no input token."""
    _, usage_format, provider, raw, _ = case
    name = "input_tokens" if "input_tokens" in raw else "prompt_tokens"
    assert normalise(raw, usage_format, provider=provider).input_total == raw[name]


BAD: list[tuple[str, str, Mapping[str, Any]]] = [
    ("cached more than input", CHAT, chat(10, 5, cached=11)),
    ("cached and written more than input", CHAT, chat(10, 5, cached=6, written=5)),
    ("reasoning more than output", CHAT, chat(10, 5, reasoning=6)),
    ("reasoning more than text output", CHAT, chat(10, 5, reasoning=4, audio_out=2)),
    ("audio more than output", CHAT, chat(10, 5, audio_out=6)),
    ("audio more than input", CHAT, chat(10, 5, audio_in=11)),
    ("negative", CHAT, chat(-1, 5)),
    ("negative detail", CHAT, chat(10, 5, cached=-1)),
    ("a float", CHAT, {"prompt_tokens": 10.5, "completion_tokens": 5}),
    ("a whole float", CHAT, {"prompt_tokens": 10.0, "completion_tokens": 5}),
    ("not a number", CHAT, {"prompt_tokens": float("nan"), "completion_tokens": 5}),
    ("text", CHAT, {"prompt_tokens": "10", "completion_tokens": 5}),
    ("a bool", CHAT, {"prompt_tokens": True, "completion_tokens": 5}),
    ("too large for any call", CHAT, chat(MAX_COUNT + 1, 5)),
    ("details that are no object", CHAT, {**chat(10, 5), "prompt_tokens_details": [1]}),
    ("cached more than input", RESPONSES, {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 2}}),
    (
        "long writes more than writes",
        RESPONSES,
        {
            "input_tokens": 9,
            "input_tokens_details": {
                "cache_write_tokens": 1,
                "cache_write_tokens_details": {"ttl_12h_tokens": 2},
            },
        },
    ),
    (
        "cached audio more than audio",
        RESPONSES,
        {
            "input_tokens": 9,
            "output_tokens": 1,
            "input_token_details": {
                "audio_tokens": 3,
                "cached_tokens": 5,
                "cached_tokens_details": {"audio_tokens": 4},
            },
        },
    ),
    (
        "cached images more than cached",
        RESPONSES,
        {
            "input_tokens": 9,
            "output_tokens": 1,
            "input_token_details": {
                "image_tokens": 9,
                "cached_tokens": 5,
                "cached_tokens_details": {"image_tokens": 6},
            },
        },
    ),
    ("cached more than input", SEMCONV, {"input_tokens": 1, "cache_read.input_tokens": 2}),
    (
        "cached audio more than cached",
        SEMCONV,
        {"input_tokens": 9, "audio.input_tokens": 5, "audio.cache_read.input_tokens": 2},
    ),
    ("reasoning more than output", SEMCONV, {"output_tokens": 1, "reasoning.output_tokens": 2}),
    ("reasoning more than output", PARTS, {"output": 1, "reasoning": 2}),
    ("negative", PARTS, {"output": -1}),
    ("no such format", "nobody", {"promptTokenCount": 1}),
]


@pytest.mark.parametrize(
    ("usage_format", "raw"), [one[1:] for one in BAD], ids=[f"{one[1]}: {one[0]}" for one in BAD]
)
def test_impossible_usage_is_refused(usage_format: str, raw: Mapping[str, Any]) -> None:
    """It is never repaired into a number."""
    with pytest.raises(BadUsage) as caught:
        normalise(raw, usage_format)
    assert not isinstance(caught.value, NoUsage)


@pytest.mark.parametrize("usage_format", [CHAT, RESPONSES, SEMCONV, PARTS])
def test_nothing_reported_is_told_apart(usage_format: str) -> None:
    """An object without a count is no usage rather than bad usage, and never zeros."""
    with pytest.raises(NoUsage):
        normalise({"something": "else"}, usage_format)


def test_a_missing_total_is_told() -> None:
    """The part is 0 and the reading says that it is not known to be."""
    assert read({"input_tokens": 3}, SEMCONV).missing == "output"
    assert read({"output_tokens": 3}, SEMCONV).missing == "input"
    assert read(chat(1, 1), CHAT).missing is None


def test_an_error_quotes_no_text() -> None:
    """A usage object may hold anything: the message names field and type only."""
    with pytest.raises(BadUsage) as caught:
        normalise({"prompt_tokens": "sk-secret", "completion_tokens": 1}, CHAT)
    assert "sk-secret" not in str(caught.value)
    assert "prompt_tokens" in str(caught.value)
