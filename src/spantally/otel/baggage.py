"""The wire form of a scope: W3C baggage, written when a scope is entered and read where none is in force.

Values stand in the Context as plain text: the propagator percent-encodes key and value itself (a second
encoding would reach the other side as it is). Inbound baggage is whatever somebody sent: it is bounded, each
entry is checked by the parser of its setting, and a bad entry is dropped while the rest counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote_plus

from opentelemetry.context import Context

from spantally.ground import semconv
from spantally.ground.errors import SettingsError
from spantally.ground.guard import say_once
from spantally.ground.scope import BAGGAGE_KEY, Scope, with_values
from spantally.ground.session_state import SessionState, remember_session
from spantally.ground.setting_values import MAX_BAGGAGE_BYTES, parse_entity, parse_id, parse_tags

MAX_MEMBERS: Final = 64
"""Members that W3C Baggage promises to carry, and the most we read."""

_NOTHING: Final[Mapping[str, object]] = {}

_T = TypeVar("_T")


def baggage_of(scope: Scope) -> dict[str, str]:
    """The baggage entries of a scope, ids first, within the limits of W3C Baggage.

    Tags that do not fit are left out and named in one log line.
    """
    entries = {semconv.SESSION_ID: scope.session.session_id}
    if scope.conversation_id is not None:
        entries[semconv.CONVERSATION_ID] = scope.conversation_id
    if scope.user_id is not None:
        entries[semconv.USER_ID] = scope.user_id
    if scope.entity_type is not None and scope.entity_id is not None:
        entries[semconv.ENTITY_TYPE] = scope.entity_type
        entries[semconv.ENTITY_ID] = scope.entity_id
    if not scope.tags:
        return entries
    size = sum(_wire_size(key, value) for key, value in entries.items())
    for key, value in scope.tags:
        name = semconv.TAG_PREFIX + key
        size += _wire_size(name, value)
        if len(entries) >= MAX_MEMBERS or size > MAX_BAGGAGE_BYTES:
            say_once("baggage:full", "spantally: tag %r and those after it do not fit into baggage", key)
            break
        entries[name] = value
    return entries


def _fitting(rest: Mapping[str, object], own: dict[str, str]) -> dict[str, str]:
    """The entries of ours that fit into one header beside those of the program, or of a stranger."""
    size = sum(_wire_size(str(key), str(value)) for key, value in rest.items())
    room = MAX_MEMBERS - len(rest)
    found: dict[str, str] = {}
    for key, value in own.items():
        size += _wire_size(key, value)
        if len(found) >= room or size > MAX_BAGGAGE_BYTES:
            _dropped_outbound(key)
            break
        found[key] = value
    return found


def _dropped_outbound(key: str) -> None:
    kind = semconv.TAG_PREFIX + "*" if key.startswith(semconv.TAG_PREFIX) else key
    say_once("baggage:shared", "spantally: other baggage leaves no room for %s and what follows", kind)


def _wire_size(key: str, value: str) -> int:
    return len(quote_plus(key)) + len(quote_plus(value)) + 2


def _carried(context: Context) -> Mapping[str, object]:
    carried = context.get(BAGGAGE_KEY)
    return carried if isinstance(carried, Mapping) else _NOTHING


def with_baggage(context: Context, scope: Scope) -> Context:
    """``context`` with the entries of ``scope`` in place of any earlier ones of ours, in one rebuild.

    The program's own entries come first and are never left out: they may be a stranger's, and so must not
    make a session impossible. Where both do not fit into one header, the last of ours stay behind.
    """
    rest = {key: value for key, value in _carried(context).items() if not semconv.is_own_baggage(key)}
    rest.update(_fitting(rest, baggage_of(scope)) if rest else baggage_of(scope))
    return with_values(context, {BAGGAGE_KEY: rest})


def without_own_baggage(context: Context) -> Context:
    """``context`` without entries of ours, in one rebuild; the very same object where there are none."""
    carried = _carried(context)
    if not any(semconv.is_own_baggage(key) for key in carried):
        return context
    rest = {key: value for key, value in carried.items() if not semconv.is_own_baggage(key)}
    return with_values(context, {BAGGAGE_KEY: rest or None})


def named_in_baggage(context: Context) -> object:
    """The id of the session that the Context's baggage names, unchecked, or None."""
    return _carried(context).get(semconv.SESSION_ID)


def scope_from_baggage(context: Context) -> Scope | None:
    """The scope that inbound baggage names, or None where it names no session.

    At most 64 entries and 8192 bytes are looked at. The session is implicit: no ``session()`` of this
    process made it. Entering the same id twice gives the same session.
    """
    carried = _carried(context)
    if semconv.SESSION_ID not in carried and semconv.CONVERSATION_ID not in carried:
        return None
    own = _own_entries(carried)
    conversation_id = _checked(own, semconv.CONVERSATION_ID, parse_id)
    session_id = _checked(own, semconv.SESSION_ID, parse_id) or conversation_id
    if session_id is None:
        return None
    user_id = _checked(own, semconv.USER_ID, parse_id)
    entity = _entity(own)
    state = remember_session(
        SessionState(session_id, start_ns=time.time_ns(), implicit=True, conversation_id=conversation_id)
    )
    return Scope(
        state,
        user_id=user_id,
        entity_type=entity[0],
        entity_id=entity[1],
        tags=_tags(own),
        conversation_id=conversation_id,
    )


def _own_entries(carried: Mapping[str, object]) -> dict[str, object]:
    """Entries of ours within the limits, counted over the whole baggage as the header would be."""
    own: dict[str, object] = {}
    size = 0
    for count, (key, value) in enumerate(carried.items()):
        size += len(key) + (len(value) if isinstance(value, str) else 0) + 2
        if count >= MAX_MEMBERS or size > MAX_BAGGAGE_BYTES:
            say_once("baggage:limits", "spantally: inbound baggage is larger than 64 entries or 8192 bytes")
            break
        if semconv.is_own_baggage(key):
            own[key] = value
    return own


def _checked(own: Mapping[str, object], key: str, parse: Callable[[str, object], _T]) -> _T | None:
    value = own.get(key)
    if value is None:
        return None
    try:
        return parse(key, value)
    except SettingsError:
        _dropped(key)
        return None


def _dropped(key: str) -> None:
    """Name the kind of entry only: what a stranger sent does not go into the log."""
    kind = semconv.TAG_PREFIX + "*" if key.startswith(semconv.TAG_PREFIX) else key
    say_once(f"baggage:bad:{kind}", "spantally: an invalid %s in inbound baggage was ignored", kind)


def _entity(own: Mapping[str, object]) -> tuple[str, str] | tuple[None, None]:
    kind, ident = own.get(semconv.ENTITY_TYPE), own.get(semconv.ENTITY_ID)
    if kind is None and ident is None:
        return None, None
    try:
        return parse_entity(semconv.ENTITY_TYPE, (kind, ident))
    except SettingsError:
        _dropped(semconv.ENTITY_TYPE)
        return None, None


def _tags(own: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    found: dict[str, Any] = {}
    for key, value in own.items():
        if not key.startswith(semconv.TAG_PREFIX):
            continue
        name = key[len(semconv.TAG_PREFIX) :]
        try:
            parse_tags(key, {name: value})
        except SettingsError:
            _dropped(key)
            continue
        found[name] = value
    while found:
        try:
            return parse_tags(semconv.TAG_PREFIX, found)
        except SettingsError:  # each is allowed, all together are too many
            found.popitem()
            _dropped(semconv.TAG_PREFIX)
    return ()
