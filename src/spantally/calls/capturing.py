"""What a decorated function was given and gave, kept only where somebody gets it.

``capture="auto"`` keeps arguments as input and the returned value, or what a generator yielded, as output;
a function of the program's own chooses what is kept; ``capture=False`` keeps nothing. Where the content
policy has no use for it nothing is looked at, and no function called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from spantally.calls.content import wants_on_span
from spantally.calls.operation import Operation
from spantally.calls.telemetry import Telemetry
from spantally.calls.work_content import keep_arguments, keep_result, named
from spantally.ground import semconv
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind

Capture: TypeAlias = Literal["auto", False] | Callable[[dict[str, Any], Any], Mapping[str, Any] | None]
"""How a decorator captures."""

MOST_ITEMS: Final = 1000
"""Items of a generator that are kept, beside texts."""

INPUT, OUTPUT = "input", "output"


def parse_capture(what: str, value: Any) -> Any:
    """Check the ``capture`` of a decorator.

    Raises:
        ArgumentError: it is neither ``"auto"`` nor False nor a plain function.
    """
    if value is False or (isinstance(value, str) and value == "auto"):
        return value
    if callable(value) and not inspect.isclass(value) and not inspect.iscoroutinefunction(value):
        return value
    raise ArgumentError(
        f'{what}={shown(value)}): use "auto", False, or a plain function that takes the arguments (a dict) '
        'and the value, and returns a mapping with "input" and "output"'
    )


class Yielded:
    """What a generator has yielded so far: its texts joined, or its items as plain data."""

    __slots__ = ("_all_texts", "_items", "_left", "_room")

    def __init__(self, telemetry: Telemetry) -> None:
        self._items: list[Any] = []
        self._all_texts = True
        self._room = 2 * max(telemetry.content_limits.span, telemetry.ledger_limits.span)
        self._left = MOST_ITEMS

    def add(self, item: Any) -> None:
        """Take one item; nothing of it is consumed."""
        if self._room <= 0:
            return
        if type(item) is str:
            self._room -= len(item) + 1  # endlessly many may be empty
            self._items.append(item)
            return
        if self._left > 0:
            from spantally.calls.work_values import plain

            self._left -= 1
            self._all_texts = False
            self._items.append(plain(item))

    def value(self) -> Any:
        """One text where all were texts, else a list; None where nothing came."""
        if not self._items:
            return None
        return "".join(self._items) if self._all_texts else self._items


class Captured:
    """What one run of a decorated function captures.

    Args:
        operation: of the run.
        capture: ``"auto"``, or a function of the program's.
        arguments: by parameter name.
    """

    __slots__ = ("_arguments", "_capture", "_operation", "item", "yielded")

    def __init__(self, operation: Operation, capture: Any, arguments: Mapping[str, Any]) -> None:
        self._operation = operation
        self._capture = capture
        self._arguments = arguments
        self.yielded = Yielded(operation.telemetry)
        self.item = self.yielded.add

    def begin(self) -> None:
        """Keep the arguments as they are now."""
        if self._capture == "auto":
            keep_value(self._operation, INPUT, self._arguments)

    def end(self, value: Any) -> None:
        """Keep what it gave; never raises.

        Args:
            value: what was returned, or None where an exception ended it.
        """
        try:
            given = self._given(value)
            if self._capture == "auto":
                keep_value(self._operation, OUTPUT, given)
                return
            chosen = chosen_by(self._capture, self._arguments, given)
            for name in (INPUT, OUTPUT):
                keep_value(self._operation, name, chosen.get(name))
        except Exception as error:
            swallowed("calls.capture", error)

    def left(self) -> None:
        """It was left early: on the worker, where no function of the program's runs."""
        if self._capture == "auto":
            self.end(None)

    def _given(self, value: Any) -> Any:
        joined = self.yielded.value()
        return value if joined is None else joined


def chosen_by(capture: Any, arguments: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """What a function of the program's chooses to keep.

    Raises:
        TypeError: it gave something else than a mapping with ``input`` and ``output``, or None.
    """
    chosen = capture(dict(arguments), value)
    if chosen is None:
        return {}
    if not isinstance(chosen, Mapping) or not set(chosen) <= {INPUT, OUTPUT}:
        raise TypeError("capture")
    return chosen


def capture_of(
    operation: Operation,
    capture: Any,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Captured | None:
    """Begin to capture one run, or None where nobody gets it. Never raises.

    Args:
        operation: of the run.
        capture: of the decorator.
        function: that is decorated.
        args: of the call.
        kwargs: of the call.
    """
    try:
        if capture is False or not (operation.telemetry.keep_content or wants_on_span(operation)):
            return None
        if operation.kind == Kind.TOOL and capture == "auto":
            keep_arguments(operation, function, args, kwargs)
            made = Captured(operation, capture, {})
        else:
            made = Captured(operation, capture, named(function, args, kwargs))
            made.begin()
        return made
    except Exception as error:
        swallowed("calls.capture", error)
        return None


_KEYS: Final = {INPUT: semconv.INPUT_MESSAGES, OUTPUT: semconv.OUTPUT_MESSAGES}
_TOOL_KEYS: Final = {
    INPUT: (semconv.TOOL_CALL_ARGUMENTS, "arguments"),
    OUTPUT: (semconv.TOOL_CALL_RESULT, "result"),
}


def keep_value(operation: Operation, name: str, value: Any) -> None:
    """Put input or output of a run where the policy wants it: of a tool as it is, of others as a message.

    Args:
        operation: of the run.
        name: ``input`` or ``output``.
        value: as the program has it; None is nothing.
    """
    if value is None or (name == INPUT and type(value) is dict and not value):
        return
    from spantally.calls import (
        work_messages,
        work_values,
    )  # a lot to load for a program that shows no content

    if operation.kind == Kind.TOOL:
        if name == OUTPUT:
            keep_result(operation, value)
            return
        key, word = _TOOL_KEYS[name]
        work_values.put(operation, key, word, value)
        return
    work_messages.put_message(operation, _KEYS[name], name, value)
