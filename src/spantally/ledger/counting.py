"""Count once: which rows are hidden behind another, and which of the visible ones count.

The rules, each a pure function of the *set* of rows, so that order of arrival cannot matter:

1. A foreign row is hidden where an own row has the same trace and span id. A tool row inferred from
   messages is hidden where a real one of the same session and tool call id exists. A started mark hides
   nothing.
2. Eligible is a visible row of a kind that costs, and no started mark. Eligible rows of one (provider,
   response id) from *different* instrumentation scopes are views of one operation: the first of each scope
   belong together, the second of each, and so on. Rows of the same scope are different operations (servers
   on this machine use their ids again), with two exceptions. A response that somebody else's instrumentor
   saw being fetched again (polling) is one. And so is a call that passed a gateway of one's own, seen
   before it and behind it: by different processes, at different addresses, the inner within the time of
   the outer (:func:`passes_on`).
3. An eligible row with an eligible descendant of another operation is covered: its usage is theirs. A call
   that merely stands in the same span of somebody else's is no descendant (:func:`is_beside`).
4. Of each operation the best view that is not covered counts: known usage first; behind a gateway rather than
   before it; then precedence, and what chooses the rate (:attr:`Node.detail`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, Protocol, TypeAlias

from spantally.ground.ids import foreign_call_id, process_of
from spantally.ground.records import COUNTED_KINDS, Kind, Precedence

ResponseKey: TypeAlias = tuple[str, str]
SpanKey: TypeAlias = tuple[str, str]
ToolKey: TypeAlias = tuple[str, str]

COMMON_RESPONSE: Final = 64
"""A response id that more rows than this carry identifies nothing (servers that always say the same)."""


CLOCK_SKEW_NS: Final = 5_000_000_000
"""How far the clocks of two machines may be apart for a call to be seen as one at both."""

UNIQUE: Final = 22
"""A response id of so many letters and digits is made by nobody twice."""

STORED: Final = "resp_"
"""Beginning of the ids of responses that can be fetched again."""


class Node(NamedTuple):
    """What counting needs to know of a row."""

    call_id: str
    kind: str
    precedence: int
    session_id: str
    parent_call_id: str | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    provider: str | None
    response_id: str | None
    scope_name: str | None
    start_ns: int
    inferred: int
    tool_call_id: str | None
    usage_known: int
    """2 as reported, 1 estimated, 0 unknown."""
    end_ns: int | None
    server: str | None
    """``host:port`` that the request went to."""
    detail: int
    """How much of what chooses the rate is known: 1 for usage in the provider's own parts, 2 for the host
    where that decides, since every host that speaks OpenAI's API is called ``openai`` by somebody."""
    counted: int
    """As stored."""
    hidden: int
    """As stored."""
    mark: int = 0
    """1 for a started mark: it says nothing yet that could count."""

    @property
    def span(self) -> SpanKey | None:
        """Key of the row's own span."""
        return (self.trace_id, self.span_id) if self.trace_id and self.span_id else None

    @property
    def parent_span(self) -> SpanKey | None:
        """Key of the span around it; a span is not its own parent."""
        if self.trace_id and self.parent_span_id and self.parent_span_id != self.span_id:
            return (self.trace_id, self.parent_span_id)
        return None

    @property
    def response(self) -> ResponseKey | None:
        """Key of the provider's response, for kinds that cost."""
        if self.response_id and self.kind in COUNTED_KINDS:
            return (self.provider or "", self.response_id)
        return None

    @property
    def tool_key(self) -> ToolKey | None:
        """Key of the tool call, for tool rows."""
        if self.tool_call_id and self.kind == Kind.TOOL:
            return (self.session_id, self.tool_call_id)
        return None

    @property
    def foreign(self) -> bool:
        """True if the row is known only by its span."""
        span = self.span
        return span is not None and self.call_id == foreign_call_id(*span)


class Neighbours(Protocol):
    """The rows around a row, loaded beforehand."""

    def get(self, call_id: str) -> Node | None:
        """A row by id."""

    def by_span(self, key: SpanKey) -> Sequence[Node]:
        """Rows of a span."""

    def by_response(self, key: ResponseKey) -> Sequence[Node]:
        """Rows of a response id; none if the id is too common to identify anything."""

    def by_tool(self, key: ToolKey) -> Sequence[Node]:
        """Tool rows of a tool call."""


def is_beside(node: Node, other: Node, within: AbstractSet[str]) -> bool:
    """True for a row below another one's span that is no part of its operation.

    A call that joined somebody else's span has the span's id, and calls in the same span, after it or at the
    same time, have that span for a parent. Of two rows of one process the call ids tell which is in which.

    Args:
        node: the row above.
        other: the row below, by its span.
        within: ids of the rows that are known to be inside of ``node``, its own among them.
    """
    process = process_of(node.call_id)
    if process is None or node.foreign or other.foreign or process_of(other.call_id) != process:
        return False
    return other.parent_call_id not in within


def is_hidden(node: Node, around: Neighbours) -> bool:
    """Rule 1."""
    span = node.span
    twins = around.by_span(span) if span is not None and node.foreign else ()
    if any(not (other.foreign or other.mark) for other in twins):
        return True
    key = node.tool_key
    if key is None or not node.inferred:
        return False
    mine = (1, node.start_ns, node.call_id)
    return any(
        (1 if other.inferred else 0, other.start_ns, other.call_id) < mine for other in around.by_tool(key)
    )


def is_eligible(node: Node, around: Neighbours) -> bool:
    """Visible and of a kind that costs."""
    return node.kind in COUNTED_KINDS and not node.mark and not is_hidden(node, around)


def operations(members: Iterable[Node]) -> list[list[Node]]:
    """Rule 2: the eligible rows of one response id, parted into operations."""
    by_scope: dict[str, list[Node]] = {}
    for node in members:
        by_scope.setdefault(node.scope_name or "", []).append(node)
    found: list[list[Node]] = []
    for views in by_scope.values():
        views.sort(key=lambda node: (node.start_ns, node.call_id))
        place = 0
        for node in views:
            again = _is_stored(node)
            here = 0 if again else place
            if here == len(found):
                found.append([])
            found[here].append(node)
            place = max(place, 1) if again else place + 1
    return _joined(found)


def _is_stored(node: Node) -> bool:
    """True for a row that may tell of fetching a response again; our own instrumentor knows better."""
    return node.precedence < Precedence.METERED and (node.response_id or "").startswith(STORED)


def _joined(found: list[list[Node]]) -> list[list[Node]]:
    """The operations, those that are one call before and behind a gateway made one."""
    place = 0
    while place < len(found):
        for other in range(place + 1, len(found)):
            if any(
                passes_on(one, two) or passes_on(two, one) for one in found[place] for two in found[other]
            ):
                found[place] += found.pop(other)
                break
        else:
            place += 1
    return found


def passes_on(outer: Node, inner: Node) -> bool:
    """True if a gateway that got the outer call made the inner one for it.

    Both tell of one response id. An id that somebody may give twice needs strict nesting in time.
    """
    if outer.scope_name != inner.scope_name or outer.end_ns is None or inner.end_ns is None:
        return False
    if outer.server is None or inner.server is None or outer.server == inner.server:
        return False
    if process_of(outer.call_id) == process_of(inner.call_id) and not (outer.foreign and inner.foreign):
        return False
    letters = sum(char.isalnum() for char in outer.response_id or "")
    slack = CLOCK_SKEW_NS if letters >= UNIQUE else 0
    if inner.end_ns - inner.start_ns > outer.end_ns - outer.start_ns:
        return False
    return outer.start_ns - slack <= inner.start_ns and inner.end_ns <= outer.end_ns + slack


def same_operation(node: Node, around: Neighbours) -> list[Node]:
    """The views of the operation that an eligible ``node`` is of, itself included."""
    key = node.response
    if key is None:
        return [node]
    members = [other for other in around.by_response(key) if is_eligible(other, around)]
    for views in operations(members):
        if any(view.call_id == node.call_id for view in views):
            return views
    return [node]


def best_view(views: Iterable[Node]) -> Node:
    """Rule 4: the view that stands for the operation."""
    group = list(views)
    most = max(node.usage_known for node in group)
    known = [node for node in group if node.usage_known == most]
    innermost = [node for node in known if not any(passes_on(node, other) for other in known)]
    return max(
        innermost or known, key=lambda node: (node.precedence, node.detail, -node.start_ns, node.call_id)
    )
