"""Answers that are made after their request has ended, and are asked for later.

A background response and a run of an assistant come back at once, without usage, and their work goes on. The
row of the call that began it stays open; the request that first sees the end completes it, so that the usage
counts once, in the session that spent it; the span of that request tells it, since that of the call is gone.
Where another process began it, the row of that request carries the usage itself, as a second view of the same
response id: a ledger that holds both counts one. So it is where a stream was left or lost before it told its
usage, or told none, and the response is fetched afterwards.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, TypeAlias

from spantally.calls.costing import cost_of
from spantally.calls.operation import Operation
from spantally.calls.pipeline import end_late_now
from spantally.calls.telemetry import SCOPE_NAME
from spantally.ground.records import Kind, Status
from spantally.instrumentors.openai.wire.endpoints import usage_format_of
from spantally.instrumentors.openai.wire.operation import Operation as WireOperation
from spantally.instrumentors.openai.wire.response import ResponseFacts

_Key: TypeAlias = tuple[str | None, str]

MAX_WAITING: Final = 2048
"""Calls whose end this process waits for; the oldest is left to the request that asks for it."""

MAX_TOLD: Final = 8192
"""Ids whose usage this process has seen."""

_waiting: Final[OrderedDict[_Key, Operation]] = OrderedDict()
_told: Final[OrderedDict[_Key, None]] = OrderedDict()
_missed: Final[OrderedDict[_Key, None]] = OrderedDict()
_lock: Final = threading.RLock()


def expect(operation: Operation) -> None:
    """Note a call that finished as running: whoever asks for its answer completes it."""
    if operation.response_id is None:
        return
    with _lock:
        _waiting[(operation.provider, operation.response_id)] = operation
        while len(_waiting) > MAX_WAITING:
            _waiting.popitem(last=False)


def tell(provider: str | None, response_id: str | None) -> None:
    """Note that the usage of an answer is known."""
    if response_id is None:
        return
    with _lock:
        _told[(provider, response_id)] = None
        while len(_told) > MAX_TOLD:
            _told.popitem(last=False)


def miss(provider: str | None, response_id: str | None) -> None:
    """Note that the row of an answer has ended without its usage: who reads the answer later is told it."""
    if response_id is None:
        return
    with _lock:
        _missed[(provider, response_id)] = None
        while len(_missed) > MAX_TOLD:
            _missed.popitem(last=False)


def learn(target: Operation, wire: WireOperation, facts: ResponseFacts) -> bool:
    """Take what a request tells of an answer that an earlier one began.

    Args:
        target: the operation of the request that asks.
        wire: what kind it is.
        facts: what it was told.

    Returns:
        True if its own row has to carry the usage, since no call of this process waits for it.
    """
    if facts.response_id is None or facts.goes_on:
        return False
    if facts.usage is not None and not facts.background:
        end_late_now()  # of a stream that was left a moment ago it is known by then what it told
    key = (target.provider, facts.response_id)
    with _lock:
        if not facts.background and (facts.usage is None or key not in _missed):
            return False
        _missed.pop(key, None)
        waiting = _waiting.pop(key, None)
        known = waiting is None and key in _told
        if facts.usage is None:
            miss(*key)  # an answer that was cancelled may tell it later
        elif not known:
            tell(*key)
    if waiting is not None:
        _complete(waiting, wire, facts)
        target.end_attributes.update(cost_of(waiting, later=True))  # by now no other span can tell it
        return False
    if known or facts.usage is None:
        return False
    target.kind = Kind.INFERENCE
    target.scope_name = f"{SCOPE_NAME}/{target.call_id}"
    return True


def _complete(waiting: Operation, wire: WireOperation, facts: ResponseFacts) -> None:
    waiting.response_model = facts.model or waiting.response_model
    waiting.usage = facts.usage
    waiting.usage_format = wire.usage_format if facts.usage is None else usage_format_of(wire, facts.usage)
    waiting.possibly_billed = waiting.possibly_billed or (facts.usage is None and not facts.refused)
    if waiting.price_context is not None:
        add_price_facts(waiting.price_context, facts)
    status = Status.OK
    if facts.status == "cancelled":
        status = Status.CANCELLED
    elif facts.error_type is not None:
        status = Status.ERROR
    waiting.settle(status, error_type=facts.error_type)


def add_price_facts(context: dict[str, object], facts: ResponseFacts) -> None:
    """Put what chooses the rate into a price context."""
    if facts.service_tier is not None:
        context["service_tier"] = facts.service_tier
    if facts.server_tools:
        context["server_tools"] = dict(facts.server_tools)


def forget() -> None:
    """Forget all of it (tests)."""
    with _lock:
        _waiting.clear()
        _told.clear()
        _missed.clear()
