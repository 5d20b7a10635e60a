"""Counts of ordinary usage objects are read by a short way: it says what the long one says, in its order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spantally.ground import semconv
from spantally.ground.records import UsageFormat
from spantally.instrumentors.openai.wire import usage as reading
from spantally.instrumentors.openai.wire.operation import CHAT, EMBEDDINGS, IMAGES, RESPONSES, RUN
from spantally.instrumentors.openai.wire.usage import quick_counts, usage_attributes

_NAMES = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "prompt_cache_hit_tokens",
    "reasoning_tokens",
    "characters",
    "images",
    "cost",
)
_INNER = ("cached_tokens", "audio_tokens", "reasoning_tokens", "text_tokens", "unknown_tokens")
_HELD = (
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "prompt_token_details",
)
_COUNTS: Any = st.one_of(
    st.integers(0, 1 << 40), st.sampled_from([None, True, -1, 1 << 70, 1.0, 2.5, "7", [], {}, float("nan")])
)
_CACHED = st.fixed_dictionaries(
    {}, optional={"cached_tokens_details": st.dictionaries(st.just("text_tokens"), _COUNTS)}
)
_DETAILS = st.one_of(
    st.none(),
    st.builds(
        lambda counts, cached: {**counts, **cached},
        st.dictionaries(st.sampled_from(_INNER), _COUNTS),
        _CACHED,
    ),
    st.just([]),
    st.just("?"),
)
_USAGES = st.builds(
    lambda counts, details: {**counts, **details},
    st.dictionaries(st.sampled_from(_NAMES), _COUNTS, max_size=6),
    st.dictionaries(st.sampled_from(_HELD), _DETAILS, max_size=3),
)


@given(
    st.sampled_from([CHAT, RESPONSES, EMBEDDINGS, IMAGES, RUN]),
    _USAGES,
    st.sampled_from([None, "openai", "azure.ai.openai", "x_ai", "perplexity", "gcp.gemini"]),
)
def test_both_ways_read_the_same(op: Any, usage: dict[str, Any], provider: str | None) -> None:
    """Whatever the short way reads, it reads as the long one; in both directions, and in the same order."""
    for _ in range(2):  # when its keys are met for the first time, and when they are known
        quick = quick_counts(op, usage, provider)
        if quick is not None:
            assert list(usage_attributes(op, usage, provider).items()) == list(dict(quick).items())


def test_ordinary_usage_goes_the_short_way() -> None:
    """The usage of most answers: read without the long way, and its keys are remembered."""
    usage = {
        "prompt_tokens": 19,
        "completion_tokens": 10,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": None,
    }
    quick = quick_counts(CHAT, usage, "openai")
    assert quick is not None
    expected = {
        semconv.USAGE_INPUT_TOKENS: 19,
        semconv.USAGE_OUTPUT_TOKENS: 10,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: 3,
    }
    assert expected == dict(quick)
    assert quick_counts(CHAT, {**usage, "total_tokens": 30}, "openai") is not None


def test_usage_objects_of_ever_other_keys_are_not_kept() -> None:
    """A provider that sends other keys each time fills no memory."""
    for number in range(1000):
        assert quick_counts(CHAT, {"prompt_tokens": 1, f"key-{number}": 1}, "openai") is not None
    assert quick_counts(CHAT, {"prompt_tokens": 1, "k" * 5000: 1}, "openai") is not None
    assert len(reading._ways) <= reading._MOST_WAYS
    assert all(len("".join(map(str, keys))) < 2000 for keys in reading._ways)


def test_what_is_no_usage_of_tokens_goes_the_long_way() -> None:
    """Other formats, other objects, and details that are none."""
    usage = {"prompt_tokens": 1}
    assert quick_counts(CHAT._replace(usage_format=UsageFormat.PARTS), usage, None) is None
    assert quick_counts(CHAT, [usage], None) is None
    assert quick_counts(CHAT, {**usage, "prompt_tokens_details": "?"}, None) is None
    for _ in range(2):
        assert quick_counts(CHAT, {"characters": 1}, None) is None
