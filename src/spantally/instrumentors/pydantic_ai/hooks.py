"""Around the runs, tools and model requests of pydantic-ai.

Its capabilities are layers around each run and each tool, and its own instrumentation is the outermost of
them. Ours goes innermost, next to the work itself: then the span of theirs, if there is one, is current, and
ours joins it. What is put into force here reaches the run, which goes on in its caller's task, since
pydantic-ai hands on what the layers have set.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import context as otel_context

from spantally.calls import admission, claims, told
from spantally.calls.claims import Announced
from spantally.calls.entering import Entered
from spantally.calls.hosted import Hosted, begin
from spantally.calls.joining import AROUND
from spantally.calls.telemetry import Telemetry
from spantally.calls.telemetry import active as active_telemetry
from spantally.calls.work import AgentWork, ToolWork, Work
from spantally.ground.guard import guard, swallowed
from spantally.ground.scope import is_paused
from spantally.instrumentors.pydantic_ai.answers import told_of

SCOPE_NAME: Final = "spantally/pydantic_ai"
"""What a row says of who saw a model call that no SDK of ours has seen."""

_telemetry: list[Callable[[], Telemetry]] = [lambda: active_telemetry]

_inside: Final[ContextVar[tuple[Any, ...]]] = ContextVar("spantally-pydantic-ai", default=())
"""The runs and tools that are seen already: capabilities are nested, and each level is patched."""

_ON_PURPOSE: Final = frozenset({"SkipToolExecution", "CallDeferred", "ApprovalRequired"})
"""Exceptions by which a tool is put off or left out."""


def use(telemetry: Callable[[], Telemetry]) -> None:
    """Report to a telemetry from now on."""
    _telemetry[:] = [telemetry]


class _Around:
    """One agent or tool that runs."""

    def __init__(self, kind: type[Work], name: str, **values: Any) -> None:
        self.kind = kind
        self.arguments = values.get("arguments")
        self.hosted: Hosted | None = begin(
            kind,
            name,
            context=otel_context.get_current(),
            telemetry=_telemetry[0](),
            joins=AROUND,
            **values,
        )
        self.entered = None if self.hosted is None else Entered(self.hosted.context)

    def ask(self) -> None:
        """Have it let through or refused by what the program itself has limited.

        Raises:
            BudgetExceeded: the agent must not begin.
            LoopDetected: the tool must not run.
        """
        if self.hosted is None:
            return
        operation = self.hosted.operation
        if self.kind is AgentWork:
            admission.admit_turn(operation)
        elif self.kind is ToolWork:
            admission.note_tool(operation, operation.name or "", lambda: self.arguments)

    def end(self, error: BaseException | None = None, result: Any = None) -> None:
        """It has ended."""
        if self.entered is not None:
            self.entered.leave()
        if self.hosted is None:
            return
        if isinstance(error, GeneratorExit):
            self.hosted.leave()
        elif error is not None and type(error).__name__ in _ON_PURPOSE:
            self.hosted.finish()
        else:
            self.hosted.finish(error, result=result)


async def _around(open_: Callable[[], _Around], inner: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Run the innermost layer inside a work of ours."""
    work: _Around | None = None
    with guard("pydantic_ai.begin"):
        work = open_()
    if work is None:
        return await inner(*args)
    try:
        work.ask()
        result = await inner(*args)
    except BaseException as error:
        with guard("pydantic_ai.end"):
            work.end(error)
        raise
    with guard("pydantic_ai.end"):
        work.end(result=result)
    return result


def _seen(where: str, key: Any) -> bool:
    """True where an outer level has seen it; else it is noted, for the levels within."""
    with guard(where):
        if not _enter(key):
            return False
    return True


def _enter(key: Any) -> bool:
    known = _inside.get()
    if key in known:
        return True
    _inside.set((*known[-_MOST_LEVELS:], key))
    return False


def _leave(key: Any) -> None:
    with guard("pydantic_ai.leave"):
        _inside.set(tuple(one for one in _inside.get() if one != key))


_MOST_LEVELS: Final = 64


def wrap_run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An agent runs."""
    try:
        context, handler = args[0], kwargs["handler"]
        if getattr(context, "realtime", None):
            return wrapped(*args, **kwargs)

        key = ("run", context.run_id)

        async def run() -> Any:
            if _seen("pydantic_ai.run", key):
                return await wrapped(*args, **kwargs)

            async def inner() -> Any:
                return await _around(lambda: _agent(context), handler)

            try:
                return await wrapped(*args, **{**kwargs, "handler": inner})
            finally:
                _leave(key)

        return run()
    except Exception as error:
        swallowed("pydantic_ai.run", error)
        return wrapped(*args, **kwargs)


def _agent(context: Any) -> _Around:
    agent = context.agent
    name = getattr(agent, "name", None)
    description = getattr(agent, "description", None)
    return _Around(
        AgentWork,
        str(name or "agent"),
        description=description if isinstance(description, str) else None,
    )


def wrap_tool_execute(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A tool is executed."""
    try:
        context, handler, call = args[0], kwargs["handler"], kwargs["call"]

        key = ("tool", context.run_id, call.tool_call_id)

        async def run() -> Any:
            if _seen("pydantic_ai.tool", key):
                return await wrapped(*args, **kwargs)

            async def inner(given: Any) -> Any:
                return await _around(lambda: _tool(call, kwargs.get("tool_def"), given), handler, given)

            try:
                return await wrapped(*args, **{**kwargs, "handler": inner})
            finally:
                _leave(key)

        return run()
    except Exception as error:
        swallowed("pydantic_ai.tool", error)
        return wrapped(*args, **kwargs)


def _tool(call: Any, definition: Any, given: Any) -> _Around:
    description = getattr(definition, "description", None)
    return _Around(
        ToolWork,
        str(call.tool_name),
        description=description if isinstance(description, str) else None,
        tool_call_id=str(call.tool_call_id) if call.tool_call_id else None,
        arguments=given,
    )


# -- models that nobody patches -----------------------------------------------------------------------


class _Asked:
    """One request to a model."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.start_ns = time.time_ns()
        self.context = otel_context.get_current()
        self.announced = Announced(lambda ambient: ambient, [])
        claims.announce(self.announced)

    def end(self, response: Any, error: BaseException | None = None) -> None:
        """It has ended: where no SDK of ours metered it, what pydantic-ai has read of it is counted."""
        claims.withdraw(self.announced)
        if self.announced.operation is not None or is_paused(self.context):
            return
        told.count(
            self.announced,
            told_of(self.model, response),
            telemetry=_telemetry[0](),
            context=self.context,
            scope_name=SCOPE_NAME,
            start_ns=self.start_ns,
            end_ns=time.time_ns(),
            error=error,
            joins=AROUND,
        )


async def request(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A model is asked for its answer as a whole."""
    asked: _Asked | None = None
    with guard("pydantic_ai.ask"):
        asked = _Asked(instance)
    try:
        response = await wrapped(*args, **kwargs)
    except BaseException as error:
        with guard("pydantic_ai.answer"):
            if asked is not None:
                asked.end(None, error)
        raise
    with guard("pydantic_ai.answer"):
        if asked is not None:
            asked.end(response)
    return response


@contextlib.asynccontextmanager
async def request_stream(
    wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> AsyncIterator[Any]:
    """A model is asked for a stream."""
    asked: _Asked | None = None
    stream: Any = None
    with guard("pydantic_ai.ask"):
        asked = _Asked(instance)
    try:
        async with wrapped(*args, **kwargs) as stream:
            yield stream
    except BaseException as error:
        with guard("pydantic_ai.answer"):
            if asked is not None:
                asked.end(_read(stream), error)
        raise
    with guard("pydantic_ai.answer"):
        if asked is not None:
            asked.end(_read(stream))


def _read(stream: Any) -> Any:
    """What has arrived of a stream."""
    return None if stream is None else stream.get()
