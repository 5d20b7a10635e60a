"""The scope: who the current work belongs to, carried in the OpenTelemetry Context.

A scope holds plain values and the in-memory state of its session; it knows no ledger and no span. It is
what stamping, metering and trees read. The Context carries it across tasks, executors and (with the
threading instrumentor) threads, exactly as it carries the current span.

Two rules make it survive where a bare context value does not:

* **A suspended generator.** A generator shares the context of whoever drives it, so a session entered in
  its body would stay in force in the driver while the generator rests. A scope entered straight in a
  generator body therefore remembers frame, thread and task; when it is read and the frame is suspended
  (``f_back`` is None, while thread and task are the same), the parent scope is in force. A generator that
  contextlib or a pytest fixture drives is exempt: there the with-body is what the session is for.
* **Exit restores a value, not a token**, so that leaving in another task or out of order never raises
  "failed to detach context".
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.ground.session_state import SessionState

SCOPE_KEY: Final = otel_context.create_key("spantally-scope")
"""Key of the scope in the OpenTelemetry Context."""

PAUSED_KEY: Final = otel_context.create_key("spantally-paused")
"""Key whose truth means: no spans; and no metering either (``spantally.paused()``), unless it is
:data:`COST_ONLY` (``spantally.untracked()``)."""

COST_ONLY: Final = "cost"


def _find_baggage_key() -> str:
    """The key under which the API keeps baggage: found by use, since its constant is private."""
    return next(iter(baggage.set_baggage("spantally", "probe", Context())))


BAGGAGE_KEY: Final = _find_baggage_key()


class Scope:
    """Whose work this is: immutable by convention; :meth:`child` makes the scope of nested work."""

    __slots__ = (
        "_frame",
        "_left_to",
        "_task",
        "_thread",
        "agent_path",
        "beneath",
        "call_id",
        "conversation_id",
        "entity_id",
        "entity_type",
        "parent",
        "rollup",
        "run_id",
        "session",
        "stamps",
        "tags",
        "tool",
        "user_id",
    )

    def __init__(
        self,
        session: SessionState,
        *,
        user_id: str | None = None,
        entity_type: str | None = None,
        entity_id: str | None = None,
        tags: tuple[tuple[str, str], ...] = (),
        conversation_id: str | None = None,
        agent_path: tuple[str, ...] = (),
        call_id: str | None = None,
        run_id: str | None = None,
        tool: str | None = None,
        parent: Scope | None = None,
    ) -> None:
        self.session = session
        self.user_id = user_id
        self.entity_type = entity_type
        self.entity_id = entity_id
        self.tags = tags
        self.conversation_id = conversation_id
        self.agent_path = agent_path
        self.call_id = call_id
        """The innermost agent, tool, workflow or call around the current work."""
        self.run_id = run_id
        self.tool = tool
        self.parent = parent
        self.beneath: Scope | None = None
        """A suspended generator's scope that the Context held when this one was entered: when the
        generator runs again under this scope, its own is in force."""
        self.stamps: Any = None
        """The redacted span attributes that it gives; belongs to the room that makes spans."""
        self.rollup: Any = None
        """Takes the sums of calls for the agents around, where a span of theirs is recorded."""
        self._frame: FrameType | None = None
        self._thread = 0
        self._task: object = None

    def child(
        self,
        *,
        call_id: str,
        agent: str | None = None,
        tool: str | None = None,
        run_id: str | None = None,
    ) -> Scope:
        """The scope inside an agent, tool or other operation of this scope.

        Args:
            call_id: the operation's own id, the parent of what happens inside.
            agent: the agent's name when the operation is an agent invocation.
            tool: the tool's name when it is a tool.
            run_id: set by a top-level agent invocation.
        """
        made = Scope(
            self.session,
            user_id=self.user_id,
            entity_type=self.entity_type,
            entity_id=self.entity_id,
            tags=self.tags,
            conversation_id=self.conversation_id,
            agent_path=self.agent_path if agent is None else (*self.agent_path, agent),
            call_id=call_id,
            run_id=run_id or self.run_id,
            tool=tool or self.tool,
            parent=self,
        )
        made.beneath = self.beneath
        made.rollup = self.rollup
        return made

    def inside(self, call_id: str) -> Scope:
        """The scope inside a model call: it differs in nothing but who is around. One is made for each call.

        Args:
            call_id: the call's own id.
        """
        made = _new_scope(Scope)
        made.call_id = call_id
        made.parent = self
        made.beneath = self.beneath
        made._frame = None
        return made

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What :meth:`inside` has left out, asked for the first time: seldom anybody does."""
            if name in _INHERITED:
                value = getattr(self.parent, name)
            elif name in _AT_FIRST:
                value = _AT_FIRST[name]
            else:
                raise AttributeError(name)
            setattr(self, name, value)
            return value

    def hold_to(self, frame: FrameType | None) -> None:
        """Tie the scope to the thread and task that enter it, and to the frame, if a generator's own body.

        Args:
            frame: the frame whose ``with`` statement entered the scope.
        """
        self._thread = threading.get_ident()
        self._task = _current_task()
        if frame is None or not frame.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
            return
        driver = frame.f_back
        while driver is not None and driver.f_code.co_name in _TRANSPARENT_NAMES:
            driver = driver.f_back
        if driver is not None and _is_managed_driver(driver):
            return
        self._frame = frame

    def release(self, before: Context) -> Context:
        """Let go of the frame (at exit), so that the scope keeps nothing of the program alive.

        Args:
            before: the Context in force when it was entered.

        Returns:
            What is to be in force again. A generator's body may end after the blocks of whoever drove it
            first, and sessions that were begun and finished by hand in any order: then ``before`` is over,
            too, and it is what was there before those.
        """
        held, self._frame = self._frame is not None, None
        if self._thread != threading.get_ident() or self._task is not _current_task():
            # Nobody can take it out of the Contexts there: it rests for ever, like a generator's.
            self._frame, self._thread = _ELSEWHERE, _LEFT_BENEATH
        else:
            over = raw_scope(otel_context.get_current())
            self._thread = _LEFT_BENEATH if self._is_beneath(over) else _LEFT
        self._task = None
        self._left_to = before
        scope = raw_scope(before)
        while scope is not None and (scope._thread == _LEFT_BENEATH or (held and scope._thread == _LEFT)):
            before = scope._left_to
            scope = raw_scope(before)
        return before

    def _is_beneath(self, over: Scope | None) -> bool:
        if over is self:
            return False
        while over is not None and over is not self:
            over = over.parent
        return over is self

    @property
    def held(self) -> bool:
        """True if a generator's own body has entered it."""
        return self._frame is not None

    def suspended(self) -> bool:
        """True while the generator that entered this scope rests and its driver runs.

        And for everybody, once it was left in another thread or task than it was entered in.
        """
        frame = self._frame
        if frame is None or frame.f_back is not None:
            return False
        if frame is _ELSEWHERE:
            return True
        return self._thread == threading.get_ident() and self._task is _current_task()

    def resumed(self) -> bool:
        """True while the generator that entered this scope runs, in the task that reads."""
        frame = self._frame
        if frame is None or frame.f_back is None:
            return False
        return self._thread == threading.get_ident() and self._task is _current_task()


_new_scope: Final = Scope.__new__

_INHERITED: Final = frozenset(
    {
        "agent_path",
        "conversation_id",
        "entity_id",
        "entity_type",
        "rollup",
        "run_id",
        "session",
        "stamps",
        "tags",
        "tool",
        "user_id",
    }
)
"""What is the same inside a model call as around it."""
_AT_FIRST: Final = {"_thread": 0, "_task": None}


class _Elsewhere:
    """In the place of a frame: the scope was left in another thread or task than it was entered in."""

    f_back: None = None


_ELSEWHERE: Final[Any] = _Elsewhere()

_LEFT: Final = -1
"""In the place of a thread: the block that entered the scope has been left."""
_LEFT_BENEATH: Final = -2
"""Likewise, while another scope was in force above it: that one's end must not bring it back."""

_TRANSPARENT_NAMES: Final = frozenset({"asend", "__anext__"})
_MANAGED_MODULES: Final = ("contextlib", "_pytest.", "pytest_asyncio", "anyio.pytest_plugin", "pluggy.")


def _is_managed_driver(frame: FrameType) -> bool:
    """True if the frame belongs to contextlib or a fixture runner, which hold a generator for a with-body."""
    name = frame.f_globals.get("__name__", "")
    if name == "contextlib":
        return frame.f_code.co_name in ("__enter__", "__aenter__")
    return isinstance(name, str) and name.startswith(_MANAGED_MODULES)


def _current_task() -> object:
    asyncio = sys.modules.get("asyncio")  # importing it costs 30 ms; a program without it has no task
    if asyncio is None:
        return None
    try:
        task: object = asyncio.current_task()
        return task
    except RuntimeError:
        return None


def current_scope(context: Context | None = None) -> Scope | None:
    """The scope in force, or None outside any.

    Args:
        context: an OpenTelemetry Context; the current one by default.
    """
    value = (otel_context.get_current() if context is None else context).get(SCOPE_KEY)
    if value is None:
        return None
    scope: Scope | None = value  # type: ignore[assignment]
    beneath = scope.beneath if scope is not None else None
    if beneath is not None and beneath.resumed():
        return beneath
    if scope is not None and scope._frame is not None and scope.suspended():
        return _beneath_suspended(scope)
    return scope


def _beneath_suspended(scope: Scope) -> Scope | None:
    """What is in force where a generator rests: of the scopes around its own, the first that is not left.

    They are those of whoever drove it first, and may have ended since, in whatever order.
    """
    found = scope.parent
    while found is not None and (found._thread < 0 or (found._frame is not None and found.suspended())):
        found = found.parent
    return found


def raw_scope(context: Context) -> Scope | None:
    """The scope that the Context holds, in force or suspended."""
    value = context.get(SCOPE_KEY)
    return value if isinstance(value, Scope) else None


def is_paused(context: Context | None = None) -> bool:
    """True inside ``spantally.paused()``, and inside ``spantally.untracked(cost=False)``."""
    value = (otel_context.get_current() if context is None else context).get(PAUSED_KEY)
    return bool(value) and value != COST_ONLY


def is_hidden(context: Context) -> bool:
    """True where nothing is to be shown: inside ``spantally.paused()`` and ``spantally.untracked()``."""
    return bool(context.get(PAUSED_KEY))


def with_values(context: Context, values: Mapping[str, object]) -> Context:
    """A copy of ``context`` with several values set at once (the API copies once per value).

    Args:
        context: the Context to copy.
        values: what to set; a value of None takes the key out.
    """
    copied = dict(context)
    for key, value in values.items():
        if value is None:
            copied.pop(key, None)
        else:
            copied[key] = value
    return Context(copied)


def restore(entered: Context, before: Context, keys: tuple[str, ...]) -> None:
    """Leave what was entered: put back ``before``, or, where others attached since, only our ``keys``.

    Args:
        entered: the Context that entering attached.
        before: the Context that was current when it was entered.
        keys: the keys that entering changed.
    """
    current = otel_context.get_current()
    if current is entered:
        otel_context.attach(before)
        return
    changed = {key: before.get(key) for key in keys if current.get(key) is entered.get(key)}
    if changed:
        otel_context.attach(with_values(current, changed))
