"""Tool calls that a model asked for: matched with the tools that ran, inferred where none was seen.

A response names the tools it wants with an id each. When a traced tool of that name then starts, it takes
the id. A result that turns up in a later request with an id nobody took gives a ledger row marked inferred,
without a duration: its tool ran, but not where we could see it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from spantally.calls import pipeline
from spantally.calls.operation import Operation
from spantally.calls.telemetry import SCOPE_NAME
from spantally.ground.records import CallRecord, Kind, Precedence
from spantally.ground.session_state import SessionState

MAX_EXPECTED: Final = 512
"""How many asked-for tool calls one session remembers."""


MAX_SETTLED: Final = 8192
"""How many settled tool calls one session remembers."""


class ToolResult(Protocol):
    """A tool's result as a request carries it."""

    @property
    def tool_call_id(self) -> str:
        """The id that the model gave."""

    @property
    def name(self) -> str | None:
        """The tool's name, where the request tells it."""


def expect_tool_calls(session: SessionState, calls: Iterable[tuple[str, str]]) -> None:
    """Remember the tool calls a model asked for, as (id, tool name)."""
    expected = session.expected_tools
    for tool_call_id, name in calls:
        expected.setdefault(tool_call_id, name)
    while len(expected) > MAX_EXPECTED:
        expected.pop(next(iter(expected)), None)


def claim_tool_call(session: SessionState, name: str) -> str | None:
    """The id of the oldest asked-for call of this tool that no run has taken; the run takes it."""
    for tool_call_id, wanted in tuple(session.expected_tools.items()):
        if wanted == name and session.expected_tools.pop(tool_call_id, None) is not None:
            _settle(session, tool_call_id)
            return tool_call_id
    return None


def _settle(session: SessionState, tool_call_id: str) -> None:
    """Note that a tool call has its row. Forgetting is harmless: the ledger merges rows of one id."""
    if len(session.settled_tools) >= MAX_SETTLED:
        session.settled_tools.clear()
    session.settled_tools.add(tool_call_id)


def infer_tool_results(operation: Operation, results: Sequence[ToolResult]) -> None:
    """Record the tools whose results this request carries and whose runs nobody saw."""
    if not results:
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
        name = result.name or asked_for
        pipeline.emit(
            CallRecord(
                call_id=f"inferred-{session.session_id}-{tool_call_id}",
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
