"""How many model and tool calls each agent invocation made, counted from the records of ended calls.

A call counts for the innermost agent around it, so that the agents of a run add up to its calls. The models
asked are those of all calls beneath, as the agent's span has them. Records come in the order in which the
calls ended: what runs inside something ends before it, and hands its count on.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from spantally.ground.records import COUNTED_KINDS, CallRecord, Kind, Status

INFERENCES: Final = frozenset({"chat", "text_completion", "generate_content"})
"""Operations that ask a model."""

MOST_WAITING: Final = 4096
"""Calls whose enclosing call has not ended; of more the oldest is forgotten."""

MOST_MODELS: Final = 2
"""Different models that are remembered: of more than one, none is told."""


class Calls(NamedTuple):
    """What one agent invocation called, other agents' calls left out."""

    inferences: int = 0
    tools: int = 0
    models: frozenset[str] = frozenset()
    """That all calls beneath asked, other agents' too."""

    @property
    def model(self) -> str | None:
        """The one that was asked, if it was only one."""
        return next(iter(self.models)) if len(self.models) == 1 else None


class AgentCalls:
    """Counts while records pass; for one thread, the worker."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Calls] = OrderedDict()
        self._begun: OrderedDict[str, None] = OrderedDict()

    def note(self, record: CallRecord) -> Calls | None:
        """Take a record; an agent's gives what it called.

        Args:
            record: of a call that has ended, or whose answer is made after its request ended.
        """
        within = self._waiting.pop(record.call_id, None)
        if record.status == Status.RUNNING:
            self._keep(self._begun, record.call_id, None)
        elif record.call_id in self._begun:
            del self._begun[record.call_id]
            return None  # counted when its request ended
        if record.kind == Kind.AGENT:
            called = within or Calls()
            self._hand_on(record.parent_call_id, Calls(models=called.models))
            return called
        if record.parent_call_id is None:
            return None  # nobody to hand on to
        one = Calls(
            int(record.kind == Kind.INFERENCE and record.operation in INFERENCES),
            int(record.kind == Kind.TOOL),
            frozenset((record.request_model,))
            if record.kind in COUNTED_KINDS and record.request_model is not None
            else frozenset(),
        )
        self._hand_on(record.parent_call_id, one if within is None else _sum(one, within))
        return None

    def _hand_on(self, around: str | None, calls: Calls) -> None:
        if around is not None and any(calls):
            known = self._waiting.get(around)
            self._keep(self._waiting, around, calls if known is None else _sum(known, calls))

    @staticmethod
    def _keep(kept: OrderedDict[str, Calls] | OrderedDict[str, None], key: str, value: Calls | None) -> None:
        kept[key] = value  # type: ignore[assignment]
        if len(kept) > MOST_WAITING:
            kept.popitem(last=False)


def _sum(one: Calls, other: Calls) -> Calls:
    models = one.models
    if other.models and len(models) < MOST_MODELS:
        models |= other.models
    return Calls(one.inferences + other.inferences, one.tools + other.tools, models)
