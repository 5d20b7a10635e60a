"""Why a model stopped, in the conventions' words, whoever says it.

Sources: ``finish_reason`` of output messages in the conventions (stop, length, content_filter, tool_call,
error); the reasons of OpenAI, Anthropic, Gemini (ai.google.dev/api/generate-content), Bedrock
Converse, Cohere, Ollama and the Vercel AI SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_WORDS: Final[Mapping[str, str]] = {
    "stop": "stop",
    "completed": "stop",
    "complete": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "model_length": "length",
    "tool_call": "tool_call",
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
    "error": "error",
}


def respelled(reason: str) -> str:
    """The conventions' word for a reason; one that they have no word for stays as it is."""
    return _WORDS.get(reason.lower().replace("-", "_"), reason)
