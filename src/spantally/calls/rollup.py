"""What the calls beneath an agent used, for the agent's own span: each call adds its numbers when it ends.

A rollup hangs on the scope inside an agent whose span is recorded, and knows the one around it, so that it
reaches wherever the scope does: threads, tasks, nested agents. Agents whose span nobody records have none,
and calls outside any agent do nothing. A call that ends after its agent is not within the agent's span; the
ledger has it nevertheless.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from spantally.calls.pipeline import late
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import COUNTED_KINDS, Status

if TYPE_CHECKING:
    from spantally.calls.operation import Operation

_CACHE: Final = (semconv.USAGE_CACHE_READ_INPUT_TOKENS, semconv.USAGE_CACHE_WRITE_INPUT_TOKENS)
_COUNTS: Final = (semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS, *_CACHE)

_MOST_NAMES: Final = 2
"""Different models or providers that are remembered: of more than one, none is told."""


_FEW: Final = 8
"""Noted ends that are run at once while an agent's end waits for one of its own."""


_all: Final[weakref.WeakSet[Rollup]] = weakref.WeakSet()


class Rollup:
    """Sums of all calls beneath one agent invocation, nested agents included."""

    __slots__ = (
        "__weakref__",
        "_counts",
        "_late",
        "_lock",
        "_models",
        "_providers",
        "_reasons",
        "_unknown",
        "around",
    )

    def __init__(self, around: Rollup | None) -> None:
        self.around = around
        """Of the agent around, if there is one."""
        self._lock = threading.RLock()  # a signal handler may end calls while a call is being added
        _all.add(self)
        self._late: set[str] = set()
        self._counts: dict[str, int] = {}
        self._models: set[str] = set()
        self._providers: set[str] = set()
        self._reasons: tuple[str, ...] = ()
        self._unknown = 0

    def expect(self, operation: Operation) -> None:
        """A call has ended, and the worker will say what it used; may run in a finaliser."""
        if operation.kind in COUNTED_KINDS:
            rollup: Rollup | None = self
            while rollup is not None:
                rollup._late.add(operation.call_id)
                rollup = rollup.around

    def _add(self, operation: Operation, attributes: Mapping[str, Any], *, unknown: bool) -> None:
        with self._lock:
            self._late.discard(operation.call_id)
            counts = self._counts
            for key in _COUNTS:
                value = attributes.get(key)
                if value is not None:
                    counts[key] = counts.get(key, 0) + value
            if unknown:
                self._unknown += 1
            self._reasons = attributes.get(semconv.RESPONSE_FINISH_REASONS) or self._reasons
            for name, known in (
                (operation.request_model, self._models),
                (operation.provider, self._providers),
            ):
                if name is not None and len(known) < _MOST_NAMES:
                    known.add(name)

    def attributes(self, *, newest: bool) -> dict[str, Any]:
        """Attributes for the agent's span; what no call beneath told is left out.

        Args:
            newest: True for the newest conventions; before them an agent also had provider and cached tokens.
        """
        while self._late:
            batch = late.take(_FEW)
            if not batch:
                break  # the worker is at them
            late.run(batch)
        with self._lock:
            found: dict[str, Any] = dict(self._counts)
            if newest:
                for key in _CACHE:
                    found.pop(key, None)
            elif len(self._providers) == 1:
                found[semconv.PROVIDER_NAME] = next(iter(self._providers))
            if len(self._models) == 1:
                found[semconv.REQUEST_MODEL] = next(iter(self._models))
            if self._reasons:
                found[semconv.RESPONSE_FINISH_REASONS] = self._reasons
            unknown = self._unknown + len(self._late)
            if unknown:
                found[semconv.USAGE_UNKNOWN_CALLS] = unknown
            return found


def sums_for(rollup: Rollup, *, newest: bool) -> dict[str, Any]:
    """Attributes for an agent's span, as :meth:`Rollup.attributes`; none where telling them fails."""
    try:
        return rollup.attributes(newest=newest)
    except Exception as error:
        swallowed("calls.rollup_sums", error)
        return {}


def add_to_agents(operation: Operation, status: str) -> None:
    """Add a model call that has ended to every agent around it.

    A call that was refused used nothing; one that was answered or broken off without a usage is counted as
    unknown, so that the sums do not pass for the whole.

    Args:
        operation: the call.
        status: how it ended.
    """
    if operation.kind not in COUNTED_KINDS:
        return
    attributes = operation.end_attributes
    refused = status == Status.ERROR and not operation.possibly_billed
    unknown = operation.usage is None and not refused
    rollup: Rollup | None = operation.scope.rollup
    while rollup is not None:
        rollup._add(operation, attributes, unknown=unknown)
        rollup = rollup.around


def _after_fork_in_child() -> None:
    """A lock that another thread of the parent held at the fork would be held in the child for ever."""
    for rollup in tuple(_all):
        rollup._lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
