"""Between which moments no listed rate changes, so that one card serves all calls in between."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple

from spantally.pricing.rates import Table


class Periods(NamedTuple):
    """When the rates of a table change."""

    starts: tuple[int, ...]
    """Hours since the epoch (UTC) at which some rate begins to hold, ascending."""
    daily: frozenset[str]
    """Models, as ``vendor/model``, some of whose rates hold at a time of day, or in a way not known here."""

    def number(self, hour: int) -> int:
        """The number of the period in which an hour lies."""
        return bisect_right(self.starts, hour)

    def bounds(self, number: int) -> tuple[int | None, int | None]:
        """The first hour of a period, and the first after it; None where there is none."""
        first = self.starts[number - 1] if number > 0 else None
        return first, self.starts[number] if number < len(self.starts) else None


_known: list[tuple[Table, Periods]] = []


def periods_of(table: Table) -> Periods:
    """The periods of a table, worked out once."""
    if not _known or _known[0][0] is not table:
        _known[:] = [(table, _work_out(table))]
    return _known[0][1]


def _work_out(table: Table) -> Periods:
    starts: set[int] = set()
    daily: set[str] = set()
    for vendor in table.providers:
        for model in vendor.models:
            for constraint in _constraints(model):
                start = getattr(constraint, "start_date", None)
                if isinstance(start, date) and not isinstance(start, datetime):
                    moment = datetime.combine(start, time(), UTC)
                    starts.add(int(moment.timestamp()) // 3600)
                else:
                    daily.add(f"{vendor.id}/{model.id}")
    return Periods(tuple(sorted(starts)), frozenset(daily))


def _constraints(model: Any) -> list[Any]:
    entries = model.prices if isinstance(model.prices, list) else []
    return [one.constraint for one in (*entries, *(model.price_variants or ())) if one.constraint is not None]
