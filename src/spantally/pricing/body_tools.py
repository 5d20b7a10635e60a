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

_SEARCH_MODELS: Final = ("-search-preview", "-search-api")
_GEMINI_VERSION: Final = re.compile(r"gemini-(\d+)")


def of_openai(body: Mapping[str, Any], model: str) -> dict[str, int]:
    """Tools by the output items of a response.

    A search costs a fee; opening a page or looking for something in it does not
    (platform.openai.com/docs/guides/tools-web-search, "output and citations"). Where the response counts its
    billable searches itself (``tool_usage``), that is the number. Chat completions of a search model search
    once at each request (platform.openai.com/docs/models/gpt-4o-search-preview), at a fee that the table does
    not always have.
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
    if "choices" in body and any(mark in model for mark in _SEARCH_MODELS):
        found["web_search"] = 1
    if mapping(body.get("svg_usage")).get("total_tokens"):
        found["svg_authoring_call"] = 1
    return found


def is_preview(body: Mapping[str, Any]) -> bool:
    """True where the older web search was at hand, as a tool or in the model: it has a price of its own."""
    model = body.get("model")
    if isinstance(model, str) and "-search-preview" in model:
        return True
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
