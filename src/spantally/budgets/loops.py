"""``LoopGuard``: an agent that calls one tool with the same arguments again and again is noticed.

What is compared are keyed hashes, so neither arguments nor results are kept, and content capture does not
matter. Arguments that are no plain data are told apart by which objects they are.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from spantally.calls import pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.calls.marks import DEEPEST, mark
from spantally.ground import ids, semconv
from spantally.ground.errors import ArgumentError, LoopDetected, shown
from spantally.ground.guard import say, swallowed
from spantally.ground.money import dollar_text
from spantally.ground.records import EventRecord
from spantally.ground.scope import Scope
from spantally.ground.session_state import SessionState

ON_LOOP: Final = ("warn", "raise")

MOST_TOLD: Final = 1024
"""Loops of one session that are remembered as told."""


@dataclass(frozen=True, kw_only=True)
class LoopGuard:
    """Notices a tool that runs again and again with the same arguments.

    Attributes:
        identical: so many calls alike are a loop, from 2 up.
        window: so many of the session's last tool calls are looked at; at least ``identical``.
        on_loop: ``"warn"`` logs a line and adds an event to the session; ``"raise"`` raises
            :class:`LoopDetected` as well, before the tool runs.

    Raises:
        ArgumentError: (a ValueError) naming the value and what is allowed.
    """

    identical: int = 3
    window: int = 10
    on_loop: str = "warn"

    def __post_init__(self) -> None:
        """Check everything, before any effect."""
        if type(self.identical) is not int or self.identical < 2:
            raise ArgumentError(f"LoopGuard(identical={shown(self.identical)}): use a whole number from 2 up")
        if type(self.window) is not int or not self.identical <= self.window <= 10_000:
            raise ArgumentError(
                f"LoopGuard(window={shown(self.window)}): use a whole number from identical "
                f"({self.identical}) to 10,000"
            )
        told: object = self.on_loop
        if not isinstance(told, str) or told not in ON_LOOP:
            raise ArgumentError(f"LoopGuard(on_loop={shown(self.on_loop)}): use one of: {', '.join(ON_LOOP)}")


class Watch:
    """A loop guard at work in one session and those beneath it."""

    def __init__(
        self, guard: LoopGuard, state: SessionState, spent: Callable[[SessionState], int | None]
    ) -> None:
        """Watch the tools of a session.

        Args:
            guard: what is a loop.
            state: the session.
            spent: what a session has spent so far, in nano-USD; must not wait.
        """
        self.guard = guard
        self._state = state
        self._spent = spent
        self._lock = threading.Lock()
        self._last: deque[tuple[Any, int | None]] = deque(maxlen=guard.window)
        self._told: dict[Any, None] = {}

    def note(self, scope: Scope, name: str, arguments: Callable[[], Any]) -> None:
        """See :class:`spantally.ground.brakes.LoopWatch`."""
        key = (mark(name), digest(arguments()))
        spent = self._spent(self._state)
        with self._lock:
            self._last.append((key, spent))
            alike = [before for one, before in self._last if one == key]
            times = len(alike)
            if times < self.guard.identical:
                if times == 1:
                    self._told.pop(key, None)
                return
            first = key not in self._told
            self._told[key] = None
            if len(self._told) > MOST_TOLD:
                self._told.pop(next(iter(self._told)))
        since = None if spent is None or alike[1] is None else spent - alike[1]
        raises = self.guard.on_loop == "raise"
        text = (
            f"tool {name} is called {times} times with the same arguments within the last "
            f"{self.guard.window} tool calls of session {scope.session.session_id}; spent since the first "
            f"repetition: {dollar_text(since) or 'not known'}"
        )
        if first or raises:
            try:
                self._say(scope, name, times, since, text, log_it=first and not raises)
            except Exception as error:
                swallowed("budgets.loop", error)
        if raises:
            raise LoopDetected(text, tool=name, times=times, window=self.guard.window, cost_nano_usd=since)

    def _say(
        self, scope: Scope, name: str, times: int, since: int | None, text: str, *, log_it: bool
    ) -> None:
        if log_it:
            say("spantally: %s", text)
        attributes: dict[str, Any] = {
            semconv.TOOL_NAME: telemetry_module.active.redactor.text(name),
            semconv.LOOP_TIMES: times,
            semconv.LOOP_WINDOW: self.guard.window,
        }
        if since is not None:
            attributes[semconv.LOOP_COST] = since
        pipeline.emit(
            EventRecord(
                ids.new_call_id(),
                scope.session.session_id,
                semconv.EVENT_LOOP,
                time.time_ns(),
                call_id=scope.call_id,
                agent_path=scope.agent_path,
                attributes=attributes,
            )
        )


def digest(value: Any, depth: int = DEEPEST) -> Any:
    """Keyed hashes that stand for arguments; what is no plain data is told apart by which object it is."""
    kind = type(value)
    if kind is str:
        return mark(value)
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        return ("n", mark(repr(value)))
    if isinstance(value, str):  # of a class of its own, as the members of a StrEnum
        return mark(str.__str__(value))
    if isinstance(value, int):
        return ("n", mark(int.__repr__(value)))
    if kind is bytes:
        return ("b", mark(value.hex()))
    if depth > 0:
        if kind is dict:  # whose order is no difference: a model names arguments as it likes
            pairs = [(digest(name, depth - 1), digest(one, depth - 1)) for name, one in value.items()]
            return ("d", frozenset(pairs))
        if kind is list or kind is tuple:
            return ("l", *[digest(one, depth - 1) for one in value])
        if kind is set or kind is frozenset:
            return ("s", frozenset([digest(one, depth - 1) for one in value]))
    # On 3.13 the classes of pathlib stand in a module within it.
    if kind.__name__ in _VALUES.get(kind.__module__.partition(".")[0], ()):
        return (kind.__name__, mark(repr(value)))
    return _Same(value)


_VALUES: Final = {
    "datetime": ("datetime", "date", "time", "timedelta"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "pathlib": ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"),
    "uuid": ("UUID",),
}
"""Classes of the standard library whose objects are values, and whose repr tells the value, by module."""


class _Same:
    """Stands for an object while it lives: a number alone would soon be that of another object."""

    __slots__ = ("_id", "_refer")

    def __init__(self, value: object) -> None:
        self._id = id(value)
        try:
            self._refer: Callable[[], object] = weakref.ref(value)
        except TypeError:  # nothing tells whether it is still there, so it is like no other
            self._refer = _gone

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, _Same) or self._id != other._id:
            return False
        value = self._refer()
        return value is not None and value is other._refer()

    def __hash__(self) -> int:
        return self._id


def _gone() -> None:
    return None
