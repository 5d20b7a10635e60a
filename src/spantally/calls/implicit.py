"""The session of a call that is outside any ``session()``: every call belongs to one.

In this order: inbound baggage that the program attached, ``SPANTALLY_SESSION``, the conversation that the
SDK's request names, one per root trace in a server, one per run of the process, named after the script,
module or notebook.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context

from spantally.calls.json_text import printable
from spantally.calls.pipeline import emit
from spantally.calls.telemetry import Telemetry
from spantally.ground import ids, process
from spantally.ground.guard import swallowed
from spantally.ground.records import SessionRecord, SessionStatus
from spantally.ground.scope import BAGGAGE_KEY, Scope
from spantally.ground.session_state import SessionState, remember_session
from spantally.ground.settings import from_environment

Resolver = Callable[[Context], Scope | SessionState | None]

baggage_resolvers: Final[list[Resolver]] = []
"""Ways to read a session from inbound baggage; the otel room adds its own."""

inbound_readers: Final[list[Callable[[Context], Scope | None]]] = []
"""Ways to read a session from the baggage of one message alone; the otel room adds its own."""

trace_resolvers: Final[list[Resolver]] = []
"""Ways to find the session of a server's root trace."""

_process_session: SessionState | None = None
_process_owner = 0


def implicit_scope(context: Context, telemetry: Telemetry, conversation_id: str | None = None) -> Scope:
    """The scope of a call for which none is in force.

    Args:
        context: the OpenTelemetry Context of the call.
        telemetry: gives the fallbacks for user, entity and tags.
        conversation_id: the conversation that the request names, if it does.
    """
    # Baggage and the session of a trace come with a Context that holds either; most calls outside any
    # session have neither.
    if not context and not conversation_id:
        known = telemetry.process_scope
        if known is not None:
            process_scope: Scope
            process_scope, user, entity, tags = known
            if (
                process_scope.session is _process_session
                and user is telemetry.user
                and entity is telemetry.entity
                and tags is telemetry.tags
                and not _environment_names_session()
            ):
                return process_scope
    bare = BAGGAGE_KEY not in context and not trace.get_current_span(context).get_span_context().is_valid
    found = None if bare else _resolve(baggage_resolvers, context)
    if isinstance(found, Scope):
        return found
    state = found or _environment_session() or _conversation_session(conversation_id)
    if state is None:
        traced = None if bare else _resolve(trace_resolvers, context)
        if isinstance(traced, Scope):
            return traced
        state = traced or process_session()
    return fallback_scope(state, telemetry)


def inbound_scope(context: Context) -> Scope | None:
    """The scope that the baggage of a message names, where it is trusted; None where it names none.

    Args:
        context: what the propagator extracted from the message.
    """
    for reader in inbound_readers:
        found = reader(context)
        if found is not None:
            return found
    return None


def fallback_scope(state: SessionState, telemetry: Telemetry) -> Scope:
    """A scope of ``state`` with the fallbacks for user, entity and tags."""
    entity = telemetry.entity or (None, None)
    made = Scope(
        state,
        user_id=telemetry.user,
        entity_type=entity[0],
        entity_id=entity[1],
        tags=telemetry.tags,
        conversation_id=state.conversation_id,
    )
    if state is _process_session:  # the others are many, and each is used for a short while
        telemetry.process_scope = (made, telemetry.user, telemetry.entity, telemetry.tags)
    return made


def _resolve(resolvers: list[Resolver], context: Context) -> Scope | SessionState | None:
    for resolver in resolvers:
        try:
            found = resolver(context)
        except Exception as error:
            swallowed("calls.implicit", error)
            continue
        if found is not None:
            return found
    return None


def _quick_environ() -> Callable[[], bool]:
    """Whether the environment names a session, asked at each call outside any.

    ``in os.environ`` raises and catches an exception for a name that is absent; its dict of encoded names
    answers in a tenth of the time. It is private, so it is tried first.
    """

    def slow() -> bool:
        return _VARIABLE in os.environ

    try:
        data: Any = getattr(os.environ, "_data", None)
        key = os.environ.encodekey(_VARIABLE)
        path = os.environ.encodekey("PATH")
        if type(data) is dict and (path in data) == ("PATH" in os.environ):
            return lambda: key in data
    except Exception:
        pass
    return slow


_VARIABLE: Final = "SPANTALLY_SESSION"
_environment_names_session: Final = _quick_environ()


def _environment_session() -> SessionState | None:
    if not _environment_names_session():
        return None
    session_id = from_environment("session")
    if session_id is None:
        return None
    return remember_session(
        SessionState(session_id, start_ns=time.time_ns(), implicit=True, conversation_id=session_id)
    )


def _conversation_session(conversation_id: str | None) -> SessionState | None:
    if not conversation_id:
        return None
    conversation_id = printable(conversation_id)  # the ledger has no form for half of a surrogate pair
    return remember_session(
        SessionState(conversation_id, start_ns=time.time_ns(), implicit=True, conversation_id=conversation_id)
    )


def process_session() -> SessionState:
    """The session of this run of the process; a forked child goes on with its parent's."""
    global _process_session, _process_owner
    state = _process_session
    if state is None:
        name = None
        try:
            name = program_name()
        except Exception as error:
            swallowed("calls.program_name", error)
        state = SessionState(ids.new_session_id(), start_ns=time.time_ns(), name=name, implicit=True)
        _process_session = remember_session(state)
        _process_owner = os.getpid()
    return state


def known_process_session() -> SessionState | None:
    """The process's implicit session, if a call has needed it."""
    return _process_session


def finish_process_session() -> None:
    """Tell the ledger that the run has ended; only the process that began it does."""
    state = _process_session
    if state is None or not state.recorded or state.ended or os.getpid() != _process_owner:
        return
    state.ended = True
    emit(state.began(status=SessionStatus.SUCCEEDED, end_ns=time.time_ns()))


def record_session(scope: Scope, telemetry: Telemetry) -> None:
    """Tell the ledger of a session the first time a call of this process belongs to it."""
    state = scope.session
    if state.recorded:
        return
    state.recorded = True
    emit(session_record(scope, telemetry))


def session_record(scope: Scope, telemetry: Telemetry) -> SessionRecord:
    """The record of a session that is running, as seen from ``scope``."""
    state = scope.session
    return state.began(
        user_id=scope.user_id,
        entity_type=scope.entity_type,
        entity_id=scope.entity_id,
        tags=scope.tags,
        project=telemetry.project,
        process=process.identity(),
    )


def program_name() -> str:
    """What this process runs: the script's file name, the module of ``python -m``, or the notebook."""
    notebook = os.environ.get("JPY_SESSION_NAME")
    if notebook:
        return Path(notebook).name
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and getattr(spec, "name", None):
        name = str(spec.name)
        return name.removesuffix(".__main__")
    file = getattr(main, "__file__", None) or (sys.argv[0] if sys.argv else "")
    if "ipykernel" in sys.modules:
        return "notebook"
    if file and file not in ("-c", "-m", "-"):
        return Path(file).name
    if file == "-c":
        return "python -c"
    return "python"


def forget_process_session() -> None:
    """Forget the run's session (tests)."""
    global _process_session
    _process_session = None
