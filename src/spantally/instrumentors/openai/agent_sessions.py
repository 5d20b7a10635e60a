"""Sessions of agents that OpenAI runs, for the rows that their turns become."""

from __future__ import annotations

from typing import Any, Final

from spantally.calls.operation import Operation
from spantally.instrumentors.openai.background import add_price_facts
from spantally.instrumentors.openai.wire import agent_sessions as wire
from spantally.instrumentors.openai.wire.operation import AGENT_TURN
from spantally.instrumentors.openai.wire.response import ResponseFacts
from spantally.instrumentors.stainless import agent_sessions
from spantally.instrumentors.stainless.agent_sessions import Answered, Events


class _Sessions:
    """What they look like."""

    operation = AGENT_TURN
    asked_model = staticmethod(wire.asked_model)
    begun = staticmethod(wire.begun)
    answered = staticmethod(wire.answered)
    add_price_facts = staticmethod(add_price_facts)

    def facts(self, model: str | None = None, told: Answered | None = None) -> ResponseFacts:
        """The facts of a turn, or none at all."""
        if told is None:
            return ResponseFacts()
        return ResponseFacts(model=model, usage=told.usage, error_type=told.error_type)


_SESSIONS: Final = _Sessions()


def events(operation: Operation) -> Events:
    """What reads the events of a stream."""
    return Events(operation, _SESSIONS)


def read(operation: Operation, body: Any) -> None:
    """Read a whole answer."""
    agent_sessions.read(operation, _SESSIONS, body)
