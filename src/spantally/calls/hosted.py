"""Agents, tools, retrievals and workflows of frameworks: their hooks begin and end them, no body of ours.

The hooks of a framework may run in other threads than the work, so that nothing is put into force here:
whoever begins a work says in which Context, and gets the one inside it to put into force where the work runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from opentelemetry.context import Context

from spantally.calls import starting
from spantally.calls import telemetry as telemetry_module
from spantally.calls.joining import NOWHERE, Join
from spantally.calls.operation import Operation
from spantally.calls.telemetry import Telemetry
from spantally.calls.tool_results import take_tool_call
from spantally.calls.work import ToolWork, Work
from spantally.calls.work_content import keep_given_arguments, keep_result
from spantally.ground import semconv
from spantally.ground.cancelling import is_cancellation
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind, Status
from spantally.ground.scope import is_paused, raw_scope
from spantally.ground.settings import is_disabled


class RetrievalWork(Work):
    """Searches of a data source: ``retrieval``."""

    kind = Kind.RETRIEVAL
    operation = "retrieval"
    word = "retrieval"

    def _attributes(self, name: str, description: str | None) -> dict[str, Any]:
        return {semconv.DATA_SOURCE_ID: name}


class Hosted:
    """One work of a framework that runs."""

    __slots__ = ("context", "operation")

    def __init__(self, operation: Operation, context: Context) -> None:
        self.operation = operation
        self.context = context
        """In force inside it."""

    def finish(
        self, error: BaseException | None = None, *, error_type: str | None = None, result: Any = None
    ) -> None:
        """End it, well or by an error; never raises.

        Args:
            error: the exception it ended by.
            error_type: value of ``error.type`` where there is no exception.
            result: what a tool gave.
        """
        try:
            if result is not None:
                keep_result(self.operation, result)
            self.operation.finish(_status_of(error, error_type), error=error, error_type=error_type)
        except Exception as failure:
            swallowed("calls.hosted", failure)

    def name_call(self, tool_call_id: str | None) -> None:
        """Take the model's id of a tool's call, where it is known by now and was not at the beginning."""
        operation = self.operation
        if tool_call_id is None or operation.tool_call_id is not None:
            return
        take_tool_call(operation.scope, tool_call_id, operation.name or "")
        operation.tool_call_id = tool_call_id
        operation.end_attributes[semconv.TOOL_CALL_ID] = tool_call_id

    def leave(self) -> None:
        """It was left early, perhaps in a finaliser; never raises."""
        self.operation.finish_later(abandoned=True)


def _status_of(error: BaseException | None, error_type: str | None) -> str:
    if error is None:
        return Status.OK if error_type is None else Status.ERROR
    cancelled = isinstance(error, (KeyboardInterrupt, SystemExit)) or is_cancellation(error)
    return Status.CANCELLED if cancelled else Status.ERROR


def begin(
    kind: type[Work],
    name: str,
    *,
    context: Context,
    telemetry: Telemetry | None = None,
    description: str | None = None,
    start_ns: int | None = None,
    tool_call_id: str | None = None,
    arguments: Any = None,
    joins: Join = NOWHERE,
) -> Hosted | None:
    """Begin a work of a framework; None inside ``paused()`` and ``untracked()``. Never raises.

    Args:
        kind: the class of the work.
        name: of the agent, tool, workflow or data source.
        context: the Context that it begins in.
        telemetry: where it reports to; by default that of the process.
        description: of the agent or tool.
        start_ns: when it began, where that is past.
        tool_call_id: the model's id of a tool's call, where the framework tells it.
        arguments: a tool's.
        joins: where the framework's own span of the same work may be.
    """
    try:
        if is_disabled() or is_paused(context):
            return None
        work = _work_of(kind, name, description)  # type: ignore[arg-type] # the class itself is hashed
        made = starting.start(
            telemetry or telemetry_module.active,
            work._plan(name, description),
            name=name,
            start_ns=start_ns,
            joins=joins,
            within=lambda _: context,
        )
        if made is None:
            return None
    except Exception as error:
        swallowed("calls.hosted", error)
        return None
    try:
        if kind is ToolWork and tool_call_id is not None:
            take_tool_call(made.scope, tool_call_id, name)
            made.tool_call_id = tool_call_id
            made.end_attributes[semconv.TOOL_CALL_ID] = tool_call_id
        else:
            work._prepare(made, name)
        if kind is ToolWork:
            keep_given_arguments(made, arguments)
        return Hosted(made, made.inner_context(context))
    except Exception as error:
        swallowed("calls.hosted", error)
        return Hosted(made, context)


@lru_cache(maxsize=512)
def _work_of(kind: Callable[..., Work], name: str, description: str | None) -> Work:
    return kind(name, description)


def innermost(ambient: Context, around: Context) -> Context:
    """Of two Contexts the one that is further in: what is in force here, or that of the work around.

    What a program itself has entered inside the work (a session, an agent of its own) is further in than the
    work; where the framework's thread does not carry the work's Context, the work is.

    Args:
        ambient: what is in force.
        around: the Context inside the framework's work around.
    """
    here = raw_scope(ambient)
    if here is None:
        return around
    scope = raw_scope(around)
    if scope is None:
        return ambient
    while here is not None:
        if here is scope:
            return ambient
        here = here.parent
    return around
