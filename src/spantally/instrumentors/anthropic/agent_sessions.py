"""What agents that the provider runs ask a model: a row for each answer that events of a session tell of.

The rows hang beneath the request that reads the events, and have no span: nobody here asked the model. The id
of a row is made from the event's, so that events that are read twice, streamed and listed, count once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

from spantally.calls.operation import Operation
from spantally.instrumentors.anthropic import batches as facts_of_answers
from spantally.instrumentors.anthropic.wire import agent_sessions as wire
from spantally.instrumentors.anthropic.wire.operation import MESSAGES
from spantally.instrumentors.anthropic.wire.response import ResponseFacts
from spantally.instrumentors.stainless import batches
from spantally.instrumentors.stainless.batches import BatchLine, line_key

MOST_KNOWN: Final = 10_000
"""Sessions and threads whose models are remembered."""

_MOST_BEGUN: Final = 1024
"""Requests to a model within one answer whose beginnings are remembered."""

_models: Final[OrderedDict[str, wire.AskedModel]] = OrderedDict()
_lock: Final = threading.Lock()


class Events:
    """What the events of one stream, or of one page, told so far.

    Attributes:
        begun: False: the request that reads them bills nothing by itself.
        error_type: None: that a session failed is no failure of who reads of it.
        refused: False.
    """

    __slots__ = ("_begun", "_operation", "_owner", "begun", "error_type", "refused")

    def __init__(self, operation: Operation, owner: str | None) -> None:
        """Make one for events that are about to be read.

        Args:
            operation: of the request that reads them.
            owner: id of the session or thread that they are of.
        """
        self._operation = operation
        self._owner = owner
        self._begun: dict[str, float] = {}
        self.begun = False
        self.error_type: str | None = None
        self.refused = False

    def observe(self, event: Any) -> None:
        """Look at one event, session or thread, an SDK object or JSON; it is neither changed nor kept."""
        began = wire.begun(event)
        if began is not None:
            if len(self._begun) < _MOST_BEGUN:
                self._begun[began[0]] = began[1]
            return
        told = wire.answered(event)
        if told is not None:
            self._count(told)
            return
        asked = wire.asked_model(event)
        if asked is not None:
            _remember(*asked)

    def _count(self, told: wire.Answered) -> None:
        asked = None if self._owner is None else _models.get(self._owner)
        facts = ResponseFacts(
            model=None if asked is None else asked.model,
            usage=told.usage,
            error_type="_OTHER" if told.failed else None,
        )
        context = {} if asked is None or asked.geography is None else {"geography": asked.geography}
        line = BatchLine(
            line_key(self._operation.provider or "", "agent_session", told.event_id),
            MESSAGES,
            facts,
            self._begun.pop(told.began_by or "", told.ended_s),
            told.ended_s,
            context,
        )
        batches.hand_over_line(self._operation, _FACTS, line)

    def facts(self) -> ResponseFacts:
        """Nothing of the reading request's own."""
        return ResponseFacts()


class _Facts:
    """Knows what chooses the rate of an answer."""

    def add_price_facts(self, context: dict[str, Any], facts: Any) -> None:
        """Put it into a price context."""
        facts_of_answers.add_price_facts(context, facts)


_FACTS: Final = _Facts()


def read(operation: Operation, owner: str | None, body: Any) -> None:
    """Read a whole answer: a session, a thread, or a page of them or of events."""
    events = Events(operation, owner)
    for one in wire.listed(body):
        events.observe(one)


def _remember(identity: str, asked: wire.AskedModel) -> None:
    with _lock:
        _models[identity] = asked
        _models.move_to_end(identity)
        if len(_models) > MOST_KNOWN:
            _models.popitem(last=False)


def forget() -> None:
    """Forget which models sessions ask (tests)."""
    with _lock:
        _models.clear()
