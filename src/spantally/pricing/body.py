"""From the bodies of a request and its response to what a rating needs: usage, models, tier, tools.

One place for all who hold wire bodies and no instrumentor: :func:`spantally.price`, handlers of frameworks,
tests. The shape of the response decides, not the provider's name: Claude answers in Anthropic's shape on
Bedrock and on Vertex AI, and a hundred hosts answer in OpenAI's. Pure, and plain mappings only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from spantally.ground.records import Kind, UsageFormat
from spantally.pricing import body_tools as tools
from spantally.pricing.body_shapes import EMPTY, bedrock_usage, items, mapping, text, unwrap


class BodyFacts(NamedTuple):
    """What a pair of bodies says of its price, in the words of a record."""

    usage: Mapping[str, Any] | None = None
    usage_format: str | None = None
    response_model: str | None = None
    request_model: str | None = None
    kind: str = Kind.INFERENCE
    context: Mapping[str, Any] = EMPTY
    """As a record's price context; what is not known is absent."""


def facts_of(
    response: Mapping[str, Any],
    request: Mapping[str, Any] | None = None,
    *,
    provider: str = "",
    batch: bool = False,
) -> BodyFacts:
    """Read a response body, and the request's where it is at hand.

    Args:
        response: the body; also the last chunk or event of a stream that carries the usage, or a line of a
            batch's results.
        request: the body that was sent.
        provider: ``gen_ai.provider.name``.
        batch: the request was submitted as part of a batch.

    Returns:
        The facts; ``usage`` is None where the response reports none.
    """
    body, in_batch = unwrap(response)
    asked = EMPTY if request is None else request
    if "params" in asked and "custom_id" in asked:
        asked = mapping(asked["params"])  # a line of Anthropic's batches
    elif "body" in asked and "custom_id" in asked:
        asked = mapping(asked["body"])  # a line of OpenAI's
    for read in _READERS:
        found = read(body, asked, provider)
        if found is not None:
            break
    else:
        found = BodyFacts()
    context = dict(found.context)
    if batch or in_batch:
        context["batch"] = True
    model = text(asked.get("model")) or text(asked.get("modelId")) or text(asked.get("model_id"))
    return found._replace(request_model=found.request_model or model, context=context)


def _gemini(body: Mapping[str, Any], asked: Mapping[str, Any], provider: str) -> BodyFacts | None:
    """Gemini's: ai.google.dev/api/generate-content, /api/live, /api/embeddings."""
    usage = body.get("usageMetadata", body.get("usage_metadata"))
    if not isinstance(usage, Mapping):
        return None
    context: dict[str, Any] = {}
    tier = text(asked.get("serviceTier")) or text(asked.get("service_tier"))
    if tier:
        context["service_tier"] = tier.lower()
    model = text(body.get("modelVersion")) or text(body.get("model_version"))
    found = tools.of_gemini(body, model or text(asked.get("model")) or "")
    if found:
        context["server_tools"] = found
    embeds = "embedding" in body or "embeddings" in body
    return BodyFacts(
        usage,
        UsageFormat.GEMINI,
        model,
        kind=Kind.EMBEDDINGS if embeds else Kind.INFERENCE,
        context=context,
    )


def _converse(body: Mapping[str, Any], asked: Mapping[str, Any], provider: str) -> BodyFacts | None:
    """Bedrock's: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html."""
    usage = bedrock_usage(body)
    if usage is None:
        return None
    context: dict[str, Any] = {}
    for told in (mapping(body.get("serviceTier")), mapping(asked.get("serviceTier"))):
        tier = text(told.get("type"))
        if tier:
            context["service_tier"] = tier
            break
    for told in (mapping(body.get("performanceConfig")), mapping(asked.get("performanceConfig"))):
        latency = text(told.get("latency"))
        if latency:
            context["speed"] = latency
            break
    # A prompt router says which model it chose.
    routed = text(mapping(mapping(body.get("trace")).get("promptRouter")).get("invokedModelId"))
    embeds = "embedding" in body or "embeddingsByType" in body
    return BodyFacts(
        usage,
        UsageFormat.BEDROCK,
        routed or text(body.get("model")),
        request_model=routed,
        kind=Kind.EMBEDDINGS if embeds else Kind.INFERENCE,
        context=context,
    )


_ANTHROPICS: Final = (
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "server_tool_use",
    "cache_creation",
    "iterations",
)


def _anthropic(body: Mapping[str, Any], asked: Mapping[str, Any], provider: str) -> BodyFacts | None:
    """Anthropic's: platform.claude.com/docs/en/api/messages."""
    message = mapping(body.get("message")) if body.get("type") == "message_start" else body
    usage = message.get("usage")
    if not isinstance(usage, Mapping):
        return None
    told = message.get("type") in ("message", "message_delta") or any(key in usage for key in _ANTHROPICS)
    claude = "claude" in (text(message.get("model")) or text(asked.get("model")) or "")
    theirs = (provider == "anthropic" or claude) and "input_tokens" in usage and "object" not in message
    if "prompt_tokens" in usage or not (told or theirs):
        return None
    context: dict[str, Any] = {}
    for key, name in (("speed", "speed"), ("geography", "inference_geo")):
        # What was asked for, where the answer does not say what it got.
        wanted = text(asked.get(name))
        if wanted and text(usage.get(name)) is None:
            context[key] = wanted
    return BodyFacts(usage, UsageFormat.ANTHROPIC, text(message.get("model")), context=context)


def _cohere(body: Mapping[str, Any], asked: Mapping[str, Any], provider: str) -> BodyFacts | None:
    """Cohere's: docs.cohere.com/reference/chat, /reference/chat-v1, /reference/embed, /reference/rerank."""
    inner = body
    if body.get("type") == "message-end":
        inner = mapping(body.get("delta"))
    elif body.get("event_type") == "stream-end":
        inner = mapping(body.get("response"))
    for name in ("usage", "meta"):
        usage = inner.get(name)
        if isinstance(usage, Mapping) and ("billed_units" in usage or "tokens" in usage):
            embeds = "embeddings" in inner or "results" in inner
            kind = Kind.EMBEDDINGS if embeds else Kind.INFERENCE
            return BodyFacts(usage, UsageFormat.COHERE, text(inner.get("model")), kind=kind)
    return None


def _pages(body: Mapping[str, Any], asked: Mapping[str, Any], provider: str) -> BodyFacts | None:
    """Mistral's reading of documents is billed by the page, more with annotations.

    docs.mistral.ai/capabilities/document_ai, docs.mistral.ai/api (ocr).
    """
    usage = body.get("usage_info")
    if not isinstance(usage, Mapping) or "pages_processed" not in usage:
        return None
    wanted = ("bbox_annotation_format", "document_annotation_format")
    annotated = any(asked.get(name) for name in wanted) or bool(body.get("document_annotation"))
    counted = usage["pages_processed"]
    parts = {"annotated_pages" if annotated else "pages": counted}
    return BodyFacts(parts, UsageFormat.PARTS, text(body.get("model")))


def _speech(body: Mapping[str, Any], asked: Mapping[str, Any], provider: str) -> BodyFacts | None:
    """Audio: transcripts without a usage object tell their length; speech is billed by what is read.

    console.groq.com/docs/speech-to-text, platform.openai.com/docs/api-reference/audio/createSpeech.
    """
    if isinstance(body.get("usage"), Mapping):
        return None
    length = body.get("duration")
    if length is not None and "text" in body:
        usage = {"type": "duration", "seconds": _number(length)}
        return BodyFacts(usage, UsageFormat.OPENAI_RESPONSES, text(body.get("model")))
    said = asked.get("input")
    if isinstance(said, str) and "voice" in asked:
        return BodyFacts({"characters": len(said)}, UsageFormat.PARTS, text(body.get("model")))
    return None


def _number(value: Any) -> Any:
    """Whisper's length of a recording, which some versions of the API say as a text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _openai(body: Mapping[str, Any], asked: Mapping[str, Any], provider: str) -> BodyFacts | None:
    """OpenAI's, and of all who answer likewise: platform.openai.com/docs/api-reference."""
    usage = body.get("usage")
    if not isinstance(usage, Mapping):
        usage = mapping(body.get("x_groq")).get("usage")  # the last chunk of Groq's streams
        if not isinstance(usage, Mapping) or "prompt_tokens" not in usage:
            return _without_usage(body, asked)
    context: dict[str, Any] = {}
    tier = text(body.get("service_tier")) or text(asked.get("service_tier"))
    if tier and (tier != "auto" or text(body.get("service_tier"))):
        context["service_tier"] = tier
    session = mapping(body.get("session"))
    model = text(body.get("model")) or text(session.get("model"))
    found = tools.of_openai(body, asked)
    if found:
        context["server_tools"] = found
    kind = Kind.EMBEDDINGS if _embeds(body) else Kind.INFERENCE
    if kind == Kind.EMBEDDINGS and "prompt_tokens" not in usage and "total_tokens" in usage:
        # Some hosts (docs.voyageai.com/reference) say the total only, and it is the input.
        usage = {**usage, "prompt_tokens": usage["total_tokens"]}
    told = any(usage.get(name) is not None for name in ("prompt_tokens", "completion_tokens"))
    shape = UsageFormat.OPENAI_CHAT if told else UsageFormat.OPENAI_RESPONSES
    if _makes_images(body) and usage.get("output_tokens") and not usage.get("output_tokens_details"):
        # The output of the image endpoints is images (platform.openai.com/docs/guides/image-generation).
        usage = {**usage, "output_tokens_details": {"image_tokens": usage["output_tokens"]}}
    return BodyFacts(usage, shape, model, kind=kind, context=context)


def _without_usage(body: Mapping[str, Any], asked: Mapping[str, Any]) -> BodyFacts | None:
    """An answer that says no tokens: what else of it is billed is counted from the answer itself.

    Images by the piece (platform.openai.com/docs/pricing, cloud.google.com/vertex-ai/generative-ai/pricing);
    embeddings on Vertex AI by the tokens that stand beside each
    (cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api).
    """
    model = text(body.get("model"))
    results = items(body.get("results"))
    if results and "flagged" in mapping(results[0]):
        read = asked.get("input")  # of moderation, which costs nothing
        size = len(read) if isinstance(read, str) else len(items(read))
        return BodyFacts({"characters": size}, UsageFormat.PARTS, model)
    if _makes_images(body):
        return BodyFacts({"images": len(items(body.get("data")))}, UsageFormat.PARTS, model)
    predicted = [mapping(one) for one in items(body.get("predictions"))]
    drawn = sum("bytesBase64Encoded" in one for one in predicted)
    if drawn:
        return BodyFacts({"images": drawn}, UsageFormat.PARTS, model)
    embedded = [mapping(mapping(one.get("embeddings")).get("statistics")) for one in predicted]
    counts = [one["token_count"] for one in embedded if type(one.get("token_count")) is int]
    if counts:
        return BodyFacts({"uncached_input": sum(counts)}, UsageFormat.PARTS, model, kind=Kind.EMBEDDINGS)
    return None if model is None else BodyFacts(None, None, model)


def _embeds(body: Mapping[str, Any]) -> bool:
    listed = items(body.get("data")) or items(body.get("results"))
    one = mapping(listed[0]) if listed else EMPTY
    return "embedding" in one or one.get("object") == "embedding" or "relevance_score" in one


def _makes_images(body: Mapping[str, Any]) -> bool:
    if str(body.get("type")).startswith(("image_generation.", "image_edit.")):
        return True
    listed = items(body.get("data"))
    one = mapping(listed[0]) if listed else EMPTY
    return "b64_json" in one or ("url" in one and "object" not in body)


_READERS: Final = (_gemini, _converse, _cohere, _pages, _speech, _anthropic, _openai)
"""In the order of how surely a shape is told from the others."""
