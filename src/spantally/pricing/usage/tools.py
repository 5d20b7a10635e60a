"""The provider's own tools, whose uses carry fees that no token count shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.pricing.usage.counts import Reading, count

_FREE_TOOLS: Final = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "reasoning",
        "mcp_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "tool_search_call",
    }
)
"""Items of a response that carry no fee of their own (platform.openai.com/docs/pricing, built-in tools)."""

_SEARCHES: Final = frozenset({"web_search_call", "web_search", "web_search_requests", "web_searches"})
_GROUNDING: Final = "google_search"
_PREVIEW: Final = "web_search_preview_call"
"""Searches by the older tool, which has a price of its own."""

_FILES: Final = frozenset({"file_search_call", "file_search", "file_searches"})


def with_server_tools(reading: Reading, tools: Mapping[str, Any]) -> Reading:
    """A reading with the provider's own tools added: each use may carry a fee that no token count shows.

    Args:
        reading: of the usage object; one that counts the tools itself stays as it is.
        tools: item type of the Responses API (``web_search_call``, ...) to how often it ran.

    Returns:
        Searches as parts; a tool whose fee has no part makes the reading incomplete by its name.
    """
    if reading.tools_counted:
        return reading
    parts, missing = reading.parts, reading.missing
    for name in tools:
        times = count(tools, name)
        if name == _GROUNDING:
            # The account's free allowance is used up first, and no response says how much of it is left
            # (ai.google.dev/gemini-api/docs/pricing, grounding).
            parts = parts._replace(web_searches=parts.web_searches + times)
            reading = reading._replace(approximate=reading.approximate or times > 0)
        elif name == _PREVIEW:
            parts = parts._replace(web_searches=parts.web_searches + times)
            reading = reading._replace(context={**reading.context, "search": "preview"})
        elif name in _SEARCHES:
            parts = parts._replace(web_searches=parts.web_searches + times)
        elif name in _FILES:
            parts = parts._replace(file_searches=parts.file_searches + times)
        elif times and name not in _FREE_TOOLS:
            missing = missing or name.removesuffix("_call")
    return reading._replace(parts=parts, missing=missing)
