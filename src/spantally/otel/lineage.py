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
    """Whose a span is and what stands around it. ``inner_*`` is what its children inherit.

    Most of it is as the class says for most spans, and a span of ours in which nothing else begins is never
    asked for what is around it: what is not written costs nothing, so defaults stand on the class.
    """

    scope: Scope | None
    parent_call_id: str | None
    agent_path: tuple[str, ...]
    run_id: str | None
    tool: str | None
    inner_call_id: str | None
    inner_path: tuple[str, ...]
    inner_run: str | None
    inner_tool: str | None

    call_id: str | None = None
    genai = False
    own = False
    """True for the span that an operation of ours records."""
    kind: str | None = None
    """What kind of operation it is, where it says so at its start."""
    late = False
    """True where it says that once it has begun: who wants to know looks at its attributes."""
    peer = False
    """True for a span of an instrumentor that we know: of whatever kind, it is of the call beneath it."""
    view: View | None = None
    beside = False
    """True for a span that was open, and not current, when the operation that it shows began."""
    shown: Operation | None = None
    """That operation."""
    twin: SpanState | None = None
    """The span of a third party for the same call: of the two, the first began and stayed beside it."""
    told_of: frozenset[str] | None = None
    """The models whose usage a tally has read from it; None before, empty where it told none."""
    local_root = False
    place: Any = None
    """Where the span stands, for the export filter; None where there is none."""
    paused = False
    tallied: tuple[object, ...] = ()
    """Which tallies have the call: one for each ledger, however many processors there are."""
    has_children = False
    """True once a span of this process has begun beneath this one."""

    def __init__(self, scope: Scope | None, parent: SpanState | None) -> None:
        self.scope = scope
        if parent is None and scope is not None:
            around: _Around = (scope.call_id, scope.agent_path, scope.run_id, scope.tool)
        else:
            around = _around(scope, parent)
        self.parent_call_id, self.agent_path, self.run_id, self.tool = around
        self.inner_call_id, self.inner_path, self.inner_run, self.inner_tool = around

    @classmethod
    def of_own(cls, operation: Operation, parent: SpanState | None, *, local_root: bool) -> SpanState:
        """The state of a span of a running operation of ours, which knows all of it."""
        if parent is None and operation.name is None:
            made = cls.__new__(cls)  # what is around it follows from its scope, should anybody ask
            made.scope = operation.scope
        else:
            made = cls(operation.scope, parent)
        made.genai = made.own = True
        if local_root:
            made.local_root = True
        made.call_id = made.inner_call_id = operation.call_id
        if operation.name is not None:
            if operation.kind == Kind.AGENT:
                made.inner_path = (*made.agent_path, operation.name)
                made.inner_run = made.run_id or made.call_id
            elif operation.kind == Kind.TOOL:
                made.inner_tool = operation.name or made.tool
        return made

    def __getattr__(self, name: str) -> Any:
        """What is around a span of ours, worked out when somebody asks for it for the first time."""
        around = _AROUND.get(name)
        if around is None:
            raise AttributeError(name)
        value = getattr(self.scope, around)
        setattr(self, name, value)
        return value

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


_AROUND: Final = {
    "parent_call_id": "call_id",
    "agent_path": "agent_path",
    "run_id": "run_id",
    "tool": "tool",
    "inner_path": "agent_path",
    "inner_run": "run_id",
    "inner_tool": "tool",
}
"""What is around a span with no state of another above it, and the attribute of its scope that tells it."""

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
