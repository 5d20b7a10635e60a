"""The provider's own usage object, where somebody's span carries it: it says more than any attribute.

It is told by its shape. What Anthropic counts beside ``input_tokens`` (docs.claude.com, prompt caching) is
made into disjoint parts here, with the retention of cache writes that no attribute of the conventions has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from spantally.ground.records import UsageFormat

MAX_JSON: Final = 65_536
"""Characters; parsing happens as a span ends, on the program's thread."""

Usage: TypeAlias = tuple[Mapping[str, Any], str]
"""A usage object with its format."""

_ID: Final = re.compile(r'"id": ?"((?:chatcmpl|resp|msg|cmpl|gen|batch)[-_][^"\\]{1,200})"')
_ENDS: Final = 4096


def as_json(value: object) -> Any:
    """The value of a JSON text; None for what is none, or is too long to be read here."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_JSON:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def is_count(value: object) -> bool:
    """True for a number that is no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def raw_usage(value: object) -> Usage | None:
    """A usage object in its provider's shape, with its format; None where the shape is not known.

    Args:
        value: the object, or JSON of it.
    """
    if isinstance(value, str):
        value = as_json(value)
    if not isinstance(value, Mapping):
        return None
    if is_count(value.get("prompt_tokens")):
        return dict(value), UsageFormat.OPENAI_CHAT
    if not is_count(value.get("input_tokens")):
        return None
    if "cache_read_input_tokens" in value or "cache_creation_input_tokens" in value:
        return anthropic_parts(value), UsageFormat.PARTS
    if "input_tokens_details" in value or "output_tokens_details" in value:
        return dict(value), UsageFormat.OPENAI_RESPONSES
    return None


def anthropic_parts(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Disjoint parts of Anthropic's usage object."""
    written = usage.get("cache_creation_input_tokens") or 0
    split = usage.get("cache_creation")
    long = split.get("ephemeral_1h_input_tokens") or 0 if isinstance(split, Mapping) else 0
    tools = usage.get("server_tool_use")
    searches = tools.get("web_search_requests") if isinstance(tools, Mapping) else None
    return {
        "uncached_input": usage.get("input_tokens") or 0,
        "cache_read": usage.get("cache_read_input_tokens") or 0,
        "cache_write_5m": written - long if is_count(written) and is_count(long) else written,
        "cache_write_1h": long,
        "output": usage.get("output_tokens") or 0,
        **({"web_searches": searches} if searches else {}),
    }


def response_of(value: object) -> Mapping[str, Any]:
    """A response body that a span carries as JSON; empty where there is none."""
    found = as_json(value)
    return found if isinstance(found, Mapping) else {}


def response_id_of(value: object, body: Mapping[str, Any]) -> str | None:
    """The response's id, of a body as JSON.

    Args:
        value: the JSON text.
        body: what :func:`response_of` made of it; a text that is too long is searched at both its ends.
    """
    found = body.get("id")
    if isinstance(found, str) and found:
        return found
    if body or not isinstance(value, str) or len(value) <= MAX_JSON:
        return _langchain_id(body)
    match = _ID.search(value[:_ENDS]) or _ID.search(value[-_ENDS:])
    return None if match is None else match.group(1)


def _langchain_id(body: Mapping[str, Any]) -> str | None:
    """The id in what LangChain makes of a response."""
    try:
        message = body["generations"][0][0]["message"]
        message = message.get("kwargs", message)
        found = (message.get("response_metadata") or {}).get("id") or message.get("id")
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    return found if isinstance(found, str) and not found.startswith(("run-", "lc_")) else None
