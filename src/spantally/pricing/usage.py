"""From a provider's usage object to disjoint parts: the counting rules.

Every rule names the document it follows. A part that lies *inside* a total is taken out of it, so that
each token is counted once; what cannot be (more cached tokens than input, a negative count) is
:class:`BadUsage`, never a repaired number. Fields that are not known are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, NamedTuple

from spantally.ground import semconv
from spantally.ground.money import NANO, UsageParts
from spantally.ground.records import UsageFormat
from spantally.pricing.usage_anthropic import parts_of

MAX_COUNT: Final = 100_000_000_000
"""No single call uses more of anything; larger is a unit error, and its cost would not fit 64 bits."""

MAX_REPORTED_USD: Final = 1_000_000_000
"""No single call costs more; larger is a unit error."""


class BadUsage(ValueError):  # noqa: N818 - named as the status that it becomes
    """A usage object that cannot be true; the text says why and quotes only field names and numbers."""


class NoUsage(BadUsage):
    """A usage object without a single count: nothing was reported."""


class Reading(NamedTuple):
    """What a usage object says, and what it leaves open."""

    parts: UsageParts
    missing: str | None = None
    """``"input"`` or ``"output"`` where that total is absent; its parts are then 0 but not known to be."""
    ttl_assumed: bool = False
    """Cache writes came without their retention time and stand in the short one."""
    approximate: bool = False
    """Some tokens stand in a part that is not quite theirs, since they have none of their own."""


_FREE_TOOLS: Final = frozenset(
    {"function_call", "custom_tool_call", "reasoning", "mcp_call", "mcp_list_tools", "mcp_approval_request"}
)
"""Items of a response that carry no fee of their own (platform.openai.com/docs/pricing, built-in tools)."""


def with_server_tools(reading: Reading, tools: Mapping[str, int]) -> Reading:
    """A reading with the provider's own tools added: each use may carry a fee that no token count shows.

    Args:
        reading: of the usage object.
        tools: item type of the Responses API to how often it ran (``web_search_call``, ...).

    Returns:
        Searches as parts; a tool whose fee has no part makes the reading incomplete by its name.
    """
    parts, missing = reading.parts, reading.missing
    for name, count in tools.items():
        if name == "web_search_call":
            parts = parts._replace(web_searches=parts.web_searches + count)
        elif name == "file_search_call":
            parts = parts._replace(file_searches=parts.file_searches + count)
        elif name not in _FREE_TOOLS:
            missing = missing or name.removesuffix("_call")
    return reading._replace(parts=parts, missing=missing)


def _bad(name: str, value: object) -> BadUsage:
    if isinstance(value, (int, float)):
        return BadUsage(f"{name} is {value!r}: not a count")
    return BadUsage(f"{name} is a {type(value).__name__}: not a count")


def _count(raw: Mapping[str, Any], name: str) -> int:
    """A count of the mapping; 0 where it is absent or null."""
    value = raw.get(name)
    if value is None:
        return 0
    # bool is an int to isinstance, and 3.0 tokens is somebody's arithmetic rather than a provider's count.
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise _bad(name, value)
    return value


_NOTHING: Final[Mapping[str, Any]] = {}


def _details(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    if value is None:
        # Transcriptions spell it in the singular (platform.openai.com/docs/api-reference/audio).
        value = raw.get(name.replace("_tokens_", "_token_"))
        if value is None:
            return _NOTHING
    if type(value) is dict or isinstance(value, Mapping):
        return value
    raise BadUsage(f"{name} is a {type(value).__name__}: not an object")


def _thoughts_outside(raw: Mapping[str, Any], provider: str | None, known: int, reasoning: int) -> int:
    """Output tokens that the provider bills and leaves out of its output count.

    xAI counts reasoning beside ``completion_tokens`` and adds both to ``total_tokens``
    (docs.x.ai/docs/guides/reasoning); Gemini leaves thoughts out of the candidates' count and adds them
    to the total (ai.google.dev/gemini-api/docs/thinking). OpenAI counts reasoning inside
    (platform.openai.com/docs/guides/reasoning): there a larger total says nothing.

    Args:
        raw: the usage object.
        provider: ``gen_ai.provider.name``.
        known: input and output as counted.
        reasoning: reasoning tokens as reported.
    """
    if provider == "x_ai" or provider == "xai":
        return reasoning if reasoning and _count(raw, "total_tokens") == known + reasoning else 0
    if provider is not None and provider.startswith("gcp."):
        return max(0, _count(raw, "total_tokens") - known)
    return 0


def _chat(raw: Mapping[str, Any], provider: str | None) -> Reading:
    return _openai(raw, provider, "prompt_tokens", "completion_tokens")


def _responses(raw: Mapping[str, Any], provider: str | None) -> Reading:
    return _openai(raw, provider, "input_tokens", "output_tokens")


def _openai(raw: Mapping[str, Any], provider: str | None, input_name: str, output_name: str) -> Reading:
    """Both of OpenAI's shapes; they differ in the names of the two totals only.

    Cached and cache-written tokens are inside the input
    (platform.openai.com/docs/guides/prompt-caching); reasoning, accepted and *rejected* predictions are
    inside the output and billed as output (platform.openai.com/docs/guides/predicted-outputs,
    .../guides/reasoning); audio is inside both and has its own rate (platform.openai.com/docs/guides/audio).
    Embeddings report input only (platform.openai.com/docs/api-reference/embeddings). The Realtime API says
    which of the cached tokens were text, audio and images (.../docs/guides/realtime-costs); the latter have
    no part of their own here and are counted as cached text.
    """
    has_input = raw.get(input_name) is not None
    has_output = raw.get(output_name) is not None
    if not has_input and not has_output:
        raise NoUsage(f"neither {input_name} nor {output_name}")
    total_in = _count(raw, input_name)
    total_out = _count(raw, output_name)
    cached = written = written_long = audio_in = image_in = cached_audio = cached_image = 0
    split = False
    details = _details(raw, input_name + "_details")
    if details:
        cached = _count(details, "cached_tokens")
        # Nearly always absent or 0, and a call for each would be a tenth of the time of a rating.
        audio_in = _count(details, "audio_tokens") if details.get("audio_tokens") else 0
        image_in = _count(details, "image_tokens") if details.get("image_tokens") else 0
        written = _count(details, "cache_write_tokens") if details.get("cache_write_tokens") else 0
        if written and "cache_write_tokens_details" in details:
            # The long retention has a rate of its own; the total contains it.
            written_long = _count(_details(details, "cache_write_tokens_details"), "ttl_12h_tokens")
        split = bool(details.get("cached_tokens_details"))
        if split:
            kinds = _details(details, "cached_tokens_details")
            cached_audio = _count(kinds, "audio_tokens")
            cached_image = _count(kinds, "image_tokens")
            cached -= cached_audio
            audio_in -= cached_audio
            image_in -= cached_image
            if cached < cached_image or audio_in < 0 or image_in < 0:
                raise BadUsage(f"parts of cached_tokens exceed its {cached + cached_audio}")
    if not cached and not split:
        # Compatible hosts that say it one level up: api-docs.deepseek.com/guides/kv_cache,
        # platform.moonshot.ai/docs/api/chat (cached_tokens), docs.mistral.ai/api (num_cached_tokens).
        cached = (
            _count(raw, "prompt_cache_hit_tokens")
            or _count(raw, "cached_tokens")
            or _count(raw, "num_cached_tokens")
        )
    text_in = total_in - cached - cached_audio - written - audio_in - image_in
    if text_in < 0:
        # The details do not say which of the cached tokens were audio: where the parts exceed the total,
        # at least the excess must be both.
        cached_audio = -text_in
        if split or cached_audio > min(cached, audio_in):
            raise BadUsage(f"parts of {input_name} exceed its {total_in}")
        cached -= cached_audio
        audio_in -= cached_audio
        text_in = 0
    if written_long > written:
        raise BadUsage(f"ttl_12h_tokens {written_long} exceed cache_write_tokens {written}")
    reasoning = audio_out = image_out = 0
    details = _details(raw, output_name + "_details")
    if details:
        reasoning = _count(details, "reasoning_tokens")
        audio_out = _count(details, "audio_tokens") if details.get("audio_tokens") else 0
        image_out = _count(details, "image_tokens") if details.get("image_tokens") else 0
    if provider is not None and provider != "openai":
        total_out += _thoughts_outside(raw, provider, total_in + total_out, reasoning)
    text_out = total_out - audio_out - image_out
    if text_out < 0 or reasoning > text_out:
        raise BadUsage(f"parts of {output_name} exceed its {total_out}")
    parts = UsageParts(
        text_in,
        cached,
        written - written_long,
        written_long,
        audio_in,
        image_in,
        cached_audio,
        text_out,
        reasoning,
        audio_out,
        image_out,
    )
    missing = None if has_input and has_output else ("output" if has_input else "input")
    return Reading(parts, missing, approximate=cached_image > 0)


_PREFIX: Final = "gen_ai.usage."


def _spellings(name: str) -> tuple[str, ...]:
    return tuple(one.removeprefix(_PREFIX) for one in (name, *semconv.ALIASES.get(name, ())))


_SEMCONV_INPUT: Final = _spellings(semconv.USAGE_INPUT_TOKENS)
_SEMCONV_OUTPUT: Final = _spellings(semconv.USAGE_OUTPUT_TOKENS)
_SEMCONV_READ: Final = _spellings(semconv.USAGE_CACHE_READ_INPUT_TOKENS)
_SEMCONV_WRITE: Final = _spellings(semconv.USAGE_CACHE_WRITE_INPUT_TOKENS)
_SEMCONV_REASONING: Final = _spellings(semconv.USAGE_REASONING_OUTPUT_TOKENS)
_SEMCONV_AUDIO_IN: Final = _spellings(semconv.USAGE_AUDIO_INPUT_TOKENS)
_SEMCONV_AUDIO_OUT: Final = _spellings(semconv.USAGE_AUDIO_OUTPUT_TOKENS)
_SEMCONV_IMAGE_IN: Final = _spellings(semconv.USAGE_IMAGE_INPUT_TOKENS)
_SEMCONV_IMAGE_OUT: Final = _spellings(semconv.USAGE_IMAGE_OUTPUT_TOKENS)
_SEMCONV_AUDIO_READ: Final = _spellings(semconv.USAGE_AUDIO_CACHE_READ_INPUT_TOKENS)


def _first(raw: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        if raw.get(name) is not None:
            return _count(raw, name)
    return None


def _semconv(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """The conventions' attributes.

    ``input_tokens`` includes every kind of input, cached tokens too, and ``output_tokens`` includes
    reasoning (opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans, notes on ``gen_ai.usage.*``); a
    modality's count includes its cached tokens. How long a written cache entry is kept, they cannot say.
    """
    given_in = _first(raw, _SEMCONV_INPUT)
    given_out = _first(raw, _SEMCONV_OUTPUT)
    if given_in is None and given_out is None:
        raise NoUsage("neither input_tokens nor output_tokens")
    total_in, total_out = given_in or 0, given_out or 0
    cached_audio = _first(raw, _SEMCONV_AUDIO_READ) or 0
    cached = (_first(raw, _SEMCONV_READ) or 0) - cached_audio
    written = _first(raw, _SEMCONV_WRITE) or 0
    audio_in = (_first(raw, _SEMCONV_AUDIO_IN) or 0) - cached_audio
    image_in = _first(raw, _SEMCONV_IMAGE_IN) or 0
    text_in = total_in - cached - cached_audio - written - audio_in - image_in
    if text_in < 0 or cached < 0 or audio_in < 0:
        raise BadUsage(f"parts of input_tokens exceed its {total_in}")
    reasoning = _first(raw, _SEMCONV_REASONING) or 0
    audio_out = _first(raw, _SEMCONV_AUDIO_OUT) or 0
    image_out = _first(raw, _SEMCONV_IMAGE_OUT) or 0
    text_out = total_out - audio_out - image_out
    if text_out < 0 or reasoning > text_out:
        raise BadUsage(f"parts of output_tokens exceed its {total_out}")
    parts = UsageParts(
        text_in,
        cached,
        written,
        0,
        audio_in,
        image_in,
        cached_audio,
        text_out,
        reasoning,
        audio_out,
        image_out,
    )
    missing = "input" if given_in is None else ("output" if given_out is None else None)
    return Reading(parts, missing, ttl_assumed=written > 0)


def _parts(raw: Mapping[str, Any], provider: str | None) -> Reading:
    """Parts as ``spantally.usage`` carries them: already disjoint, reasoning within output."""
    if not any(raw.get(name) is not None for name in UsageParts._fields):
        raise NoUsage("no part is given")
    parts = UsageParts(*(_count(raw, name) for name in UsageParts._fields))
    if parts.reasoning > parts.output:
        raise BadUsage(f"reasoning {parts.reasoning} exceeds output {parts.output}")
    return Reading(parts)


def _anthropic(raw: Mapping[str, Any], provider: str | None) -> Reading:
    if raw.get("input_tokens") is None and raw.get("output_tokens") is None:
        raise NoUsage("neither input_tokens nor output_tokens")
    try:
        parts, missing, assumed = parts_of(raw)
    except ValueError as error:
        raise BadUsage(str(error)) from None
    return Reading(parts, missing, ttl_assumed=assumed)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], str | None], Reading]]] = {
    UsageFormat.OPENAI_CHAT: _chat,
    UsageFormat.OPENAI_RESPONSES: _responses,
    UsageFormat.SEMCONV: _semconv,
    UsageFormat.PARTS: _parts,
    UsageFormat.ANTHROPIC: _anthropic,
}


def read(raw: Mapping[str, Any], usage_format: str, provider: str | None = None) -> Reading:
    """Read a usage object, and tell what it leaves open.

    Args:
        raw: the provider's usage object.
        usage_format: a :class:`~spantally.ground.records.UsageFormat`.
        provider: ``gen_ai.provider.name``; some compatible hosts count on another basis.

    Raises:
        NoUsage: when it holds no count at all.
        BadUsage: when it cannot be true, or the format is not known.
    """
    reader = _READERS.get(usage_format)
    if reader is None:
        raise BadUsage("the usage format is not known")
    return reader(raw, provider)


def normalise(raw: Mapping[str, Any], usage_format: str, *, provider: str | None = None) -> UsageParts:
    """The disjoint parts of a usage object.

    Args:
        raw: the provider's usage object.
        usage_format: a :class:`~spantally.ground.records.UsageFormat`.
        provider: ``gen_ai.provider.name``.

    Returns:
        Counts of tokens, and of requests where a part's name says so.

    Raises:
        BadUsage: when the object cannot be true or holds no count.
    """
    return read(raw, usage_format, provider).parts


def reported_cost(raw: Mapping[str, Any]) -> int | None:
    """What the provider itself says that the call cost: the bill, so it wins over any estimate.

    OpenRouter: ``cost`` is what was charged, in US dollars; with a key of the user's own (``is_byok``) that
    is OpenRouter's fee, and the upstream's charge stands in ``cost_details.upstream_inference_cost``
    (openrouter.ai/docs/use-cases/usage-accounting). Perplexity: ``cost.total_cost`` in US dollars
    (docs.perplexity.ai/api-reference/chat-completions-post).

    Returns:
        Nano-USD, rounded half-even, or None when the provider reports no cost.

    Raises:
        BadUsage: when the reported cost is negative or not a number.
    """
    cost = raw.get("cost")
    if isinstance(cost, Mapping):
        cost = cost.get("total_cost")
    if cost is None:
        return None
    dollars = _dollars(cost)
    if raw.get("is_byok") is True:
        upstream = _details(raw, "cost_details").get("upstream_inference_cost")
        if upstream is not None:
            dollars += _dollars(upstream)
    return int((dollars * NANO).to_integral_value(ROUND_HALF_EVEN))


def _dollars(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise BadUsage(f"cost is a {type(value).__name__}: not an amount")
    if not math.isfinite(value) or not 0 <= value <= MAX_REPORTED_USD:
        raise BadUsage("cost is not an amount of money")
    # repr() of a float is the shortest decimal that reads back as it: the text the provider sent.
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
