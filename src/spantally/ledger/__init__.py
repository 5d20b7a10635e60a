"""The ledger: records become rows and rollups in a store; write first, rate later, merge by precedence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spantally.ledger.contract import (
        CallRow,
        CostRow,
        EventRow,
        Filter,
        Health,
        OpenRow,
        Rater,
        SessionRow,
        Store,
    )

__all__ = ["CallRow", "CostRow", "EventRow", "Filter", "Health", "OpenRow", "Rater", "SessionRow", "Store"]


def __getattr__(name: str) -> Any:
    """A name of the contract, whose rows take long to make: a command that reads none goes without."""
    if name not in __all__:
        raise AttributeError(f"module 'spantally.ledger' has no attribute {name!r}")
    from spantally.ledger import contract

    value = getattr(contract, name)
    globals()[name] = value
    return value
