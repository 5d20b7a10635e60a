"""``session()``: whose work this is, for everything that happens inside."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar, overload

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.api.totals import Totals, totals_of
from spantally.calls import implicit, pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.calls.entering import Entered, take_entry
from spantally.calls.operation import type_name
from spantally.calls.running import wrap_function
from spantally.ground import ids
from spantally.ground.errors import ArgumentError
from spantally.ground.guard import guard, swallowed
from spantally.ground.records import SessionStatus
from spantally.ground.scope import SCOPE_KEY, Scope, current_scope, raw_scope, with_values
from spantally.ground.session_state import SessionState, known_session, remember_session
from spantally.ground.settings import is_disabled, parse_entity, parse_id, parse_tags
from spantally.ground.worker import worker
from spantally.otel.baggage import merged_tags, with_baggage

_F = TypeVar("_F", bound=Callable[..., Any])

FLUSH_SECONDS: Final = 1.0
"""How long the end of a session waits, off any event loop, until the ledger has it."""


class Session:
    """A session of the program: made by :func:`session`; a context manager and a decorator.

    Attributes:
        id: the session's id; None until it is entered where none was given.
    """

    def __init__(
        self,
        session_id: str | None,
        *,
        conversation: str | None,
        user: str | None,
        entity: tuple[str, str] | None,
        tags: tuple[tuple[str, str], ...],
        name: str | None,
    ) -> None:
        self.id = session_id
        self._given_id = session_id
        self._conversation = conversation
        self._user = user
        self._entity = entity
        self._tags = tags
        self._name = name
        self._state: SessionState | None = None
        self._stack: list[tuple[Entered | None, Scope | None]] = []
        self._owner = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<spantally.Session {self.id or 'not entered'}>"

    @property
    def totals(self) -> Totals:
        """What the session has spent so far, child sessions included: calls, tokens, cost, unpriced calls.

        Live: read from memory. Off an event loop it waits for the price data the first time (under a second);
        inside one it never waits, and ``pending_calls`` says how many calls are not rated yet.
        """
        return totals_of(self._state)

    # -- enter ---------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self._enter(sys._getframe(1))

    async def __aenter__(self) -> Self:
        return self._enter(sys._getframe(1))

    def begin(self) -> Self:
        """Enter without a ``with`` block; :meth:`finish` leaves.

        Returns:
            The session itself.
        """
        return self._enter(None)

    def _enter(self, frame: FrameType | None) -> Self:
        try:
            context = otel_context.get_current()
            outer = current_scope(context)
            disabled = is_disabled()
        except Exception as error:
            swallowed("session.enter", error)
            return self._without_effect()
        tags = _merge_tags(outer, self._tags)  # raises before any effect
        if disabled:
            return self._without_effect()
        try:
            scope, inner = self._scope(context, outer, tags)
            entered = Entered(inner, scope, frame)
        except Exception as error:
            swallowed("session.enter", error)
            return self._without_effect()
        scope.session.entries += 1
        self._owner = os.getpid()
        self._stack.append((entered, scope))
        with guard("session.record"):
            implicit.record_session(scope, telemetry_module.active)
        return self

    def _without_effect(self) -> Self:
        self.id = self.id or ids.new_session_id()
        self._stack.append((None, None))
        return self

    def _scope(
        self, context: Context, outer: Scope | None, tags: tuple[tuple[str, str], ...]
    ) -> tuple[Scope, Context]:
        active = telemetry_module.active
        state = self._resolve_state(outer)
        self._state = state
        self.id = state.session_id
        entity = self._entity
        if (
            entity is None
            and outer is not None
            and outer.entity_type is not None
            and outer.entity_id is not None
        ):
            entity = (outer.entity_type, outer.entity_id)
        entity = entity or active.entity
        scope = Scope(
            state,
            user_id=self._user or (outer.user_id if outer is not None else None) or active.user,
            entity_type=None if entity is None else entity[0],
            entity_id=None if entity is None else entity[1],
            tags=tags,
            conversation_id=self._conversation
            or self._given_id
            or (outer.conversation_id if outer is not None else None),
            agent_path=() if outer is None else outer.agent_path,
            call_id=None if outer is None else outer.call_id,
            run_id=None if outer is None else outer.run_id,
            tool=None if outer is None else outer.tool,
            parent=outer,
        )
        scope.rollup = None if outer is None else outer.rollup
        held = raw_scope(context)
        scope.beneath = held if held is not outer else None
        return scope, with_baggage(with_values(context, {SCOPE_KEY: scope}), scope)

    def _resolve_state(self, outer: Scope | None) -> SessionState:
        """The session meant: the one in force again, one this process knows, or a new one."""
        if self._state is not None and self._given_id is None and self._stack:
            return self._state  # entered again while it is open
        parent = None if outer is None or outer.session.implicit else outer.session
        if self._given_id is not None:
            if parent is not None and parent.session_id == self._given_id:
                return parent
            known = known_session(self._given_id)
            if known is not None and not known.implicit:
                known.ended = False
                return known
        return remember_session(
            SessionState(
                self._given_id or ids.new_session_id(),
                start_ns=time.time_ns(),
                name=self._name,
                parent=parent,
                conversation_id=self._conversation or self._given_id,
            )
        )

    # -- leave ---------------------------------------------------------------------------------------

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave(error) and not isinstance(error, GeneratorExit):
            _wait_until_kept()  # a generator may be closed by the collector, where nothing may wait

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave(error):
            await _await_until_kept()

    def finish(self, *, success: bool = True, reason: str | None = None) -> None:
        """Leave what :meth:`begin` entered.

        Args:
            success: whether the session reached its aim.
            reason: why not, in a few words; kept redacted.

        Raises:
            ArgumentError: (a ValueError) for arguments of other types.
        """
        if not isinstance(success, bool):
            raise ArgumentError(f"finish(success={success!r}): use True or False")
        if reason is not None and not isinstance(reason, str):
            raise ArgumentError(f"finish(reason={reason!r}): use a string")
        if self._leave(None, failed=not success, reason=reason):
            _wait_until_kept()

    def _leave(self, error: BaseException | None, *, failed: bool = False, reason: str | None = None) -> bool:
        try:
            entered, scope = take_entry(self._stack, _entered_of)
        except IndexError:
            return False
        try:
            if entered is not None:
                entered.leave()
            if scope is None:
                return False
            state = scope.session
            state.entries -= 1
            if state.entries > 0 or self._owner == os.getppid():
                return False  # in a forked child the session is its parent's to end
            status = SessionStatus.FAILED if failed else _status_of(error)
            state.ended = True
            outcome = {
                "end_ns": time.time_ns(),
                "status": status,
                "error_type": None if error is None or status != SessionStatus.FAILED else type_name(error),
            }
            if isinstance(error, GeneratorExit):
                # Perhaps the collector closes the generator, inside any lock: the worker tells the ledger.
                pipeline.late.put_from_finaliser(functools.partial(_tell_ended, scope, outcome, None))
            else:
                _tell_ended(scope, outcome, reason)
            return True
        except Exception as failure:
            swallowed("session.leave", failure)
            return False

    # -- decorator -----------------------------------------------------------------------------------

    def __call__(self, function: _F) -> _F:
        """Run each call of ``function`` in this session: a new one each time where no id was given."""

        def opener(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Running | None:
            try:
                return _Running(self._fresh())
            except Exception as error:
                swallowed("session.decorator", error)
                return None

        return wrap_function(function, opener, what="@spantally.session")

    def _fresh(self) -> Session:
        return Session(
            self._given_id,
            conversation=self._conversation,
            user=self._user,
            entity=self._entity,
            tags=self._tags,
            name=self._name,
        )


def _entered_of(entry: tuple[Entered | None, Scope | None]) -> Entered | None:
    return entry[0]


class _Running:
    """One run of a decorated function inside its session."""

    def __init__(self, made: Session) -> None:
        self.session = made
        before = otel_context.get_current()
        made.begin()
        self.context = otel_context.get_current()
        otel_context.attach(before)

    def result(self, value: Any) -> None:
        """The body returned."""
        self._end(None)

    def error(self, error: BaseException) -> None:
        """The body raised."""
        self._end(error)

    def left(self) -> None:
        """The generator was left early, perhaps in a finaliser: its session is noted to end."""
        pipeline.late.put_from_finaliser(lambda: self._end(None))

    def _end(self, error: BaseException | None) -> None:
        if self.session._leave(error):
            _wait_until_kept()


def _tell_ended(scope: Scope, outcome: dict[str, Any], reason: str | None) -> None:
    """Tell the ledger that a session has ended."""
    telemetry = telemetry_module.active
    if not telemetry.keep_explicit:
        reason = None
    if reason is not None:
        try:
            reason = telemetry.redactor.text(reason, "reason")
        except Exception as error:
            swallowed("session.reason", error)
            reason = None
    pipeline.emit(implicit.session_record(scope, telemetry)._replace(reason=reason, **outcome))


def _status_of(error: BaseException | None) -> SessionStatus:
    if error is None or isinstance(error, GeneratorExit):
        return SessionStatus.SUCCEEDED
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return SessionStatus.SUCCEEDED
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "CancelledError":
        return SessionStatus.CANCELLED
    return SessionStatus.FAILED


def _merge_tags(outer: Scope | None, own: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    inherited = telemetry_module.active.tags if outer is None else outer.tags
    return merged_tags(inherited, own, trusted=outer is None or not outer.session.implicit)


def _in_event_loop() -> bool:
    loops: Any = sys.modules.get("asyncio")  # importing it costs 30 ms that no plain program owes us
    return loops is not None and loops._get_running_loop() is not None


def _wait_until_kept() -> None:
    """A finished session is in the ledger when its block ends; an event loop is never made to wait."""
    try:
        if _in_event_loop():
            worker.hurry()
        elif threading.current_thread().name != "spantally-worker":
            worker.flush(FLUSH_SECONDS)
    except Exception as error:
        swallowed("session.flush", error)


async def _await_until_kept() -> None:
    import asyncio

    try:
        loop = asyncio.get_running_loop()
        kept = loop.create_future()

        def tell() -> None:
            if not kept.done():
                kept.set_result(None)

        def wake_up() -> None:
            loop.call_soon_threadsafe(tell)

        worker.notify_when_drained(wake_up)
        await asyncio.wait((kept,), timeout=FLUSH_SECONDS)
    except Exception as error:
        swallowed("session.flush", error)


@overload
def session(id: _F, /) -> _F: ...
@overload
def session(
    id: str | None = None,
    *,
    conversation: str | None = None,
    user: str | None = None,
    entity: tuple[str, str] | str | None = None,
    tags: Mapping[str, str] | str | None = None,
    name: str | None = None,
) -> Session: ...
def session(
    id: str | Callable[..., Any] | None = None,  # noqa: A002 - the name that users type
    *,
    conversation: str | None = None,
    user: str | None = None,
    entity: tuple[str, str] | str | None = None,
    tags: Mapping[str, str] | str | None = None,
    name: str | None = None,
) -> Any:
    """A session: everything that happens inside belongs to it, nested agents, tools and threads too.

    Use it as ``with session(...)``, ``async with session(...)``, as a decorator (``@session`` or
    ``@session(...)``), or by :meth:`Session.begin` and :meth:`Session.finish`. The same id inside itself
    enters the session again; another id, or none, makes a child whose spending rolls up. User and entity
    are inherited, tags are merged, the inner value wins.

    Args:
        id: of the session; a UUID version 7 by default. A given id is the conversation's id as well.
        conversation: id of the conversation (``gen_ai.conversation.id``) where it is another.
        user: id of the user (``user.id``).
        entity: whom the work is for: ``("customer", "acme")`` or ``"customer:acme"``.
        tags: text to text, on every span and row beneath.
        name: what kind of session it is, of low cardinality.

    Returns:
        A :class:`Session`.

    Raises:
        SettingsError: (a ValueError) naming value and allowed range, before any effect.
    """
    if callable(id):
        return session()(id)
    return Session(
        None if id is None else parse_id("session id", id),
        conversation=None if conversation is None else parse_id("conversation", conversation),
        user=None if user is None else parse_id("user", user),
        entity=None if entity is None else parse_entity("entity", entity),
        tags=() if tags is None else parse_tags("tags", tags),
        name=None if name is None else parse_id("session name", name),
    )
