"""Rules about content: messages, system instructions, tool definitions, documents and memory records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from spantally.conformance.profiles import Profile
from spantally.conformance.rules import shapes
from spantally.conformance.rules.attributes import Attributes
from spantally.conformance.rules.base import CONTENT, Rule, error, show, warning

_SHAPES: Final[dict[str, Callable[[Any, Profile], Iterator[str]]]] = {
    "gen_ai.input.messages": shapes.input_messages,
    "gen_ai.output.messages": shapes.output_messages,
    "gen_ai.system_instructions": shapes.system_instructions,
    "gen_ai.tool.definitions": shapes.tool_definitions,
    "gen_ai.retrieval.documents": shapes.retrieval_documents,
    "gen_ai.memory.records": shapes.memory_records,
}
"""By attribute: what its schema asks for."""

CONTENT_ATTRIBUTES: Final = frozenset(_SHAPES)

_MOST: Final = 5
"""Findings of one rule on one attribute; a long conversation has its fault in every message."""


class _NoJsonError(ValueError):
    """The text of an attribute is no JSON."""


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no value of JSON")


def _parsed(value: Any) -> Any:
    """The structured value: a text is parsed."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_refused)
    except (ValueError, RecursionError) as failure:
        raise _NoJsonError(str(failure)) from failure


def _json(attributes: Attributes, profile: Profile) -> Iterator[str]:
    for name in sorted(CONTENT_ATTRIBUTES & attributes.keys()):
        try:
            _parsed(attributes[name])
        except _NoJsonError as failure:
            yield f"{name} is no JSON ({failure}; cut by a length limit?): {show(attributes[name])}"


def _schema(attributes: Attributes, profile: Profile) -> Iterator[str]:
    for name, value in _readable(attributes):
        for problem in islice(_SHAPES[name](value, profile), _MOST):
            yield f"{name}{problem}"


def _advice(attributes: Attributes, profile: Profile) -> Iterator[str]:
    for name, value in _readable(attributes):
        if name in ("gen_ai.input.messages", "gen_ai.output.messages"):
            for problem in islice(shapes.message_advice(value, profile), _MOST):
                yield f"{name}{problem}"


def _readable(attributes: Attributes) -> Iterator[tuple[str, Any]]:
    for name in sorted(CONTENT_ATTRIBUTES & attributes.keys()):
        try:
            yield name, _parsed(attributes[name])
        except _NoJsonError:
            continue


CONTENT_RULES: Final[tuple[Rule[Attributes], ...]] = (
    error("GENAI-CONTENT-JSON", "Content that is recorded as a text is JSON.", CONTENT, _json),
    error("GENAI-CONTENT-SCHEMA", "Content has the shape of its JSON schema.", CONTENT, _schema),
    warning(
        "GENAI-CONTENT-ADVICE",
        "Messages use the known roles, no data URL as a URI, and no deprecated field.",
        CONTENT,
        _advice,
    ),
)
