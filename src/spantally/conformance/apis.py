"""What the APIs of a provider do not say: nobody can put onto a span what no answer holds.

The tables of the conventions recommend the id and the model of a response, its token counts and its finish
reasons on every inference. Some APIs have none of them. Which API it was is told by ``openai.api.type``, or
by what the span says was asked for. Taken from the API reference of OpenAI, November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from spantally.conformance.model import Span, word

_ID: Final = "gen_ai.response.id"
_MODEL: Final = "gen_ai.response.model"
_REASONS: Final = "gen_ai.response.finish_reasons"
_STATUS: Final = "gen_ai.response.status"
_TOKENS: Final = frozenset({"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"})

_PROVIDERS: Final = frozenset({"openai", "azure.ai.openai"})
_UNFINISHED: Final = frozenset({"queued", "in_progress", "requires_action", "cancelling"})
"""States of an answer that is made after its request has ended."""


class _Api(NamedTuple):
    lacks: frozenset[str]
    """Attributes that no answer supplies."""
    untold: Callable[[Mapping[str, Any]], bool] | None = None
    """Of a span's attributes: True where the answer has no token counts."""


def _is_model(attributes: Mapping[str, Any], *stems: str) -> bool:
    model = attributes.get("gen_ai.request.model")
    return isinstance(model, str) and model.startswith(stems)


def _always(attributes: Mapping[str, Any]) -> bool:
    return True


_APIS: Final[Mapping[str, _Api]] = {
    # Where no model is named it is an older one.
    "images": _Api(
        frozenset({_ID, _MODEL, _REASONS}),
        lambda told: _is_model(told, "dall-e") or "gen_ai.request.model" not in told,
    ),
    # Sound comes as bare bytes; only as events does it come with counts.
    "audio.speech": _Api(frozenset({_ID, _MODEL, _REASONS}), _always),
    # Older models are billed by the second, and a plain text has no room for counts.
    "audio.transcriptions": _Api(
        frozenset({_ID, _MODEL, _REASONS}),
        lambda told: _is_model(told, "whisper") or told.get("gen_ai.output.type") == "text",
    ),
    "videos": _Api(frozenset(), _always),
    "live": _Api(frozenset(), _always),
    "decisions": _Api(frozenset({_ID, _REASONS})),
    "responses.compact": _Api(frozenset({_MODEL})),
    "chat_completions": _Api(frozenset({_STATUS})),
}
"""By ``openai.api.type``; an API that is not here supplies everything."""


def unsupplied(span: Span) -> frozenset[str]:
    """Attributes that the API of a span does not supply, or has not yet supplied.

    Args:
        span: of a client.
    """
    told = span.attributes
    found: frozenset[str] = frozenset()
    api = _APIS.get(_api_of(told))
    if api is not None:
        found = api.lacks
        if api.untold is not None and api.untold(told):
            found |= _TOKENS
    if any(name.endswith(".response.status") and word(told, name) in _UNFINISHED for name in told):
        found |= _TOKENS | {_REASONS}
    return found


def _api_of(told: Mapping[str, Any]) -> str:
    """``openai.api.type``, or what else shows which API it was; empty where nothing does."""
    named = told.get("openai.api.type")
    if isinstance(named, str):
        return named
    if word(told, "gen_ai.provider.name") not in _PROVIDERS:
        return ""
    if told.get("gen_ai.operation.name") != "generate_content":
        return ""
    made = {"image": "images", "speech": "audio.speech"}.get(word(told, "gen_ai.output.type"))
    if made is not None:
        return made
    model = told.get("gen_ai.request.model")
    heard = isinstance(model, str) and ("whisper" in model or "transcribe" in model)
    return "audio.transcriptions" if heard else ""
