"""Tool calls that a model asked for: matched with the tools that ran, inferred where none was seen.

A response names the tools it wants with an id each. When a traced tool of that name then starts, it takes
the id. A result that turns up in a later request with an id nobody took gives a ledger row marked inferred,
without a duration: its tool ran, but not where we could see it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from spantally.calls import pipeline
from spantally.calls.operation import Operation, open_operations
from spantally.calls.telemetry import SCOPE_NAME
from spantally.ground.records import CallRecord, Kind, Precedence
from spantally.ground.scope import Scope
from spantally.ground.session_state import SessionState

MAX_EXPECTED: Final = 512
"""How many asked-for tool calls one session remembers."""


MAX_SETTLED: Final = 8192
"""How many settled tool calls one session remembers."""


class ToolResult(NamedTuple):
    """A tool's result that a request hands back to the model."""

    tool_call_id: str
    name: str | None
    """From the model's tool call in the same request; None where that is not in it."""
    content: Any
    """The result as it was sent: raw, neither copied nor redacted."""


def expect_tool_calls(scope: Scope, calls: Iterable[tuple[str, str]]) -> None:
    """Remember the tool calls a model asked for.

    Args:
        scope: of the model call: its agent is the one whose tools are meant.
        calls: (id, tool name) of each.
    """
    expected = scope.session.expected_tools
    for tool_call_id, name in calls:
        expected.setdefault(tool_call_id, (name, scope.call_id))
    while len(expected) > MAX_EXPECTED:
        expected.pop(next(iter(expected)), None)


def claim_tool_call(scope: Scope, name: str) -> str | None:
    """The id of the oldest asked-for call of this tool that no run has taken; the run takes it.

    Agents that run side by side ask for the same tools: an id goes to a run of the agent that asked for it,
    else to one further in, or, where that agent has ended, to any.
    """
    around = _around(scope)
    waiting = [item for item in tuple(scope.session.expected_tools.items()) if item[1][0] == name]
    for fits in (
        lambda owner: owner == scope.call_id,
        lambda owner: owner in around,
        lambda owner: owner not in open_operations,
    ):
        for tool_call_id, asked in waiting:
            if fits(asked[1]) and scope.session.expected_tools.pop(tool_call_id, None) is not None:
                claimed = scope.session.claimed_tools
                claimed[tool_call_id] = asked
                while len(claimed) > MAX_EXPECTED:
                    claimed.pop(next(iter(claimed)), None)
                return tool_call_id
    return None


def take_tool_call(scope: Scope, tool_call_id: str, name: str) -> None:
    """Note that a tool runs for the asked-for call of this id, where a framework tells the id."""
    session = scope.session
    session.claimed_tools[tool_call_id] = session.expected_tools.pop(tool_call_id, (name, scope.call_id))
    while len(session.claimed_tools) > MAX_EXPECTED:
        session.claimed_tools.pop(next(iter(session.claimed_tools)), None)


def _around(scope: Scope) -> set[str | None]:
    found: set[str | None] = {None}
    within: Scope | None = scope
    while within is not None:
        found.add(within.call_id)
        within = within.parent
    return found


def _has_its_row(session: SessionState, tool_call_id: str, name: str | None) -> bool:
    """Whether the run of a tool whose result is told was seen, under this id or a twin's.

    Two runs of one tool at once may take each other's id. Then the one that took too much gives it back, so
    that each run stands for one call.
    """
    if session.claimed_tools.pop(tool_call_id, None) is not None:
        return True
    for other, asked in tuple(session.claimed_tools.items()):
        if asked[0] == name and session.claimed_tools.pop(other, None) is not None:
            session.expected_tools[other] = asked
            return True
    return False


def _settle(session: SessionState, tool_call_id: str) -> None:
    """Note that a tool call has its row. Forgetting is harmless: the ledger merges rows of one id."""
    if len(session.settled_tools) >= MAX_SETTLED:
        session.settled_tools.clear()
    session.settled_tools.add(tool_call_id)


def inferred_id(session_id: str, tool_call_id: str | None) -> str:
    """The id of the row of a tool whose run nobody saw: the same in each process that infers it."""
    return f"inferred-{session_id}-{tool_call_id}"


def infer_tool_results(operation: Operation, results: Sequence[ToolResult]) -> None:
    """Record the tools whose results this request carries and whose runs nobody saw."""
    if not results or operation.hidden:
        return
    scope = operation.scope
    session = scope.session
    now = time.time_ns()
    for result in results:
        tool_call_id = result.tool_call_id
        if tool_call_id in session.settled_tools:
            continue
        _settle(session, tool_call_id)
        asked_for = session.expected_tools.pop(tool_call_id, None)
        name = result.name or (None if asked_for is None else asked_for[0])
        if _has_its_row(session, tool_call_id, name):
            continue
        pipeline.emit(
            CallRecord(
                call_id=inferred_id(session.session_id, tool_call_id),
                session_id=session.session_id,
                kind=Kind.TOOL,
                operation="execute_tool",
                start_ns=now,
                end_ns=now,
                precedence=Precedence.INFERRED,
                parent_call_id=scope.call_id,
                implicit_session=session.implicit,
                session_name=session.name,
                conversation_id=scope.conversation_id,
                user_id=scope.user_id,
                entity_type=scope.entity_type,
                entity_id=scope.entity_id,
                tags=scope.tags,
                name=name,
                agent_path=scope.agent_path,
                run_id=scope.run_id,
                tool=name,
                tool_call_id=tool_call_id,
                inferred=True,
                project=operation.telemetry.project,
                scope_name=SCOPE_NAME,
            )
        )
