"""The provider's own tools in a response body: how often each ran that may cost a fee."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from spantally.pricing.body_shapes import items, mapping

_CLIENT: Final = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "computer_call",
        "local_shell_call",
        "apply_patch_call",
        "mcp_call",
        "tool_search_call",
    }
)
"""Items that ask the program to act, or cost nothing."""

_GEMINI_VERSION: Final = re.compile(r"gemini-(\d+)")


def of_openai(body: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, int]:
    """Tools by the output items of a response.

    A search costs a fee; opening a page or looking for something in it does not
    (platform.openai.com/docs/guides/tools-web-search, "output and citations"). Where the response counts its
    billable searches itself (``tool_usage``), that is the number.
    """
    found: dict[str, int] = {}
    for item in items(body.get("output")):
        one = mapping(item)
        kind = one.get("type")
        if not isinstance(kind, str) or not kind.endswith("_call") or kind in _CLIENT:
            continue
        if kind == "web_search_call" and mapping(one.get("action")).get("type", "search") != "search":
            continue
        if one.get("status") == "failed":
            continue
        if kind == "shell_call" and mapping(one.get("environment")).get("type") in (None, "local"):
            continue  # runs where the program does
        found[kind] = found.get(kind, 0) + 1
    billed = mapping(mapping(body.get("tool_usage")).get("web_search")).get("num_requests")
    if type(billed) is int:
        found.pop("web_search_call", None)
        if billed:
            found["web_search_call"] = billed
    if "web_search_call" in found and (is_preview(body) or is_preview(asked)):
        found["web_search_preview_call"] = found.pop("web_search_call")
    if mapping(body.get("svg_usage")).get("total_tokens"):
        found["svg_authoring_call"] = 1
    return found


def is_preview(body: Mapping[str, Any]) -> bool:
    """True where the older web search tool was offered, which has a price of its own."""
    kinds = (mapping(one).get("type") for one in items(body.get("tools")))
    return any(isinstance(kind, str) and kind.startswith("web_search_preview") for kind in kinds)


def of_gemini(body: Mapping[str, Any], model: str) -> dict[str, int]:
    """Grounding with Google Search, as it is billed.

    From Gemini 3 on each search query that is not empty costs a fee, before that each prompt that was
    grounded, however many queries it took (ai.google.dev/gemini-api/docs/google-search, "pricing"). Grounding
    with Google Maps has a fee of its own.
    """
    queries = maps = grounded = 0
    for candidate in items(body.get("candidates")):
        one = mapping(candidate)
        found = mapping(one.get("groundingMetadata", one.get("grounding_metadata")))
        asked = items(found.get("webSearchQueries", found.get("web_search_queries")))
        told = {query for query in asked if isinstance(query, str) and query.strip()}
        queries += len(told)
        grounded += bool(told)
        chunks = items(found.get("groundingChunks", found.get("grounding_chunks")))
        maps += any("maps" in mapping(chunk) for chunk in chunks)
    tools: dict[str, int] = {}
    if queries:
        version = _GEMINI_VERSION.search(model)
        by_query = version is not None and int(version[1]) >= 3
        tools["google_search"] = queries if by_query else min(grounded, 1)
    if maps:
        tools["maps_grounding"] = 1
    return tools
