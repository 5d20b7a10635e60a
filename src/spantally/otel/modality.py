"""The modality of tokens that a usage object does not tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground.records import CallRecord

_INPUT: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT: Final = ("completion_tokens_details", "output_tokens_details", "output_token_details")

_TEXT_IN: Final = frozenset({"completions", "speech"})
"""APIs that take nothing but text."""

_TEXT_OUT: Final = frozenset(
    {"chat_completions", "completions", "responses", "compact", "transcriptions", "runs", "decisions"}
)
"""APIs whose answers are text, but for what they tell apart."""


def remainders(record: CallRecord) -> tuple[str, str]:
    """Modality of the input and of the output that is left when audio and images are taken out.

    It is text where the provider breaks its usage down by modality, or the API knows no other. An input that
    is not broken down may hold images: what cannot be told is ``unknown``.

    Args:
        record: of a call with a usage.
    """
    context, usage = record.price_context, record.usage or _NOTHING
    api = context.get("api") if context else None
    text_in = api in _TEXT_IN or _is_broken_down(usage, _INPUT)
    text_out = api in _TEXT_OUT or _is_broken_down(usage, _OUTPUT)
    return "text" if text_in else "unknown", "text" if text_out else "unknown"


_NOTHING: Final[Mapping[str, Any]] = {}


def _is_broken_down(usage: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    for name in names:
        details = usage.get(name)
        if type(details) is dict or isinstance(details, Mapping):
            return (
                details.get("text_tokens") is not None
                or details.get("audio_tokens") is not None
                or details.get("image_tokens") is not None
            )
    return False
