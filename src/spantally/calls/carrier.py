"""A scope on its way into another process: pickled with a task, or in the environment of a child.

The standard part is what the global propagator writes (``traceparent``, ``baggage``), so that a child that
knows nothing of us gets its parent span and baggage all the same. Beside it goes what baggage has no room
for: the call, run and agent path around, and the sessions above.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import quote, unquote

from opentelemetry import context as otel_context
from opentelemetry import propagate
from opentelemetry.context import Context

from spantally.calls import implicit
from spantally.ground.guard import swallowed
from spantally.ground.scope import SCOPE_KEY, Scope, current_scope, with_values
from spantally.ground.session_state import SessionState, known_session, remember_session
from spantally.ground.setting_values import parse_entity, parse_id, parse_tags

VARIABLE: Final = "SPANTALLY_CARRIER"
"""Environment variable of what baggage has no room for; written for child processes, set by nobody."""

MAX_CHARACTERS: Final = 16_384
"""Longest variable that is read."""

_MAX_DEPTH: Final = 64
_NO_NAME: Final = re.compile(r"[^A-Z0-9_]")

Packed = tuple[dict[str, str], dict[str, Any]]
"""What the propagator wrote, and the scope: plain values, that pickle and JSON both take."""


def pack(context: Context) -> Packed | None:
    """What another process needs to go on inside ``context``, or None where no scope is in force.

    Args:
        context: the Context of whoever starts the other work.
    """
    scope = current_scope(context)
    if scope is None:
        return None
    headers: dict[str, str] = {}
    propagate.inject(headers, context=context)
    return headers, _values_of(scope)


def unpack(packed: Packed) -> Context:
    """The Context that :func:`pack` was given, as far as another process can have it."""
    headers, values = packed
    context = propagate.extract(headers, context=Context())
    return with_values(context, {SCOPE_KEY: _scope_of(values)})


def _values_of(scope: Scope) -> dict[str, Any]:
    sessions: list[list[Any]] = []
    state: SessionState | None = scope.session
    while state is not None and len(sessions) < _MAX_DEPTH:
        sessions.append([state.session_id, state.start_ns, state.name, state.implicit, state.conversation_id])
        state = state.parent
    return {
        "sessions": sessions,
        "user": scope.user_id,
        "entity": [scope.entity_type, scope.entity_id],
        "tags": [list(pair) for pair in scope.tags],
        "conversation": scope.conversation_id,
        "path": list(scope.agent_path),
        "call": scope.call_id,
        "run": scope.run_id,
        "tool": scope.tool,
    }


def _scope_of(values: Mapping[str, Any]) -> Scope:
    """The scope of values that a process of the same program has written."""
    session: SessionState | None = None
    for session_id, start_ns, name, is_implicit, conversation in reversed(values["sessions"]):
        session = known_session(session_id) or remember_session(
            SessionState(
                session_id,
                start_ns=start_ns,
                name=name,
                implicit=is_implicit,
                parent=session,
                conversation_id=conversation,
            )
        )
    assert session is not None
    kind, ident = values["entity"]
    return Scope(
        session,
        user_id=values["user"],
        entity_type=kind,
        entity_id=ident,
        tags=tuple((key, value) for key, value in values["tags"]),
        conversation_id=values["conversation"],
        agent_path=tuple(values["path"]),
        call_id=values["call"],
        run_id=values["run"],
        tool=values["tool"],
    )


# -- the environment -------------------------------------------------------------------------------------


def _variable_of(header: str) -> str:
    return _NO_NAME.sub("_", header.upper())


def to_environment(context: Context) -> dict[str, str]:
    """The variables that take ``context`` into a child process; none where no scope is in force.

    Names are those of OpenTelemetry's environment carriers: ``TRACEPARENT``, ``TRACESTATE``, ``BAGGAGE``.
    """
    packed = pack(context)
    if packed is None:
        return {}
    headers, values = packed
    found = {_variable_of(name): value for name, value in headers.items()}
    text = quote(json.dumps(values, separators=(",", ":")), safe="{}[]:,\"' ")
    if len(text) <= MAX_CHARACTERS:
        found[VARIABLE] = text
    return found


def from_environment_carrier(environ: MutableMapping[str, str] | Mapping[str, str]) -> Context | None:
    """The Context that a parent process has put into the environment, or None.

    Args:
        environ: the environment of this process.
    """
    headers = {name: environ[_variable_of(name)] for name in _fields() if _variable_of(name) in environ}
    text = environ.get(VARIABLE, "")
    if not headers and not text:
        return None
    context = propagate.extract(headers, context=Context())
    scope = implicit.inbound_scope(context)
    if text and len(text) <= MAX_CHARACTERS and (not _fields_name_baggage() or scope is not None):
        own = _own_scope(text)
        # Somebody between may have started us with baggage of another session: then that is meant.
        if own is not None and (scope is None or scope.session.session_id == own.session.session_id):
            scope = own
    if scope is None:
        return context or None
    return with_values(context, {SCOPE_KEY: scope})


def _fields() -> list[str]:
    return sorted(propagate.get_global_textmap().fields)


def _fields_name_baggage() -> bool:
    return "baggage" in propagate.get_global_textmap().fields


def _own_scope(text: str) -> Scope | None:
    try:
        return _scope_of(_checked(json.loads(unquote(text))))
    except Exception as error:
        swallowed("calls.carrier_scope", error)
        return None


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """The values, where they are what we write: whoever starts a process may put anything there."""
    for session in values["sessions"]:
        session_id, start_ns, name, is_implicit, conversation = session
        parse_id("session id", session_id)
        if type(start_ns) is not int or type(is_implicit) is not bool:
            raise TypeError("start and kind of a session")
        for text in (name, conversation):
            _optional(text)
    for key in ("user", "conversation", "call", "run", "tool"):
        _optional(values[key])
    if any(part is not None for part in values["entity"]):
        parse_entity("entity", tuple(values["entity"]))
    parse_tags("tags", dict(values["tags"]))
    for name in values["path"]:
        parse_id("agent", name)
    return values


def _optional(text: object) -> None:
    if text is not None:
        parse_id("name", text)


_adopted: list[tuple[Context, Context]] = []
"""The Context that came from the environment, and the one that was current before it."""


def adopt_environment() -> None:
    """Go on where the parent process stands: its session, agent and span are in force from here on.

    Only where nothing is in force yet; what a child's own ``session()`` enters is inside it.
    """
    try:
        if _adopted:
            return
        before = otel_context.get_current()
        if current_scope(before) is not None:
            return
        context = from_environment_carrier(os.environ)
        if context is not None:
            entered = with_values(before, dict(context))
            _adopted.append((entered, before))
            otel_context.attach(entered)
    except Exception as error:
        swallowed("calls.adopt", error)


def disown_environment() -> None:
    """Leave what :func:`adopt_environment` entered, where it is still what is in force."""
    try:
        while _adopted:
            entered, before = _adopted.pop()
            if otel_context.get_current() is entered:
                otel_context.attach(before)
    except Exception as error:
        swallowed("calls.disown", error)
