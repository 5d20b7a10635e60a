"""What pydantic-ai says of a model call. Pure: it reads fields and imports nothing of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.told import Told
from spantally.ground.records import UsageFormat
from spantally.instrumentors.providers import provider_of

_PROVIDERS: Final[Mapping[str, str]] = {
    "google": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "google-cloud": "gcp.vertex_ai",
    "x-ai": "x_ai",
}

_COUNTS: Final[Mapping[str, str]] = {
    "cache_read_tokens": "cache_read.input_tokens",
    "cache_write_tokens": "cache_write.input_tokens",
    "input_audio_tokens": "audio.input_tokens",
    "cache_audio_read_tokens": "audio.cache_read.input_tokens",
    "output_audio_tokens": "audio.output_tokens",
}


def told_of(model: Any, response: Any) -> Told:
    """What is known of a request.

    Args:
        model: pydantic-ai's model.
        response: its ``ModelResponse``, or None where none came.
    """
    provider = _text(response, "provider_name") or _text(model, "system")
    read = getattr(response, "usage", None)
    counts = _counts(read)
    parts = _by_duration(counts, _count(getattr(read, "cache_write_1h_tokens", None)) or 0)
    return Told(
        operation="chat",
        provider=_PROVIDERS.get(provider) or provider_of(provider) if provider else None,
        request_model=_text(model, "model_name"),
        response_model=_text(response, "model_name"),
        response_id=_text(response, "provider_response_id"),
        usage=parts or counts or None,
        usage_format=UsageFormat.PARTS if parts else UsageFormat.SEMCONV if counts else None,
        counts=counts or None,
        finish_reason=_text(response, "finish_reason"),
    )


def _counts(usage: Any) -> dict[str, int]:
    """Its usage by the conventions' names; cached tokens are in the input."""
    if usage is None:
        return {}
    sums = {name: _count(getattr(usage, name, None)) for name in ("input_tokens", "output_tokens")}
    if not any(sums.values()):
        return {}  # it fills in zeros where nothing was told
    found = {name: count or 0 for name, count in sums.items()}
    for name, target in _COUNTS.items():
        count = _count(getattr(usage, name, None))
        if count:
            found[target] = count
    details = getattr(usage, "details", None)
    if isinstance(details, Mapping):
        reasoning = _count(details.get("reasoning_tokens")) or _count(details.get("thoughts_tokens"))
        if reasoning and reasoning <= found["output_tokens"]:
            found["reasoning.output_tokens"] = reasoning
    return found


def _by_duration(counts: Mapping[str, int], long: int) -> dict[str, int]:
    """The same as disjoint parts, where cache writes are told that stay for an hour; else empty."""
    if not long or not counts:
        return {}
    audio_read = counts.get("audio.cache_read.input_tokens", 0)
    parts = {
        "cache_read": counts.get("cache_read.input_tokens", 0) - audio_read,
        "cache_write_5m": counts.get("cache_write.input_tokens", 0) - long,
        "cache_write_1h": long,
        "audio_input": counts.get("audio.input_tokens", 0) - audio_read,
        "cache_audio_read": audio_read,
    }
    parts["uncached_input"] = counts["input_tokens"] - sum(parts.values())
    parts["audio_output"] = counts.get("audio.output_tokens", 0)
    parts["output"] = counts["output_tokens"] - parts["audio_output"]
    parts["reasoning"] = counts.get("reasoning.output_tokens", 0)
    return parts  # a negative one is bad usage, and told as that


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(source: Any, name: str) -> str | None:
    value = getattr(source, name, None)
    return value if isinstance(value, str) and value else None
