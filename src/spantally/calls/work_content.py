"""Arguments and results of tools, kept and exported only where the content policy says so."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from spantally.calls.operation import Operation
from spantally.ground import semconv
from spantally.ground.guard import swallowed


def keep_arguments(
    operation: Operation, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Keep the redacted arguments of a tool's execution, by parameter name."""
    try:
        if not operation.telemetry.wants_content:
            return
        _put(operation, semconv.TOOL_CALL_ARGUMENTS, "arguments", _named(function, args, kwargs))
    except Exception as error:
        swallowed("calls.tool_arguments", error)


def keep_result(operation: Operation, value: Any) -> None:
    """Keep the redacted result of a tool's execution."""
    try:
        if operation.kind != "tool" or not operation.telemetry.wants_content or value is None:
            return
        _put(operation, semconv.TOOL_CALL_RESULT, "result", value)
    except Exception as error:
        swallowed("calls.tool_result", error)


def _put(operation: Operation, key: str, name: str, value: Any) -> None:
    telemetry = operation.telemetry
    safe = telemetry.redactor.value(plain(value), key)
    if telemetry.capture_spans:
        text = safe if isinstance(safe, str) else json.dumps(safe, ensure_ascii=False, separators=(",", ":"))
        # A lone surrogate is a text that no exporter can encode: one would lose the whole batch.
        operation.end_attributes[key] = text.encode("utf-8", "replace").decode("utf-8")
    if telemetry.keep_content:
        operation.content = {**(operation.content or {}), name: safe}


def _named(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        bound = inspect.signature(getattr(function, "__func__", function)).bind_partial(*args, **kwargs)
    except (TypeError, ValueError):
        return {**{str(index): value for index, value in enumerate(args)}, **kwargs}
    return {name: value for name, value in bound.arguments.items() if name not in ("self", "cls")}


_MAX_ITEMS = 1000
_MAX_DEPTH = 12


def plain(value: Any, depth: int = 0) -> Any:
    """A value as plain JSON data: what is neither a scalar nor a plain container is named by its type.

    Nothing of the program's is called: no ``str``, no ``repr``, no iteration of anything but plain lists,
    tuples, sets and dicts.
    """
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if depth >= _MAX_DEPTH:
        return type(value).__name__
    kind = type(value)
    if kind is dict:
        return {
            str(key) if isinstance(key, (str, int, float)) else type(key).__name__: plain(item, depth + 1)
            for key, item in tuple(value.items())[:_MAX_ITEMS]
        }
    if kind in (list, tuple, set, frozenset):
        return [plain(item, depth + 1) for item in tuple(value)[:_MAX_ITEMS]]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    return kind.__name__
