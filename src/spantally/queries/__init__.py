"""Typed questions to a ledger: sessions, calls, trees, graphs, summaries and cost."""

from __future__ import annotations

from spantally.queries.figures import Figures
from spantally.queries.graph import GraphEdge, GraphNode, SessionGraph
from spantally.queries.ledger import Ledger, open_ledger, set_active_store
from spantally.queries.messages import MessageTotals, message_totals
from spantally.queries.summary import Summary, SummaryRow
from spantally.queries.tree import SessionTree, TreeNode

__all__ = [
    "Figures",
    "GraphEdge",
    "GraphNode",
    "Ledger",
    "MessageTotals",
    "SessionGraph",
    "SessionTree",
    "Summary",
    "SummaryRow",
    "TreeNode",
    "message_totals",
    "open_ledger",
    "set_active_store",
]
