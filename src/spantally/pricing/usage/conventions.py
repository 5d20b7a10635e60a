"""Usage as the conventions spell it, and as parts that somebody split already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.money import UsageParts
from spantally.pricing.usage.counts import BadUsage, NoUsage, Reading, count, first, milliseconds

_PREFIX: Final = "gen_ai.usage."


def _spellings(name: str) -> tuple[str, ...]:
    return tuple(one.removeprefix(_PREFIX) for one in (name, *semconv.ALIASES.get(name, ())))


_INPUT: Final = _spellings(semconv.USAGE_INPUT_TOKENS)
_OUTPUT: Final = _spellings(semconv.USAGE_OUTPUT_TOKENS)
_READ: Final = _spellings(semconv.USAGE_CACHE_READ_INPUT_TOKENS)
_WRITE: Final = _spellings(semconv.USAGE_CACHE_WRITE_INPUT_TOKENS)
_REASONING: Final = _spellings(semconv.USAGE_REASONING_OUTPUT_TOKENS)
_AUDIO_IN: Final = _spellings(semconv.USAGE_AUDIO_INPUT_TOKENS)
_AUDIO_OUT: Final = _spellings(semconv.USAGE_AUDIO_OUTPUT_TOKENS)
_IMAGE_IN: Final = _spellings(semconv.USAGE_IMAGE_INPUT_TOKENS)
_IMAGE_OUT: Final = _spellings(semconv.USAGE_IMAGE_OUTPUT_TOKENS)
_AUDIO_READ: Final = _spellings(semconv.USAGE_AUDIO_CACHE_READ_INPUT_TOKENS)
_IMAGE_READ: Final = _spellings(semconv.USAGE_IMAGE_CACHE_READ_INPUT_TOKENS)


def attributes(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """The conventions' attributes.

    ``input_tokens`` includes every kind of input, cached tokens too, and ``output_tokens`` includes
    reasoning (opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans, notes on ``gen_ai.usage.*``); a
    modality's count includes its cached tokens. How long a written cache entry is kept, they cannot say.
    """
    given_in = first(raw, _INPUT)
    given_out = first(raw, _OUTPUT)
    if given_in is None and given_out is None:
        raise NoUsage("neither input_tokens nor output_tokens")
    total_in, total_out = given_in or 0, given_out or 0
    cached_audio = first(raw, _AUDIO_READ) or 0
    cached_image = first(raw, _IMAGE_READ) or 0
    cached = (first(raw, _READ) or 0) - cached_audio - cached_image
    written = first(raw, _WRITE) or 0
    audio_in = (first(raw, _AUDIO_IN) or 0) - cached_audio
    image_in = (first(raw, _IMAGE_IN) or 0) - cached_image
    text_in = total_in - cached - cached_audio - cached_image - written - audio_in - image_in
    if min(text_in, cached, audio_in, image_in) < 0:
        raise BadUsage(f"parts of input_tokens exceed its {total_in}")
    reasoning = first(raw, _REASONING) or 0
    audio_out = first(raw, _AUDIO_OUT) or 0
    image_out = first(raw, _IMAGE_OUT) or 0
    text_out = total_out - audio_out - image_out
    if text_out < 0 or reasoning > text_out:
        raise BadUsage(f"parts of output_tokens exceed its {total_out}")
    parts = UsageParts(
        uncached_input=text_in,
        cache_read=cached,
        cache_write_5m=written,
        audio_input=audio_in,
        image_input=image_in,
        cache_audio_read=cached_audio,
        cache_image_read=cached_image,
        output=text_out,
        reasoning=reasoning,
        audio_output=audio_out,
        image_output=image_out,
    )
    missing = "input" if given_in is None else ("output" if given_out is None else None)
    return Reading(parts, missing, ttl_assumed=written > 0)


def already_parts(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """Parts as ``spantally.usage`` carries them: already disjoint, reasoning within output."""
    seconds = raw.get("audio_seconds")
    if seconds is None and not any(raw.get(name) is not None for name in UsageParts._fields):
        raise NoUsage("no part is given")
    parts = UsageParts(*(count(raw, name) for name in UsageParts._fields))
    if seconds is not None:
        parts = parts._replace(audio_ms=milliseconds(seconds, "audio_seconds"))
    if parts.reasoning > parts.output:
        raise BadUsage(f"reasoning {parts.reasoning} exceeds output {parts.output}")
    return Reading(parts)


_INPUTS: Final = UsageParts._fields[: UsageParts._fields.index("output")]
_OUTPUTS: Final = ("output", "audio_output", "image_output", "video_output")


def recorded(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """Parts that a program says itself: a total of which it says nothing is not known, rather than 0."""
    found = already_parts(raw, provider)
    missing = None
    if not any(found.parts[len(_INPUTS) + len(_OUTPUTS) + 1 :]):  # nothing that is no token
        given = {name for name, value in raw.items() if value is not None}
        missing = next(
            (word for word, names in (("input", _INPUTS), ("output", _OUTPUTS)) if given.isdisjoint(names)),
            None,
        )
    return found._replace(missing=missing)
