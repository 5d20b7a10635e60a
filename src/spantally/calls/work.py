"""Agents, tools and workflows: what their decorators and context managers run, and its spans."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.calls import admission, starting
from spantally.calls import telemetry as telemetry_module
from spantally.calls.capturing import Captured, capture_of
from spantally.calls.entering import Entered, take_entry
from spantally.calls.json_text import printable
from spantally.calls.operation import Operation
from spantally.calls.plans import Plan
from spantally.calls.rollup import Rollup
from spantally.calls.running import wrap_function
from spantally.calls.tool_results import claim_tool_call
from spantally.calls.work_content import named
from spantally.ground import semconv
from spantally.ground.cancelling import is_cancellation
from spantally.ground.errors import ArgumentError
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind, Status
from spantally.ground.scope import COST_ONLY, PAUSED_KEY, SCOPE_KEY, Scope, is_paused, with_values
from spantally.ground.settings import is_disabled

_F = TypeVar("_F", bound=Callable[..., Any])


class _Running:
    """One invocation: ends its operation by what the body did."""

    __slots__ = ("captured", "context", "operation")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.captured: Captured | None = None
        """What it captures, where somebody gets that."""
        try:
            self.context: Context = operation.inner_context()
        except Exception as error:
            swallowed("calls.inner_context", error)
            self.context = otel_context.get_current()

    @property
    def item(self) -> Callable[[Any], None] | None:
        """Takes what a generator yields."""
        return None if self.captured is None else self.captured.item

    def result(self, value: Any) -> None:
        """The body returned."""
        if self.captured is not None:
            self.captured.end(value)
        self.operation.finish(Status.OK)

    def error(self, error: BaseException) -> None:
        """The body raised: cancelled, or an error of the program's own."""
        cancelled = isinstance(error, (KeyboardInterrupt, SystemExit)) or is_cancellation(error)
        if self.captured is not None:
            self.captured.end(None)
        self.operation.finish(Status.CANCELLED if cancelled else Status.ERROR, error=error)

    def left(self) -> None:
        """The generator was not read to its end; this may be a finaliser."""
        if self.captured is None:
            self.operation.finish_later(abandoned=True)
        else:
            self.operation.finish_later(abandoned=True, prepare=self.captured.left)


class _Hidden:
    """One invocation that shows nothing."""

    __slots__ = ("context",)

    def __init__(self) -> None:
        context = otel_context.get_current()
        self.context = context if is_paused(context) else with_values(context, {PAUSED_KEY: COST_ONLY})

    def result(self, value: Any) -> None:
        """The body returned."""

    def error(self, error: BaseException) -> None:
        """The body raised."""

    def left(self) -> None:
        """The generator was not read to its end."""


class Work:
    """A decorator and a context manager in one, for one kind of work."""

    kind = Kind.AGENT
    operation = "invoke_agent"
    word = "agent"

    def __init__(self, name: str | None, description: str | None, *, track: bool = True) -> None:
        self.name = name
        self.description = description
        self.track = track
        self._entered: list[tuple[_Running | _Hidden | None, Entered | None]] = []
        self.capture: Any = "auto"
        """What is captured of runs of a decorated function."""
        self.shows: Callable[[Operation], None] | None = None
        """Is told of each run as it begins, of an agent that a live view is to show."""
        self._known_plan: tuple[str, str | None, Plan] | None = None

    def __call__(self, function: _F) -> _F:
        """Decorate a function, coroutine function, generator or asynchronous generator."""
        name = self.name or _name_of(function)
        describe = self.description or self._describe(function)

        def opener(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Running | _Hidden | None:
            running = self._open(name, describe)
            if not isinstance(running, _Running):
                return running
            running.captured = capture_of(running.operation, self.capture, function, args, kwargs)
            if self.kind == Kind.TOOL and running.operation.scope.session.loop_guard is not None:
                admission.note_tool(running.operation, name, lambda: named(function, args, kwargs))
            return running

        return wrap_function(function, opener, what=f"@spantally.{self.word}", beside=self._scan_beside)

    async def _scan_beside(self, value: Any) -> None:
        """Much content of a coroutine function is scanned while the event loop goes on."""
        try:
            telemetry = telemetry_module.active
            wanted = telemetry.capture_spans or telemetry.capture_events or telemetry.keep_content
            if self.capture is False or not wanted:
                return
            from spantally.calls.beside import scan_beside

            await scan_beside(telemetry, value)
        except Exception as error:
            swallowed("calls.scan_work", error)

    def _describe(self, function: Callable[..., Any]) -> str | None:
        return None

    def _open(self, name: str, description: str | None) -> _Running | _Hidden | None:
        try:
            if is_disabled():
                return None
            if not self.track:
                return _Hidden()
            telemetry = telemetry_module.active
            made = starting.start(telemetry, self._plan(name, description), name=name)
            if made is None:
                return None
        except Exception as error:
            swallowed(f"calls.{self.word}", error)
            return None
        if self.shows is not None:
            try:
                self.shows(made)
            except Exception as error:
                swallowed("calls.shows", error)
        try:
            self._prepare(made, name)
        except Exception as error:
            swallowed(f"calls.{self.word}.prepare", error)
        if self.kind == Kind.AGENT and made.scope.session.budget is not None:
            admission.admit_turn(made)
        return _Running(made)

    def _plan(self, name: str, description: str | None) -> Plan:
        """What every run of this name says at its start; made anew where two names share one object."""
        known = self._known_plan
        if known is None or known[0] != name or known[1] != description:
            attributes = self._attributes(name, description)
            plan = Plan(self.kind, self.operation, subject=name, attributes=attributes)
            known = self._known_plan = (name, description, plan)
        return known[2]

    def _attributes(self, name: str, description: str | None) -> dict[str, Any]:
        return {}

    def _prepare(self, made: Operation, name: str) -> None:
        """Facts beyond the attributes."""

    # -- context manager -----------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self._enter(sys._getframe(1))

    async def __aenter__(self) -> Self:
        return self._enter(sys._getframe(1))

    def _enter(self, frame: Any) -> Self:
        if self.name is None:
            raise ArgumentError(f'with {self.word}(): a name is needed; write with {self.word}("name")')
        running = self._open(self.name, self.description)
        entered = None
        if running is not None:
            try:
                scope: Any = running.context.get(SCOPE_KEY) if isinstance(running, _Running) else None
                entered = Entered(running.context, scope if isinstance(scope, Scope) else None, frame)
            except Exception as error:
                swallowed(f"calls.{self.word}.enter", error)
        self._entered.append((running, entered))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            running, entered = take_entry(self._entered, _entered_of)
            if entered is not None:
                entered.leave()
            if not isinstance(running, _Running):
                return
            if error is None:
                running.operation.finish(Status.OK)
            elif isinstance(error, GeneratorExit):
                running.operation.finish_later(abandoned=True)
            else:
                running.error(error)
        except Exception as failure:
            swallowed(f"calls.{self.word}.exit", failure)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def _entered_of(entry: tuple[_Running | _Hidden | None, Entered | None]) -> Entered | None:
    return entry[1]


class AgentWork(Work):
    """Agents: ``invoke_agent``."""

    def _attributes(self, name: str, description: str | None) -> dict[str, Any]:
        attributes: dict[str, Any] = {semconv.AGENT_NAME: name}
        if description:
            attributes[semconv.AGENT_DESCRIPTION] = description
        return attributes

    def _prepare(self, made: Operation, name: str) -> None:
        made.turn = made.scope.run_id is None
        made.end_attributes[semconv.AGENT_PATH] = " > ".join((*made.scope.agent_path, name))
        if made.span.is_recording():
            made.rollup = Rollup(made.scope.rollup)


class WorkflowWork(Work):
    """Workflows: ``invoke_workflow``."""

    kind = Kind.WORKFLOW
    operation = "invoke_workflow"
    word = "workflow"

    def _attributes(self, name: str, description: str | None) -> dict[str, Any]:
        return {semconv.WORKFLOW_NAME: name}


class ToolWork(Work):
    """Tools: ``execute_tool``."""

    kind = Kind.TOOL
    operation = "execute_tool"
    word = "tool"

    def _describe(self, function: Callable[..., Any]) -> str | None:
        try:
            text = inspect.getdoc(_told_by(function)) or ""
        except Exception:  # an object that answers what it is asked with an error
            return None
        return text.partition("\n")[0].strip() or None

    def _attributes(self, name: str, description: str | None) -> dict[str, Any]:
        attributes: dict[str, Any] = {semconv.TOOL_NAME: name, semconv.TOOL_TYPE: "function"}
        if description:
            attributes[semconv.TOOL_DESCRIPTION] = description
        return attributes

    def _prepare(self, made: Operation, name: str) -> None:
        claimed = claim_tool_call(made.scope, name)
        if claimed is not None:
            made.tool_call_id = claimed
            made.end_attributes[semconv.TOOL_CALL_ID] = claimed


def _told_by(function: Any) -> Any:
    """The function that says what a tool is called and does: behind a partial, another's."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _name_of(function: Any) -> str:
    inner = _told_by(function)
    try:
        found = getattr(inner, "__name__", None)
    except Exception:
        found = None
    # A stand-in for something remote answers with another one, whatever it is asked for.
    return printable(found) if isinstance(found, str) and found else type(inner).__name__
