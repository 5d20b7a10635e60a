"""The ledger: records become rows and rollups in a store; write first, rate later, merge by precedence."""

from __future__ import annotations

from spantally.ledger.contract import CallRow, CostRow, Filter, Health, Rater, SessionRow, Store

__all__ = ["CallRow", "CostRow", "Filter", "Health", "Rater", "SessionRow", "Store"]
