"""OpenAI: fees of the tools that it runs itself."""

# ruff: noqa: E501 - a case reads best in few lines.

from __future__ import annotations

from typing import Any

from pricing_cases.case import Case, chat, response

SEARCH = "https://platform.openai.com/docs/guides/tools-web-search"
LISTS = "https://developers.openai.com/api/docs/pricing"
CONTAINERS = "https://platform.openai.com/docs/guides/tools-code-interpreter"

OPENAI = "openai"


def _items(*kinds: str, **more: Any) -> list[dict[str, Any]]:
    return [{"id": f"i{number}", "type": kind, "status": "completed"} for number, kind in enumerate(kinds)]


def _searched(*actions: str) -> list[dict[str, Any]]:
    return [{"type": "web_search_call", "status": "completed", "action": {"type": kind}} for kind in actions]


CASES = (
    Case("two searches", OPENAI, response("gpt-5", 1000, 100, output=_items("web_search_call", "web_search_call")),
         1000 * 1_250 + 100 * 10_000 + 2 * 10_000_000, SEARCH),
    Case("opening and reading pages is free", OPENAI,
         response("gpt-5", 1000, 100, output=_searched("search", "open_page", "find_in_page")),
         1000 * 1_250 + 100 * 10_000 + 1 * 10_000_000, SEARCH),
    Case("the response counts its billable searches", OPENAI,
         response("gpt-5", 1000, 100, output=_searched("search", "search", "search"),
                  tool_usage={"web_search": {"num_requests": 2}}),
         1000 * 1_250 + 100 * 10_000 + 2 * 10_000_000, SEARCH),
    Case("a search that failed", OPENAI,
         response("gpt-5", 1000, 100, output=[{"type": "web_search_call", "status": "failed"}]),
         1000 * 1_250 + 100 * 10_000, SEARCH),
    Case("the older tool with a model that does not reason", OPENAI,
         response("gpt-4o", 1000, 100, output=_items("web_search_call"), tools=[{"type": "web_search_preview"}]),
         1000 * 2_500 + 100 * 10_000 + 25_000_000, LISTS),
    Case("the older tool with a model that reasons", OPENAI,
         response("o4-mini", 1000, 100, output=_items("web_search_call"),
                  tools=[{"type": "web_search_preview_2025_03_11"}]),
         1000 * 1_100 + 100 * 4_400 + 10_000_000, LISTS),
    Case("a model that searches at each request", OPENAI, chat("gpt-4o-search-preview-2025-03-11", 11, 17),
         11 * 2_500 + 17 * 10_000 + 25_000_000, LISTS),
    Case("file search", OPENAI, response("gpt-4.1", 1000, 100, output=_items("file_search_call", "message")),
         1000 * 2_000 + 100 * 8_000 + 2_500_000, LISTS),
    Case("both kinds of search", OPENAI,
         response("gpt-4.1", 10, 10, output=_items("file_search_call", "web_search_call", "file_search_call")),
         10 * 2_000 + 10 * 8_000 + 2 * 2_500_000 + 10_000_000, LISTS),
    Case("functions and remote tools have no fee", OPENAI,
         response("gpt-4.1", 10, 10, output=_items("function_call", "mcp_call", "mcp_list_tools", "reasoning")),
         10 * 2_000 + 10 * 8_000, LISTS),
    Case("a container's fee is not told", OPENAI,
         response("gpt-5", 10, 10, output=_items("code_interpreter_call")), 10 * 1_250 + 10 * 10_000, CONTAINERS,
         status="partial:code_interpreter"),
    Case("an image made by a tool", OPENAI,
         response("gpt-5", 10, 10, output=_items("image_generation_call")), 10 * 1_250 + 10 * 10_000, LISTS,
         status="partial:image_generation"),
    Case("a shell of the program's own", OPENAI,
         response("gpt-5", 10, 10, output=_items("shell_call", "local_shell_call", "apply_patch_call")),
         10 * 1_250 + 10 * 10_000, LISTS),
    Case("a search where no fee is listed", OPENAI, response("o3-mini", 10, 10, output=_items("web_search_call")),
         10 * 1_100 + 10 * 4_400, LISTS, status="partial:web_searches"),
    Case("a search in a batch keeps its fee", OPENAI,
         response("gpt-4.1", 1000, 100, output=_items("web_search_call")),
         1000 * 1_000 + 100 * 4_000 + 10_000_000, LISTS, batch=True),
)  # fmt: skip
