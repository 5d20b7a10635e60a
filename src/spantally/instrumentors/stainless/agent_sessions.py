"""What agents that a provider runs ask a model: a row for each answer that the events of a session tell of.

The rows hang beneath the request that reads the events, and have no span: nobody here asked the model. The id
of a row is made from the event's, so that events that are read twice, streamed and listed, count once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from spantally.calls.operation import Operation
from spantally.ground.records import Status
from spantally.instrumentors.stainless import batches
from spantally.instrumentors.stainless.batches import BatchLine, line_key
from spantally.instrumentors.stainless.wire.fields import field, items

MOST_KNOWN: Final = 10_000
"""Sessions and threads whose models are remembered."""

_MOST_BEGUN: Final = 1024
"""Requests to a model within one answer whose beginnings are remembered."""


class AskedModel(NamedTuple):
    """What the agent of a session, or of a thread of it, asks."""

    owner: str
    """Id of the session or thread."""
    model: str
    context: Mapping[str, Any]
    """What else chooses the rate."""


class Answered(NamedTuple):
    """What a model answered an agent, in one request or in one turn of it."""

    key: str
    """Id of the event or turn."""
    usage: dict[str, Any]
    owner: str | None = None
    """Id of the session or thread, where it is told beside it."""
    began_by: str | None = None
    """Id of the event that began it."""
    began_s: float | None = None
    ended_s: float | None = None
    error_type: str | None = None
    status: Status = Status.OK
    estimated: bool = False
    """True where the provider says of its own counts that they are no more than an estimate."""


class Sdk(Protocol):
    """What one SDK's sessions look like."""

    @property
    def operation(self) -> Any:
        """What kind of operation an answer is, by the SDK's own table."""

    def asked_model(self, thing: Any) -> AskedModel | None:
        """What a session or thread, or an event that holds one, says of its model."""

    def begun(self, event: Any) -> tuple[str, float] | None:
        """Id and moment of an event that begins a request to a model."""

    def answered(self, event: Any) -> Answered | None:
        """What was used, of an event or thing that tells it."""

    def facts(self, model: str | None = None, told: Answered | None = None) -> Any:
        """The facts of an answer, or none at all."""

    def add_price_facts(self, context: dict[str, Any], facts: Any) -> None:
        """Put what chooses the rate into a price context."""


_models: Final[OrderedDict[str, AskedModel]] = OrderedDict()
_lock: Final = threading.Lock()


class Events:
    """What the events of one stream, or of one page, told so far.

    Attributes:
        begun: False: the request that reads them bills nothing by itself.
        error_type: None: that a session failed is no failure of who reads of it.
        refused: False.
    """

    __slots__ = ("_begun", "_operation", "_owner", "_sdk", "begun", "error_type", "refused")

    def __init__(self, operation: Operation, sdk: Sdk, owner: str | None = None) -> None:
        """Make one for events that are about to be read.

        Args:
            operation: of the request that reads them.
            sdk: whose they are.
            owner: id of the session or thread that they are of, where they do not say it themselves.
        """
        self._operation = operation
        self._sdk = sdk
        self._owner = owner
        self._begun: dict[str, float] = {}
        self.begun = False
        self.error_type: str | None = None
        self.refused = False

    def observe(self, event: Any) -> None:
        """Look at one event, session or thread, an SDK object or JSON; it is neither changed nor kept."""
        began = self._sdk.begun(event)
        if began is not None:
            if len(self._begun) < _MOST_BEGUN:
                self._begun[began[0]] = began[1]
            return
        asked = self._sdk.asked_model(event)
        if asked is not None:
            _remember(asked)
        told = self._sdk.answered(event)
        if told is not None:
            self._count(told)

    def _count(self, told: Answered) -> None:
        asked = _models.get(told.owner or self._owner or "")
        began_s = told.began_s
        if began_s is None:
            began_s = self._begun.pop(told.began_by or "", told.ended_s)
        line = BatchLine(
            line_key(self._operation.provider or "", "agent_session", told.key),
            self._sdk.operation,
            self._sdk.facts(None if asked is None else asked.model, told),
            began_s,
            told.ended_s,
            {} if asked is None else asked.context,
            told.status,
            told.estimated,
        )
        batches.hand_over_line(self._operation, self._sdk, line)

    def facts(self) -> Any:
        """Nothing of the reading request's own."""
        return self._sdk.facts()


def read(operation: Operation, sdk: Sdk, body: Any, owner: str | None = None) -> None:
    """Read a whole answer: a session, a thread, or a page of them or of events."""
    events = Events(operation, sdk, owner)
    for one in items(field(body, "data")) or (() if body is None else (body,)):
        events.observe(one)


def _remember(asked: AskedModel) -> None:
    with _lock:
        _models[asked.owner] = asked
        _models.move_to_end(asked.owner)
        if len(_models) > MOST_KNOWN:
            _models.popitem(last=False)


def forget() -> None:
    """Forget which models sessions ask (tests)."""
    with _lock:
        _models.clear()
