"""Token counts of a raw usage object as span attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from spantally.ground import semconv
from spantally.ground.records import UsageFormat
from spantally.ground.thoughts import may_leave_out, thoughts_outside
from spantally.instrumentors.openai.wire.endpoints import is_by_piece, usage_format_of
from spantally.instrumentors.openai.wire.operation import Operation
from spantally.instrumentors.stainless.wire.fields import field, integer, number

_INPUT_DETAILS: Final = {
    "cached_tokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
    "cache_write_tokens": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "audio_tokens": semconv.USAGE_AUDIO_INPUT_TOKENS,
    "image_tokens": semconv.USAGE_IMAGE_INPUT_TOKENS,
    "text_tokens": semconv.USAGE_TEXT_INPUT_TOKENS,
}
_CACHED_DETAILS: Final = {
    "text_tokens": semconv.USAGE_TEXT_CACHE_READ_INPUT_TOKENS,
    "audio_tokens": semconv.USAGE_AUDIO_CACHE_READ_INPUT_TOKENS,
    "image_tokens": semconv.USAGE_IMAGE_CACHE_READ_INPUT_TOKENS,
}
_OUTPUT_DETAILS: Final = {
    "reasoning_tokens": semconv.USAGE_REASONING_OUTPUT_TOKENS,
    "audio_tokens": semconv.USAGE_AUDIO_OUTPUT_TOKENS,
    "image_tokens": semconv.USAGE_IMAGE_OUTPUT_TOKENS,
    "text_tokens": semconv.USAGE_TEXT_OUTPUT_TOKENS,
}

_Table: TypeAlias = dict[str, str]

_FORMATS: Final[Mapping[str, tuple[_Table, tuple[str, _Table], tuple[str, _Table]]]] = {
    form: (
        {
            names[0]: semconv.USAGE_INPUT_TOKENS,
            names[1]: semconv.USAGE_OUTPUT_TOKENS,
            # Some tell cache hits beside the totals (DeepSeek; Together and Moonshot; Mistral); details,
            # read later, win.
            "prompt_cache_hit_tokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
            "cached_tokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
            "num_cached_tokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
        },
        (f"{names[0]}_details", _INPUT_DETAILS),
        (f"{names[1]}_details", _OUTPUT_DETAILS),
    )
    for form, names in {
        UsageFormat.OPENAI_CHAT: ("prompt_tokens", "completion_tokens"),
        UsageFormat.OPENAI_RESPONSES: ("input_tokens", "output_tokens"),
    }.items()
}
"""By format: keys and attributes of the totals, then two groups of details, each with its own key."""


_PLAIN_COUNT: Final = 1 << 53
"""Counts up to here need no second look."""


_INTS: Final = frozenset({int})


class _Way(NamedTuple):
    """How usage objects of the same keys are read: which of them count, and what the counts are called."""

    totals: tuple[str, ...]
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]
    attributes: tuple[str, ...]


_ways: Final[dict[tuple[Any, ...], _Way | None]] = {}
_MOST_WAYS: Final = 256
_LONGEST_WAY: Final = 48
_LONGEST_KEYS: Final = 1_024

_DETAILS: Final[Mapping[str, tuple[str, str]]] = {
    form: (tables[1][0], tables[2][0]) for form, tables in _FORMATS.items()
}


def quick_counts(op: Operation, usage: Any, provider: str | None) -> Iterable[tuple[str, int]] | None:
    """What :func:`usage_attributes` says of an ordinary usage object in the format of its endpoint.

    None for any other. A provider's answers have the same keys every time, so which of them are wanted is
    found once; an object of which each wanted count is a plain one is read without a line of Python for each.

    Args:
        op: what :func:`classify` said.
        usage: the provider's usage object.
        provider: ``gen_ai.provider.name``.
    """
    details = _DETAILS.get(op.usage_format)
    if details is None or type(usage) is not dict:
        return None
    incoming, outgoing = usage.get(details[0]) or _EMPTY, usage.get(details[1]) or _EMPTY
    if type(incoming) is not dict or type(outgoing) is not dict:
        return None
    keys = (op.api, op.usage_format, provider, *usage, None, *incoming, None, *outgoing)
    way = _ways.get(keys)
    if way is None:
        if keys in _ways:
            return None
        way = _new_way(op, usage, provider, keys)
        if way is None:
            return None
    counts = [
        *map(usage.__getitem__, way.totals),
        *map(incoming.__getitem__, way.incoming),
        *map(outgoing.__getitem__, way.outgoing),
    ]
    if _INTS.issuperset(map(type, counts)) and min(counts) >= 0 and max(counts) <= _PLAIN_COUNT:
        return zip(way.attributes, counts, strict=True)
    return None


_EMPTY: Final[dict[str, Any]] = {}


def _new_way(
    op: Operation, usage: Mapping[str, Any], provider: str | None, keys: tuple[Any, ...]
) -> _Way | None:
    """The way of usage objects that were not met before, kept under what they have in common."""
    totals, (incoming, input_names), (outgoing, output_names) = _FORMATS[op.usage_format]
    within = usage.get(incoming) or _EMPTY, usage.get(outgoing) or _EMPTY
    tables = (totals, usage), (input_names, within[0]), (output_names, within[1])
    read = [tuple(name for name in table if name in source) for table, source in tables]
    way: _Way | None = None
    if (
        not set(tuple(totals)[:2]).isdisjoint(usage)
        and op.api != "embeddings"
        and not (provider is not None and may_leave_out(provider))
        # Other spellings, and details of details.
        and all(name.replace("_tokens_", "_token_") not in usage for name in (incoming, outgoing))
        and all("cached_tokens_details" not in source for source in within)
    ):
        names = [table[name] for (table, _), found in zip(tables, read, strict=True) for name in found]
        way = _Way(read[0], read[1], read[2], tuple(names))
    if len(keys) <= _LONGEST_WAY and sum(len(name) for name in keys if name) <= _LONGEST_KEYS:
        if len(_ways) >= _MOST_WAYS:
            _ways.clear()
        _ways[keys] = way
    return way


def usage_attributes(op: Operation, usage: Any, provider: str | None = None) -> dict[str, int]:
    """``gen_ai.usage.*`` of a raw usage object; a count that is missing, negative or no number is left out.

    Args:
        op: what :func:`classify` said; its ``usage_format`` tells the keys.
        usage: the provider's usage object.
        provider: ``gen_ai.provider.name``: some leave out of their output count what they bill as output.
    """
    found: dict[str, int] = {}
    add_usage_attributes(found, op, usage, provider)
    return found


def add_usage_attributes(
    found: dict[str, Any],
    op: Operation,
    usage: Any,
    provider: str | None = None,
    usage_format: str | None = None,
) -> None:
    """Put :func:`usage_attributes` into attributes that are there.

    Args:
        found: receives them.
        op: what :func:`classify` said.
        usage: the provider's usage object.
        provider: ``gen_ai.provider.name``.
        usage_format: what :func:`usage_format_of` said, where that is known.
    """
    tables = _FORMATS.get(usage_format or usage_format_of(op, usage))
    if tables is None:
        return
    totals, incoming, outgoing = tables
    _take(found, usage, totals)
    for key, counts in (incoming, outgoing):
        details = usage.get(key) if type(usage) is dict else field(usage, key)
        if details is None:  # runs of assistants, and Mistral
            details = field(usage, key.replace("_tokens_", "_token_"))
        if details is not None:
            _take(found, details, counts)
            name = "cached_tokens_details"
            cached = details.get(name) if type(details) is dict else field(details, name)
            if cached is not None:
                _take(found, cached, _CACHED_DETAILS)
    if op.api == "embeddings":
        found.pop(semconv.USAGE_OUTPUT_TOKENS, None)
    elif provider is not None and provider != "openai" and may_leave_out(provider):
        _add_thoughts(found, usage, provider)


def _add_thoughts(found: dict[str, Any], usage: Any, provider: str) -> None:
    """Count reasoning within the output, as it is billed."""
    output = found.get(semconv.USAGE_OUTPUT_TOKENS)
    if output is None:
        return
    known = output + found.get(semconv.USAGE_INPUT_TOKENS, 0)
    told = found.get(semconv.USAGE_REASONING_OUTPUT_TOKENS, 0)
    total = integer(field(usage, "total_tokens"))
    outside, reasoning = thoughts_outside(
        provider, lambda name: max(0, integer(field(usage, name)) or 0), total, known, told
    )
    found[semconv.USAGE_OUTPUT_TOKENS] = output + outside
    if reasoning != told:
        found[semconv.USAGE_REASONING_OUTPUT_TOKENS] = reasoning


def _take(found: dict[str, int], source: Any, table: _Table) -> None:
    if type(source) is dict:
        # Of the many counts that there may be a usage has a few: the others cost no line of Python each.
        for key in filter(source.__contains__, table):
            value = source[key]
            if type(value) is int and 0 <= value <= _PLAIN_COUNT:
                found[table[key]] = value
            else:
                _put(found, table[key], value)
    else:
        for key, attribute in table.items():
            _put(found, attribute, field(source, key))


def _put(found: dict[str, int], attribute: str, value: Any) -> None:
    if value is not None:
        count = integer(value)
        if count is not None and count >= 0:
            found[attribute] = count


def parts_beyond(
    attributes: Mapping[str, int], usage: Any, server_tools: Iterable[tuple[str, int]]
) -> dict[str, float] | None:
    """The usage in full as parts, for ``spantally.usage``; None where the conventions carry all of it.

    They have no name for what is billed by time or by the piece: audio by the second, searches, pictures.

    Args:
        attributes: what :func:`usage_attributes` gave.
        usage: the provider's usage object.
        server_tools: how often the provider ran each tool of its own.
    """
    beyond: dict[str, float] = {_SEARCHES[name]: count for name, count in server_tools if name in _SEARCHES}
    seconds = number(field(usage, "seconds")) if field(usage, "type") == "duration" else None
    if seconds is not None and seconds >= 0:
        beyond["audio_seconds"] = seconds
    if is_by_piece(usage):
        beyond.update(usage)
    if not beyond or any(attributes.get(key) for key in _MIXED):
        return None
    tokens: dict[str, float] = {}
    for total, part, within in _SPLIT:
        whole = attributes.get(total)
        if whole is not None:
            told = {name: attributes[key] for key, name in within if attributes.get(key)}
            tokens.update({part: whole - sum(told.values()), **told})
    if attributes.get(semconv.USAGE_REASONING_OUTPUT_TOKENS):
        tokens["reasoning"] = attributes[semconv.USAGE_REASONING_OUTPUT_TOKENS]
    if any(count < 0 for count in tokens.values()):
        return None  # a usage that cannot be true is nowhere repaired
    return {**tokens, **beyond}


_MIXED: Final = (semconv.USAGE_AUDIO_CACHE_READ_INPUT_TOKENS, semconv.USAGE_IMAGE_CACHE_READ_INPUT_TOKENS)
"""Counts that lie within two others at once: parts are disjoint."""

_SEARCHES: Final = {
    "web_search_call": "web_searches",
    "web_search_preview_call": "web_searches",
    "file_search_call": "file_searches",
}

_SPLIT: Final = (
    (
        semconv.USAGE_INPUT_TOKENS,
        "uncached_input",
        (
            (semconv.USAGE_CACHE_READ_INPUT_TOKENS, "cache_read"),
            (semconv.USAGE_CACHE_WRITE_INPUT_TOKENS, "cache_write_5m"),
            (semconv.USAGE_AUDIO_INPUT_TOKENS, "audio_input"),
            (semconv.USAGE_IMAGE_INPUT_TOKENS, "image_input"),
        ),
    ),
    (
        semconv.USAGE_OUTPUT_TOKENS,
        "output",
        (
            (semconv.USAGE_AUDIO_OUTPUT_TOKENS, "audio_output"),
            (semconv.USAGE_IMAGE_OUTPUT_TOKENS, "image_output"),
        ),
    ),
)
"""Total, the part that is left of it, and the parts that are told apart within it."""
