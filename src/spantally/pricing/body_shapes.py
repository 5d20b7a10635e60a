"""Plain access to wire bodies of any shape, and what they come wrapped in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

EMPTY: Final[Mapping[str, Any]] = {}

_METRICS: Final = "amazon-bedrock-invocationMetrics"
_HEADERS: Final[Mapping[str, str]] = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
"""InvokeModel tells in headers what a model's own body leaves out
(docs.aws.amazon.com/bedrock/latest/userguide/inference-invoke.html)."""


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else EMPTY


def items(value: Any) -> Sequence[Any]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, (list, tuple)) else ()


def text(value: Any) -> str | None:
    """The value where it is a text with something in it."""
    return value if isinstance(value, str) and value else None


def unwrap(response: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """A body out of what it comes in: an event of a stream, a line of a batch's results.

    Returns:
        The body, and whether it came out of a batch.
    """
    body, batch = response, False
    for _ in range(4):  # a line of a batch may hold an event, and no more than that
        inner = body.get("response")
        if isinstance(inner, Mapping):
            if "body" in inner and "custom_id" in body:
                body, batch = mapping(inner["body"]), True  # platform.openai.com/docs/guides/batch
                continue
            if "key" in body and ("usageMetadata" in inner or "usage_metadata" in inner):
                body, batch = inner, True  # ai.google.dev/gemini-api/docs/batch-api
                continue
            if body.get("event_type") != "stream-end" and "usage" not in body:
                body = inner  # response.completed, response.done
                continue
        result = body.get("result")
        if isinstance(result, Mapping) and isinstance(result.get("message"), Mapping):
            body, batch = result["message"], True  # docs: build-with-claude/batch-processing
            continue
        break
    return body, batch


def bedrock_usage(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Bedrock's counts wherever they stand; None for a body of another shape."""
    if isinstance(body.get("metadata"), Mapping):  # the last event of ConverseStream
        body = {**body, **body["metadata"]}
    usage = body.get("usage")
    if isinstance(usage, Mapping) and ("inputTokens" in usage or "outputTokens" in usage):
        return usage
    metrics = body.get(_METRICS)
    if isinstance(metrics, Mapping):
        return metrics
    if "inputTextTokenCount" in body:  # Titan
        results = [mapping(one) for one in items(body.get("results"))]
        counts = [one["tokenCount"] for one in results if type(one.get("tokenCount")) is int]
        told = {"inputTextTokenCount": body["inputTextTokenCount"]}
        return {**told, "outputTokenCount": sum(counts)} if counts else told
    if "prompt_token_count" in body and "generation_token_count" in body:  # Llama
        return body
    if isinstance(usage, Mapping):
        return None
    headers = mapping(mapping(body.get("ResponseMetadata")).get("HTTPHeaders"))
    found = {name: _whole(headers[key]) for key, name in _HEADERS.items() if key in headers}
    return found or None


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value
