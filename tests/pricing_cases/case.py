"""One case: the bodies that went over the wire, and the arithmetic of what they cost.

Expected costs are written out as counts times rates. Rates stand in the cases as nano-USD for one token,
which is a thousand times the dollars for a million that price lists name (2.5 dollars a million are 2_500),
and as nano-USD for one use, a million times the dollars for a thousand. They are those of the providers'
price lists at the date of the case, as genai-prices 0.2.3 holds them, so that a wrong look-up in the table is
noticed too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

NOVEMBER = "2026-11-18T12:00:00+00:00"


class Case(NamedTuple):
    """A call and what it costs."""

    name: str
    provider: str
    response: Mapping[str, Any]
    nano: int | None
    """Nano-USD; None where the cost is not known."""
    document: str
    """Of the provider, behind the arithmetic."""
    request: Mapping[str, Any] | None = None
    at: str = NOVEMBER
    batch: bool = False
    status: str = "priced"


def chat(model: str, prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    """A chat completion; ``cached``, ``audio_in``, ... are details, what else is given stands in the body."""
    into = {"cached": "cached_tokens", "written": "cache_write_tokens", "audio_in": "audio_tokens"}
    out = {
        "reasoning": "reasoning_tokens",
        "audio_out": "audio_tokens",
        "accepted": "accepted_prediction_tokens",
        "rejected": "rejected_prediction_tokens",
    }
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {into[key]: more[key] for key in into if key in more},
        "completion_tokens_details": {out[key]: more[key] for key in out if key in more},
        **more.get("usage", {}),
    }
    rest = {key: value for key, value in more.items() if key not in {*into, *out, "usage"}}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "."}}],
        "usage": usage,
        **rest,
    }


def response(model: str, tokens_in: int, tokens_out: int, **more: Any) -> dict[str, Any]:
    """A response of the Responses API."""
    usage: dict[str, Any] = {
        "input_tokens": tokens_in,
        "input_tokens_details": {
            "cached_tokens": more.pop("cached", 0),
            "cache_write_tokens": more.pop("written", 0),
        },
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": more.pop("reasoning", 0)},
        "total_tokens": tokens_in + tokens_out,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": model,
        "output": [],
        "usage": usage,
        **more,
    }


def message(model: str, tokens_in: int, tokens_out: int, **usage: Any) -> dict[str, Any]:
    """A message of Anthropic's; what else is given stands in its usage."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": tokens_in, "output_tokens": tokens_out, **usage},
    }


def gemini(model: str, prompt: int, candidates: int | None, **more: Any) -> dict[str, Any]:
    """An answer of Gemini; what else is given stands in its usage, ``body`` beside it."""
    body = more.pop("body", {})
    usage: dict[str, Any] = {"promptTokenCount": prompt, **more}
    if candidates is not None:
        usage["candidatesTokenCount"] = candidates
    usage.setdefault(
        "totalTokenCount",
        prompt
        + (candidates or 0)
        + more.get("thoughtsTokenCount", 0)
        + more.get("toolUsePromptTokenCount", 0),
    )
    return {
        "candidates": [{"content": {"parts": [{"text": "."}], "role": "model"}, "finishReason": "STOP"}],
        "modelVersion": model,
        "usageMetadata": usage,
        **body,
    }


def kinds(**tokens: int) -> list[dict[str, Any]]:
    """Details of Gemini by modality."""
    return [{"modality": name.upper(), "tokenCount": number} for name, number in tokens.items()]


def converse(tokens_in: int, tokens_out: int, **usage: Any) -> dict[str, Any]:
    """An answer of Bedrock Converse; what else is given stands in its usage."""
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": "."}]}},
        "stopReason": "end_turn",
        "metrics": {"latencyMs": 321},
        "usage": {
            "inputTokens": tokens_in,
            "outputTokens": tokens_out,
            "totalTokens": tokens_in + tokens_out,
            **usage,
        },
    }
