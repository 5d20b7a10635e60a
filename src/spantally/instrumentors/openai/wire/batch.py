"""Lines of a batch's results file: each holds the whole answer to one request, with its usage."""

from __future__ import annotations

from typing import Any, Final

from spantally.instrumentors.openai.wire.operation import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    RESPONSES,
    Operation,
)
from spantally.instrumentors.openai.wire.response import response_facts
from spantally.instrumentors.stainless.batches import BatchLine, line_key, parsed_line
from spantally.instrumentors.stainless.wire.fields import field, integer, items, text

_OBJECTS: Final = {
    "chat.completion": CHAT,
    "response": RESPONSES,
    "text_completion": COMPLETIONS,
}


def is_batch_line(line: bytes) -> bool:
    """True if a line is one of a results file; the first line tells what a file is."""
    said = parsed_line(line)
    return text(field(said, "custom_id")) is not None and type(field(said, "response")) is dict


def batch_line(line: bytes, provider: str | None) -> BatchLine | None:
    """What a line bills; None for one that failed, bills nothing or cannot be read.

    Args:
        line: JSON.
        provider: ``gen_ai.provider.name``; ids are unique within it.
    """
    said = parsed_line(line)
    answer = field(said, "response")
    body = field(answer, "body")
    ident = text(field(said, "id"))
    status = integer(field(answer, "status_code"))
    if ident is None or type(body) is not dict or (status is not None and status >= 400):
        return None
    operation = _operation_of(body)
    if operation is None:
        return None
    facts = response_facts(operation, body)
    key = line_key(provider or "", ident, text(field(said, "custom_id")) or "", facts.response_id or "")
    created = integer(field(body, "created"))
    return BatchLine(
        key, operation, facts, integer(field(body, "created_at")) if created is None else created
    )


def _operation_of(body: Any) -> Operation | None:
    found = _OBJECTS.get(text(field(body, "object")) or "")
    if found is not None:
        return found
    first = next(iter(items(field(body, "data")) or ()), None)
    if text(field(first, "object")) == "embedding":
        return EMBEDDINGS
    # An answer of another kind that reports tokens was billed for them.
    if field(field(body, "usage"), "prompt_tokens") is not None:
        return CHAT
    return RESPONSES if field(field(body, "usage"), "input_tokens") is not None else None
