"""Typed questions to a ledger: sessions, calls, trees and cost."""

from __future__ import annotations

from spantally.queries.ledger import Ledger, open_ledger, set_active_store
from spantally.queries.tree import SessionTree, TreeNode

__all__ = ["Ledger", "SessionTree", "TreeNode", "open_ledger", "set_active_store"]
