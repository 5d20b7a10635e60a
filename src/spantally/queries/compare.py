"""Two sessions beside each other: which rows both have, and in what these differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from spantally.ledger.contract import CallRow, SessionRow
from spantally.queries.tree import SessionTree

_Key: TypeAlias = tuple[tuple[str, ...], str, str, int]
"""Agent path, kind, name and which of those that are alike so far."""

ROW_FIELDS: Final = ("model", "status", "error_type", "input_tokens", "output_tokens", "cost_nano_usd")
"""What two rows are compared by; times always differ."""

SESSION_FIELDS: Final = (
    "status",
    "models",
    "agents",
    "calls",
    "turn_count",
    "errors",
    "input_tokens",
    "output_tokens",
    "cost_nano_usd",
    "unpriced_calls",
)
"""What two sessions are compared by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPair:
    """The rows of two sessions that stand for each other; one of them may be missing."""

    a: CallRow | None
    b: CallRow | None
    differs: tuple[str, ...]
    """Fields that differ; empty where only one side has the row."""

    @property
    def either(self) -> CallRow:
        """The row of the first, else of the second."""
        row = self.a or self.b
        assert row is not None
        return row

    @property
    def change(self) -> str:
        """``removed`` (only in the first), ``added`` (only in the second), ``changed`` or ``same``."""
        if self.a is None:
            return "added"
        if self.b is None:
            return "removed"
        return "changed" if self.differs else "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sessions beside each other."""

    a: SessionRow
    b: SessionRow
    differs: tuple[str, ...]
    """Fields of the sessions that differ."""
    rows: tuple[RowPair, ...]
    """All rows of both: in the order of the first, then what only the second has."""

    @property
    def equal(self) -> bool:
        """True if neither the sessions nor their rows differ."""
        return not self.differs and all(pair.change == "same" for pair in self.rows)


def build_comparison(a: SessionTree, b: SessionTree) -> Comparison:
    """Compare two sessions, rows matched by agent path, kind, name and order.

    Args:
        a: the first.
        b: the second.
    """
    left, right = _keyed(a), _keyed(b)
    keys = [*left, *(key for key in right if key not in left)]
    return Comparison(
        a=a.session,
        b=b.session,
        differs=_differing(a.session, b.session, SESSION_FIELDS),
        rows=tuple(_pair(left.get(key), right.get(key)) for key in keys),
    )


def _keyed(tree: SessionTree) -> dict[_Key, CallRow]:
    seen: Counter[tuple[tuple[str, ...], str, str]] = Counter()
    found: dict[_Key, CallRow] = {}
    for _, node in tree.walk():
        row = node.call
        key = (row.agent_path, str(row.kind), row.name or row.operation)
        found[(*key, seen[key])] = row
        seen[key] += 1
    return found


def _pair(a: CallRow | None, b: CallRow | None) -> RowPair:
    both = a is not None and b is not None
    return RowPair(a=a, b=b, differs=_differing(a, b, ROW_FIELDS) if both else ())


def _differing(a: Any, b: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if getattr(a, name) != getattr(b, name))
