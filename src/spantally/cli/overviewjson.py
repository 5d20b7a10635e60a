"""JSON of graphs and summaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from spantally.cli.jsonout import cache_object, session_object
from spantally.ground.money import usd_text

if TYPE_CHECKING:
    from spantally.queries import Figures, GraphEdge, GraphNode, SessionGraph, Summary, SummaryRow


def graph_object(graph: SessionGraph) -> dict[str, Any]:
    """A graph: its session, nodes and edges."""
    return {
        "session_id": graph.session_id,
        "nodes": [node_object(node) for node in graph.nodes],
        "edges": [edge_object(edge) for edge in graph.edges],
    }


def node_object(node: GraphNode) -> dict[str, Any]:
    """A node; its figures are inclusive unless a name says own."""
    own = _figures(node.own)
    return {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "provider": node.provider,
        "models": list(node.models),
        "providers": list(node.providers),
        "tools": list(node.tools),
        **_measured(node),
        **{f"own_{name}": own[name] for name in ("calls", "input_tokens", "output_tokens", "cost_nano_usd")},
    }


def edge_object(edge: GraphEdge) -> dict[str, Any]:
    """An edge; its figures are inclusive."""
    return {"source": edge.source, "target": edge.target, **_measured(edge)}


def _measured(one: GraphNode | GraphEdge) -> dict[str, Any]:
    return {
        "count": one.count,
        "failed": one.failed,
        "p50_ms": one.p50_ms,
        "p95_ms": one.p95_ms,
        **_figures(one),
    }


def summary_object(summary: Summary) -> dict[str, Any]:
    """A summary: its session, the total and the lists of groups."""
    return {
        "session": session_object(summary.session),
        "total": row_object(summary.total),
        "by_agent": [row_object(row) for row in summary.by_agent],
        "by_run": [row_object(row) for row in summary.by_run],
        "by_model": [row_object(row) for row in summary.by_model],
        "by_tool": [row_object(row) for row in summary.by_tool],
    }


def row_object(row: SummaryRow) -> dict[str, Any]:
    """One group of a summary."""
    return {
        "key": row.key,
        "name": row.name,
        "count": row.count,
        "p50_ms": row.p50_ms,
        "p95_ms": row.p95_ms,
        **_figures(row),
    }


def _figures(one: Figures) -> Mapping[str, Any]:
    from spantally.queries import Figures

    made: dict[str, Any] = {field.name: getattr(one, field.name) for field in fields(Figures)}
    del made["lost_attempt_calls"]
    made.update(cache_object(made.pop("cache")))
    made["total_cost"] = usd_text(one.cost_nano_usd)
    return made
