"""Working out again which rows are hidden and which count, after some rows or links changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from spantally.ground.records import COUNTED_KINDS
from spantally.ledger.counting import (
    Node,
    SpanKey,
    best_view,
    is_beside,
    is_eligible,
    is_hidden,
    same_operation,
)
from spantally.ledger.sqlite.graph import Graph


class Standing(NamedTuple):
    """How a row stands among the others."""

    counted: bool
    hidden: bool


def restand(graph: Graph, changed: Iterable[Node], links: Iterable[SpanKey]) -> dict[str, Standing]:
    """The standing of every row that a change may have touched.

    Touched are: the changed rows; the other rows of their spans, response ids and tool calls; whatever is
    above any of these; and the views of the operations above. What is below does not change.

    Args:
        graph: loads what is needed.
        changed: changed rows, as they are now and (where they existed) as they were before.
        links: spans whose link is new.
    """
    now = list(changed)
    graph.load_twins(now)
    touched = {node.call_id: graph.nodes[node.call_id] for node in now if node.call_id in graph.nodes}
    for node in now:
        if node.span is not None:
            touched.update((twin.call_id, twin) for twin in graph.by_span(node.span))
    graph.load_tools(key for node in (*now, *touched.values()) if (key := node.tool_key) is not None)
    for node in now:
        if node.tool_key is not None:
            touched.update((other.call_id, other) for other in graph.by_tool(node.tool_key))
    _touch_views(graph, [*now, *touched.values()], touched)
    above = [graph.nodes[one] for one in graph.ancestors([*now, *touched.values()], links)]
    models = [node for node in above if node.kind in COUNTED_KINDS]
    touched.update((node.call_id, node) for node in models)
    _touch_views(graph, models, touched)
    return _standings(graph, touched)


def _touch_views(graph: Graph, nodes: Iterable[Node], touched: dict[str, Node]) -> None:
    """Add the rows that share a response id with ``nodes``."""
    keys = {node.response for node in nodes if node.response is not None}
    graph.load_responses(keys)
    for key in keys:
        touched.update((view.call_id, view) for view in graph.by_response(key))
    touched.update((call_id, graph.nodes[call_id]) for call_id in graph.newly_common)


def _standings(graph: Graph, touched: dict[str, Node]) -> dict[str, Standing]:
    graph.load_twins(touched.values())
    graph.load_tools(node.tool_key for node in touched.values() if node.tool_key is not None)
    hidden = {call_id: is_hidden(node, graph) for call_id, node in touched.items()}
    eligible = [
        node
        for call_id, node in touched.items()
        if not hidden[call_id] and not node.mark and node.kind in COUNTED_KINDS
    ]
    views = {node.call_id: same_operation(node, graph) for node in eligible}
    everyone = {view.call_id: view for group in views.values() for view in group}
    covered = _covered(graph, list(everyone.values()))
    standings: dict[str, Standing] = {}
    for call_id in touched:
        group = [view for view in views.get(call_id, ()) if view.call_id not in covered]
        counts = bool(group) and best_view(group).call_id == call_id
        standings[call_id] = Standing(counts, hidden[call_id])
    return standings


def _covered(graph: Graph, rows: list[Node]) -> set[str]:
    """Ids of the rows above an eligible row of another operation; all descend together."""
    own = {node.call_id: {view.call_id for view in same_operation(node, graph)} for node in rows}
    seen: dict[str, set[str]] = {node.call_id: {node.call_id} for node in rows}
    seen_links: dict[str, set[SpanKey]] = {node.call_id: set() for node in rows}
    frontier: dict[str, tuple[set[str], set[SpanKey]]] = {
        node.call_id: ({node.call_id}, set()) for node in rows
    }
    covered: set[str] = set()
    while frontier:
        ids = {one for below, _ in frontier.values() for one in below}
        spans = {key for _, keys in frontier.values() for key in keys}
        graph.load_children((graph.nodes[one] for one in ids), spans)
        following: dict[str, tuple[set[str], set[SpanKey]]] = {}
        for call_id, (below, keys) in frontier.items():
            rows_below, links_below = graph.children((graph.nodes[one] for one in below), keys)
            fresh = rows_below - seen[call_id]
            node = graph.nodes[call_id]
            fresh = {one for one in fresh if not is_beside(node, graph.nodes[one], seen[call_id])}
            fresh_links = links_below - seen_links[call_id]
            seen[call_id] |= fresh
            seen_links[call_id] |= fresh_links
            graph.load_twins(graph.nodes[one] for one in fresh)
            if any(
                one not in own[call_id] and is_eligible(graph.nodes[one], graph) for one in fresh
            ) and not _in_cycle(graph, call_id):
                covered.add(call_id)
            elif fresh or fresh_links:
                following[call_id] = (fresh, fresh_links)
        frontier = following
    return covered


def _in_cycle(graph: Graph, call_id: str) -> bool:
    """True for a row that is its own ancestor: such parents are wrong, and nothing may vanish by them."""
    return call_id in graph.ancestors([graph.nodes[call_id]])
