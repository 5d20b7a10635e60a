"""Rating calls anew: what changed, by model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from spantally.ground.errors import ArgumentError, shown
from spantally.ground.money import CostStatus, Rating

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many rows were looked at, and of how many."""

PARTIAL: Final = "partial"
STATUSES: Final = (*(str(one) for one in CostStatus), PARTIAL)
"""Cost statuses to ask for; ``partial`` stands for each ``partial:<part>``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepriceRow:
    """The calls of one provider and model that were rated anew, or would be."""

    provider: str | None
    model: str | None
    """That answered, or was asked for where none answered."""
    calls: int
    """Calls looked at."""
    changed_calls: int
    """Those of them whose cost, status or entry of the price data is another one now."""
    before_nano_usd: int | None
    """The known part of what they cost before; None where none had a cost."""
    after_nano_usd: int | None
    """... and of what they cost now."""
    statuses: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How many went from one status to another, by both."""

    @property
    def change_nano_usd(self) -> int:
        """What the known cost grew by, less than 0 where it fell."""
        return (self.after_nano_usd or 0) - (self.before_nano_usd or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repricing:
    """What rating a ledger anew changed."""

    rows: tuple[RepriceRow, ...]
    """By provider and model, the greatest change first."""
    dry_run: bool
    """True if nothing was written."""

    @property
    def calls(self) -> int:
        """Calls looked at."""
        return sum(row.calls for row in self.rows)

    @property
    def changed_calls(self) -> int:
        """Those of them whose cost, status or entry of the price data is another one now."""
        return sum(row.changed_calls for row in self.rows)

    @property
    def before_nano_usd(self) -> int | None:
        """The known part of what all cost before."""
        return _known([row.before_nano_usd for row in self.rows])

    @property
    def after_nano_usd(self) -> int | None:
        """The known part of what all cost now."""
        return _known([row.after_nano_usd for row in self.rows])

    @property
    def change_nano_usd(self) -> int:
        """What the known cost grew by."""
        return sum(row.change_nano_usd for row in self.rows)


def _known(costs: list[int | None]) -> int | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None


@dataclass(slots=True)
class _Sums:
    calls: int = 0
    changed: int = 0
    before: int | None = None
    after: int | None = None
    statuses: dict[tuple[str, str], int] = field(default_factory=dict)


class Comparison:
    """Gathers what changed."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str | None, str | None], _Sums] = {}

    def add(self, provider: str | None, model: str | None, old: Rating, new: Rating) -> None:
        """Take in one call that counts."""
        sums = self._sums.setdefault((provider, model), _Sums())
        sums.calls += 1
        sums.changed += is_changed(old, new)
        if old.nano_usd is not None:
            sums.before = (sums.before or 0) + old.nano_usd
        if new.nano_usd is not None:
            sums.after = (sums.after or 0) + new.nano_usd
        if old.status != new.status:
            both = (str(old.status), str(new.status))
            sums.statuses[both] = sums.statuses.get(both, 0) + 1

    def add_many(
        self,
        provider: str | None,
        model: str | None,
        calls: int,
        changed: int,
        before: int,
        after: int,
        statuses: Mapping[tuple[str, str], int],
    ) -> None:
        """Take in calls that count, all of which had a cost and have one."""
        sums = self._sums.setdefault((provider, model), _Sums())
        sums.calls += calls
        sums.changed += changed
        sums.before = (sums.before or 0) + before
        sums.after = (sums.after or 0) + after
        for both, number in statuses.items():
            sums.statuses[both] = sums.statuses.get(both, 0) + number

    def result(self, *, dry_run: bool) -> Repricing:
        """What was gathered."""
        rows = [
            RepriceRow(
                provider=provider,
                model=model,
                calls=sums.calls,
                changed_calls=sums.changed,
                before_nano_usd=sums.before,
                after_nano_usd=sums.after,
                statuses=dict(sorted(sums.statuses.items())),
            )
            for (provider, model), sums in self._sums.items()
        ]
        rows.sort(
            key=lambda row: (
                -abs(row.change_nano_usd),
                -row.changed_calls,
                row.provider or "",
                row.model or "",
            )
        )
        return Repricing(rows=tuple(rows), dry_run=dry_run)


def is_changed(old: Rating, new: Rating) -> bool:
    """Whether a figure is another one: who says the same as before, in which version, is no change."""
    return (old.nano_usd, old.status, old.price_id) != (new.nano_usd, new.status, new.price_id)


def check_status(status: str | None) -> str | None:
    """The cost status, if it is one.

    Raises:
        ArgumentError: naming the value and the allowed ones.
    """
    if status is None or status in STATUSES or str(status).startswith("partial:"):
        return status
    raise ArgumentError(f"status={shown(status)} is not allowed; use one of: {', '.join(STATUSES)}")
