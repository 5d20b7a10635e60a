"""One call, two instrumentors: an operation of ours joined to the span that another one makes for it.

The other one wraps the SDK as we do, most often around us: its span is current when the operation begins.
Some begin it beside us and never make it current, some only once the request has returned. Either way its
span stays the only one (or, where the setting says so, ours stands beside it), the operation is metered by
us, and the span carries the operation's call id, so that nobody counts it again.

What a span is can only be told by the room that reads spans; it registers itself in :data:`readers`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry.trace import Span

from spantally.calls import pipeline
from spantally.calls.own_spans import safe_of
from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord, LateRecord, made

if TYPE_CHECKING:
    from spantally.calls.operation import Operation


class Join(Enum):
    """Where an instrumentor of ours may find the span of another one."""

    NOWHERE = 0
    """Nobody else makes spans of such operations."""
    AROUND = 1
    """The current span may be of this very call."""
    AFTERWARDS = 2
    """Another instrumentor is around that begins its span when the call has returned."""
    WITHIN = 3
    """The SDK begins its own span beneath the operation; one of this very call that is around comes first."""


NOWHERE, AROUND, AFTERWARDS, WITHIN = Join.NOWHERE, Join.AROUND, Join.AFTERWARDS, Join.WITHIN
# Names of the module: through the class they cost more than all else that is done when nobody is there.


class Reader(Protocol):
    """What tells and marks spans of other instrumentors."""

    def shows(self, span: Any, kind: str) -> bool:
        """True if the span was made for an operation of that kind which is now beginning."""

    def stands_beside(self, span: Any, current: Any, kind: str) -> bool:
        """True if a span that is not current was begun, where the operation begins, for one of that kind."""

    def mark(self, span: Any, operation: Operation, *, beside: bool) -> None:
        """Note on the span whose view it is; ``beside`` where a span of ours stands, too."""


readers: Final[list[Reader]] = []

awaiting: Final[ContextVar[Operation | None]] = ContextVar("spantally-awaits-a-span", default=None)
"""The operation whose span another instrumentor begins when the call has returned."""


detached: Final[ContextVar[Any]] = ContextVar("spantally-began-beside", default=None)
"""A weak reference to the model span of somebody else that began last here: it may never become current."""


class Joined:
    """The span of another instrumentor that stands for an operation, in the place of one of ours."""

    __slots__ = ("span", "within")

    def __init__(self, span: Span | None, *, within: bool = False) -> None:
        self.span = span
        """None until it has begun."""
        self.within = within
        """True where it is the SDK's own, which begins beneath the operation."""

    def complete(self, operation: Operation, attributes: Mapping[str, Any]) -> None:
        """Put attributes onto the span that it does not have itself, as long as it is open.

        Args:
            operation: that it stands for.
            attributes: raw; they are redacted here.
        """
        span = self.span
        if span is None or not span.is_recording():
            return
        known = getattr(span, "attributes", None) or {}
        missing = {name: value for name, value in attributes.items() if name not in known}
        if missing:
            telemetry = operation.telemetry
            span.set_attributes(safe_of(telemetry.redactor, telemetry.renames, missing))

    def ids(self) -> tuple[str | None, str | None, str | None]:
        """Hex ids of trace, span and parent span."""
        if self.span is None:
            return None, None, None
        own = self.span.get_span_context()
        parent = getattr(self.span, "parent", None)
        return (
            f"{own.trace_id:032x}",
            f"{own.span_id:016x}",
            None if parent is None else f"{parent.span_id:016x}",
        )

    def emit(self, record: CallRecord | LateRecord) -> None:
        """Hand over the operation's record; where the span has not begun, from the worker a little later."""
        if self.span is None:
            pipeline.late.put(functools.partial(self._emit_late, record))
        else:
            pipeline.emit(record)

    def _emit_late(self, item: CallRecord | LateRecord) -> None:
        record = made(item)
        if self.span is not None:
            trace_id, span_id, parent_span_id = self.ids()
            record = record._replace(trace_id=trace_id, span_id=span_id, parent_span_id=parent_span_id)
        pipeline.emit(record)


def join(operation: Operation, current: Any, where: Join) -> Joined | None:
    """Look for the span of another instrumentor, at the beginning of an operation.

    Args:
        operation: of ours, that begins.
        current: the current span, or None.
        where: what the instrumentor knows.

    Returns:
        What may stand for the operation; None where there is nothing.
    """
    try:
        if where is AFTERWARDS:
            awaiting.set(operation)
            return Joined(None)
        if current is not None:
            for reader in readers:
                if reader.shows(current, operation.kind):
                    reader.mark(current, operation, beside=operation.telemetry.coexist == "own")
                    return Joined(current)
        if detached.get() is not None:
            found = _beside(operation, current)
            if found is not None:
                return found
        if where is WITHIN:
            return Joined(None, within=True)
    except Exception as error:
        swallowed("calls.join", error)
    return None


def _beside(operation: Operation, current: Any) -> Joined | None:
    """A span that was begun for the operation, and not made current."""
    span = detached.get()()
    if span is not None:
        for reader in readers:
            if reader.stands_beside(span, current, operation.kind):
                reader.mark(span, operation, beside=operation.telemetry.coexist == "own")
                return Joined(span)
    return None


def take_awaiting(began_ns: int) -> Operation | None:
    """The operation that a span shows which begins now and says that it began before the call.

    Args:
        began_ns: start time of the span.
    """
    operation = awaiting.get()
    if operation is None or began_ns > operation.start_ns:
        return None
    awaiting.set(None)
    return operation
