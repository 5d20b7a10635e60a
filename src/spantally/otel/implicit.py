"""The session of a trace: what a server's or consumer's work belongs to without any ``session()``.

At the local root of such work the session of trusted inbound baggage is taken, else one is made for the root
trace; its id follows from the trace id, so that every service the trace passes through names the same.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context

from spantally.calls import implicit as calls_implicit
from spantally.calls.telemetry import Telemetry
from spantally.ground.scope import Scope, raw_scope
from spantally.ground.session_state import SessionState, remember_session
from spantally.ground.settings import from_environment
from spantally.otel.baggage import named_in_baggage, scope_from_baggage

TRACES_LIMIT: Final = 8192
"""Traces whose session is remembered; the one not used for longest is forgotten first."""


class _Traced(NamedTuple):
    scope: Scope
    inbound: bool
    """True if baggage named the session."""


_traces: Final[OrderedDict[int, _Traced]] = OrderedDict()


def enter_trace(trace_id: int, context: Context, telemetry: Telemetry, *, trust_baggage: bool) -> Scope:
    """The scope of a server's or consumer's local root, remembered for what follows in its trace.

    Args:
        trace_id: of the root span.
        context: its parent context, with what the propagator extracted.
        telemetry: gives the fallbacks for user, entity and tags.
        trust_baggage: whether inbound baggage may name the session.
    """
    found = scope_from_baggage(context) if trust_baggage else None
    if found is not None:
        return _remember(trace_id, _Traced(_completed(found, telemetry), True))
    known = _traces.get(trace_id)
    if known is not None:
        return known.scope
    named = from_environment("session") if "SPANTALLY_SESSION" in os.environ else None
    state = remember_session(
        SessionState(
            named or f"trace-{trace_id:032x}",
            start_ns=time.time_ns(),
            name=None if named else calls_implicit.program_name(),
            implicit=True,
            conversation_id=named,
        )
    )
    return _remember(trace_id, _Traced(calls_implicit.fallback_scope(state, telemetry), False))


def _completed(scope: Scope, telemetry: Telemetry) -> Scope:
    """An inbound scope, with the process's fallbacks where it says nothing."""
    entity = telemetry.entity if scope.entity_type is None else None
    if (scope.user_id or not telemetry.user) and entity is None and not telemetry.tags:
        return scope
    return Scope(
        scope.session,
        user_id=scope.user_id or telemetry.user,
        entity_type=scope.entity_type if entity is None else entity[0],
        entity_id=scope.entity_id if entity is None else entity[1],
        tags=tuple(sorted({**dict(telemetry.tags), **dict(scope.tags)}.items())),
        conversation_id=scope.conversation_id,
    )


def _remember(trace_id: int, entry: _Traced) -> Scope:
    # No lock: each step is atomic, and a lock held at a fork would stop the child's first span.
    _traces[trace_id] = entry
    try:
        _traces.move_to_end(trace_id)
        while len(_traces) > TRACES_LIMIT:
            _traces.popitem(last=False)
    except KeyError:
        pass  # another thread has made room
    return entry.scope


def scope_of_trace(trace_id: int) -> Scope | None:
    """The scope that the local root of a trace gave it, or None."""
    known = _traces.get(trace_id)
    return None if known is None else known.scope


def session_of_trace(trace_id: int) -> SessionState | None:
    """The session that the local root of a trace gave it, or None.

    Args:
        trace_id: as the SpanContext has it.
    """
    known = _traces.get(trace_id)
    return None if known is None else known.scope.session


def _trace_id(context: Context) -> int:
    return trace.get_current_span(context).get_span_context().trace_id


def resolve_baggage(context: Context) -> Scope | None:
    """For calls outside any session: what baggage says, at the trace's local root or in the Context."""
    if not trusts_baggage():
        return None
    known = _traces.get(_trace_id(context))
    if known is not None and known.inbound:
        return known.scope
    resting = raw_scope(context)
    if resting is not None and named_in_baggage(context) == resting.session.session_id:
        return None  # nobody sent it: a suspended generator's session wrote it, and is not in force
    return scope_from_baggage(context)


def read_inbound(context: Context) -> Scope | None:
    """For one message: what its own baggage says, whatever else runs in its trace."""
    return scope_from_baggage(context) if trusts_baggage() else None


def resolve_trace(context: Context) -> Scope | None:
    """For calls outside any session: the session of the server's root trace they run in."""
    return scope_of_trace(_trace_id(context))


_trust: list[bool] = []


def set_trust_baggage(trust: bool | None) -> None:
    """Whether inbound baggage counts for calls: argument, or (None) the environment read anew."""
    _trust[:] = [] if trust is None else [trust]


def trusts_baggage() -> bool:
    """The setting, read from the environment once."""
    if not _trust:
        _trust.append(bool(from_environment("trust_baggage")))
    return _trust[0]


def register_resolvers() -> None:
    """Let calls outside any session find baggage and traces; doing it twice is once."""
    if resolve_baggage not in calls_implicit.baggage_resolvers:
        calls_implicit.baggage_resolvers.append(resolve_baggage)
    if read_inbound not in calls_implicit.inbound_readers:
        calls_implicit.inbound_readers.append(read_inbound)
    if resolve_trace not in calls_implicit.trace_resolvers:
        calls_implicit.trace_resolvers.append(resolve_trace)


def unregister_resolvers() -> None:
    """Take both back."""
    if resolve_baggage in calls_implicit.baggage_resolvers:
        calls_implicit.baggage_resolvers.remove(resolve_baggage)
    if read_inbound in calls_implicit.inbound_readers:
        calls_implicit.inbound_readers.remove(read_inbound)
    if resolve_trace in calls_implicit.trace_resolvers:
        calls_implicit.trace_resolvers.remove(resolve_trace)


def forget_traces() -> None:
    """Forget every trace (tests, and the child of a fork)."""
    _traces.clear()
