"""What a recorded call used: the counts that a program gives, or its provider's usage object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from spantally.api.record_arguments import parse_cost, parse_count
from spantally.ground import semconv
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.records import UsageFormat


class Usage(NamedTuple):
    """What a recorded call used, as its record has it, and what its span says of it."""

    raw: Mapping[str, Any] | None
    usage_format: str | None
    attributes: Mapping[str, int]


def usage_of(
    provider: str | None,
    usage: object,
    counts: Mapping[str, object],
    cost_usd: object,
) -> Usage:
    """The usage of a call by the counts given, or by the provider's usage object.

    Args:
        provider: of the model.
        usage: as the provider sent it: a mapping, or an object of its SDK.
        counts: arguments of ``record_call`` by name.
        cost_usd: what it cost, where the program knows.

    Raises:
        ArgumentError: for counts that cannot be, both forms at once, or a usage of a form that is not known.
    """
    nano = parse_cost("record_call(cost_usd", cost_usd)
    given = {
        name: count
        for name, value in counts.items()
        if (count := parse_count(f"record_call({name}", value)) is not None
    }
    if usage is not None:
        if given:
            raise ArgumentError(f"record_call(usage=..., {next(iter(given))}=...): give one or the other")
        return _of_object(provider, usage, nano)
    parts = _parts(given)
    if nano is not None:
        parts["cost_nano_usd"] = nano
    return Usage(parts or None, UsageFormat.RECORDED if parts else None, _attributes(given))


def _parts(given: Mapping[str, int]) -> dict[str, int]:
    """Disjoint parts of counts, of which ``input_tokens`` and ``output_tokens`` include the others."""
    parts: dict[str, int] = {}
    cached = {
        part: given[name]
        for name, part in (
            ("cached_tokens", "cache_read"),
            ("cache_write_tokens", "cache_write_5m"),
            ("cache_write_1h_tokens", "cache_write_1h"),
        )
        if name in given
    }
    if "input_tokens" in given:
        rest = given["input_tokens"] - sum(cached.values())
        if rest < 0:
            raise ArgumentError(
                f"record_call(input_tokens={given['input_tokens']}): it includes cached and written tokens, "
                f"which are {sum(cached.values())}; give all input tokens"
            )
        parts.update(cached, uncached_input=rest)
    elif cached:
        raise ArgumentError("record_call(): cached tokens are among input_tokens; give input_tokens, too")
    if "output_tokens" in given:
        parts["output"] = given["output_tokens"]
    if "reasoning_tokens" in given:
        if given["reasoning_tokens"] > given.get("output_tokens", -1):
            raise ArgumentError(
                f"record_call(reasoning_tokens={given['reasoning_tokens']}): they are among output_tokens; "
                "give output_tokens of at least as many"
            )
        parts["reasoning"] = given["reasoning_tokens"]
    return parts


def _attributes(given: Mapping[str, int]) -> dict[str, int]:
    written = given.get("cache_write_tokens", 0) + given.get("cache_write_1h_tokens", 0)
    known = {
        semconv.USAGE_INPUT_TOKENS: given.get("input_tokens"),
        semconv.USAGE_OUTPUT_TOKENS: given.get("output_tokens"),
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: given.get("cached_tokens"),
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: written or None,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: given.get("reasoning_tokens"),
    }
    return {name: count for name, count in known.items() if count is not None}


def _of_object(provider: str | None, usage: object, nano: int | None) -> Usage:
    from spantally.ground.money import UsageParts
    from spantally.pricing.body import facts_of

    raw = _plain(usage)
    if raw and set(UsageParts._fields).issuperset(raw):
        return _read(provider, usage, raw, UsageFormat.PARTS, nano)
    wrapped = "usageMetadata" if "promptTokenCount" in raw or "prompt_token_count" in raw else "usage"
    facts = facts_of({wrapped: raw}, provider=provider or "")
    shape = UsageFormat.PARTS if facts.usage is None else facts.usage_format
    return _read(provider, usage, raw if facts.usage is None else facts.usage, shape or "", nano)


def _read(
    provider: str | None, usage: object, found: Mapping[str, Any], shape: str, nano: int | None
) -> Usage:
    """The usage by a form that is known."""
    from spantally.pricing.usage import BadUsage, NoUsage, normalise

    try:
        parts = normalise(found, shape, provider=provider)
    except NoUsage:
        raise ArgumentError(
            f"record_call(usage={shown(usage)}): no count of tokens in it; pass the usage object of the "
            "provider's answer, or input_tokens= and output_tokens="
        ) from None
    except BadUsage as error:
        raise ArgumentError(f"record_call(usage={shown(usage)}): {error}") from None
    attributes = {
        semconv.USAGE_INPUT_TOKENS: parts.input_total,
        semconv.USAGE_OUTPUT_TOKENS: parts.output_total,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: parts.cache_read + parts.cache_audio_read,
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: parts.cache_write_5m + parts.cache_write_1h,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: parts.reasoning,
    }
    told = {
        name: count
        for name, count in attributes.items()
        if count or name in (semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS)
    }
    if nano is not None:
        # The program's figure holds; the parts stay, and so does nothing else of the object.
        kept = {name: count for name, count in parts._asdict().items() if count}
        return Usage({**kept, "cost_nano_usd": nano}, UsageFormat.RECORDED, told)
    return Usage(found, str(shape), told)


def _plain(usage: object) -> Mapping[str, Any]:
    """A usage object as a mapping of plain values."""
    import json

    dump = getattr(usage, "model_dump", None) or getattr(usage, "to_dict", None)
    try:
        value = dump() if callable(dump) else usage
        if not isinstance(value, Mapping) and hasattr(value, "__dict__"):
            value = vars(value)
        if isinstance(value, Mapping):
            plain: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False, default=_plain))
            return plain
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"record_call(usage={shown(usage)}): it cannot be read ({type(error).__name__}); "
            "pass the usage object of the provider's answer"
        ) from error
    raise ArgumentError(f"record_call(usage={shown(usage)}): use the usage object of the provider's answer")
