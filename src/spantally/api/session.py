"""``session()``: whose work this is, for everything that happens inside."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.api.console import show_session
from spantally.api.keeping import await_until_kept, wait_until_kept
from spantally.api.session_capture import SessionCapture, capture_of
from spantally.api.session_ids import (
    filled,
    is_template,
    known_names,
    learn_use,
    note_use,
    resumed_or_next,
)
from spantally.api.session_reading import Reading
from spantally.api.session_recording import Money, Recording
from spantally.api.session_said import begun, for_worker, parse_metrics, parse_reported, with_more
from spantally.api.session_said import ended as spoken_at_end
from spantally.api.session_telling import status_of, tell_begun, tell_ended, tell_more
from spantally.api.tags import merged_tags
from spantally.calls import pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.calls.entering import Entered, take_entry
from spantally.calls.operation import type_name
from spantally.calls.running import wrap_function
from spantally.ground import ids
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.event_loop import in_event_loop, run_beside
from spantally.ground.guard import guard, swallowed
from spantally.ground.records import SessionStatus
from spantally.ground.scope import SCOPE_KEY, Scope, current_scope, is_paused, raw_scope, with_values
from spantally.ground.session_state import SessionState, known_session, remember_session
from spantally.ground.settings import is_disabled
from spantally.otel.baggage import with_baggage

if TYPE_CHECKING:
    from spantally.budgets.budget import Budget
    from spantally.budgets.loops import LoopGuard

_F = TypeVar("_F", bound=Callable[..., Any])

LOOK_UP_SECONDS: Final = 5.0
"""How long the start of a session waits, in an event loop, for what the ledger knows of its id."""


_Said: TypeAlias = tuple[dict[str, int | float] | None, dict[str, Any], dict[str, int] | None]
"""What ``finish()`` was given, checked: metrics, input and output, what the program says that was used."""


class Session(Reading, Recording):
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
        parent: str | Session | None = None,
        idle_seconds: float | None = None,
        said: dict[str, Any] | None = None,
        budget: Budget | None = None,
        loop_guard: LoopGuard | None = None,
        console: str | None = None,
        capture: Any = "auto",
    ) -> None:
        self.id = None if session_id is None or is_template(session_id) else session_id
        self._template = session_id if self.id is None else None
        self._given_id = self.id
        self._parent = parent
        self._idle_seconds = idle_seconds
        self._said = said
        self._limits = None if budget is None and loop_guard is None else (budget, loop_guard)
        self._console = console
        self._capture = capture
        self._captured: dict[str, Any] = {}
        self._conversation = conversation
        self._user = user
        self._entity = entity
        self._tags = tags
        self._name = name
        self._state: SessionState | None = None
        self._stack: list[tuple[Entered | None, Scope | None]] = []
        self._owner = 0
        self._last_scope: Scope | None = None
        """Of what is recorded while the session is not the one in force."""
        self._entered_yet = True
        """False while only recordings tell of a session without a given id: entering goes on with it."""
        self._reopened = False
        """True where the session entered had ended, and goes on."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<spantally.Session {self.id or 'not entered'}>"

    # -- enter ---------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self._enter(sys._getframe(1))

    async def __aenter__(self) -> Self:
        frame = sys._getframe(1)
        if self._idle_seconds is not None:
            await self._look_up()
        return self._enter(frame)

    async def _look_up(self) -> None:
        """Where silence matters: what the ledger knows of the id is read beside the event loop."""
        try:
            given = self._named_id(current_scope())
            if given is not None and not is_disabled():
                look_up = functools.partial(learn_use, given)
                await run_beside(look_up, LOOK_UP_SECONDS, name="spantally-look-up")
        except ArgumentError:
            pass  # entering says so
        except Exception as error:
            swallowed("session.look_up", error)

    def _named_id(self, outer: Scope | None) -> str | None:
        """The id that was given, or that the template given stands for; None for none."""
        if self._template is None:
            return self._given_id
        known = known_names(self._conversation, self._user, self._entity, self._tags, outer)
        return filled(self._template, known)

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
        tags = self._tags_within(outer)  # raises before any effect
        self._given_id = self._named_id(outer)  # raises likewise
        if disabled:
            return self._without_effect()
        try:
            scope, inner = self._scope(context, outer, tags)
            entered = Entered(inner, scope, frame)
        except Exception as error:
            swallowed("session.enter", error)
            return self._without_effect()
        # One of which only recordings told until now begins to run.
        news = self._reopened or bool(self._said) or scope.session.entries == 0
        scope.session.entries += 1
        self._owner = os.getpid()
        self._last_scope = scope
        self._stack.append((entered, scope))
        with guard("session.record"):
            self._note_use()
            tell_begun(scope, news=news)
        return self

    def _tags_within(self, outer: Scope | None) -> tuple[tuple[str, str], ...]:
        inherited = telemetry_module.active.tags if outer is None else outer.tags
        stranger = outer is not None and outer.session.implicit
        return merged_tags(inherited, self._tags, trusted=not stranger)

    def _without_effect(self) -> Self:
        self.id = self.id or self._given_id or ids.new_session_id()
        self._stack.append((None, None))
        return self

    def _scope(
        self, context: Context, outer: Scope | None, tags: tuple[tuple[str, str], ...]
    ) -> tuple[Scope, Context]:
        active = telemetry_module.active
        state = self._resolve_state(outer)
        self._state = state
        self.id = state.session_id
        if self._console is not None:
            show_session(state.session_id, self._console)
        if self._said:
            state.said = {**(state.said or {}), **begun(active, **self._said)}
        if self._limits is not None:
            from spantally.api.limits import arm

            arm(state, *self._limits)
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
        if self._state is not None and self._given_id is None and (self._stack or not self._entered_yet):
            self._entered_yet = True
            return self._state  # entered again while it is open
        self._reopened = False
        parent = None if outer is None or outer.session.implicit else outer.session
        wanted, previous = self._given_id, None
        if wanted is not None and self._idle_seconds is not None:
            if not in_event_loop():
                learn_use(wanted)
            wanted, previous = resumed_or_next(wanted, self._idle_seconds)
        if wanted is not None:
            if parent is not None and parent.session_id == wanted:
                return parent
            known = known_session(wanted)
            if known is not None and not known.implicit:
                self._reopened, known.ended = known.ended, False
                return known
        named = self._named_parent()
        made = SessionState(
            wanted or ids.new_session_id(),
            start_ns=time.time_ns(),
            name=self._name,
            parent=parent if named is None or named.session_id == wanted else named,
            conversation_id=self._conversation or self._given_id,
        )
        made.previous_id = previous
        return remember_session(made)

    def _named_parent(self) -> SessionState | None:
        """The session that ``parent=`` names: one of this process, or one known by its id alone."""
        parent_id = self._parent.id if isinstance(self._parent, Session) else self._parent
        if parent_id is None:
            return None
        known = known_session(parent_id)
        if known is not None and not known.implicit:
            return known
        return remember_session(SessionState(parent_id, start_ns=time.time_ns()))

    def _note_use(self) -> None:
        """Where silence matters: this session was in use just now."""
        if self._idle_seconds is not None and self._given_id is not None and self.id is not None:
            note_use(self._given_id, self.id)

    # -- record --------------------------------------------------------------------------------------

    def _place(self) -> tuple[str, Context | None]:
        context = otel_context.get_current()
        outer = current_scope(context)
        disabled = is_disabled()
        state = self._state
        if state is not None and outer is not None and outer.session is state and not disabled:
            return state.session_id, context
        if self._last_scope is None:
            named = self._named_id(outer)  # raises before any effect, and so does the next one
            tags = self._tags_within(outer)
            if disabled:
                self.id = self.id or named or ids.new_session_id()
                return self.id, None
            self._given_id = named
            try:
                self._last_scope = self._recorded_only(context, outer, tags)
            except Exception as error:
                swallowed("session.place", error)
                self.id = self.id or named or ids.new_session_id()
                return self.id, None
        scope = self._last_scope
        return scope.session.session_id, None if disabled else with_values(context, {SCOPE_KEY: scope})

    def _recorded_only(
        self, context: Context, outer: Scope | None, tags: tuple[tuple[str, str], ...]
    ) -> Scope:
        """The scope of a session that is not entered: how it stands is others' to say."""
        scope, _ = self._scope(context, outer, tags)
        state = scope.session
        self._entered_yet = False
        if self._reopened:
            state.ended, self._reopened = True, False
        if not state.recorded or self._said:
            state.recorded = True
            tell_more(scope)
        return scope

    def _say_more(self, said: Mapping[str, Any]) -> None:
        _, context = self._place()
        if context is None or is_paused(context):
            return
        try:
            scope = current_scope(context)
            assert scope is not None
            scope.session.said = with_more(telemetry_module.active, scope.session.said, said)
            tell_more(scope)
        except Exception as error:
            swallowed("session.set", error)

    # -- leave ---------------------------------------------------------------------------------------

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave(error) and not isinstance(error, GeneratorExit):
            wait_until_kept()  # a generator may be closed by the collector, where nothing may wait

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave(error):
            await await_until_kept()

    def finish(
        self,
        *,
        success: bool = True,
        reason: str | None = None,
        metrics: Mapping[str, int | float] | None = None,
        input: Any = None,  # noqa: A002 - the name that users type
        output: Any = None,
        cost_usd: Money | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """Leave what :meth:`begin` entered, and say how it went; inside a ``with`` block, too.

        Args:
            success: whether the session reached its aim.
            reason: why not, in a few words; kept redacted.
            metrics: what the program measured: finite numbers by name, at most 64.
            input: what the session was given; kept redacted, where ``ledger_content`` keeps what is handed
                to this API.
            output: what it gave.
            cost_usd: what it cost by the program's own reckoning. Like the two that follow kept as
                ``reported`` beside the tally, and never added to it; :meth:`record_call` adds.
            input_tokens: likewise.
            output_tokens: likewise.

        Raises:
            ArgumentError: (a ValueError) for arguments of other types.
        """
        if not isinstance(success, bool):
            raise ArgumentError(f"finish(success={shown(success)}): use True or False")
        if reason is not None and not isinstance(reason, str):
            raise ArgumentError(f"finish(reason={shown(reason)}): use a string")
        given = {"input": input, "output": output}
        said = (parse_metrics(metrics), given, parse_reported(cost_usd, input_tokens, output_tokens))
        if self._leave(None, failed=not success, reason=reason, said=said):
            wait_until_kept()

    def _leave(
        self,
        error: BaseException | None,
        *,
        failed: bool = False,
        reason: str | None = None,
        said: _Said | None = None,
    ) -> bool:
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
            self._note_use()
            state.entries -= 1
            if state.entries > 0 or self._owner == os.getppid():
                return False  # in a forked child the session is its parent's to end
            status = SessionStatus.FAILED if failed else status_of(error)
            state.ended = True
            outcome = {
                **self._captured,
                "end_ns": time.time_ns(),
                "status": status,
                "error_type": None if error is None or status != SessionStatus.FAILED else type_name(error),
            }
            late = None if said is None else for_worker(said[1])
            if said is not None and late is None:
                outcome.update(spoken_at_end(telemetry_module.active, state.said, *said))
            if isinstance(error, GeneratorExit):
                # Perhaps the collector closes the generator, inside any lock: the worker tells the ledger.
                pipeline.late.put_from_finaliser(functools.partial(tell_ended, scope, outcome, None))
            elif said is not None and late is not None:
                said = said[0], late, said[2]
                pipeline.late.put(functools.partial(_tell_later, scope, outcome, reason, said))
            else:
                tell_ended(scope, outcome, reason)
            return True
        except Exception as failure:
            swallowed("session.leave", failure)
            return False

    # -- decorator -----------------------------------------------------------------------------------

    def __call__(self, function: _F) -> _F:
        """Run each call of ``function`` in this session: a new one each time where no id was given."""

        def opener(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Running | None:
            try:
                return _Running(self._fresh(), capture_of(self._capture, function, args, kwargs))
            except Exception as error:
                swallowed("session.decorator", error)
                return None

        return wrap_function(function, opener, what="@spantally.session")

    def _fresh(self) -> Session:
        return Session(
            self._template or self._given_id,
            conversation=self._conversation,
            user=self._user,
            entity=self._entity,
            tags=self._tags,
            name=self._name,
            parent=self._parent,
            idle_seconds=self._idle_seconds,
            said=self._said,
            budget=None if self._limits is None else self._limits[0],
            loop_guard=None if self._limits is None else self._limits[1],
            console=self._console,
            capture=self._capture,
        )


def _entered_of(entry: tuple[Entered | None, Scope | None]) -> Entered | None:
    return entry[0]


def _tell_later(scope: Scope, outcome: dict[str, Any], reason: str | None, said: _Said) -> None:
    """Tell of an end whose input or output was too large to be scanned where it was told; on the worker."""
    telemetry = telemetry_module.active
    tell_ended(scope, {**outcome, **spoken_at_end(telemetry, scope.session.said, *said)}, reason)


class _Running:
    """One run of a decorated function inside its session."""

    def __init__(self, made: Session, captured: SessionCapture | None) -> None:
        self.session = made
        self.captured = captured
        self.item = None if captured is None else captured.item
        before = otel_context.get_current()
        made.begin()
        self.context = otel_context.get_current()
        otel_context.attach(before)

    def result(self, value: Any) -> None:
        """The body returned."""
        self._keep(value)
        self._end(None)

    def error(self, error: BaseException) -> None:
        """The body raised."""
        self._keep(None)
        self._end(error)

    def left(self) -> None:
        """The generator was left early, perhaps in a finaliser: its session is noted to end."""
        pipeline.late.put_from_finaliser(self._end_left)

    def _end_left(self) -> None:
        self._keep(None, left=True)
        self._end(None)

    def _keep(self, value: Any, *, left: bool = False) -> None:
        if self.captured is not None:
            self.session._captured = self.captured.fields(value, left=left)

    def _end(self, error: BaseException | None) -> None:
        if self.session._leave(error):
            wait_until_kept()
