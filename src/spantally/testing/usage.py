"""Token counts of scripted answers: counted from the text that really passed, or fixed by a script.

The counting rule is simple on purpose, so that a total can be worked by hand: a token is a run of letters,
digits and underscores, or one other visible character. It is not the count of any real model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
PER_MESSAGE: Final = 3
"""Tokens that a message adds to its text (real chat formats add a few, too)."""


def count_tokens(text: str) -> int:
    """Tokens of a text: words, and visible characters that are in no word."""
    return len(_TOKEN.findall(text))


class Usage(NamedTuple):
    """What one answer is billed for, in tokens; each API shape is derived from it."""

    input: int = 0
    """All input tokens, cached ones included."""
    output: int = 0
    """All output tokens, reasoning included."""
    cached: int = 0
    """Input tokens read from the cache; within ``input``."""
    reasoning: int = 0
    """Output tokens spent on reasoning; within ``output``."""

    @classmethod
    def of(cls, value: Usage | Mapping[str, Any]) -> Usage:
        """Read a usage of our own names, or any usage object that an API of OpenAI or Anthropic returns.

        Args:
            value: ``{"input": 10, "output": 2}``, or ``prompt_tokens`` ..., or ``input_tokens`` ...; a count
                that is absent or no whole number reads as 0 (malformed usage bills nothing).
        """
        if isinstance(value, Usage):
            return value
        inputs = _first(value, "input", "prompt_tokens", "input_tokens")
        outputs = _first(value, "output", "completion_tokens", "output_tokens")
        # Anthropic counts cached tokens beside the others.
        beside = _first(value, "cache_read_input_tokens")
        inputs += beside + _first(value, "cache_creation_input_tokens")
        read_in = _details(value, "prompt_tokens_details", "input_tokens_details")
        read_out = _details(value, "completion_tokens_details", "output_tokens_details")
        return cls(
            inputs,
            outputs,
            _first(value, "cached") or _first(read_in, "cached_tokens") or beside,
            _first(value, "reasoning")
            or _first(read_out, "reasoning_tokens")
            or _first(read_out, "thinking_tokens"),
        )

    def as_chat(self) -> dict[str, Any]:
        """The usage object of chat completions."""
        return {
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def as_completion(self) -> dict[str, Any]:
        """The usage object of (legacy) completions."""
        return {
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input + self.output,
        }

    def as_responses(self) -> dict[str, Any]:
        """The usage object of the Responses API."""
        return {
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": 0},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
        }

    def as_messages(self) -> dict[str, Any]:
        """The usage object of Anthropic's messages, which has cached tokens beside the others."""
        return {
            "input_tokens": self.input - self.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": self.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": self.output,
            "output_tokens_details": {"thinking_tokens": self.reasoning},
        }

    def as_embeddings(self) -> dict[str, Any]:
        """The usage object of embeddings."""
        return {"prompt_tokens": self.input, "total_tokens": self.input}


class Billed(NamedTuple):
    """The sum of what one model was billed for."""

    requests: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0

    def plus(self, usage: Usage) -> Billed:
        """This sum with one more answer in it."""
        return Billed(
            self.requests + 1,
            self.input + usage.input,
            self.output + usage.output,
            self.cached + usage.cached,
            self.reasoning + usage.reasoning,
        )


class Bill(NamedTuple):
    """One answer that cost something."""

    model: str
    """The model that the answer named."""
    usage: Usage
    path: str
    """Path of the request."""
    reported: bool
    """True if the whole answer with its usage was sent; a dropped stream is billed and not reported."""


def texts_of(value: object) -> list[str]:
    """Every text that a request's messages, input or prompt hold, in order.

    Args:
        value: a text, a list of texts, messages, content parts or input items.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        found: list[str] = []
        for key in ("content", "text", "output", "arguments", "input"):
            found += texts_of(value.get(key))
        for call in value.get("tool_calls") or ():
            if isinstance(call, Mapping):
                found.append(json.dumps(call.get("function"), sort_keys=True))
        return found
    if isinstance(value, list):
        return [text for item in value for text in texts_of(item)]
    return []


def _first(value: Mapping[str, Any], *names: str) -> int:
    for name in names:
        found = value.get(name)
        if isinstance(found, int) and not isinstance(found, bool):
            return found
    return 0


def _details(value: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        found = value.get(name)
        if isinstance(found, Mapping):
            return found
    return {}
