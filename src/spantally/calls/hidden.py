"""Work that shows nothing: ``spantally.untracked()`` and ``@agent(track=False)``.

Inside, model calls give a row with what their cost needs, under the session alone: no span, no content, no
event, no name of agent, tool or response; so do tools that the program says the cost of. Agents and other
tools give nothing at all.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.context import Context

from spantally.calls.operation import Operation, open_operations
from spantally.calls.plans import Plan
from spantally.calls.telemetry import Telemetry
from spantally.ground.records import COUNTED_KINDS, CallRecord
from spantally.ground.scope import Scope


class HiddenOperation(Operation):
    """A model call, or a paid tool, of which only the cost is kept."""

    __slots__ = ()

    hidden = True

    def _record(self, *args: Any) -> CallRecord:
        return (
            super()
            ._record(*args)
            ._replace(
                name=None,
                response_id=None,
                tool_call_id=None,
                content=None,
                turn=False,
            )
        )


def start_hidden(
    telemetry: Telemetry, plan: Plan, scope: Scope, context: Context, call_id: str | None = None
) -> Operation | None:
    """Begin an operation of which only the cost is kept; None for one that has none of its own.

    Args:
        telemetry: where it reports to.
        plan: what it is.
        scope: whose it is.
        context: the Context that it begins in.
        call_id: its id, where the program names it.
    """
    if plan.kind not in COUNTED_KINDS and not plan.paid:
        return None
    anonymous = Scope(
        scope.session,
        user_id=scope.user_id,
        entity_type=scope.entity_type,
        entity_id=scope.entity_id,
        tags=scope.tags,
        conversation_id=scope.conversation_id,
    )
    made = HiddenOperation(telemetry, plan.kind, plan.operation, anonymous)
    made.parent_context = Context()
    made.call_id = call_id or made.call_id
    open_operations[made.call_id] = made
    return made
