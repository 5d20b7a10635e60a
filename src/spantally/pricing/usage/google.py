"""Usage of Gemini, on the Gemini API and on Vertex AI, in both spellings of its names.

Thoughts lie outside ``candidatesTokenCount`` (ai.google.dev/gemini-api/docs/thinking), and what tools gave
the model outside ``promptTokenCount``: ``totalTokenCount`` is the sum of the four
(ai.google.dev/api/generate-content#UsageMetadata). Cached tokens are inside the prompt
(ai.google.dev/gemini-api/docs/caching). Lists of details tell the modalities of prompt, cache, tools and
answer; what they do not tell is text, and a document's pages are billed as images are
(ai.google.dev/gemini-api/docs/document-processing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from spantally.ground.money import UsageParts
from spantally.pricing.usage.counts import BadUsage, NoUsage, Reading, bad, count, first

_PROMPT: Final = ("promptTokenCount", "prompt_token_count")
_CACHED: Final = ("cachedContentTokenCount", "cached_content_token_count")
_TOOLS: Final = ("toolUsePromptTokenCount", "tool_use_prompt_token_count")
_THOUGHTS: Final = ("thoughtsTokenCount", "thoughts_token_count")
# The Live API calls the answer a response (ai.google.dev/api/live#UsageMetadata).
_ANSWER: Final = (
    "candidatesTokenCount",
    "candidates_token_count",
    "responseTokenCount",
    "response_token_count",
)
_TOTAL: Final = ("totalTokenCount", "total_token_count")
# promptTokenDetails: what embeddings call it.
_PROMPT_DETAILS: Final = ("promptTokensDetails", "prompt_tokens_details", "promptTokenDetails")
_CACHED_DETAILS: Final = ("cacheTokensDetails", "cache_tokens_details")
_TOOLS_DETAILS: Final = ("toolUsePromptTokensDetails", "tool_use_prompt_tokens_details")
_ANSWER_DETAILS: Final = (
    "candidatesTokensDetails",
    "candidates_tokens_details",
    "responseTokensDetails",
    "response_tokens_details",
)
_Kinds: TypeAlias = tuple[int, int, int]
"""Audio, images with documents, video."""

_KINDS: Final[Mapping[str, int]] = {"AUDIO": 0, "IMAGE": 1, "DOCUMENT": 1, "VIDEO": 2}

_NUMBERED: Final[Mapping[int, str]] = {1: "TEXT", 2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
"""Modalities as Vertex AI's own library writes them
(cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/ModalityTokenCount)."""

_TRAFFIC: Final[Mapping[str, str | None]] = {
    "ON_DEMAND": None,
    "TRAFFIC_TYPE_UNSPECIFIED": None,
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_OFFPEAK": "offpeak",
    "PROVISIONED_THROUGHPUT": "provisioned_throughput",
}
"""Vertex AI's words for a tier
(docs.cloud.google.com/vertex-ai/generative-ai/docs/provisioned-throughput)."""


def usage_metadata(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """``usageMetadata`` of an answer, or of the last chunk of a stream."""
    prompt, answer, thoughts = first(raw, _PROMPT), first(raw, _ANSWER), first(raw, _THOUGHTS)
    if prompt is None and answer is None and thoughts is None:
        raise NoUsage("neither promptTokenCount nor candidatesTokenCount")
    total_in, total_out, thoughts = prompt or 0, answer or 0, thoughts or 0
    tools, cached = first(raw, _TOOLS) or 0, first(raw, _CACHED) or 0
    said = first(raw, _TOTAL)
    if answer is None and said is not None and prompt is not None:
        # An answer that was blocked has none; the total says that there is nothing to miss.
        answer = 0 if said == total_in + tools + thoughts else None
    kinds_in = _modalities(raw, _PROMPT_DETAILS)
    kinds_tools = _modalities(raw, _TOOLS_DETAILS)
    kinds_cached = _modalities(raw, _CACHED_DETAILS)
    audio, image, video = (a + b for a, b in zip(kinds_in, kinds_tools, strict=True))
    audio, image, video = audio - kinds_cached[0], image - kinds_cached[1], video - kinds_cached[2]
    text_cached = cached - sum(kinds_cached)
    text_in = total_in + tools - cached - audio - image - video
    if min(audio, image, video, text_cached) < 0:
        raise BadUsage(f"parts of cachedContentTokenCount exceed its {cached}")
    approximate = False
    if text_in < 0:
        # Cached tokens of no told modality: where the parts exceed the prompt, the excess must be both.
        rest, approximate = -text_in, True
        audio, kinds_cached, rest = _both(audio, kinds_cached, rest, 0)
        image, kinds_cached, rest = _both(image, kinds_cached, rest, 1)
        video, kinds_cached, rest = _both(video, kinds_cached, rest, 2)
        text_cached, text_in = cached - sum(kinds_cached), 0
        if rest or text_cached < 0:
            raise BadUsage(f"parts of promptTokenCount exceed its {total_in}")
    elif text_cached and audio and not any(kinds_cached):
        approximate = not _has(raw, _CACHED_DETAILS)  # some of it may have been audio, at another rate
    audio_out, image_out, video_out = _modalities(raw, _ANSWER_DETAILS)
    text_out = total_out - audio_out - image_out - video_out
    if text_out < 0:
        raise BadUsage(f"parts of candidatesTokenCount exceed its {total_out}")
    parts = UsageParts(
        uncached_input=text_in,
        cache_read=text_cached,
        audio_input=audio,
        image_input=image,
        video_input=video,
        cache_audio_read=kinds_cached[0],
        cache_image_read=kinds_cached[1],
        cache_video_read=kinds_cached[2],
        output=text_out + thoughts,
        reasoning=thoughts,
        audio_output=audio_out,
        image_output=image_out,
        video_output=video_out,
    )
    missing = "input" if prompt is None else ("output" if answer is None and not thoughts else None)
    return Reading(parts, missing, approximate=approximate, context=_tier(raw))


def _both(kind: int, cached: _Kinds, rest: int, place: int) -> tuple[int, _Kinds, int]:
    """Move as much of a modality as must have been cached over to its cached part."""
    moved = min(kind, rest)
    told = list(cached)
    told[place] += moved
    return kind - moved, (told[0], told[1], told[2]), rest - moved


def _has(raw: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return any(raw.get(name) for name in names)


def _modalities(raw: Mapping[str, Any], names: tuple[str, ...]) -> _Kinds:
    """Audio, images with documents, and video of a list of details."""
    found = [0, 0, 0]
    for name in names:
        listed = raw.get(name)
        if not listed:
            continue
        if isinstance(listed, (str, bytes, Mapping)) or not hasattr(listed, "__iter__"):
            raise BadUsage(f"{name} is a {type(listed).__name__}: not a list")
        for one in listed:
            if not isinstance(one, Mapping):
                raise BadUsage(f"an item of {name} is a {type(one).__name__}: not an object")
            number = count(one, "tokenCount") or count(one, "token_count")
            kind = one.get("modality")
            told = _NUMBERED.get(kind, "") if type(kind) is int else str(kind).rpartition(".")[2].upper()
            place = _KINDS.get(told)
            if place is not None:
                found[place] += number
        break
    return found[0], found[1], found[2]


def _tier(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tier in which the answer was made."""
    traffic = raw.get("trafficType", raw.get("traffic_type"))
    if traffic is not None:
        if type(traffic) is int:
            traffic = "PROVISIONED_THROUGHPUT" if traffic == 2 else "ON_DEMAND"
        if not isinstance(traffic, str):
            raise bad("trafficType", traffic)
        name = traffic.rpartition(".")[2].upper()
        tier = _TRAFFIC.get(name, name.lower())
        return {} if tier is None else {"service_tier": tier}
    tier = raw.get("serviceTier", raw.get("service_tier"))
    return {"service_tier": tier.lower()} if isinstance(tier, str) and tier else {}
