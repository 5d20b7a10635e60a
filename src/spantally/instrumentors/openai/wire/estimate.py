"""An estimate of the input tokens of a request, where the policy is to estimate."""

from __future__ import annotations

from typing import Any, Final

from spantally.instrumentors.openai.wire import content
from spantally.instrumentors.openai.wire.operation import Operation
from spantally.instrumentors.stainless import estimate

_APIS: Final = frozenset({"chat_completions", "responses", "completions"})


def input_tokens(op: Operation, body: Any) -> int | None:
    """Estimated tokens of a request; None where its API has no text to go by."""
    if op.api not in _APIS or op.rereads:
        return None
    return estimate.input_tokens(
        content.input_messages(op, body) or [],
        content.system_instructions(op, body) or [],
        content.tool_definitions(body, parameters=True) or [],
    )
