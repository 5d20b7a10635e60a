"""Recorded response bodies for the pricing tests: from files of any form to what ``price()`` takes.

Beside them an oracle that sums a usage object up by itself, without looking at how it is split.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from recordings_kit import Exchange, decoded, exchanges

HOSTS = (
    ("api.openai.com", "openai"),
    (".openai.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("models.inference.ai.azure.com", "azure.ai.inference"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("bedrock-runtime", "aws.bedrock"),
    (".api.aws", "aws.bedrock"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.x.ai", "x_ai"),
    ("openrouter.ai", "openrouter"),
    ("api.perplexity.ai", "perplexity"),
    ("api.deepseek.com", "deepseek"),
    ("api.together.xyz", "together"),
    ("api.fireworks.ai", "fireworks"),
    ("api.moonshot", "moonshot_ai"),
    ("api.cerebras.ai", "cerebras"),
    ("api.voyageai.com", "voyageai"),
    ("api.z.ai", "zai"),
)
"""What a host ends with, and whose it is."""

_MODEL = re.compile(r"/models?/([^/?:]+(?::[0-9][^/?:]*)?)(?=[:/?]|$)")


class Body(NamedTuple):
    """One recorded response body, ready to be priced."""

    source: str
    provider: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]


def bodies(folder: Path) -> Iterator[Body]:
    """Every body beneath a folder that tells a usage: JSON, or the last event of a stream that does."""
    for path in sorted(folder.rglob("*.json")):
        yield from _plain_file(path, folder)
    for one in exchanges(folder):
        if one.status < 300:
            for number, response in enumerate(_responses(one)):
                if usage_of(response) is not None:
                    yield Body(f"{one.source}/{number}", _provider(one.host), _request(one), response)


def _plain_file(path: Path, folder: Path) -> Iterator[Body]:
    """A file that is a body itself, or an object with ``provider``, ``request`` and ``response``."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return
    name = str(path.relative_to(folder))
    if not isinstance(found, dict):
        return
    if isinstance(found.get("provider"), str) and isinstance(found.get("response"), dict):
        yield Body(name, found["provider"], found.get("request") or {}, found["response"])
    elif usage_of(found) is not None and "request" not in found:
        yield Body(name, path.parent.name, {}, found)


def _provider(host: str) -> str:
    plain = host.partition(":")[0].lower()
    for mark, provider in HOSTS:
        if plain.endswith(mark) or (mark.endswith(("runtime", "moonshot")) and mark in plain):
            return provider
    return plain or "unknown"


def _request(one: Exchange) -> dict[str, Any]:
    """The request, with the model that some APIs name in the path."""
    asked = dict(one.json_request or {})
    if "model" not in asked:
        found = _MODEL.search(one.url.replace("%3A", ":"))
        if found is not None:
            asked["model"] = found[1]
    return asked


def _responses(one: Exchange) -> list[dict[str, Any]]:
    """The answer's JSON; of a stream only the last event that tells a usage."""
    content = decoded(one.body, one.headers.get("content-encoding")) or one.body
    told = content.decode("utf-8", "replace")
    try:
        whole = json.loads(told)
    except ValueError:
        whole = None
    if isinstance(whole, dict):
        return [whole]
    if isinstance(whole, list):
        events = [event for event in whole if isinstance(event, dict)]
    else:
        events = list(_events(told))
    telling = [event for event in events if usage_of(event) is not None]
    return telling[-1:]


def _events(told: str) -> Iterator[dict[str, Any]]:
    for line in told.splitlines():
        if line.startswith("data:"):
            try:
                event = json.loads(line[5:])
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def usage_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The usage object of a body, wherever it stands."""
    for outer in (body, body.get("response"), body.get("message"), body.get("delta"), body.get("metadata")):
        if isinstance(outer, Mapping):
            for name in ("usage", "usageMetadata", "meta"):
                found = outer.get(name)
                if isinstance(found, Mapping) and any(_counts(found)):
                    return found
    return None


def _counts(value: Any) -> Iterator[int]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, Mapping):
                yield from _counts(inner)
            elif "oken" in str(name) and type(inner) in (int, float) and inner:
                yield int(inner)


def totals(usage: Mapping[str, Any]) -> tuple[int, int] | None:
    """Input and output of a usage object, summed up by what each provider's document says is disjoint.

    Returns:
        None for a shape whose totals are not what is billed.
    """

    def given(name: str, where: Mapping[str, Any] = usage) -> int:
        return int(where.get(name) or 0)

    if "billed_units" in usage:
        units = usage["billed_units"]
        return given("input_tokens", units), given("output_tokens", units)
    if "inputTokens" in usage:
        whole_in = given("inputTokens") + given("cacheReadInputTokens") + given("cacheWriteInputTokens")
        return whole_in, given("outputTokens")
    if "promptTokenCount" in usage or "candidatesTokenCount" in usage:
        whole_in = given("promptTokenCount") + given("toolUsePromptTokenCount")
        return whole_in, given("candidatesTokenCount") + given("thoughtsTokenCount")
    if "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage:
        passes = usage.get("iterations") or [usage]
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        whole_in = sum(given(name, one) for one in passes for name in names)
        return whole_in, sum(given("output_tokens", one) for one in passes)
    if "prompt_tokens" in usage or "input_tokens" in usage:
        whole_in = given("prompt_tokens") or given("input_tokens")
        return whole_in, given("completion_tokens") or given("output_tokens")
    return None
