"""Anthropic: direct, and in its own shape on Bedrock, Vertex AI and Foundry."""

# ruff: noqa: E501 - a case reads best in few lines.

from __future__ import annotations

from pricing_cases.case import Case, chat, message

CACHING = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
LISTS = "https://platform.claude.com/docs/en/about-claude/pricing"
BATCH = "https://platform.claude.com/docs/en/build-with-claude/batch-processing"
FAST = "https://platform.claude.com/docs/en/build-with-claude/fast-mode"
GEO = "https://platform.claude.com/docs/en/manage-claude/data-residency"
COMPACTION = "https://platform.claude.com/docs/en/build-with-claude/compaction"
ADVISOR = "https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool"
SEARCH = "https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool"
CODE = "https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool"
TIERS = "https://platform.claude.com/docs/en/api/service-tiers"
THINKING = "https://platform.claude.com/docs/en/build-with-claude/extended-thinking"
STREAMS = "https://platform.claude.com/docs/en/build-with-claude/streaming"
VERTEX = "https://cloud.google.com/vertex-ai/generative-ai/pricing"
BEDROCK = "https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html"
ROUTER = "https://openrouter.ai/docs/use-cases/usage-accounting"

CLAUDE = "anthropic"


def _pass(kind: str, tokens_in: int, tokens_out: int, **more: object) -> dict[str, object]:
    return {"type": kind, "input_tokens": tokens_in, "output_tokens": tokens_out,
            "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, **more}  # fmt: skip


CASES = (
    Case("plain", CLAUDE, message("claude-sonnet-4-5-20250929", 100, 50), 100 * 3_000 + 50 * 15_000, LISTS),
    Case("read from the cache, outside the input", CLAUDE,
         message("claude-sonnet-4-5-20250929", 3, 50, cache_read_input_tokens=2000, cache_creation_input_tokens=0),
         3 * 3_000 + 2000 * 300 + 50 * 15_000, CACHING),
    Case("written for five minutes and for an hour", CLAUDE,
         message("claude-haiku-4-5-20251001", 10, 7, cache_read_input_tokens=500, cache_creation_input_tokens=1100,
                 cache_creation={"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 1000}),
         10 * 1_000 + 500 * 100 + 100 * 1_250 + 1000 * 2_000 + 7 * 5_000, CACHING),
    Case("written without a split: five minutes", CLAUDE,
         message("claude-opus-4-5", 10, 7, cache_creation_input_tokens=1000),
         10 * 5_000 + 1000 * 6_250 + 7 * 25_000, CACHING),
    Case("an hour only", CLAUDE,
         message("claude-opus-4-8", 10, 7, cache_creation_input_tokens=400,
                 cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 400}),
         10 * 5_000 + 400 * 10_000 + 7 * 25_000, CACHING),
    Case("a split larger than its sum", CLAUDE,
         message("claude-opus-4-8", 10, 7, cache_creation_input_tokens=400,
                 cache_creation={"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 400}),
         None, CACHING, status="bad_usage"),
    Case("reads at a twentieth", CLAUDE, message("claude-sonnet-5-5", 10, 7, cache_read_input_tokens=1000),
         10 * 2_000 + 1000 * 100 + 7 * 10_000, LISTS),
    Case("thinking lies inside the output", CLAUDE,
         message("claude-opus-5", 44, 900, output_tokens_details={"thinking_tokens": 700}),
         44 * 5_000 + 900 * 25_000, THINKING),
    Case("more thinking than output", CLAUDE,
         message("claude-opus-5", 44, 90, output_tokens_details={"thinking_tokens": 91}), None, THINKING,
         status="bad_usage"),
    Case("long context by all that was put in", CLAUDE,
         message("claude-sonnet-4-5", 1_000, 10, cache_read_input_tokens=199_001),
         1_000 * 6_000 + 199_001 * 600 + 10 * 22_500, LISTS, at="2026-02-01T00:00:00+00:00"),
    Case("long context at its threshold", CLAUDE,
         message("claude-sonnet-4-5", 1_000, 10, cache_read_input_tokens=199_000),
         1_000 * 3_000 + 199_000 * 300 + 10 * 15_000, LISTS, at="2026-02-01T00:00:00+00:00"),
    Case("long context with a written cache", CLAUDE,
         message("claude-haiku-5-5", 10, 10, cache_creation_input_tokens=100_000,
                 cache_creation={"ephemeral_5m_input_tokens": 60_000, "ephemeral_1h_input_tokens": 40_000}),
         10 * 500 + 60_000 * 625 + 40_000 * 1_000 + 10 * 2_500, LISTS),
    Case("the long-context premium was removed", CLAUDE, message("claude-opus-4-6", 300_000, 10),
         300_000 * 5_000 + 10 * 25_000, LISTS, at="2026-03-13T00:00:00+00:00"),
    Case("and held the day before", CLAUDE, message("claude-opus-4-6", 300_000, 10),
         300_000 * 10_000 + 10 * 37_500, LISTS, at="2026-03-12T23:00:00+00:00"),
    Case("searches cost a fee, fetching does not", CLAUDE,
         message("claude-sonnet-4-6", 1000, 100,
                 server_tool_use={"web_search_requests": 3, "web_fetch_requests": 4}),
         1000 * 3_000 + 100 * 15_000 + 3 * 10_000_000, SEARCH),
    Case("code without a search is billed by time", CLAUDE,
         message("claude-sonnet-4-6", 1000, 100, server_tool_use={"web_search_requests": 0,
                                                                  "code_execution_requests": 2}),
         1000 * 3_000 + 100 * 15_000, CODE, status="partial:code_execution"),
    Case("code beside a search is free", CLAUDE,
         message("claude-sonnet-4-6", 1000, 100, server_tool_use={"web_search_requests": 1,
                                                                  "code_execution_requests": 2}),
         1000 * 3_000 + 100 * 15_000 + 10_000_000, CODE),
    Case("compaction is billed and left out at the top", CLAUDE,
         message("claude-opus-4-6", 180, 8, iterations=[_pass("compaction", 55_000, 82), _pass("message", 180, 8)]),
         (55_000 + 180) * 5_000 + (82 + 8) * 25_000, COMPACTION),
    Case("an advisor at its own rates", CLAUDE,
         message("claude-haiku-4-5", 412, 530, iterations=[
             _pass("message", 412, 90),
             _pass("advisor_message", 900, 1600, model="claude-opus-4-6"),
             _pass("message", 1350, 440, cache_read_input_tokens=400)]),
         (412 + 1350) * 1_000 + 400 * 100 + (90 + 440) * 5_000 + 900 * 5_000 + 1600 * 25_000, ADVISOR),
    Case("each pass has its own long-context tier", CLAUDE,
         message("claude-haiku-5-5", 10, 10, iterations=[_pass("compaction", 100_001, 10), _pass("message", 10, 10)]),
         100_001 * 500 + 10 * 2_500 + 10 * 100 + 10 * 500, COMPACTION),
    Case("passes and a search", CLAUDE,
         message("claude-opus-4-6", 180, 8, server_tool_use={"web_search_requests": 2},
                 iterations=[_pass("compaction", 1_000, 82), _pass("message", 180, 8)]),
         1_180 * 5_000 + 90 * 25_000 + 2 * 10_000_000, COMPACTION),
    Case("an advisor that nobody knows", CLAUDE,
         message("claude-haiku-4-5", 412, 90, iterations=[
             _pass("message", 412, 90), _pass("advisor_message", 900, 1600, model="claude-nobody-9")]),
         412 * 1_000 + 90 * 5_000, ADVISOR, status="partial:advisor_message"),
    Case("in the US", CLAUDE,
         message("claude-opus-4-6", 1000, 100, inference_geo="us", cache_read_input_tokens=2000),
         (1000 * 5_000 + 2000 * 500 + 100 * 25_000) * 11 // 10, GEO),
    Case("in the US the fee of a search stays", CLAUDE,
         message("claude-opus-4-6", 1000, 100, inference_geo="us", server_tool_use={"web_search_requests": 1}),
         (1000 * 5_000 + 100 * 25_000) * 11 // 10 + 10_000_000, GEO),
    Case("anywhere", CLAUDE, message("claude-opus-4-6", 1000, 100, inference_geo="global"),
         1000 * 5_000 + 100 * 25_000, GEO),
    Case("a model that cannot be pinned", CLAUDE, message("claude-sonnet-4-5", 10, 10, inference_geo="not_available"),
         10 * 3_000 + 10 * 15_000, GEO),
    Case("fast", CLAUDE, message("claude-opus-4-8", 1000, 100, speed="fast", cache_read_input_tokens=50),
         1000 * 10_000 + 50 * 1_000 + 100 * 50_000, FAST),
    Case("fast asked for and not got", CLAUDE, message("claude-opus-4-8", 1000, 100, speed="standard"),
         1000 * 5_000 + 100 * 25_000, FAST, request={"model": "claude-opus-4-8", "speed": "fast"}),
    Case("fast and in the US", CLAUDE, message("claude-opus-5-5", 10, 10, speed="fast", inference_geo="us"),
         (10 * 8_000 + 10 * 40_000) * 11 // 10, FAST),
    Case("fast where no rate is known", CLAUDE, message("claude-haiku-4-5", 10, 10, speed="fast"), None, FAST,
         status="partial:speed"),
    Case("a batch by the response", CLAUDE, message("claude-sonnet-5", 1000, 100, service_tier="batch"),
         1000 * 1_000 + 100 * 5_000, BATCH),
    Case("a batch with caches", CLAUDE,
         message("claude-haiku-4-5", 10, 10, cache_read_input_tokens=1000, cache_creation_input_tokens=200,
                 cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 200}),
         10 * 500 + 1000 * 50 + 200 * 1_000 + 10 * 2_500, BATCH, batch=True),
    Case("a line of a batch's results", CLAUDE,
         {"custom_id": "a", "result": {"type": "succeeded", "message": message("claude-opus-4-5", 10, 10)}},
         10 * 2_500 + 10 * 12_500, BATCH),
    Case("a line of a batch that failed", CLAUDE,
         {"custom_id": "a", "result": {"type": "errored", "error": {"type": "error"}}}, None, BATCH,
         status="no_usage"),
    Case("the standard tier", CLAUDE, message("claude-sonnet-5", 10, 10, service_tier="standard"),
         10 * 2_000 + 10 * 10_000, TIERS),
    Case("capacity that was bought before", CLAUDE, message("claude-sonnet-5", 10, 10, service_tier="priority"), None,
         TIERS, status="partial:service_tier"),
    Case("the last event of a stream", CLAUDE,
         {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
          "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 7}},
         10 * 1_000 + 90 * 100 + 7 * 5_000, STREAMS, request={"model": "claude-haiku-4-5"}),
    Case("an older stream's last event has no input", CLAUDE,
         {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
         7 * 5_000, STREAMS, request={"model": "claude-haiku-4-5"}, status="partial:input"),
    Case("claude on Vertex AI", "gcp.vertex_ai",
         message("claude-haiku-4-5@20251001", 10, 7, cache_creation_input_tokens=100),
         10 * 1_000 + 100 * 1_250 + 7 * 5_000, VERTEX),
    Case("claude on Bedrock: the profile asked for chooses", "aws.bedrock",
         message("claude-haiku-4-5-20251001", 1000, 100, cache_read_input_tokens=500),
         1000 * 1_000 + 500 * 100 + 100 * 5_000, BEDROCK,
         request={"modelId": "global.anthropic.claude-haiku-4-5-20251001-v1:0"}),
    Case("claude on Foundry", "azure.ai.inference", message("claude-opus-4-5", 10, 7), 10 * 5_000 + 7 * 25_000,
         LISTS),
    Case("anthropic's answer through a router that tells the cost", "openrouter",
         message("anthropic/claude-haiku-4.5", 10, 7, cost=0.000123), 123_000, ROUTER, status="provider_reported"),
    Case("the compatible endpoint", CLAUDE, chat("claude-sonnet-4-6", 100, 10), 100 * 3_000 + 10 * 15_000, LISTS),
    Case("zeros", CLAUDE, message("claude-sonnet-4-6", 0, 0), None, LISTS, status="no_usage"),
    Case("a text for a count", CLAUDE, message("claude-sonnet-4-6", 1, 2, cache_read_input_tokens="9"), None,
         CACHING, status="bad_usage"),
    Case("a model that nobody knows", CLAUDE, message("claude-nobody-9", 1, 2), None, LISTS, status="unknown_model"),
)  # fmt: skip
