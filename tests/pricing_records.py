"""Records for the pricing tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spantally.ground.records import CallRecord, Kind, UsageFormat


def at(text: str) -> int:
    """UNIX nanoseconds of an ISO time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


NOVEMBER = at("2026-11-18T12:00:00")


def record(
    model: str | None,
    usage: Mapping[str, Any] | None,
    *,
    provider: str | None = "openai",
    usage_format: str | None = UsageFormat.OPENAI_CHAT,
    start_ns: int = NOVEMBER,
    kind: str = Kind.INFERENCE,
    **more: Any,
) -> CallRecord:
    """One ended call."""
    return CallRecord(
        call_id="c",
        session_id="s",
        kind=kind,
        operation="chat",
        start_ns=start_ns,
        provider=provider,
        response_model=model,
        usage=usage,
        usage_format=usage_format,
        **more,
    )


def chat(prompt: int, completion: int, **details: int) -> dict[str, Any]:
    """A usage object of chat completions; details by the names ``cached``, ``written``, ``audio_in``, ..."""
    names_in = {"cached": "cached_tokens", "written": "cache_write_tokens", "audio_in": "audio_tokens"}
    names_out = {"reasoning": "reasoning_tokens", "audio_out": "audio_tokens"}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {names_in[key]: value for key, value in details.items() if key in names_in},
        "completion_tokens_details": {
            names_out[key]: value for key, value in details.items() if key in names_out
        },
    }
