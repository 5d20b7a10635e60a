"""Entering and leaving a scope: what sessions, agents, tools and pauses share."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Final, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.calls.operation import SPAN_KEY
from spantally.calls.suspending import Suspension, follow, unfollow
from spantally.ground.guard import swallowed
from spantally.ground.scope import BAGGAGE_KEY, PAUSED_KEY, SCOPE_KEY, Scope, raw_scope, restore

_E = TypeVar("_E")

KEYS: Final = (SCOPE_KEY, SPAN_KEY, BAGGAGE_KEY, PAUSED_KEY)
"""What entering a scope may change in the Context."""


class Entered:
    """A Context that was attached, and how to leave it: by value, so that no order of exits is wrong."""

    __slots__ = ("before", "body", "context", "scope")

    def __init__(self, context: Context, scope: Scope | None = None, frame: FrameType | None = None) -> None:
        self.before = otel_context.get_current()
        self.context = context
        self.scope = scope
        self.body: Suspension | None = None
        if scope is not None:
            scope.hold_to(frame)
            if scope.held and frame is not None:
                self.body = follow(frame, self.before)
        otel_context.attach(context)

    def leave(self) -> None:
        """Put back what was in force before; never raises."""
        try:
            before, body = self.before, self.body
            scope = raw_scope(self.context)
            if scope is not None and scope is not before.get(SCOPE_KEY):
                before = scope.release(before)
            if body is not None:
                self.body = None
                last = unfollow(body)
                if body.resting:
                    return  # closed or thrown into where it rested: nothing of it is in force
                if last:
                    before = body.outer
            restore(self.context, before, KEYS)
        except Exception as error:
            swallowed("calls.leave", error)
            otel_context.attach(self.before)


def take_entry(stack: list[_E], entered_of: Callable[[_E], Entered | None]) -> _E:
    """Take the entry that is left here out of an object's entries.

    One object may be entered by several tasks or threads at once: the entry is the one whose Context is
    current here, else the newest.

    Args:
        stack: the object's entries, oldest first.
        entered_of: finds what an entry has entered.

    Raises:
        IndexError: if there is none.
    """
    current = otel_context.get_current()
    for entry in reversed(stack):
        entered = entered_of(entry)
        if entered is not None and entered.context is current:
            try:
                stack.remove(entry)
            except ValueError:
                continue  # another thread took it meanwhile
            return entry
    return stack.pop()


class Steps:
    """The Context of a decorated generator's body: attached for each step only, kept in between."""

    __slots__ = ("_token", "context")

    def __init__(self, context: Context) -> None:
        self.context = context
        self._token: object = None

    def enter(self) -> None:
        """Before a send, throw or close."""
        try:
            self._token = otel_context.attach(self.context)
        except Exception as error:
            swallowed("calls.steps", error)

    def leave(self) -> None:
        """After it: what the body itself entered is kept for its next step."""
        token, self._token = self._token, None
        if token is None:
            return
        try:
            self.context = otel_context.get_current()
            otel_context.detach(token)  # type: ignore[arg-type]
        except Exception as error:
            swallowed("calls.steps", error)
