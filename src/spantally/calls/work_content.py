"""Arguments and results of tools, kept and exported only where the content policy says so."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from spantally.calls.content import wants_on_span
from spantally.calls.operation import Operation
from spantally.ground import semconv
from spantally.ground.guard import swallowed


def keep_arguments(
    operation: Operation, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Keep the redacted arguments of a tool's execution, by parameter name."""
    try:
        if not _is_wanted(operation):
            return
        _put(operation, semconv.TOOL_CALL_ARGUMENTS, "arguments", named(function, args, kwargs))
    except Exception as error:
        swallowed("calls.tool_arguments", error)


def keep_given_arguments(operation: Operation, arguments: Any) -> None:
    """Keep the redacted arguments of a tool's execution, as a framework tells them."""
    try:
        if arguments is None or not _is_wanted(operation):
            return
        _put(operation, semconv.TOOL_CALL_ARGUMENTS, "arguments", arguments)
    except Exception as error:
        swallowed("calls.tool_arguments", error)


def keep_result(operation: Operation, value: Any) -> None:
    """Keep the redacted result of a tool's execution."""
    try:
        if operation.kind != "tool" or value is None or not _is_wanted(operation):
            return
        _put(operation, semconv.TOOL_CALL_RESULT, "result", value)
    except Exception as error:
        swallowed("calls.tool_result", error)


def _is_wanted(operation: Operation) -> bool:
    """Whether anybody will get it: tools have no events."""
    return operation.telemetry.keep_content or wants_on_span(operation)


def _put(operation: Operation, key: str, name: str, value: Any) -> None:
    from spantally.calls.work_values import put  # a lot to load for a program that shows no content

    put(operation, key, name, value)


def named(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by parameter name, without the object or class whose method it is."""
    if isinstance(function, (classmethod, staticmethod)):
        function = function.__func__
    try:
        bound = inspect.signature(function).bind_partial(*args, **kwargs).arguments
    except Exception:  # takes others, or is an object that answers what it is asked with anything
        return {**{str(index): value for index, value in enumerate(args)}, **kwargs}
    first = next(iter(bound), None) if args else None
    return {name: value for name, value in bound.items() if name != first or not _is_owner(name, function)}


def _is_owner(name: str, function: Any) -> bool:
    """True for the first parameter of a method that is given its object or class."""
    if name != "cls":
        return name == "self"
    within, _, _ = str(getattr(function, "__qualname__", "")).rpartition(".")
    return bool(within) and not within.endswith("<locals>")  # else a parameter that happens to be called so
