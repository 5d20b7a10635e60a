"""What a complete answer says: ids, model, why it stopped, usage, tool calls, failure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from spantally.instrumentors.anthropic.wire.operation import Operation
from spantally.instrumentors.stainless.wire.errors import error_code, says_refused
from spantally.instrumentors.stainless.wire.fields import field, items, plain_mapping, text


class ResponseFacts(NamedTuple):
    """The facts of one answer, plain values all."""

    model: str | None = None
    response_id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    """One, in the conventions' words; ``error`` where it was expected and did not come."""
    usage: dict[str, Any] | None = None
    """The provider's usage object as it came, of a stream as its events add up."""
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Id and name of each tool that the program is asked to run."""
    error_type: str | None = None
    server_tools: tuple[tuple[str, int], ...] = ()
    """How often the provider ran each tool of its own that its usage does not count."""
    refused: bool = False
    """True where the error is of a kind that stands for a rejection."""


MISSING: Final = "error"
"""The finish reason of an answer that broke off."""

_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
}
"""By ``stop_reason``; others (``pause_turn``, ``compaction``) stay as they are."""

_CODE_TOOLS: Final = frozenset({"code_execution", "bash_code_execution", "text_editor_code_execution"})
"""Server tools that are billed by the time of their container, which no usage object tells."""


def finish_reason(value: Any) -> str:
    """A stop reason in the conventions' words."""
    reason = text(value)
    return MISSING if reason is None else _REASONS.get(reason, reason)


def response_facts(op: Operation, body: Any) -> ResponseFacts:
    """The facts of a response body.

    Args:
        op: what ``classify`` said.
        body: parsed JSON, or the SDK's object of it.
    """
    error = field(body, "error")
    failure, refused = error_code(error), error is not None and says_refused(error)
    if op.api == "complete":
        return ResponseFacts(
            model=text(field(body, "model")),
            response_id=text(field(body, "id")),
            finish_reasons=(finish_reason(field(body, "stop_reason")),),
            error_type=failure,
            refused=refused,
        )
    if op.api != "messages":
        return ResponseFacts(error_type=failure, refused=refused)
    blocks = items(field(body, "content")) or ()
    return ResponseFacts(
        model=text(field(body, "model")),
        response_id=text(field(body, "id")),
        finish_reasons=(finish_reason(field(body, "stop_reason")),),
        usage=plain_mapping(field(body, "usage")),
        tool_calls=tuple(pair for block in blocks if (pair := tool_call(block)) is not None),
        error_type=failure,
        refused=refused,
        server_tools=server_tools([name for block in blocks if (name := server_tool(block)) is not None]),
    )


def tool_call(block: Any) -> tuple[str, str] | None:
    """Id and name of a block that asks for a tool of the program, else None."""
    if text(field(block, "type")) != "tool_use":
        return None
    call_id, name = text(field(block, "id")), text(field(block, "name"))
    return None if call_id is None or name is None else (call_id, name)


def server_tool(block: Any) -> str | None:
    """The tool of a block that tells of a tool of the provider's own which no usage counts, else None."""
    if text(field(block, "type")) != "server_tool_use":
        return None
    return "code_execution" if text(field(block, "name")) in _CODE_TOOLS else None


def server_tools(names: list[str]) -> tuple[tuple[str, int], ...]:
    """How often each was run."""
    return tuple((name, names.count(name)) for name in sorted(set(names)))
