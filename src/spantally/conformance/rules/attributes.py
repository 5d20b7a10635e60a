"""Rules about single attributes, on spans and on events alike: names, types, values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from spantally.conformance import vocabulary as words
from spantally.conformance.model import GENAI_PREFIX
from spantally.conformance.profiles import Profile
from spantally.conformance.rules.base import MIGRATION, REGISTRY, SPANS, Rule, error, listed, show, warning

Attributes: TypeAlias = Mapping[str, Any]

_FITS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "int": (int,),
    "double": (float,),
    "boolean": (bool,),
    "string[]": (list,),
    "any": (str, bool, int, float, list, dict, bytes, type(None)),
}

_NAMED: Final = {
    str: "a string",
    bool: "a boolean",
    int: "an int",
    float: "a double",
    list: "an array",
    dict: "a map",
    bytes: "bytes",
    type(None): "empty",
}

_PARTS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "gen_ai.usage.input_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.text.input_tokens",
        "gen_ai.usage.image.input_tokens",
        "gen_ai.usage.audio.input_tokens",
    ),
    "gen_ai.usage.output_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.text.output_tokens",
        "gen_ai.usage.image.output_tokens",
        "gen_ai.usage.audio.output_tokens",
    ),
}
"""By total: the counts that lie within it."""


def _operation(attributes: Attributes, profile: Profile) -> Iterator[str]:
    value = attributes.get("gen_ai.operation.name")
    if isinstance(value, str) and value not in profile.operations:
        yield f"gen_ai.operation.name is {show(value)}; one of {listed(profile.operations)} is expected"


def _types(attributes: Attributes, profile: Profile) -> Iterator[str]:
    for name, value in attributes.items():
        expected = profile.types.get(name)
        if expected is None and name.startswith(words.VARIABLE_PREFIX):
            expected = "string"
        if expected is None:
            continue
        # type(), since True is an int to isinstance
        if type(value) not in _FITS[expected]:
            yield f"{name} is {_NAMED.get(type(value), 'odd')} ({show(value)}); {expected} is expected"
        elif expected == "string[]" and any(type(item) is not str for item in value):
            yield f"{name} has an item that is no string ({show(value)}); string[] is expected"


def _renamed(attributes: Attributes, profile: Profile) -> Iterator[str]:
    for name in attributes:
        if name in profile.renamed:
            successor = profile.renamed[name]
            yield f"{name} is no longer used; " + (f"use {successor}" if successor else "leave it out")
        else:
            indexed = _indexed(name)
            if indexed is not None:
                yield f"{name} is no longer used; use {indexed}, one attribute for all messages"


def _indexed(name: str) -> str | None:
    """The successor of ``gen_ai.prompt.0.content`` and its like."""
    for prefix, successor in words.INDEXED.items():
        if name.startswith(prefix) and name[len(prefix) : len(prefix) + 1].isdigit():
            return successor
    return None


def _unknown(attributes: Attributes, profile: Profile) -> Iterator[str]:
    for name in attributes:
        if (
            name.startswith(GENAI_PREFIX)
            and name not in profile.types
            and name not in profile.renamed
            and not name.startswith(words.VARIABLE_PREFIX)
            and _indexed(name) is None
        ):
            yield f"{name} is no attribute of the conventions ({profile.name}); use a namespace of your own"


def _provider(attributes: Attributes, profile: Profile) -> Iterator[str]:
    value = attributes.get("gen_ai.provider.name")
    if isinstance(value, str) and value not in profile.providers:
        better = words.RENAMED_PROVIDERS.get(value.lower())
        if better in profile.providers:
            yield f"gen_ai.provider.name is {show(value)}; the conventions spell it {better!r}"
        else:
            yield f"gen_ai.provider.name is {show(value)}, which the conventions do not list"


def _finish_reasons(attributes: Attributes, profile: Profile) -> Iterator[str]:
    reasons = attributes.get("gen_ai.response.finish_reasons")
    for value in reasons if isinstance(reasons, list) else ():
        if isinstance(value, str) and value not in profile.finish_reasons:
            better = words.RESPELLED_REASONS.get(value.lower())
            advice = f"{better!r} is expected" if better else f"known are {listed(profile.finish_reasons)}"
            yield f"gen_ai.response.finish_reasons has {show(value)}; {advice}"


def _output_type(attributes: Attributes, profile: Profile) -> Iterator[str]:
    value = attributes.get("gen_ai.output.type")
    if isinstance(value, str) and value not in words.OUTPUT_TYPES:
        yield f"gen_ai.output.type is {show(value)}; known are {listed(words.OUTPUT_TYPES)}"


def _defaults(attributes: Attributes, profile: Profile) -> Iterator[str]:
    if attributes.get("gen_ai.request.stream") is False:
        yield "gen_ai.request.stream is false; it is set only on streams"
    if attributes.get("gen_ai.request.choice.count") == 1:
        yield "gen_ai.request.choice.count is 1; it is set only where it differs from 1"
    if attributes.get("gen_ai.conversation.compacted") is False:
        yield "gen_ai.conversation.compacted is false; it is set only where it is true"


def _usage(attributes: Attributes, profile: Profile) -> Iterator[str]:
    for total_name, parts in _PARTS_OF.items():
        total = attributes.get(total_name)
        for name in (total_name, *parts):
            value = attributes.get(name)
            if type(value) is not int:
                continue
            if value < 0:
                yield f"{name} is {value}; a count is not negative"
            elif type(total) is int and value > total >= 0:
                yield f"{name} is {value}, more than {total_name} ({total}), which should include it"


ATTRIBUTE_RULES: Final[tuple[Rule[Attributes], ...]] = (
    error(
        "GENAI-OPERATION-UNKNOWN",
        "gen_ai.operation.name is one of the conventions' operations.",
        REGISTRY,
        _operation,
    ),
    error("GENAI-TYPE", "An attribute's value has the type of the conventions.", REGISTRY, _types),
    error("GENAI-RENAMED", "Names of older conventions are not used.", MIGRATION, _renamed),
    error(
        "GENAI-USAGE-PARTS",
        "Token counts are not negative, and a total includes its parts.",
        REGISTRY,
        _usage,
    ),
    warning("GENAI-UNKNOWN", "A gen_ai.* attribute is one of the conventions.", REGISTRY, _unknown),
    warning(
        "GENAI-PROVIDER",
        "gen_ai.provider.name is one of the conventions' providers; others may have names of their own.",
        REGISTRY,
        _provider,
    ),
    warning(
        "GENAI-FINISH-REASON",
        "Finish reasons are in the conventions' words, where they have one.",
        REGISTRY,
        _finish_reasons,
    ),
    warning(
        "GENAI-OUTPUT-TYPE", "gen_ai.output.type is text, json, image or speech.", REGISTRY, _output_type
    ),
    warning("GENAI-DEFAULT", "What says nothing but the default is left out.", SPANS, _defaults),
)
