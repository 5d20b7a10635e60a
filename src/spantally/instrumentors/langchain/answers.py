"""What LangChain says of a model call: provider, model, usage, response id. Pure, and of plain data."""

# Annotations are not postponed: making a named tuple compiles each that is a text.

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from spantally.ground.records import UsageFormat
from spantally.instrumentors.providers import provider_of

_ADDRESSES: Final = (
    "openai_api_base",
    "base_url",
    "api_base",
    "azure_endpoint",
    "anthropic_api_url",
    "endpoint_url",
    "endpoint",
)
"""Arguments of chat models that name the host."""


class Asked(NamedTuple):
    """What is known of a model call when it begins."""

    provider: str | None = None
    model: str | None = None
    address: str | None = None
    port: int | None = None


class Answered(NamedTuple):
    """What its answer says."""

    model: str | None = None
    response_id: str | None = None
    usage: Mapping[str, Any] | None = None
    usage_format: str | None = None
    counts: Mapping[str, int] | None = None
    """The usage by the conventions' names, without their prefix."""
    service_tier: str | None = None
    provider: str | None = None
    finish_reason: str | None = None
    from_cache: bool = False
    """True where LangChain's cache gave it: then no provider was asked."""


def asked(serialized: Any, metadata: Any, parameters: Any) -> Asked:
    """What LangChain tells when a model call begins.

    Args:
        serialized: of the model.
        metadata: of the run.
        parameters: ``invocation_params``.
    """
    about = metadata if isinstance(metadata, Mapping) else {}
    given = parameters if isinstance(parameters, Mapping) else {}
    built = serialized.get("kwargs") if isinstance(serialized, Mapping) else None
    built = built if isinstance(built, Mapping) else {}
    model = _text(about, "ls_model_name") or _first(given, _MODELS) or _first(built, _MODELS)
    address, port = None, None
    for source in (given, built):
        for name in _ADDRESSES:
            if address is None:
                address, port = _host(source.get(name))
    return Asked(provider_of(_text(about, "ls_provider") or _kind(given)), model, address, port)


_MODELS: Final = ("model", "model_name", "model_id", "deployment_name")


def _kind(given: Mapping[str, Any]) -> str | None:
    kind = _text(given, "_type")
    return None if kind is None else kind.removesuffix("-chat").replace("-", "_")


def _host(value: Any) -> tuple[str | None, int | None]:
    if not isinstance(value, str) or not value:
        return None, None
    try:
        parts = urlsplit(value if "//" in value else f"//{value}")
        return parts.hostname, parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return None, None


def answered(result: Any) -> Answered:
    """What LangChain tells of the answer.

    Args:
        result: the ``LLMResult``.
    """
    message, info = _message(result)
    metadata = getattr(message, "response_metadata", None)
    metadata = metadata if isinstance(metadata, Mapping) else {}
    output = getattr(result, "llm_output", None)
    output = output if isinstance(output, Mapping) else {}
    told = getattr(message, "usage_metadata", None)
    told = told if isinstance(told, Mapping) else None
    cached = told is not None and told.get("total_cost") == 0
    usage, usage_format, counts = _usage(told, metadata, output)
    models = ("model_name", "model", "model_id")
    return Answered(
        model=_first(metadata, models) or _first(output, models),
        response_id=_text(metadata, "id") or _text(output, "id") or _own_id(message),
        usage=usage,
        usage_format=usage_format,
        counts=counts,
        service_tier=_text(metadata, "service_tier"),
        provider=provider_of(_text(metadata, "model_provider")),
        finish_reason=_first(metadata, _REASONS) or _first(info, _REASONS),
        from_cache=cached,
    )


_REASONS: Final = ("finish_reason", "stop_reason", "stopReason", "done_reason")


def _message(result: Any) -> tuple[Any, Mapping[str, Any]]:
    """The first message (of several candidates each has the usage of all), and what else is said of it."""
    for candidates in getattr(result, "generations", None) or ():
        for one in candidates if isinstance(candidates, (list, tuple)) else (candidates,):
            info = getattr(one, "generation_info", None)
            return getattr(one, "message", None), info if isinstance(info, Mapping) else {}
    return None, {}


def _own_id(message: Any) -> str | None:
    """The message's id, where the provider has given it: LangChain's own ones begin by ``run-``."""
    value = getattr(message, "id", None)
    if not isinstance(value, str) or value.startswith(("run-", "lc_", "lc-")):
        return None
    return value or None


def _usage(
    told: Mapping[str, Any] | None, metadata: Mapping[str, Any], output: Mapping[str, Any]
) -> tuple[Mapping[str, Any] | None, str | None, Mapping[str, int] | None]:
    raw = metadata.get("token_usage") or output.get("token_usage")
    if isinstance(raw, Mapping) and _count(raw.get("prompt_tokens")) is not None:
        counts = normalised(told) if told is not None else {}
        _put(counts, "input_tokens", raw.get("prompt_tokens"))
        _put(counts, "output_tokens", raw.get("completion_tokens"))
        return dict(raw), UsageFormat.OPENAI_CHAT, counts
    for source in (told, metadata.get("usage_metadata"), metadata.get("usage"), output.get("usage")):
        if isinstance(source, Mapping):
            found = normalised(source)
            if found:
                parts = _by_duration(found, source.get("input_token_details"))
                if parts is not None:
                    return parts, UsageFormat.PARTS, found
                return found, UsageFormat.SEMCONV, found
    return None, None, None


_INPUT_DETAILS: Final[Mapping[str, str]] = {
    "cache_read": "cache_read.input_tokens",
    "audio": "audio.input_tokens",
    "image": "image.input_tokens",
}
_OUTPUT_DETAILS: Final[Mapping[str, str]] = {
    "reasoning": "reasoning.output_tokens",
    "audio": "audio.output_tokens",
    "image": "image.output_tokens",
}
_SHORT, _LONG = "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"


def normalised(told: Mapping[str, Any]) -> dict[str, int]:
    """LangChain's ``usage_metadata`` in the names of the conventions; cached tokens are in the input.

    Args:
        told: ``usage_metadata``, or what has its shape.
    """
    found: dict[str, int] = {}
    _put(found, "input_tokens", told.get("input_tokens"))
    _put(found, "output_tokens", told.get("output_tokens"))
    if not found:
        return {}
    details = told.get("input_token_details")
    if isinstance(details, Mapping):
        for name, target in _INPUT_DETAILS.items():
            _put(found, target, details.get(name), zero=False)
        # Where the writes are split by how long they stay, the sum is told as 0.
        split = (_count(details.get(_SHORT)) or 0) + (_count(details.get(_LONG)) or 0)
        writes = split or details.get("cache_creation")
        _put(found, "cache_write.input_tokens", writes, zero=False)
    details = told.get("output_token_details")
    if isinstance(details, Mapping):
        for name, target in _OUTPUT_DETAILS.items():
            _put(found, target, details.get(name), zero=False)
    return found


def _by_duration(found: Mapping[str, int], details: Any) -> dict[str, int] | None:
    """The same as disjoint parts, where cache writes are told by how long they stay; else None."""
    if not isinstance(details, Mapping):
        return None
    short, long = _count(details.get(_SHORT)) or 0, _count(details.get(_LONG)) or 0
    if not short and not long:
        return None
    named = (
        ("cache_read", "cache_read.input_tokens"),
        ("audio_input", "audio.input_tokens"),
        ("image_input", "image.input_tokens"),
    )
    parts = {name: found.get(key, 0) for name, key in named}
    parts.update(cache_write_5m=short, cache_write_1h=long)
    parts["uncached_input"] = found.get("input_tokens", 0) - sum(parts.values())
    spoken = {
        "audio_output": found.get("audio.output_tokens", 0),
        "image_output": found.get("image.output_tokens", 0),
    }
    parts["output"] = found.get("output_tokens", 0) - sum(spoken.values())
    parts["reasoning"] = found.get("reasoning.output_tokens", 0)
    parts.update(spoken)
    return parts  # a negative one is bad usage, and told as that


def _put(found: dict[str, int], name: str, value: Any, *, zero: bool = True) -> None:
    count = _count(value)
    if count is not None and (zero or count):
        found[name] = count


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _first(source: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        found = _text(source, name)
        if found is not None:
            return found
    return None


def _text(source: Mapping[str, Any], name: str) -> str | None:
    value = source.get(name)
    return value if isinstance(value, str) and value else None
