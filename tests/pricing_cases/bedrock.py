"""Amazon Bedrock: Converse, and InvokeModel in the shapes of its models."""

# ruff: noqa: E501 - a case reads best in few lines.

from __future__ import annotations

from pricing_cases.case import Case, converse

CACHING = "https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html"
USAGE = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html"
PROFILES = "https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html"
LISTS = "https://aws.amazon.com/bedrock/pricing/"
TIERS = "https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html"
LATENCY = "https://docs.aws.amazon.com/bedrock/latest/userguide/latency-optimized-inference.html"
ROUTING = "https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-routing.html"
STREAMS = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html"
BODIES = "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html"
HEADERS = "https://docs.aws.amazon.com/bedrock/latest/userguide/inference-invoke.html"

AWS = "aws.bedrock"
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def _model(name: str, **more: object) -> dict[str, object]:
    return {"modelId": name, **more}


CASES = (
    Case("plain", AWS, converse(100, 10), 100 * 800 + 10 * 3_200, LISTS, request=_model("amazon.nova-pro-v1:0")),
    Case("read from the cache, outside the input", AWS, converse(13, 10, cacheReadInputTokens=1000),
         13 * 60 + 1000 * 15 + 10 * 240, CACHING, request=_model("us.amazon.nova-lite-v1:0")),
    Case("read and written, outside the input", AWS,
         converse(13, 10, cacheReadInputTokens=1000, cacheWriteInputTokens=200),
         13 * 3_300 + 1000 * 330 + 200 * 4_125 + 10 * 16_500, CACHING, request=_model(f"us.{SONNET}")),
    Case("written for five minutes and for an hour", AWS,
         converse(10, 10, cacheWriteInputTokens=300,
                  cacheDetails=[{"ttl": "5m", "inputTokens": 100}, {"ttl": "1h", "inputTokens": 200}]),
         10 * 3_000 + 100 * 3_750 + 200 * 6_000 + 10 * 15_000, USAGE, request=_model(f"global.{SONNET}")),
    Case("written where no rate is known", AWS, converse(22, 13, cacheWriteInputTokens=2492),
         22 * 60 + 13 * 240, CACHING, request=_model("us.amazon.nova-lite-v1:0"), status="partial:cache_write_5m"),
    Case("in Europe", AWS, converse(100, 10), 100 * 3_300 + 10 * 16_500, PROFILES, request=_model(f"eu.{SONNET}")),
    Case("in the region itself", AWS, converse(100, 10), 100 * 3_300 + 10 * 16_500, PROFILES,
         request=_model(SONNET)),
    Case("anywhere", AWS, converse(100, 10), 100 * 3_000 + 10 * 15_000, PROFILES, request=_model(f"global.{SONNET}")),
    Case("the ARN of a profile", "bedrock", converse(100, 10), 100 * 5_500 + 10 * 27_500, PROFILES,
         request=_model("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-v1:0")),
    Case("the ARN of a model", AWS, converse(100, 10), 100 * 800 + 10 * 3_200, PROFILES,
         request=_model("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0")),
    Case("an application's own profile", AWS, converse(100, 10), None, PROFILES,
         request=_model("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"),
         status="unknown_model"),
    Case("provisioned throughput is not billed by tokens", AWS, converse(100, 10), None, LISTS,
         request=_model("arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123"), status="unknown_model"),
    Case("a router says which model it chose", AWS,
         {**converse(100, 10), "trace": {"promptRouter": {
             "invokedModelId": "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-pro-v1:0"}}},
         100 * 800 + 10 * 3_200, ROUTING, request=_model("arn:aws:bedrock:us-east-1:1:default-prompt-router/nova:1")),
    Case("the last event of a stream", AWS,
         {"metadata": {"usage": {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110},
                       "metrics": {"latencyMs": 1}}},
         100 * 800 + 10 * 3_200, STREAMS, request=_model("amazon.nova-pro-v1:0")),
    Case("the metrics of a stream", AWS,
         {"type": "message_stop", "amazon-bedrock-invocationMetrics": {
             "inputTokenCount": 100, "outputTokenCount": 10, "cacheReadInputTokenCount": 50,
             "cacheWriteInputTokenCount": 0, "invocationLatency": 1}},
         100 * 3_000 + 50 * 300 + 10 * 15_000, BODIES, request=_model(f"global.{SONNET}")),
    Case("counts in headers", AWS,
         {"ResponseMetadata": {"HTTPHeaders": {"x-amzn-bedrock-input-token-count": "100",
                                               "x-amzn-bedrock-output-token-count": "10"}}},
         100 * 2_500 + 10 * 10_000, HEADERS, request=_model("writer.palmyra-x4-v1:0")),
    Case("titan's own body", AWS,
         {"inputTextTokenCount": 100, "results": [{"tokenCount": 10, "outputText": "."}]}, 100 * 200 + 10 * 600,
         BODIES, request=_model("amazon.titan-text-express-v1")),
    Case("titan's embedding", AWS, {"embedding": [0.1], "inputTextTokenCount": 100}, 100 * 20, BODIES,
         request=_model("amazon.titan-embed-text-v2:0")),
    Case("the default tier", AWS, {**converse(100, 10), "serviceTier": {"type": "default"}}, 100 * 800 + 10 * 3_200,
         TIERS, request=_model("amazon.nova-pro-v1:0")),
    Case("priority at 75 % more", AWS, {**converse(100, 10), "serviceTier": {"type": "priority"}},
         100 * 1_400 + 10 * 5_600, TIERS, request=_model("amazon.nova-pro-v1:0"), status="estimated"),
    Case("flex at half", AWS, {**converse(100, 10, cacheReadInputTokens=20), "serviceTier": {"type": "flex"}},
         100 * 400 + 20 * 100 + 10 * 1_600, TIERS, request=_model("us.amazon.nova-pro-v1:0"), status="estimated"),
    Case("reserved capacity has no rate", AWS, {**converse(100, 10), "serviceTier": {"type": "reserved"}}, None, TIERS,
         request=_model("amazon.nova-pro-v1:0"), status="partial:service_tier"),
    Case("abroad, where one entry stands for all regions", AWS, converse(100, 10), 100 * 60 + 10 * 240, LISTS,
         request=_model("eu.amazon.nova-lite-v1:0"), status="estimated"),
    Case("GovCloud has a price list of its own", AWS, converse(100, 10), None, LISTS,
         request=_model(f"us-gov.{SONNET}"), status="unknown_model"),
    Case("optimised for latency", AWS, {**converse(100, 10), "performanceConfig": {"latency": "optimized"}}, None,
         LATENCY, request=_model("us.amazon.nova-pro-v1:0"), status="partial:speed"),
    Case("not optimised", AWS, {**converse(100, 10), "performanceConfig": {"latency": "standard"}},
         100 * 800 + 10 * 3_200, LATENCY, request=_model("us.amazon.nova-pro-v1:0")),
    Case("a batch at half", AWS, converse(100, 10), 100 * 400 + 10 * 1_600, LISTS,
         request=_model("amazon.nova-pro-v1:0"), batch=True, status="estimated"),
    Case("no output told", AWS, {"usage": {"inputTokens": 30}}, 30 * 800, USAGE,
         request=_model("amazon.nova-pro-v1:0"), status="partial:output"),
    Case("nobody says which model", AWS, converse(100, 10), None, USAGE, status="unknown_model"),
    Case("a split larger than its sum", AWS,
         converse(10, 10, cacheWriteInputTokens=100, cacheDetails=[{"ttl": "1h", "inputTokens": 200}]), None, USAGE,
         request=_model(f"us.{SONNET}"), status="bad_usage"),
)  # fmt: skip
