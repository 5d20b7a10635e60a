"""Lines of a batch's results: each holds the whole answer to one request, with its usage."""

from __future__ import annotations

from spantally.instrumentors.anthropic.wire.operation import MESSAGES
from spantally.instrumentors.anthropic.wire.response import response_facts
from spantally.instrumentors.stainless.batches import BatchLine, line_key, parsed_line
from spantally.instrumentors.stainless.wire.fields import field, text


def is_batch_line(line: bytes) -> bool:
    """True if a line is one of a batch's results; the first line tells what a file is."""
    said = parsed_line(line)
    return text(field(said, "custom_id")) is not None and field(said, "result") is not None


def batch_line(line: bytes, provider: str | None) -> BatchLine | None:
    """What a line bills; None for one that failed, expired, was cancelled or cannot be read.

    Args:
        line: JSON.
        provider: ``gen_ai.provider.name``; ids are unique within it.
    """
    said = parsed_line(line)
    result = field(said, "result")
    message = field(result, "message")
    if text(field(result, "type")) != "succeeded" or type(message) is not dict:
        return None
    facts = response_facts(MESSAGES, message)
    if facts.response_id is None:
        return None
    key = line_key(provider or "", text(field(said, "custom_id")) or "", facts.response_id)
    return BatchLine(key, MESSAGES, facts, None)
