"""What an exchange must look like on its span and in its row, told from the recorded bytes alone.

Written against the conventions and the providers' documents, not against our readers: nothing of the package
is imported. What the bytes do not tell is not expected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from recordings_kit import Exchange, decoded

PROVIDERS: Mapping[str, str] = {
    "api.openai.com": "openai",
    "api.groq.com": "groq",
    "openrouter.ai": "openrouter",
    "api.mistral.ai": "mistral_ai",
    "api.deepseek.com": "deepseek",
    "api.cerebras.ai": "cerebras",
    "api.z.ai": "zai",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.voyageai.com": "voyageai",
    "api.moonshot.ai": "moonshot_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "bedrock-mantle.us-east-1.api.aws": "aws.bedrock",
    "router.huggingface.co": "huggingface",
    "api.ai21.com": "ai21",
    "api.writer.com": "writer",
    "ollama.com": "ollama",
}
"""``gen_ai.provider.name`` by host; a host that is not here speaks OpenAI's API, so it is ``openai``."""

THOUGHTS_OUTSIDE = ("gcp.gemini", "gcp.vertex_ai", "x_ai")
"""Who counts thoughts in the total only, and bills them as output."""

REASONS = {"tool_calls": "tool_call", "function_call": "tool_call", "max_output_tokens": "length"}
RUNS_A_TOOL_OF_THE_PROGRAM = (
    "function_call",
    "custom_tool_call",
    "computer_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
)
INFERENCE = {
    "chat/completions": "chat",
    "completions": "text_completion",
    "responses": "chat",
    "responses/compact": "chat",
    "embeddings": "embeddings",
}


class Told(NamedTuple):
    """What the bytes tell."""

    operation: str
    attributes: dict[str, Any]
    """Of the span: provider and server, the response's facts, token counts, the error's type."""
    usage: dict[str, Any] | None
    """The usage object as it came."""
    tokens: tuple[int | None, int | None, int | None]
    """Of the ledger's row: input, output and cached."""
    failed: bool
    contradicts_itself: bool = False
    """Parts of the usage exceed their whole (some hosts estimate): such a row has no token counts."""
    goes_on: bool = False
    """The provider has not finished: somebody asks for the answer later."""
    choices: int = 1
    """How many answers were asked for."""


def told_by(exchange: Exchange) -> Told | None:
    """What an exchange tells; None for an endpoint that this oracle knows nothing of."""
    _, endpoint, _ = exchange.place
    operation = INFERENCE.get(endpoint)
    asked = exchange.json_request
    if operation is None or exchange.method != "POST" or asked is None:
        return None
    place = _place(exchange)
    content = decoded(exchange.body, exchange.headers.get("content-encoding")) or b""
    choices = asked["n"] if isinstance(asked.get("n"), int) else 1
    if exchange.status >= 400:
        refused = {"error.type": _error_of(content, exchange.status)}
        return Told(
            operation, place | refused, None, (None, None, None), failed=True, choices=max(choices, 1)
        )
    if "event-stream" in exchange.headers.get("content-type", ""):
        events = _events(content)
        answer = (_response_of if endpoint == "responses" else _completion_of)(events, max(choices, 1))
    else:
        answer = _json_object(content)
    usage = answer.get("usage") or (answer.get("x_groq") or {}).get("usage")
    found = place | _facts(endpoint, answer)
    error = answer.get("error")
    failed = bool(error) or answer.get("status") == "failed"
    if failed:
        found["error.type"] = _code_of(error) or "_OTHER"
    goes_on = answer.get("status") in ("queued", "in_progress")
    if not isinstance(usage, dict) or not usage:
        return Told(
            operation, found, None, (None, None, None), failed, goes_on=goes_on, choices=max(choices, 1)
        )
    counts = token_counts(usage, embeddings=operation == "embeddings")
    put_in, put_out = counts.get("gen_ai.usage.input_tokens"), counts.get("gen_ai.usage.output_tokens")
    if place["gen_ai.provider.name"] in THOUGHTS_OUTSIDE and put_out is not None:
        put_out = counts["gen_ai.usage.output_tokens"] = max(
            put_out, usage.get("total_tokens", 0) - (put_in or 0)
        )
    cached = counts.get("gen_ai.usage.cache_read.input_tokens")
    tokens = put_in, put_out, cached
    odd = _contradicts_itself(counts)
    return Told(operation, found | counts, usage, tokens, failed, odd, goes_on, max(choices, 1))


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _place(exchange: Exchange) -> dict[str, Any]:
    scheme = exchange.url.partition("://")[0]
    host, _, port = exchange.host.partition(":")
    provider = PROVIDERS.get(host, "azure.ai.openai" if host.endswith(".openai.azure.com") else "openai")
    if port == "11434":
        provider = "ollama"
    return {
        "gen_ai.provider.name": provider,
        "server.address": host,
        "server.port": int(port) if port else {"http": 80, "https": 443}[scheme],
    }


def _facts(endpoint: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("id", "model"):
        if isinstance(answer.get(name), str) and answer[name]:
            found[f"gen_ai.response.{name}"] = answer[name]
    reasons: list[str] = []
    if endpoint.endswith("completions"):
        choices = sorted(answer.get("choices") or [], key=lambda choice: choice.get("index") or 0)
        reasons = [_reason(choice.get("finish_reason")) for choice in choices]
    elif endpoint.startswith("responses"):
        reasons = _reasons_of_response(answer)
    if reasons:
        found["gen_ai.response.finish_reasons"] = reasons
    return found


def _reason(given: Any) -> str:
    return REASONS.get(given, given) if given else "error"


def _reasons_of_response(answer: Mapping[str, Any]) -> list[str]:
    status = answer.get("status")
    if status in ("queued", "in_progress"):
        return []
    if status == "incomplete":
        return [_reason((answer.get("incomplete_details") or {}).get("reason"))]
    if status in ("failed", "cancelled", "cut off"):
        return ["error"]
    kinds = [item.get("type") for item in answer.get("output") or []]
    return ["tool_call" if any(kind in RUNS_A_TOOL_OF_THE_PROGRAM for kind in kinds) else "stop"]


# -- token counts ----------------------------------------------------------------------------------------


def token_counts(usage: Mapping[str, Any], *, embeddings: bool = False) -> dict[str, int]:
    """``gen_ai.usage.*`` of a usage object, every count that the conventions carry."""
    found: dict[str, int] = {}

    def put(name: str, *values: Any) -> None:
        for value in values:
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                found.setdefault(f"gen_ai.usage.{name}", value)

    asked = _details(usage, "prompt", "input")
    made = _details(usage, "completion", "output")
    put("input_tokens", usage.get("prompt_tokens"), usage.get("input_tokens"))
    if embeddings:
        # Nothing is put out, so the total is the input (Voyage tells nothing else).
        put("input_tokens", usage.get("total_tokens"))
    else:
        put("output_tokens", usage.get("completion_tokens"), usage.get("output_tokens"))
        put("reasoning.output_tokens", made.get("reasoning_tokens"))
    put(
        "cache_read.input_tokens",
        asked.get("cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),  # DeepSeek
        usage.get("cached_tokens"),  # Together, Moonshot
        usage.get("num_cached_tokens"),  # Mistral
    )
    put("cache_write.input_tokens", asked.get("cache_write_tokens"))
    cached = asked.get("cached_tokens_details") or {}
    for modality in ("text", "audio", "image"):
        put(f"{modality}.input_tokens", asked.get(f"{modality}_tokens"))
        put(f"{modality}.output_tokens", made.get(f"{modality}_tokens"))
        put(f"{modality}.cache_read.input_tokens", cached.get(f"{modality}_tokens"))
    return found


def _contradicts_itself(counts: Mapping[str, int]) -> bool:
    count = {name.removeprefix("gen_ai.usage."): value for name, value in counts.items()}
    read, written = count.get("cache_read.input_tokens", 0), count.get("cache_write.input_tokens", 0)
    made = count.get("reasoning.output_tokens", 0) + count.get("audio.output_tokens", 0)
    made += count.get("image.output_tokens", 0)
    return read + written > count.get("input_tokens", 0) or made > count.get("output_tokens", made)


def _details(usage: Mapping[str, Any], *sides: str) -> Mapping[str, Any]:
    for side in sides:
        for name in (f"{side}_tokens_details", f"{side}_token_details"):
            if isinstance(usage.get(name), dict):
                return usage[name]  # type: ignore[no-any-return]
    return {}


# -- errors ----------------------------------------------------------------------------------------------


def _error_of(content: bytes, status: int) -> str:
    try:
        body = json.loads(content)
    except ValueError:
        return str(status)
    if not isinstance(body, dict):
        return str(status)
    return _code_of(body.get("error", body)) or str(status)


def _code_of(error: Any) -> str | None:
    """The provider's code, else its type: a word or a number, never a sentence."""
    if not isinstance(error, dict):
        return None
    for value in (error.get("code"), error.get("type")):
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value and not any(letter.isspace() for letter in value):
            return value
    return None


# -- streams ---------------------------------------------------------------------------------------------


def _events(content: bytes) -> list[dict[str, Any]]:
    """The events up to ``[DONE]``, an error, or the first that is no JSON: there the SDK stops."""
    events: list[Any] = []
    for data in _data(content.decode("utf-8", "replace")):
        if data.startswith("[DONE]"):
            break
        try:
            event = json.loads(data)
        except ValueError:
            break
        events.append(event)
        if isinstance(event, dict) and event.get("error"):
            break
    return [event for event in events if isinstance(event, dict)]


def _data(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
        elif not line and lines:
            yield "\n".join(lines)
            lines = []


def _completion_of(events: list[dict[str, Any]], choices: int) -> dict[str, Any]:
    """The whole completion that the chunks make up."""
    whole: dict[str, Any] = {"choices": []}
    reasons: dict[int, Any] = dict.fromkeys(range(choices))
    for event in events:
        for name in ("id", "model"):
            whole[name] = whole.get(name) or event.get(name)
        usage = event.get("usage") or (event.get("x_groq") or {}).get("usage")
        whole["usage"] = usage or whole.get("usage")
        whole["error"] = event.get("error") or whole.get("error")
        for choice in event.get("choices") or []:
            index = choice.get("index") or 0
            reasons[index] = choice.get("finish_reason") or reasons.get(index)
    whole["choices"] = [
        {"index": index, "finish_reason": reason} for index, reason in sorted(reasons.items())
    ]
    return whole


def _response_of(events: list[dict[str, Any]], _choices: int) -> dict[str, Any]:
    """The response that the events end with, or what they told of it before they broke off."""
    whole: dict[str, Any] = {"status": "cut off"}
    for event in events:
        if event.get("type") in ("response.completed", "response.incomplete", "response.failed"):
            return event["response"]  # type: ignore[no-any-return]
        if event.get("type") == "error" or event.get("error"):
            error = event.get("error") or event
            whole["error"] = {
                "code": error.get("code"),
                "type": None if error is event else error.get("type"),
            }
        elif isinstance(event.get("response"), dict):
            whole |= {name: event["response"].get(name) for name in ("id", "model")}
    return whole
