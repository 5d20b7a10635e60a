"""``attribute()`` and ``bind()``: whom work is for, without a session of its own around it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import NamedTuple, Self, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.api.session import Session
from spantally.api.tags import merged_tags
from spantally.calls import implicit
from spantally.calls import telemetry as telemetry_module
from spantally.calls.entering import Entered, take_entry
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.guard import swallowed
from spantally.ground.scope import SCOPE_KEY, Scope, current_scope, with_values
from spantally.ground.session_state import SessionState, known_session, remember_session
from spantally.ground.setting_values import parse_entity, parse_id, parse_tags
from spantally.ground.settings import is_disabled
from spantally.otel.baggage import with_baggage

_C = TypeVar("_C")


class Attribution(NamedTuple):
    """What is said anew of whom the work is for; what is None or empty stays as it is around."""

    user: str | None
    entity: tuple[str, str] | None
    tags: tuple[tuple[str, str], ...]

    @classmethod
    def parsed(
        cls,
        user: str | None,
        entity: tuple[str, str] | str | None,
        tags: Mapping[str, str] | str | None,
    ) -> Attribution:
        """Check what a caller gave.

        Raises:
            SettingsError: (a ValueError) naming value and allowed range.
        """
        return cls(
            None if user is None else parse_id("user", user),
            None if entity is None else parse_entity("entity", entity),
            () if tags is None else parse_tags("tags", tags),
        )

    def scope(self, around: Scope, state: SessionState, tags: tuple[tuple[str, str], ...]) -> Scope:
        """The scope of a session with this attribution in the place of what is around."""
        entity_type, entity_id = self.entity or (around.entity_type, around.entity_id)
        same = state is around.session
        made = Scope(
            state,
            user_id=self.user or around.user_id,
            entity_type=entity_type,
            entity_id=entity_id,
            tags=tags,
            conversation_id=around.conversation_id if same else state.conversation_id,
            agent_path=around.agent_path,
            call_id=around.call_id,
            run_id=around.run_id,
            tool=around.tool,
            parent=around,
        )
        made.rollup = around.rollup
        made.beneath = around.beneath
        return made


class attribute:  # noqa: N801 - reads as a statement: `with spantally.attribute(user="alice"):`
    """Change user, entity or tags inside the session in force, for what happens in the block.

    ``with`` and ``async with``. What is not given stays; tags are merged, the inner value wins.

    Args:
        entity: whom the work is for: ``("customer", "acme")`` or ``"customer:acme"``.
        user: id of the user (``user.id``).
        tags: text to text, on every span and row beneath.

    Raises:
        SettingsError: (a ValueError) naming value and allowed range, before any effect.
        ArgumentError: (a ValueError) if nothing is given.
    """

    def __init__(
        self,
        *,
        entity: tuple[str, str] | str | None = None,
        user: str | None = None,
        tags: Mapping[str, str] | str | None = None,
    ) -> None:
        if entity is None and user is None and tags is None:
            raise ArgumentError("attribute(): give entity, user or tags")
        self._said = Attribution.parsed(user, entity, tags)
        self._entered: list[Entered | None] = []

    def __enter__(self) -> Self:
        return self._enter(sys._getframe(1))

    async def __aenter__(self) -> Self:
        return self._enter(sys._getframe(1))

    def _enter(self, frame: FrameType | None) -> Self:
        entered = None
        around = _scope_around()
        if around is not None:
            # Raises before any effect.
            tags = merged_tags(around.tags, self._said.tags, trusted=not around.session.implicit)
            try:
                scope = self._said.scope(around, around.session, tags)
                entered = Entered(_context_of(otel_context.get_current(), scope), scope, frame)
            except Exception as error:
                swallowed("api.attribute", error)
        self._entered.append(entered)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            entered = take_entry(self._entered, lambda entry: entry)
        except IndexError:
            return
        if entered is not None:
            entered.leave()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def _scope_around() -> Scope | None:
    """The scope in force, that of the run's own session outside any; None where finding it fails."""
    try:
        if is_disabled():
            return None
        context = otel_context.get_current()
        found = current_scope(context)
        return found or implicit.implicit_scope(context, telemetry_module.active, None)
    except Exception as error:
        swallowed("api.attribute", error)
        return None


def _context_of(context: Context, scope: Scope) -> Context:
    return with_baggage(with_values(context, {SCOPE_KEY: scope}), scope)


class Binding:
    """What the calls of a bound client carry."""

    __slots__ = ("_beneath", "_said", "_session")

    def __init__(
        self, session: str | Session | None, said: Attribution, beneath: Binding | None = None
    ) -> None:
        self._session = session
        self._said = said
        self._beneath = beneath

    def within(self, context: Context) -> Context:
        """The Context that a call of the client begins in."""
        telemetry = telemetry_module.active
        if self._beneath is not None:
            context = self._beneath.within(context)
        around = current_scope(context) or implicit.implicit_scope(context, telemetry, None)
        state = self._state(around)
        tags = merged_tags(around.tags, self._said.tags, trusted=False)
        return _context_of(context, self._said.scope(around, state, tags))

    def _state(self, around: Scope) -> SessionState:
        if self._session is None:
            return around.session
        session_id = self._session if isinstance(self._session, str) else self._session.id
        if session_id is None:
            return around.session
        known = known_session(session_id)
        if known is not None:
            return known
        made = SessionState(session_id, start_ns=time.time_ns(), implicit=True, conversation_id=session_id)
        return remember_session(made)


def bind(
    client: _C,
    *,
    session: str | Session | None = None,
    entity: tuple[str, str] | str | None = None,
    user: str | None = None,
    tags: Mapping[str, str] | str | None = None,
) -> _C:
    """A client whose every call carries a session, user, entity or tags: no block, no further argument.

    The client given is left as it is; the new one is of the same type and shares its connections. What is
    not given is what the client is bound to already, else that of the session in force at each call.

    Args:
        client: a client of the OpenAI or the Anthropic SDK of any kind, synchronous or asynchronous.
        session: id of the session, or a session that was entered.
        entity: whom the work is for: ``("customer", "acme")`` or ``"customer:acme"``.
        user: id of the user (``user.id``).
        tags: text to text, on every span and row.

    Raises:
        SettingsError: (a ValueError) naming value and allowed range, before any effect.
        ArgumentError: (a ValueError) for a client of another kind, a session that was never entered, or
            where nothing is given.
    """
    from spantally.instrumentors.stainless.binding import BOUND, bound_copy, is_client

    if not is_client(client):
        raise ArgumentError(
            f"bind({shown(client)}): pass a client of an SDK: OpenAI, AsyncOpenAI, Anthropic, ..."
        )
    if session is None and entity is None and user is None and tags is None:
        raise ArgumentError("bind(client): give session, entity, user or tags")
    if isinstance(session, Session):
        if session.id is None:
            raise ArgumentError("bind(client, session=...): enter the session first, or pass its id")
    elif session is not None:
        session = parse_id("session", session)
    beneath = client.__dict__.get(BOUND)
    made: _C = bound_copy(client, Binding(session, Attribution.parsed(user, entity, tags), beneath))
    return made
