"""What a span inherits from the spans around it in this process.

A state hangs on the SDK's span object itself: it costs no table and no lock, and dies with the span. It gives
foreign calls their parent, agent path, run and tool without waiting for the ledger to walk parent spans.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from spantally.calls.operation import Operation
from spantally.ground import ids, semconv
from spantally.ground.records import Kind
from spantally.ground.scope import Scope
from spantally.otel.dialects import Facts

STATE: Final = "_spantally_state"
"""Name under which the state hangs on a span."""


class View(Enum):
    """What a span of another instrumentor is to a call that ours meters."""

    INSTEAD = "instead"
    """It stands for the call: we made none."""
    BESIDE = "beside"
    """A further view of it."""


class SpanState:
    """Whose a span is and what stands around it. ``inner_*`` is what its children inherit."""

    __slots__ = (
        "agent_path",
        "beside",
        "call_id",
        "genai",
        "has_children",
        "inner_call_id",
        "inner_path",
        "inner_run",
        "inner_tool",
        "kind",
        "local_root",
        "parent_call_id",
        "paused",
        "peer",
        "place",
        "run_id",
        "scope",
        "shown",
        "tallied",
        "told_of",
        "tool",
        "twin",
        "view",
    )

    def __init__(self, scope: Scope | None, parent: SpanState | None) -> None:
        self.scope = scope
        self.genai = False
        self.kind: str | None = None
        """What kind of operation it is, where it says so at its start."""
        self.peer = False
        """True for a span of an instrumentor that we know: of whatever kind, it is of the call beneath it."""
        self.view: View | None = None
        self.beside = False
        """True for a span that was open, and not current, when the operation that it shows began."""
        self.shown: Operation | None = None
        """That operation."""
        self.twin: SpanState | None = None
        """The span of a third party for the same call: of the two, the first began and stayed beside it."""
        self.told_of: frozenset[str] | None = None
        """The models whose usage a tally has read from it; None before, empty where it told none."""
        self.local_root = False
        self.place: Any = None
        """Where the span stands, for the export filter; None where there is none."""
        self.paused = False
        self.tallied: tuple[object, ...] = ()
        """Which tallies have the call: one for each ledger, however many processors there are."""
        self.has_children = False
        """True once a span of this process has begun beneath this one."""
        self.call_id: str | None = None
        if parent is None and scope is not None:
            around: _Around = (scope.call_id, scope.agent_path, scope.run_id, scope.tool)
        else:
            around = _around(scope, parent)
        self.parent_call_id, self.agent_path, self.run_id, self.tool = around
        self.inner_call_id, self.inner_path, self.inner_run, self.inner_tool = around

    @classmethod
    def of_own(cls, operation: Operation, parent: SpanState | None, *, local_root: bool) -> SpanState:
        """The state of a span of a running operation of ours, which knows all of it."""
        made = cls(operation.scope, parent)
        made.genai = True
        made.local_root = local_root
        made.call_id = made.inner_call_id = operation.call_id
        if operation.name is not None:
            if operation.kind == Kind.AGENT:
                made.inner_path = (*made.agent_path, operation.name)
                made.inner_run = made.run_id or made.call_id
            elif operation.kind == Kind.TOOL:
                made.inner_tool = operation.name or made.tool
        return made

    def show(self, call_id: str, view: View) -> None:
        """Note that the span shows a call that our instrumentor meters."""
        self.call_id = self.inner_call_id = call_id
        self.view = view

    def become(self, facts: Facts, span: Any, call_id: str | None) -> None:
        """Note that the span is a GenAI operation, so that what begins inside hangs beneath it.

        Args:
            facts: what its attributes say so far.
            span: the span.
            call_id: ``spantally.call.id`` of a span of ours.
        """
        self.genai = True
        self.kind = facts.kind
        self.call_id = self.inner_call_id = call_id or span_call_id(span)
        if facts.kind == Kind.AGENT:
            if facts.name:
                self.inner_path = (*self.agent_path, facts.name)
            self.inner_run = self.run_id or self.call_id
        elif facts.kind == Kind.TOOL:
            self.inner_tool = facts.name or self.tool


_Around = tuple[str | None, tuple[str, ...], str | None, str | None]


def _around(scope: Scope | None, parent: SpanState | None) -> _Around:
    """Call id, agent path, run and tool around: of the parent span, or of the scope where that is newer."""
    if parent is not None:
        known = None if parent.scope is None else parent.scope.call_id
        if scope is None or known == scope.call_id:
            return parent.inner_call_id, parent.inner_path, parent.inner_run, parent.inner_tool
    if scope is not None:
        return scope.call_id, scope.agent_path, scope.run_id, scope.tool
    return None, (), None, None


def span_call_id(span: Any) -> str:
    """The call id that follows from a span's trace id and span id."""
    context = span.get_span_context()
    return ids.foreign_call_id(f"{context.trace_id:032x}", f"{context.span_id:016x}")


def own_call_id(attributes: Any) -> str | None:
    """``spantally.call.id`` of a span that one of our instrumentors made."""
    value = attributes.get(semconv.CALL_ID)
    return value if isinstance(value, str) and value else None
