"""The weighted graph of a session: who called whom, how often, for how much and how long.

Rows of one name are one node, wherever in the tree they stand, so a planner that asks the same researcher
ten times gives two nodes and one edge. Rows that do not count (second views of a call that another row
counts) give no node: what is beneath them hangs on what is above.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from spantally.ground.cache_use import cache_sum
from spantally.ground.money import known_text
from spantally.ground.records import COUNTED_KINDS, Kind, SessionStatus, Status
from spantally.ledger.contract import CallRow
from spantally.queries.drawing import Picture, dot, mermaid
from spantally.queries.figures import Figures, figures, latency
from spantally.queries.tree import SessionTree, TreeNode

SESSION: Final = "session"
"""Kind, and id, of the node that the session itself is."""

_Key: TypeAlias = tuple[str, str | None, str | None]
"""Kind, provider (of a model) and name."""
_ROOT: Final[_Key] = (SESSION, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode(Figures):
    """An agent, tool, workflow, model or the session; figures include all beneath it, each row once."""

    id: str
    """Unique in its graph, and the same in each graph where kind, provider and name are."""
    kind: str
    """``session``, ``agent``, ``tool``, ``workflow``; of a model what it is asked for: ``inference``,
    ``embeddings``."""
    name: str | None
    """Of agent, tool or workflow; the model's; the session's id."""
    provider: str | None
    """Of a model."""
    models: tuple[str, ...]
    """Models that it calls itself, sorted."""
    providers: tuple[str, ...]
    """Their providers, sorted."""
    tools: tuple[str, ...]
    """Tools that it runs itself, sorted."""
    count: int
    """Its invocations; of a model its calls."""
    failed: int
    """Invocations that ended in error."""
    p50_ms: float | None
    """Median duration of an invocation."""
    p95_ms: float | None
    """Its 95th percentile."""
    own: Figures
    """Without what belongs to a node beneath: of agents, tools and the session the model calls that they make
    themselves. It adds up to the total over these, and once more over the models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEdge(Figures):
    """The invocations of one node by another; figures include all beneath these, each row once."""

    source: str
    """Id of the node that invokes."""
    target: str
    """Id of the node that is invoked."""
    count: int
    """Invocations."""
    failed: int
    """Invocations that ended in error."""
    p50_ms: float | None
    """Median duration of such an invocation."""
    p95_ms: float | None
    """Its 95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionGraph:
    """A session with its child sessions as a graph. Agents that invoke each other make circles."""

    session_id: str
    nodes: tuple[GraphNode, ...]
    """The session first, then in the order of their first invocation."""
    edges: tuple[GraphEdge, ...]
    """In the order of their first use."""

    def to_mermaid(self) -> str:
        """The graph as a Mermaid flowchart, which Markdown viewers draw."""
        return mermaid(_picture(self))

    def to_dot(self) -> str:
        """The graph in the language of Graphviz: ``spantally graph SESSION --dot | dot -Tsvg``."""
        return dot(_picture(self))


@dataclass(slots=True)
class _Gathered:
    """What is known of a node or edge so far."""

    rows: list[CallRow] = field(default_factory=list)
    outermost: list[TreeNode] = field(default_factory=list)
    """Those not inside another of the same node or edge: their sums hold each row once."""
    own: list[CallRow] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    providers: set[str] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)


def build_graph(tree: SessionTree) -> SessionGraph:
    """Fold the tree of a session into its graph, without recursion.

    Args:
        tree: the session, as :func:`~spantally.queries.tree.build_tree` nests it.
    """
    nodes: dict[_Key, _Gathered] = {_ROOT: _Gathered(outermost=list(tree.children))}
    edges: dict[tuple[_Key, _Key], _Gathered] = {}
    open_nodes: dict[_Key, int] = {}
    open_edges: dict[tuple[_Key, _Key], int] = {}
    # An entry with a node enters it; one without leaves what its keys name.
    waiting: list[tuple[TreeNode | None, _Key, _Key]] = [
        (child, _ROOT, _ROOT) for child in reversed(tree.children)
    ]
    while waiting:
        node, above, owner = waiting.pop()
        if node is None:
            open_nodes[owner] -= 1
            open_edges[(above, owner)] -= 1
            continue
        row = node.call
        if row.kind in COUNTED_KINDS and not row.counted:
            nodes[owner].own.append(row)  # it may have failed
            waiting.extend((child, above, owner) for child in reversed(node.children))
            continue
        key, edge = _key_of(row), (above, _key_of(row))
        for gathered, is_open in (
            (nodes.setdefault(key, _Gathered()), open_nodes.get(key)),
            (edges.setdefault(edge, _Gathered()), open_edges.get(edge)),
        ):
            gathered.rows.append(row)
            if not is_open:
                gathered.outermost.append(node)
        _note(nodes[above], nodes[owner], nodes[key], row)
        open_nodes[key] = open_nodes.get(key, 0) + 1
        open_edges[edge] = open_edges.get(edge, 0) + 1
        waiting.append((None, above, key))
        inner = owner if row.counted else key
        waiting.extend((child, key, inner) for child in reversed(node.children))
    ids = {key: _id_of(key) for key in nodes}
    return SessionGraph(
        session_id=tree.session.session_id,
        nodes=tuple(_node(key, ids[key], one, tree) for key, one in nodes.items()),
        edges=tuple(_edge(ids[source], ids[target], one) for (source, target), one in edges.items()),
    )


def _key_of(row: CallRow) -> _Key:
    if row.counted:
        return (row.kind, row.provider, row.model)
    return (row.kind, None, row.name or (None if row.kind in _NAMED else row.operation))


_NAMED: Final = frozenset({Kind.AGENT, Kind.TOOL, Kind.WORKFLOW})


def _note(above: _Gathered, owner: _Gathered, mine: _Gathered, row: CallRow) -> None:
    """Note whose own a row is, and what the node above uses."""
    mine.own.append(row)
    users = (mine, above) if above is owner else (mine, above, owner)
    if row.counted:
        owner.own.append(row)
        for one in users:
            if row.model:
                one.models.add(row.model)
            if row.provider:
                one.providers.add(row.provider)
    elif row.kind == Kind.TOOL and row.name:
        for one in users[1:]:
            one.tools.add(row.name)


def _id_of(key: _Key) -> str:
    """A text that only this kind, provider and name give."""
    kind, provider, name = key
    if key == _ROOT:
        return SESSION
    place = "" if provider is None else f"{quote(provider, safe='')}/"
    return f"{kind}:{place}{name or ''}"


def _node(key: _Key, node_id: str, gathered: _Gathered, tree: SessionTree) -> GraphNode:
    kind, provider, name = key
    if key == _ROOT:
        session = tree.session
        took = session.duration_ms
        measured: dict[str, Any] = {
            "count": 1,
            "failed": int(session.status == SessionStatus.FAILED),
            "p50_ms": took,
            "p95_ms": took,
        }
        name = session.session_id
    else:
        measured = _measured(gathered.rows)
    return GraphNode(
        id=node_id,
        kind=kind,
        name=name,
        provider=provider,
        models=tuple(sorted(gathered.models)),
        providers=tuple(sorted(gathered.providers)),
        tools=tuple(sorted(gathered.tools)),
        own=figures(gathered.own),
        **measured,
        **_sums(gathered.outermost),
    )


def _edge(source: str, target: str, gathered: _Gathered) -> GraphEdge:
    return GraphEdge(source=source, target=target, **_measured(gathered.rows), **_sums(gathered.outermost))


def _measured(rows: list[CallRow]) -> dict[str, Any]:
    took = latency(rows)
    return {
        "count": len(rows),
        "failed": sum(row.status == Status.ERROR for row in rows),
        "p50_ms": took.p50_ms,
        "p95_ms": took.p95_ms,
    }


def _sums(nodes: Iterable[TreeNode]) -> dict[str, Any]:
    """Figures of disjoint parts of a tree."""
    known = list(nodes)
    found: dict[str, Any] = {one.name: 0 for one in fields(Figures) if one.name != "cache"}
    priced = False
    for node in known:
        for name in found:
            found[name] += getattr(node, name) or 0
        priced = priced or bool(node.cost_nano_usd) or (node.calls > 0 and node.cost_nano_usd is not None)
    if found["calls"] and not priced:
        found["cost_nano_usd"] = None
    found["cache"] = cache_sum(node.cache for node in known)
    return found


# -- what a drawing says ------------------------------------------------------------------------------


def _picture(graph: SessionGraph) -> Picture:
    places = {node.id: place for place, node in enumerate(graph.nodes)}
    return Picture(
        [(node.kind, _node_lines(node)) for node in graph.nodes],
        [(places[edge.source], places[edge.target], _edge_lines(edge)) for edge in graph.edges],
    )


def _node_lines(node: GraphNode) -> list[str]:
    kind = node.kind if node.provider is None else f"{node.kind} by {node.provider}"
    lines = [f"{kind} {node.name}" if node.name else kind]
    if node.kind != SESSION:
        lines.append(_counted(node))
    lines.append(known_text(node.cost_nano_usd, node))
    lines.extend(_took(node))
    return lines


def _edge_lines(edge: GraphEdge) -> list[str]:
    return [_counted(edge), known_text(edge.cost_nano_usd, edge), *_took(edge)]


def _counted(one: GraphNode | GraphEdge) -> str:
    failed = f", {one.failed:,} failed" if one.failed else ""
    return f"{one.count:,} {'time' if one.count == 1 else 'times'}{failed}"


def _took(one: GraphNode | GraphEdge) -> list[str]:
    if one.p50_ms is None or one.p95_ms is None:
        return []
    return [f"p50 {_duration(one.p50_ms)}, p95 {_duration(one.p95_ms)}"]


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:,.1f} s"
