"""Why the model stopped, from the attributes of anybody's span."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.finish_reasons import respelled
from spantally.otel.dialects_raw import as_json

_KEYS: Final = (
    semconv.RESPONSE_FINISH_REASONS,
    "llm.finish_reason",  # OpenInference
    "ai.response.finishReason",  # Vercel AI SDK
    "langfuse.observation.metadata.finish_reason",
    "llm.response.finish_reason",  # older OpenLLMetry
    "gen_ai.completion.0.finish_reason",
    "anthropic.message.stop_reason",  # Anthropic's SDK
)
"""By whose word counts where several are there: the conventions' own first."""

_MOST: Final = 128
"""Choices of one request at most (OpenAI, ``n``)."""


def finish_reasons_of(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """The reasons by choice, in the conventions' words; empty where nobody says any."""
    for key in _KEYS:
        found = _texts(attributes.get(key))
        if found:
            return tuple(map(respelled, found[:_MOST]))
    return ()


def _texts(value: Any) -> tuple[str, ...]:
    """A list of texts, one text, or either as JSON."""
    if isinstance(value, str):
        parsed = as_json(value) if value[:1] in ('"', "[") else value
        value = (parsed,) if isinstance(parsed, str) else parsed
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) and one for one in value):
        return ()
    return tuple(value)
