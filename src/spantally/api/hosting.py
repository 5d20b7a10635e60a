"""Work that runs in a session without a block around it: what a framework's callbacks begin and end."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.api.keeping import wait_until_kept
from spantally.api.opening import session
from spantally.api.session import Session
from spantally.calls.hosted import innermost
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.scope import SCOPE_KEY, with_values
from spantally.otel.baggage import with_baggage


class SessionHost:
    """Where work goes that a session is named for."""

    def __init__(self, given: str | Session) -> None:
        """Take an id or a session.

        Raises:
            SettingsError: (a ValueError) for an id that is not allowed.
            ArgumentError: likewise, for anything else.
        """
        if isinstance(given, str):
            given = session(given)
        if not isinstance(given, Session):
            raise ArgumentError(
                f"session={shown(given)}: use the id of a session, or what spantally.session() returns"
            )
        self._session = given

    def enter(self) -> tuple[Context, Callable[[BaseException | None], None] | None]:
        """The Context for one piece of work, and what is to be called at its end, if anything.

        A session that the program has open is used as it is; any other one is entered for the work alone.
        """
        ambient = otel_context.get_current()
        scope = self._session._stack[-1][1] if self._session._stack else None
        if scope is not None:
            made = with_baggage(with_values(ambient, {SCOPE_KEY: scope}), scope)
            return innermost(ambient, made), None
        fresh = self._session._fresh()
        fresh.begin()
        try:
            inside = otel_context.get_current()
        finally:
            otel_context.attach(ambient)

        def end(error: BaseException | None) -> None:
            if fresh._leave(error):
                wait_until_kept()

        return inside, end
