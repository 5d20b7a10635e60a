"""Usage of the OpenAI API, and of the many hosts that answer in its shape.

Cached and cache-written tokens are inside the input (platform.openai.com/docs/guides/prompt-caching);
reasoning, accepted and *rejected* predictions are inside the output and billed as output
(platform.openai.com/docs/guides/predicted-outputs, .../guides/reasoning); audio and images are inside both
and have their own rates (platform.openai.com/docs/guides/audio, .../guides/image-generation). Embeddings
report input only (platform.openai.com/docs/api-reference/embeddings). The Realtime API says which of the
cached tokens were text, audio and images (.../docs/guides/realtime-costs). What is billed by time says
seconds instead (platform.openai.com/docs/api-reference/audio).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from spantally.ground.money import UsageParts
from spantally.ground.thoughts import may_leave_out, thoughts_outside
from spantally.pricing.usage.counts import (
    MAX_COUNT,
    NOTHING,
    BadUsage,
    NoUsage,
    Reading,
    count,
    details,
    milliseconds,
)

LEAST_MS: Final = 10_000
"""What Groq bills of a shorter recording (console.groq.com/docs/speech-to-text)."""


_CHAT: Final = (
    "prompt_tokens",
    "completion_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
)
_RESPONSES: Final = ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details")
"""The two totals and their details."""

# This is a third of the time of a rating, and named tuples take most of it when they are made the usual way.
_new: Final = tuple.__new__
_Inputs: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int]
_NONE_OF_THE_REST: Final = (0,) * (len(UsageParts._fields) - UsageParts._fields.index("video_output"))
_NO_DETAILS: Final = (0, 0, 0, 0, 0, 0, 0, 0, 0)
_NOTHING_ELSE: Final = (False, False, (), NOTHING, False)


def chat(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """``prompt_tokens`` and ``completion_tokens``: chat completions, completions, embeddings."""
    return _read(raw, provider, _CHAT)


def responses(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """``input_tokens`` and ``output_tokens``: responses, realtime, images, transcriptions."""
    return _read(raw, provider, _RESPONSES)


def _read(raw: Mapping[str, Any], provider: str | None, names: tuple[str, str, str, str]) -> Reading:
    """Both of OpenAI's shapes; they differ in the names of the two totals only."""
    input_name, output_name, input_details, output_details = names
    total_in, total_out = raw.get(input_name), raw.get(output_name)
    missing = None
    if total_in is None or total_out is None:
        missing = "input" if total_in is None else "output"
        if total_in is total_out:  # neither is there
            if raw.get("seconds") is not None:
                length = milliseconds(raw["seconds"], "seconds")
                return Reading(UsageParts(audio_ms=max(length, LEAST_MS) if provider == "groq" else length))
            raise NoUsage(f"neither {input_name} nor {output_name}")
    # Looked at here, since that is the usual case: a function that says what is wrong with others is called
    # for those alone.
    if type(total_in) is not int or not 0 <= total_in <= MAX_COUNT:
        total_in = count(raw, input_name)
    if type(total_out) is not int or not 0 <= total_out <= MAX_COUNT:
        total_out = count(raw, output_name)
    found = raw.get(input_details)
    if type(found) is not dict:
        found = details(raw, input_details)
    # Mostly all of the details are 0, and what is in them needs no telling apart.
    if (found and any(found.values())) or not _CACHED_NAMES.isdisjoint(raw):
        inputs = _inputs(raw, found, total_in, input_name)
    else:
        inputs = (total_in, *_NO_DETAILS)
    reasoning = audio_out = image_out = 0
    found = raw.get(output_details)
    if type(found) is not dict:
        found = details(raw, output_details)
    if found and any(found.values()):
        reasoning = count(found, "reasoning_tokens") if found.get("reasoning_tokens") else 0
        audio_out = count(found, "audio_tokens") if found.get("audio_tokens") else 0
        image_out = count(found, "image_tokens") if found.get("image_tokens") else 0
    other = provider is not None and provider != "openai"
    if other and may_leave_out(provider or ""):
        total = None if raw.get("total_tokens") is None else count(raw, "total_tokens")
        outside, reasoning = thoughts_outside(
            provider or "", partial(count, raw), total, total_in + total_out, reasoning
        )
        total_out += outside
    text_out = total_out - audio_out - image_out
    if text_out < 0 or reasoning > text_out:
        raise BadUsage(f"parts of {output_name} exceed its {total_out}")
    parts = _new(UsageParts, (*inputs, text_out, reasoning, audio_out, image_out, *_NONE_OF_THE_REST))
    if missing == "output" and total_in and raw.get("total_tokens") == total_in:
        missing = None  # the total says that there is nothing to miss
    reading = _new(Reading, (parts, missing, *_NOTHING_ELSE))
    return _of_others(reading, raw, provider or "") if other else reading


def _inputs(raw: Mapping[str, Any], found: Mapping[str, Any], total_in: int, input_name: str) -> _Inputs:
    """The parts of the input by its details, in the order of :class:`UsageParts`."""
    # Nearly always absent or 0, and a call for each would be a tenth of the time of a rating.
    cached = count(found, "cached_tokens") if found.get("cached_tokens") else 0
    audio_in = count(found, "audio_tokens") if found.get("audio_tokens") else 0
    image_in = count(found, "image_tokens") if found.get("image_tokens") else 0
    written = count(found, "cache_write_tokens") if found.get("cache_write_tokens") else 0
    written_long = cached_audio = cached_image = 0
    if written and "cache_write_tokens_details" in found:
        # The long retention has a rate of its own; the total contains it.
        written_long = count(details(found, "cache_write_tokens_details"), "ttl_12h_tokens")
        if written_long > written:
            raise BadUsage(f"ttl_12h_tokens {written_long} exceed cache_write_tokens {written}")
    if found.get("cached_tokens_details"):
        cached_audio, cached_image = _cached_kinds(found, cached, audio_in, image_in)
    if not cached and not (_CACHED_NAMES.isdisjoint(raw) and _AGENTS_CACHED not in found):
        cached = _cached_elsewhere(raw, found)
    cached -= cached_audio + cached_image
    audio_in -= cached_audio
    image_in -= cached_image
    text_in = total_in - cached - cached_audio - cached_image - written - audio_in - image_in
    if text_in < 0:
        # The details do not say which of the cached tokens were audio: where the parts exceed the total,
        # at least the excess must be both.
        if cached_audio or cached_image or -text_in > min(cached, audio_in):
            raise BadUsage(f"parts of {input_name} exceed its {total_in}")
        cached_audio = -text_in
        cached -= cached_audio
        audio_in -= cached_audio
        text_in = 0
    return (
        text_in, cached, written - written_long, written_long, audio_in, image_in, 0, cached_audio,
        cached_image, 0,
    )  # fmt: skip


def _cached_kinds(found: Mapping[str, Any], cached: int, audio_in: int, image_in: int) -> tuple[int, int]:
    """How many of the cached tokens were audio, and images."""
    kinds = details(found, "cached_tokens_details")
    audio, image = count(kinds, "audio_tokens"), count(kinds, "image_tokens")
    if audio + image > cached or audio > audio_in or image > image_in:
        raise BadUsage(f"parts of cached_tokens exceed its {cached}")
    return audio, image


_CACHED: Final = (
    "prompt_cache_hit_tokens",
    "cached_tokens",
    "num_cached_tokens",
    "cached_prompt_text_tokens",
)
"""Cache hits beside the totals: api-docs.deepseek.com/guides/kv_cache, platform.moonshot.ai/docs/api/chat,
docs.mistral.ai/api, and xAI's older form."""


_CACHED_NAMES: Final = frozenset(_CACHED)
_AGENTS_CACHED: Final = "cache_read_input_tokens"
"""Perplexity's agents (docs.perplexity.ai/docs/agent-api), in the details."""


def _cached_elsewhere(raw: Mapping[str, Any], found: Mapping[str, Any]) -> int:
    for name in _CACHED:
        if raw.get(name):
            return count(raw, name)
    return count(found, _AGENTS_CACHED) if found.get(_AGENTS_CACHED) else 0


def _of_others(reading: Reading, raw: Mapping[str, Any], provider: str) -> Reading:
    """What hosts other than OpenAI add to its shape."""
    if raw.get("prompt_audio_seconds"):
        # Mistral bills audio by its length; its tokens are in neither count
        # (docs.mistral.ai/capabilities/audio).
        length = milliseconds(raw["prompt_audio_seconds"], "prompt_audio_seconds")
        reading = reading._replace(parts=reading.parts._replace(audio_ms=length))
    if provider == "perplexity":
        return _perplexity(reading, raw)
    if provider == "x_ai" or provider == "xai":
        return _xai(reading, raw)
    if provider == "mistral_ai" and isinstance(raw.get("service_tier"), str):
        return reading._replace(context={"service_tier": raw["service_tier"]})
    return reading


def _perplexity(reading: Reading, raw: Mapping[str, Any]) -> Reading:
    """Search queries and cited pages (docs.perplexity.ai/docs/sonar/models, /docs/agent-api/tools).

    How much of the web was looked at chooses the fee of a request, so it goes with the reading.
    """
    searches = count(raw, "num_search_queries")
    tools = details(raw, "tool_calls_details")
    if tools:
        searches += count(details(tools, "search_web"), "invocation")
    size = raw.get("search_context_size")
    context = {"search": size.lower()} if isinstance(size, str) and size else reading.context
    parts = reading.parts._replace(citations=count(raw, "citation_tokens"), web_searches=searches)
    return reading._replace(parts=parts, context=context)


def _xai(reading: Reading, raw: Mapping[str, Any]) -> Reading:
    """Tools that xAI runs itself carry fees of their own (docs.x.ai/docs/models, tool invocation)."""
    missing = reading.missing
    if count(raw, "num_sources_used"):
        missing = missing or "sources"
    told = details(raw, "server_side_tool_usage_details")
    for name, times in told.items():
        if times:
            missing = missing or str(name).removesuffix("_calls")
    if not told and (raw.get("server_side_tools_used") or count(raw, "num_server_side_tools_used")):
        missing = missing or "server_tools"
    return reading._replace(missing=missing, tools_counted=True)
