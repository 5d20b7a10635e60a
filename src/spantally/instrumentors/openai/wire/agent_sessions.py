"""Sessions of agents that the provider runs: which model they ask, and what each of their turns used.

A turn tells the usage of the agent that ran it, by the event that ends it and where it is fetched. Its counts
are a best effort of the provider's and may change. The model stands in the session.
"""

from __future__ import annotations

from typing import Any, Final

from spantally.ground.records import Status
from spantally.instrumentors.stainless.agent_sessions import Answered, AskedModel
from spantally.instrumentors.stainless.wire.errors import error_code
from spantally.instrumentors.stainless.wire.fields import field, integer, number, plain_mapping, text

_SESSION: Final = "agent.session"
_TURN: Final = "agent.session.turn"
_ENDS: Final = frozenset(f"{_TURN}.{end}" for end in ("completed", "failed", "cancelled"))


def asked_model(thing: Any) -> AskedModel | None:
    """The model of a session, or of one that an event holds; None for anything else."""
    session = field(thing, "session")
    session = thing if session is None else session
    if text(field(session, "object")) != _SESSION:
        return None
    agent = field(session, "agent")
    identity, model = text(field(session, "id")), text(field(agent, "model"))
    if identity is None or model is None:
        return None
    tier = text(field(agent, "service_tier"))
    return AskedModel(identity, model, {} if tier in (None, "auto") else {"service_tier": tier})


def begun(event: Any) -> tuple[str, float] | None:
    """Nothing: a turn tells its times itself."""
    return None


def answered(thing: Any) -> Answered | None:
    """What a turn used, of the turn or of the event that ends it; None where that is not told (yet)."""
    turn = field(thing, "turn") if text(field(thing, "type")) in _ENDS else thing
    if text(field(turn, "object")) != _TURN:
        return None
    usage = plain_mapping(field(thing, "usage")) or plain_mapping(field(turn, "usage"))
    identity, said = text(field(turn, "id")), text(field(turn, "status"))
    if identity is None or usage is None or not (integer(usage.get("total_tokens")) or said == "completed"):
        return None
    if said not in ("completed", "failed", "cancelled"):
        return None  # it goes on
    failed = said == "failed"
    return Answered(
        identity,
        usage,
        # Which model a subagent asks is told nowhere here.
        owner=text(field(turn, "subagent_id")) or text(field(turn, "session_id")),
        began_s=number(field(turn, "started_at")) or number(field(turn, "created_at")),
        ended_s=number(field(turn, "completed_at")),
        error_type=(error_code(field(turn, "error")) or "_OTHER") if failed else None,
        status=Status.ERROR if failed else Status.CANCELLED if said == "cancelled" else Status.OK,
        estimated=True,
    )
