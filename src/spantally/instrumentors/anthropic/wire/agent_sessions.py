"""Sessions of agents that the provider runs: which model they ask, and what each of its answers used.

An event that ends a request to the model tells its usage and not its model. That stands in the session or,
of another agent, in its thread. The events of a session itself are those of its first thread.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from spantally.ground.records import Status
from spantally.instrumentors.stainless.agent_sessions import Answered, AskedModel
from spantally.instrumentors.stainless.wire.fields import field, integer, plain_mapping, text

_PLACE: Final = re.compile(r"/(?:sessions|threads)/([^/?#]+)(?:/events)?(?:/stream)?(?:[?#]|$)")

_OWNERS: Final = frozenset({"session", "session_thread"})
_BEGINS: Final = "span.model_request_start"
_ENDS: Final = "span.model_request_end"


def owner_of(url: str) -> str | None:
    """The session or thread whose events a request is about."""
    found = _PLACE.search(url)
    return None if found is None else found.group(1)


def asked_model(thing: Any) -> AskedModel | None:
    """The model of a session or thread; None for anything else."""
    if text(field(thing, "type")) not in _OWNERS:
        return None
    identity, model = text(field(thing, "id")), field(field(thing, "agent"), "model")
    name = text(model) or text(field(model, "id"))
    if identity is None or name is None:
        return None
    geography = text(field(model, "inference_geo"))
    return AskedModel(identity, name, {} if geography is None else {"geography": geography})


def begun(event: Any) -> tuple[str, float] | None:
    """Id and moment of an event that begins a request to a model."""
    if text(field(event, "type")) != _BEGINS:
        return None
    identity, moment = text(field(event, "id")), _seconds(field(event, "processed_at"))
    return None if identity is None or moment is None else (identity, moment)


def answered(event: Any) -> Answered | None:
    """What an event tells that ends a request to a model; None for one that used nothing, and any other."""
    if text(field(event, "type")) != _ENDS:
        return None
    identity, usage = text(field(event, "id")), plain_mapping(field(event, "model_usage"))
    if identity is None or usage is None or not any(integer(value) for value in usage.values()):
        return None
    failed = field(event, "is_error") is True
    return Answered(
        identity,
        usage,
        began_by=text(field(event, "model_request_start_id")),
        ended_s=_seconds(field(event, "processed_at")),
        error_type="_OTHER" if failed else None,
        status=Status.ERROR if failed else Status.OK,
    )


def _seconds(value: Any) -> float | None:
    """A moment in UNIX seconds: the SDK's own, or a text of the wire."""
    if type(value) is str:
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if type(value) is not datetime:
        return None
    return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
