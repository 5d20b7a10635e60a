"""Lines of a batch's results: each holds the whole answer to one request, with its usage."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from spantally.instrumentors.anthropic.wire.operation import MESSAGES
from spantally.instrumentors.anthropic.wire.response import response_facts
from spantally.instrumentors.stainless.batches import MAX_LINE, BatchLine
from spantally.instrumentors.stainless.wire.fields import field, text


def is_batch_line(line: bytes) -> bool:
    """True if a line is one of a batch's results; the first line tells what a file is."""
    parsed = _parsed(line)
    return text(field(parsed, "custom_id")) is not None and field(parsed, "result") is not None


def batch_line(line: bytes, provider: str | None) -> BatchLine | None:
    """What a line bills; None for one that failed, expired, was cancelled or cannot be read.

    Args:
        line: JSON.
        provider: ``gen_ai.provider.name``; ids are unique within it.
    """
    parsed = _parsed(line)
    result = field(parsed, "result")
    message = field(result, "message")
    if text(field(result, "type")) != "succeeded" or type(message) is not dict:
        return None
    facts = response_facts(MESSAGES, message)
    if facts.response_id is None:
        return None
    made = "\n".join((provider or "", text(field(parsed, "custom_id")) or "", facts.response_id))
    key = hashlib.sha256(f"batch\n{made}".encode()).hexdigest()[:32]
    return BatchLine(key, MESSAGES, facts, None)


def _parsed(line: bytes) -> Any:
    if not line.startswith(b"{") or len(line) > MAX_LINE:
        return None
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
