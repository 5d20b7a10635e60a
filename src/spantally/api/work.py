"""``agent``, ``tool`` and ``workflow``: decorators and context managers that make the spans of their work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from spantally.api.console import load_view, show_operation
from spantally.calls.capturing import Capture, parse_capture
from spantally.calls.work import AgentWork, ToolWork, Work, WorkflowWork
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.setting_values import parse_id

_F = TypeVar("_F", bound=Callable[..., Any])


def _make(
    work: type[Work],
    target: Any,
    name: str | None,
    description: str | None,
    *,
    track: bool = True,
    verbose: bool = False,
    capture: Any = "auto",
) -> Any:
    if isinstance(target, str):
        if name is not None:
            raise ArgumentError(f"{work.word}({shown(target)}, name={shown(name)}): give the name once")
        name, target = target, None
    if name is not None:
        parse_id(f"{work.word} name", name)
    if description is not None and not isinstance(description, str):
        raise ArgumentError(f"{work.word}(description={shown(description)}): use a string")
    if not isinstance(track, bool):
        raise ArgumentError(f"{work.word}(track={shown(track)}): use True or False")
    if not isinstance(verbose, bool):
        raise ArgumentError(f"{work.word}(verbose={shown(verbose)}): use True or False")
    parse_capture(f"{work.word}(capture", capture)
    made = work(name, description, track=track)
    made.capture = capture
    if verbose:
        load_view()
        made.shows = show_operation
    return made if target is None else made(target)


@overload
def agent(target: _F, /) -> _F: ...
@overload
def agent(
    target: str | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    track: bool = True,
    verbose: bool = False,
    capture: Capture = "auto",
) -> Work: ...


def agent(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    track: bool = True,
    verbose: bool = False,
    capture: Capture = "auto",
) -> Any:
    """Mark an agent: each invocation gives an ``invoke_agent`` span and row, with all that happens beneath.

    Use it bare (``@agent``), with arguments (``@agent(name="planner")``) or as a context manager
    (``with agent("planner"):``, also ``async with``). Functions, coroutine functions, generators and
    asynchronous generators keep their kind; values and exceptions pass unchanged.

    Args:
        target: the function, or the name.
        name: of the agent; the function's own by default.
        description: value of ``gen_ai.agent.description``.
        track: False hides the agent and all it does, as ``spantally.untracked()`` does: no spans, no content
            and no events; what its model calls cost is counted in the session.
        verbose: True shows the agent and all beneath it on stderr as it happens.
        capture: what is kept of each run of a decorated function where the content policy wants content:
            ``"auto"`` the arguments as input and the returned value, or the joined stream, as output; False
            nothing; a function ``(arguments, value)`` what it returns: a mapping with ``input`` and
            ``output``, or None.

    Raises:
        ArgumentError: (a ValueError) for a target that cannot be decorated or a wrong name.
    """
    return _make(AgentWork, target, name, description, track=track, verbose=verbose, capture=capture)


@overload
def tool(target: _F, /) -> _F: ...
@overload
def tool(
    target: str | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    capture: Capture = "auto",
) -> Work: ...


def tool(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    capture: Capture = "auto",
) -> Any:
    """Mark a tool: each execution gives an ``execute_tool`` span and row.

    The forms are those of :func:`agent`. A tool that a model asked for by this name takes the model's
    tool-call id.

    Args:
        target: the function, or the name.
        name: of the tool; the function's own by default.
        description: value of ``gen_ai.tool.description``; the first line of the docstring by default.
        capture: as for :func:`agent`; what is kept are the tool's arguments and result.

    Raises:
        ArgumentError: (a ValueError) for a target that cannot be decorated or a wrong name.
    """
    return _make(ToolWork, target, name, description, capture=capture)


@overload
def workflow(target: _F, /) -> _F: ...
@overload
def workflow(target: str | None = None, /, *, name: str | None = None, capture: Capture = "auto") -> Work: ...


def workflow(target: Any = None, /, *, name: str | None = None, capture: Capture = "auto") -> Any:
    """Mark a workflow, the fixed sequence around agents: each run gives an ``invoke_workflow`` span and row.

    The forms are those of :func:`agent`. A workflow is no agent: it is not on the agents' path.

    Args:
        target: the function, or the name.
        name: of the workflow; the function's own by default.
        capture: as for :func:`agent`.

    Raises:
        ArgumentError: (a ValueError) for a target that cannot be decorated or a wrong name.
    """
    return _make(WorkflowWork, target, name, None, capture=capture)


def wrap_tools(tools: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Wrap a dispatch table: each function becomes a tool of its key's name.

    Args:
        tools: name to function, as an agent loop looks them up.

    Returns:
        A new dict of the same keys; the given mapping stays as it is.

    Raises:
        ArgumentError: (a ValueError) for a key that is no text or a value that cannot be called.
    """
    if not isinstance(tools, Mapping):
        raise ArgumentError(f"wrap_tools({shown(tools)}): pass a mapping of name to function")
    return {
        name: _make(ToolWork, None, parse_id("tool name", name), None)(function)
        for name, function in tools.items()
    }
