"""Costs in another currency: each day's at that day's rate of the settings file, and only for display."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import click

from spantally.ground.money import NANO

if TYPE_CHECKING:
    from spantally.cli.render.tables import Column
    from spantally.ledger.contract import CostRow

_DAY: Final = "day"
_TRIES: Final = 5


def amount_text(amount: Fraction | None) -> str | None:
    """Billionths of a unit as a decimal, rounded half-even once to nine places; None stays None."""
    if amount is None:
        return None
    whole, places = f"{Decimal(round(amount)) / NANO:.9f}".split(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


class Converting:
    """Groups of costs, and the known part of each in a currency."""

    def __init__(self, currency: str) -> None:
        """Look the currency up in the settings file.

        Args:
            currency: three letters.

        Raises:
            click.UsageError: for one that the file does not know.
        """
        from spantally.ground.places import config_path
        from spantally.pricing.overrides_file import read_own

        self.currency = currency
        self._file = config_path()
        self._known = read_own(self._file).currencies
        self._amounts: dict[tuple[str | None, ...], Fraction | None] = {}
        if currency not in self._known.names():
            raise click.UsageError(
                f"--currency {currency} is not known; use one of: {', '.join(self._known.names())}, or give "
                f"its worth in [currencies] of {self._file}"
            )

    def rows(self, ask: Callable[[tuple[str, ...]], Sequence[CostRow]], by: tuple[str, ...]) -> list[CostRow]:
        """The groups, as they are without a currency; their amounts are known from then on.

        Args:
            ask: asks the ledger for costs by groupings.
            by: the groupings wanted.

        Raises:
            click.UsageError: where there is no rate for a day on which something was spent.
        """
        for _ in range(_TRIES):
            rows = list(ask(by))
            days = rows if _DAY in by else list(ask((*by, _DAY)))
            # A program may have written in between: both answers must tell of the same calls.
            if _known(rows) == _known(days):
                break
        self._amounts.clear()
        for row in days:
            key = tuple(row.keys[name] for name in by)
            self._amounts[key] = _sum((self._amounts.get(key), self._of_day(row)))
        return rows

    def _of_day(self, row: CostRow) -> Fraction | None:
        if row.cost_nano_usd is None:
            return None
        day = str(row.keys[_DAY])
        amount = self._known.converted(row.cost_nano_usd, self.currency, date.fromisoformat(day))
        if amount is None:
            raise click.UsageError(
                f"--currency {self.currency} has no rate for {day}; give one of that day or before in "
                f"[currencies.{self.currency}] of {self._file}"
            )
        return amount

    def text(self, row: CostRow) -> str | None:
        """The known part of a group; None where it has none."""
        return amount_text(self._amounts.get(tuple(row.keys.values())))

    def fields_of(self, row: CostRow) -> dict[str, str | None]:
        """What JSON has beside the cost in dollars."""
        return {"currency": self.currency, "cost": self.text(row)}

    def column(self) -> Column[CostRow]:
        """The column beside the cost in dollars."""
        from spantally.cli.render.numbers import NONE
        from spantally.cli.render.tables import Column

        return Column(self.currency, lambda row: self.text(row) or NONE, number=True, whole=True)

    def total_line(self, rows: Sequence[CostRow]) -> str:
        """The sum of the groups, rounded once."""
        total = amount_text(_sum(self._amounts.get(tuple(row.keys.values())) for row in rows))
        return f"{self.currency} {total or 'unknown'}, each day at that day's rate"


def _sum(amounts: Iterable[Fraction | None]) -> Fraction | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Fraction(0)) if known else None


def _known(rows: Sequence[CostRow]) -> tuple[int, int]:
    return sum(row.calls for row in rows), sum(row.cost_nano_usd or 0 for row in rows)
