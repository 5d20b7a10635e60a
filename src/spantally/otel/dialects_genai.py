"""The newest GenAI names, with their older spellings: what every other reader builds on.

Whatever a dialect's basis, :class:`Facts` are on that of the conventions: input includes cached tokens,
output includes reasoning. What a span claims to have cost is not read: it is somebody's estimate, made
without what chooses the rate.
"""

# Annotations are not postponed: making a named tuple compiles each that is a text, 25 µs a field.

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from spantally.ground import semconv
from spantally.ground.records import Kind, UsageFormat
from spantally.otel.dialects_providers import place_of, provider_of

GENAI_PREFIX: Final = "gen_ai."
USAGE_PREFIX: Final = "gen_ai.usage."

KINDS: Final[Mapping[str, Kind]] = {
    "chat": Kind.INFERENCE,
    "completion": Kind.INFERENCE,
    "text_completion": Kind.INFERENCE,
    "generate_content": Kind.INFERENCE,
    "responses": Kind.INFERENCE,
    # Semantic Kernel's (learn.microsoft.com/semantic-kernel/concepts/enterprise-readiness/observability).
    "chat.completions": Kind.INFERENCE,
    "chat.streaming_completions": Kind.INFERENCE,
    "text.completions": Kind.INFERENCE,
    "text.streaming_completions": Kind.INFERENCE,
    "embeddings": Kind.EMBEDDINGS,
    "embedding": Kind.EMBEDDINGS,
    "retrieval": Kind.RETRIEVAL,
    "execute_tool": Kind.TOOL,
    "invoke_agent": Kind.AGENT,
    "invoke_workflow": Kind.WORKFLOW,
    "create_memory_store": Kind.MEMORY,
    "delete_memory_store": Kind.MEMORY,
    "create_memory": Kind.MEMORY,
    "update_memory": Kind.MEMORY,
    "upsert_memory": Kind.MEMORY,
    "search_memory": Kind.MEMORY,
    "delete_memory": Kind.MEMORY,
}
"""Kind of row by ``gen_ai.operation.name``; what is not listed (``create_agent``, ``plan``) is OTHER."""

NAME_KEYS: Final[Mapping[str, str]] = {
    Kind.AGENT: semconv.AGENT_NAME,
    Kind.TOOL: semconv.TOOL_NAME,
    Kind.WORKFLOW: semconv.WORKFLOW_NAME,
}
"""Which attribute names an agent, tool or workflow."""


class Facts(NamedTuple):
    """What the attributes of a GenAI span say, in one vocabulary."""

    operation: str
    kind: str
    name: str | None = None
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    conversation_id: str | None = None
    usage: Mapping[str, Any] | None = None
    usage_format: str | None = None
    price_context: Mapping[str, Any] | None = None
    first_chunk_ns: int | None = None
    tool_call_id: str | None = None
    estimated: bool = False
    """The usage may be somebody's guess, or lack a part that this dialect cannot carry."""
    server_address: str | None = None
    server_port: int | None = None


class Dialect(NamedTuple):
    """One way of writing GenAI spans.

    Attributes:
        name: shown by ``doctor``.
        recognises: True if attributes are written this way; called for every span, so it is cheap.
        read: what they say, or None where they describe no operation. The second argument is the span's name.
    """

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Any], str], Facts | None]


def _text(attributes: Mapping[str, Any], key: str) -> str | None:
    value = attributes.get(key)
    if value is None:
        for older in semconv.ALIASES.get(key, ()):
            value = attributes.get(older)
            if value is not None:
                break
    return value if isinstance(value, str) and value else None


def recognises_genai(attributes: Mapping[str, Any]) -> bool:
    """True if any attribute is of the GenAI namespace."""
    if semconv.OPERATION_NAME in attributes:
        return True
    return any(key.startswith(GENAI_PREFIX) for key in attributes)


def _operation(attributes: Mapping[str, Any], span_name: str) -> str | None:
    named = _text(attributes, semconv.OPERATION_NAME)
    if named is not None:
        return named
    # Spans from before gen_ai.operation.name: a model operation is known by its model or usage.
    if (
        semconv.REQUEST_MODEL in attributes
        or semconv.RESPONSE_MODEL in attributes
        or any(key.startswith(USAGE_PREFIX) for key in attributes)
    ):
        return "embeddings" if "embedding" in span_name.lower() else "chat"
    return None


def read_genai(attributes: Mapping[str, Any], span_name: str, *, normalised: bool = True) -> Facts | None:
    """Read the newest GenAI names, falling back to older spellings.

    Args:
        attributes: of the span.
        span_name: its name.
        normalised: False where the caller puts the input on the conventions' basis itself.
    """
    operation = _operation(attributes, span_name)
    if operation is None:
        return None
    kind = KINDS.get(operation, Kind.OTHER)
    provider = provider_of(_text(attributes, semconv.PROVIDER_NAME))
    usage, usage_format = _usage(attributes)
    if normalised and provider in EXCLUSIVE and usage is not None and usage_format == UsageFormat.SEMCONV:
        usage = _possible(usage)
    first_chunk: Any = attributes.get(semconv.RESPONSE_TIME_TO_FIRST_CHUNK)
    host, port = host_and_port(attributes)
    return Facts(
        operation=operation,
        kind=kind,
        name=_text(attributes, NAME_KEYS[kind]) if kind in NAME_KEYS else None,
        provider=provider,
        request_model=_text(attributes, semconv.REQUEST_MODEL),
        response_model=_text(attributes, semconv.RESPONSE_MODEL),
        response_id=_text(attributes, semconv.RESPONSE_ID),
        conversation_id=_text(attributes, semconv.CONVERSATION_ID),
        usage=usage,
        usage_format=usage_format,
        price_context=_price_context(attributes, host),
        first_chunk_ns=round(first_chunk * 1e9)
        if _is_number(first_chunk) and 0 <= first_chunk < _LONGEST_S
        else None,
        tool_call_id=_text(attributes, semconv.TOOL_CALL_ID),
        server_address=host,
        server_port=port,
    )


_LONGEST_S: Final = 1e9
"""Seconds; what is longer, or no time at all, is left out, so that the row of its call can be kept."""


def host_and_port(attributes: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Host and port that the request went to."""
    host, port = _text(attributes, semconv.SERVER_ADDRESS), attributes.get(semconv.SERVER_PORT)
    if host is None:
        return place_of(attributes.get("url.full"))
    return host, port if isinstance(port, int) and not isinstance(port, bool) else None


# -- the basis of the input ----------------------------------------------------------------------------

EXCLUSIVE: Final = frozenset({"anthropic", "aws.bedrock"})
"""Providers whose own usage object counts cached tokens beside the input."""

_CUT: Final = len(USAGE_PREFIX)
_READ: Final = semconv.USAGE_CACHE_READ_INPUT_TOKENS[_CUT:]
_WRITE: Final = semconv.USAGE_CACHE_WRITE_INPUT_TOKENS[_CUT:]
_INPUT: Final = semconv.USAGE_INPUT_TOKENS[_CUT:]


def inclusive(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """A usage whose input excludes cached tokens, on the conventions' basis.

    Args:
        usage: by the conventions' names without their prefix.
    """
    total = usage.get(_INPUT)
    if total is None:
        return usage
    return {**usage, _INPUT: total + (usage.get(_READ) or 0) + (usage.get(_WRITE) or 0)}


def _possible(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """More cached tokens than input cannot be within it: then the provider's own basis was copied."""
    total = usage.get(_INPUT)
    cached = (usage.get(_READ) or 0) + (usage.get(_WRITE) or 0)
    return usage if total is None or cached <= total else inclusive(usage)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_CANONICAL: Final[Mapping[str, str]] = {
    alias: name
    for name, aliases in semconv.ALIASES.items()
    if name.startswith(USAGE_PREFIX)
    for alias in aliases
}


COST_CLAIMED: Final = "gen_ai.usage.cost"
_DETAILS: Final = "gen_ai.usage.details."


def _usage(attributes: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str | None]:
    """The usage a span carries: our normalised parts where the conventions could not say all, else theirs."""
    parts = attributes.get(semconv.USAGE)
    if isinstance(parts, str):
        try:
            parsed = json.loads(parts)
        except ValueError:
            parsed = None
        if isinstance(parsed, dict) and parsed:
            return parsed, UsageFormat.PARTS
    found: dict[str, Any] = {}
    older: dict[str, Any] = {}
    for key, given in attributes.items():
        if not key.startswith(USAGE_PREFIX) or not _is_number(given) or key == COST_CLAIMED:
            continue
        # Languages with one kind of number write doubles.
        value = int(given) if type(given) is float and given.is_integer() else given
        canonical = _CANONICAL.get(key)
        if canonical is None:
            if not key.startswith(_DETAILS):  # pydantic-ai: the same counts again, in the provider's words
                found[key[len(USAGE_PREFIX) :]] = value
        else:
            older.setdefault(canonical[len(USAGE_PREFIX) :], value)
    for name, value in older.items():
        found.setdefault(name, value)
    return (found, UsageFormat.SEMCONV) if found else (None, None)


def _price_context(attributes: Mapping[str, Any], address: str | None) -> Mapping[str, Any] | None:
    found: dict[str, Any] = {}
    tier = _text(attributes, semconv.OPENAI_RESPONSE_SERVICE_TIER)
    if tier is not None:
        found["service_tier"] = tier  # what was asked for is not always what was served and billed
    requested = _text(attributes, semconv.OPENAI_REQUEST_SERVICE_TIER)
    if requested is not None and requested != "auto":
        found["requested_tier"] = requested
        found.setdefault("service_tier", requested)
    if address is not None:
        found["server_address"] = address
    api = _text(attributes, semconv.OPENAI_API_TYPE)
    if api is not None:
        found["api"] = api
    return found or None


GENAI: Final = Dialect("gen_ai", recognises_genai, read_genai)
