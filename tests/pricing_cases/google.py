"""Gemini, on the Gemini API and on Vertex AI."""

# ruff: noqa: E501 - a case reads best in few lines.

from __future__ import annotations

from typing import Any

from pricing_cases.case import Case, chat, gemini, kinds

USAGE = "https://ai.google.dev/api/generate-content#UsageMetadata"
THINKING = "https://ai.google.dev/gemini-api/docs/thinking"
CACHING = "https://ai.google.dev/gemini-api/docs/caching"
LISTS = "https://ai.google.dev/gemini-api/docs/pricing"
GROUNDING = "https://ai.google.dev/gemini-api/docs/google-search"
BATCH = "https://ai.google.dev/gemini-api/docs/batch-api"
LIVE = "https://ai.google.dev/api/live"
VERTEX = "https://cloud.google.com/vertex-ai/generative-ai/pricing"
THROUGHPUT = "https://cloud.google.com/vertex-ai/generative-ai/docs/provisioned-throughput/overview"
COMPATIBLE = "https://ai.google.dev/gemini-api/docs/openai"

GEMINI = "gcp.gemini"
VERTEX_AI = "gcp.vertex_ai"


def _grounded(*queries: str, **more: Any) -> dict[str, Any]:
    found = {"webSearchQueries": list(queries), **more}
    return {"candidates": [{"content": {"parts": [{"text": "."}]}, "groundingMetadata": found}]}


CASES = (
    Case("plain", GEMINI, gemini("gemini-2.5-flash", 100, 10), 100 * 300 + 10 * 2_500, LISTS),
    Case("thoughts lie outside the candidates", GEMINI, gemini("gemini-2.5-flash", 17, 119, thoughtsTokenCount=213),
         17 * 300 + (119 + 213) * 2_500, THINKING),
    Case("what tools gave lies outside the prompt", GEMINI,
         gemini("gemini-2.5-flash", 17, 119, toolUsePromptTokenCount=201, thoughtsTokenCount=213),
         (17 + 201) * 300 + (119 + 213) * 2_500, USAGE),
    Case("cached tokens lie inside the prompt", GEMINI,
         gemini("gemini-2.5-pro", 5000, 10, cachedContentTokenCount=4000),
         1000 * 1_250 + 4000 * 125 + 10 * 10_000, CACHING),
    Case("audio has a rate of its own", GEMINI,
         gemini("gemini-2.5-flash", 100, 10, promptTokensDetails=kinds(text=40, audio=60)),
         40 * 300 + 60 * 1_000 + 10 * 2_500, LISTS),
    Case("cached audio too", GEMINI,
         gemini("gemini-2.5-flash", 100, 10, promptTokensDetails=kinds(text=40, audio=60), cachedContentTokenCount=50,
                cacheTokensDetails=kinds(text=20, audio=30)),
         20 * 300 + 20 * 30 + 30 * 1_000 + 30 * 100 + 10 * 2_500, CACHING),
    Case("cached, and nobody says whether it was audio", GEMINI,
         gemini("gemini-2.5-flash", 100, 10, promptTokensDetails=kinds(text=40, audio=60),
                cachedContentTokenCount=10),
         30 * 300 + 10 * 30 + 60 * 1_000 + 10 * 2_500, CACHING, status="estimated"),
    Case("images, pages and video cost what text does", GEMINI,
         gemini("gemini-2.5-flash", 1000, 10, promptTokensDetails=kinds(text=10, image=258, document=232, video=500)),
         1000 * 300 + 10 * 2_500, LISTS),
    Case("one price for all that goes in", GEMINI,
         gemini("gemini-2.5-pro", 1000, 10, promptTokensDetails=kinds(text=10, audio=990)),
         1000 * 1_250 + 10 * 10_000, LISTS),
    Case("an embedding by modality", GEMINI,
         {"embedding": {"values": [0.1]},
          "usageMetadata": {"promptTokenCount": 100, "promptTokenDetails": kinds(text=10, image=30, audio=60)}},
         10 * 200 + 30 * 450 + 60 * 6_500, LISTS, request={"model": "models/gemini-embedding-2"}),
    Case("an image out", GEMINI,
         gemini("gemini-3-pro-image-preview", 33, 1780, thoughtsTokenCount=529,
                candidatesTokensDetails=kinds(image=1120)),
         33 * 2_000 + 1120 * 120_000 + (1780 - 1120 + 529) * 12_000, LISTS),
    Case("speech out of a model for speech", GEMINI,
         gemini("gemini-2.5-flash-preview-tts", 10, 200, candidatesTokensDetails=kinds(audio=200)),
         10 * 500 + 200 * 10_000, LISTS),
    Case("video out", GEMINI,
         gemini("gemini-omni-1.1-flash", 10, 2000, candidatesTokensDetails=kinds(text=100, video=1900)),
         10 * 1_500 + 100 * 9_000 + 1900 * 17_500, LISTS),
    Case("audio out of a model without a rate for it", GEMINI,
         gemini("gemini-2.5-flash", 10, 200, candidatesTokensDetails=kinds(audio=150, text=50)),
         10 * 300 + 50 * 2_500, LISTS, status="partial:audio_output"),
    Case("live, in its own names", GEMINI,
         {"usageMetadata": {"promptTokenCount": 300, "responseTokenCount": 90, "totalTokenCount": 390,
                            "promptTokensDetails": kinds(text=50, audio=150, video=100),
                            "responseTokensDetails": kinds(text=10, audio=80)}},
         50 * 500 + 150 * 3_000 + 100 * 3_000 + 10 * 2_000 + 80 * 12_000, LIVE,
         request={"model": "models/gemini-live-2.5-flash-preview"}),
    Case("long context", GEMINI, gemini("gemini-2.5-pro", 200_001, 10, cachedContentTokenCount=200_000),
         1 * 2_500 + 200_000 * 250 + 10 * 15_000, LISTS),
    Case("what tools gave counts towards the threshold", GEMINI,
         gemini("gemini-2.5-pro", 150_000, 10, toolUsePromptTokenCount=50_001), 200_001 * 2_500 + 10 * 15_000, LISTS),
    Case("in snake case", GEMINI,
         {"model_version": "gemini-2.5-flash",
          "usage_metadata": {"prompt_token_count": 100, "candidates_token_count": 10, "thoughts_token_count": 5,
                             "cached_content_token_count": 40, "total_token_count": 115,
                             "prompt_tokens_details": [{"modality": "MediaModality.TEXT", "token_count": 100}]}},
         60 * 300 + 40 * 30 + 15 * 2_500, USAGE),
    Case("with the prefix of a resource", "gemini", gemini("models/gemini-2.5-flash", 100, 10),
         100 * 300 + 10 * 2_500, USAGE),
    Case("a prompt that was blocked", GEMINI,
         {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "gemini-2.5-flash",
          "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}}, 9 * 300, USAGE),
    Case("an answer of thoughts alone", GEMINI, gemini("gemini-2.5-flash", 9, None, thoughtsTokenCount=50),
         9 * 300 + 50 * 2_500, THINKING),
    Case("grounding before Gemini 3: once for a prompt", GEMINI,
         gemini("gemini-2.5-flash", 100, 10, body=_grounded("a", "b", "c")),
         100 * 300 + 10 * 2_500 + 35_000_000, GROUNDING, status="estimated"),
    Case("grounding from Gemini 3 on: each query", GEMINI,
         gemini("gemini-3-flash-preview", 100, 10, body=_grounded("a", "b", "")),
         100 * 500 + 10 * 3_000 + 2 * 14_000_000, GROUNDING, status="estimated"),
    Case("grounding that asked nothing", GEMINI, gemini("gemini-3-flash-preview", 100, 10, body=_grounded()),
         100 * 500 + 10 * 3_000, GROUNDING),
    Case("grounding with maps", GEMINI,
         gemini("gemini-2.5-flash", 100, 10, body=_grounded(groundingChunks=[{"maps": {"placeId": "p"}}])),
         100 * 300 + 10 * 2_500, GROUNDING, status="partial:maps_grounding"),
    Case("a batch", GEMINI, gemini("gemini-2.5-pro", 100, 10, cachedContentTokenCount=50),
         50 * 625 + 50 * 125 + 10 * 5_000, BATCH, batch=True),
    Case("a line of a batch's results", GEMINI, {"key": "a", "response": gemini("gemini-2.5-flash", 100, 10)},
         100 * 150 + 10 * 1_250, BATCH),
    Case("an introductory price", GEMINI, gemini("gemini-3.8-flash", 100, 10), 100 * 750 + 10 * 3_750, LISTS),
    Case("and the one after it", GEMINI, gemini("gemini-3.8-flash", 100, 10), 100 * 1_500 + 10 * 7_500, LISTS,
         at="2027-01-02T00:00:00+00:00"),
    Case("a model without a price", GEMINI, gemini("gemma-3-27b-it", 100, 10), 0, LISTS, status="free"),
    Case("open weights on Vertex AI are one's own", VERTEX_AI, gemini("gemma-3-27b-it", 100, 10), None, VERTEX,
         status="unknown_model"),
    Case("pay as you go on Vertex AI", VERTEX_AI, gemini("gemini-2.5-flash", 100, 10, trafficType="ON_DEMAND"),
         100 * 300 + 10 * 2_500, VERTEX),
    Case("flex costs what a batch does", VERTEX_AI,
         gemini("gemini-3-flash-preview", 100, 10, trafficType="ON_DEMAND_FLEX"), 100 * 250 + 10 * 1_500, VERTEX,
         status="estimated"),
    Case("flex without a batch's rate", GEMINI, gemini("gemini-3.5-flash", 100, 10, serviceTier="flex"), None, LISTS,
         status="partial:service_tier"),
    Case("priority at 1.8 times", GEMINI,
         gemini("gemini-2.5-flash", 100, 10, serviceTier="priority", cachedContentTokenCount=50),
         50 * 540 + 50 * 54 + 10 * 4_500, LISTS, status="estimated"),
    Case("flex with a listed rate", GEMINI, gemini("gemini-3.8-flash-tts", 100, 10, serviceTier="flex"),
         100 * 250 + 10 * 4_500, LISTS),
    Case("throughput that was bought", VERTEX_AI,
         gemini("gemini-2.5-flash", 100, 10, trafficType="PROVISIONED_THROUGHPUT"), None, THROUGHPUT,
         status="covered"),
    Case("enums as numbers", VERTEX_AI,
         gemini("gemini-2.5-flash", 100, 10, trafficType=1,
                promptTokensDetails=[{"modality": 4, "tokenCount": 60}, {"modality": 1, "tokenCount": 40}]),
         40 * 300 + 60 * 1_000 + 10 * 2_500, VERTEX),
    Case("the path of a resource", "vertex",
         {"usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 10}}, 100 * 1_250 + 10 * 10_000, VERTEX,
         request={"model": "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro"}),
    Case("the compatible endpoint leaves thoughts to the total", GEMINI,
         chat("gemini-2.5-flash", 35, 12, usage={"total_tokens": 109}), 35 * 300 + (12 + 62) * 2_500, COMPATIBLE),
    Case("more cached than prompt", GEMINI, gemini("gemini-2.5-flash", 10, 10, cachedContentTokenCount=11), None,
         CACHING, status="bad_usage"),
    Case("more audio than prompt", GEMINI,
         gemini("gemini-2.5-flash", 10, 10, promptTokensDetails=kinds(audio=11)), None, USAGE, status="bad_usage"),
    Case("a total alone", GEMINI, {"modelVersion": "gemini-2.5-flash", "usageMetadata": {"totalTokenCount": 9}}, None,
         USAGE, status="no_usage"),
)  # fmt: skip
