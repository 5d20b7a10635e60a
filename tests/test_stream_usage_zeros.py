"""Hosts that tell a usage and then fill in zeros: what was told stands."""

from __future__ import annotations

from typing import Any

import pytest

from spantally.instrumentors.anthropic.wire.usage import merged
from spantally.instrumentors.openai.wire.operation import classify
from spantally.instrumentors.openai.wire.stream import StreamFacts

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def usage_of(*usages: Any) -> Any:
    operation = classify("POST", "/v1/chat/completions", {})
    assert operation is not None
    facts = StreamFacts(operation)
    for usage in usages:
        facts.observe({"id": "c", "model": "gpt-4o", "choices": [], "usage": usage})
    return facts.facts().usage


@pytest.mark.parametrize(
    "later", [ZEROS, {}, None, {"prompt_tokens": None, "completion_tokens": 0}, {"total_tokens": 7}]
)
def test_zeros_in_a_later_chunk_replace_nothing(later: Any) -> None:
    """A prompt is never empty, so that a usage of zeros reports nothing."""
    assert usage_of(USAGE, later) == USAGE


def test_a_later_usage_replaces_zeros_and_smaller_ones() -> None:
    """Counts that grow with each chunk end with the whole."""
    assert usage_of(ZEROS, USAGE) == USAGE
    assert usage_of({**USAGE, "completion_tokens": 1}, USAGE) == USAGE
    assert usage_of(ZEROS) == ZEROS


def test_a_message_delta_of_zeros_takes_nothing_back() -> None:
    """Each count of a ``message_delta`` is the total so far, and totals do not fall."""
    split = {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2}
    none = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    start = {"input_tokens": 1000, "cache_creation_input_tokens": 7, "cache_creation": split}
    later = {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_creation": none, "output_tokens": 9}
    assert merged(start, later) == {**start, "output_tokens": 9}
    assert merged({"input_tokens": 0, "output_tokens": 1}, {"input_tokens": 50, "output_tokens": 0}) == {
        "input_tokens": 50,
        "output_tokens": 1,
    }
