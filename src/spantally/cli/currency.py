"""Costs in another currency: each day's at that day's rate of the settings file, and only for display."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from spantally.ground.money import NANO
from spantally.ledger.grouping import TIMES

if TYPE_CHECKING:
    from spantally.cli.render.tables import Column
    from spantally.ledger.contract import CostRow

Ask: TypeAlias = "Callable[..., Sequence[CostRow]]"

_DAY: Final = "day"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
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

    def rows(
        self, ask: Ask, by: tuple[str, ...], since: datetime | str | None, until: datetime | str | None
    ) -> list[CostRow]:
        """The groups, as they are without a currency; their amounts are known from then on.

        Args:
            ask: asks the ledger for costs by groupings; takes filters and a zone of days, too.
            by: the groupings wanted.
            since: the filter that is in force anyway.
            until: the same.

        Raises:
            click.UsageError: where there is no rate for a day on which something was spent.
        """
        span = _moment("since", since), _moment("until", until)
        for _ in range(_TRIES):
            rows = list(ask(by, since=span[0], until=span[1]))
            parts = list(self._parts(ask, by, *span))
            # A program may have written in between: both answers must tell of the same calls.
            if _known(rows) == _known([row for _, row in parts]):
                break
        self._amounts.clear()
        for day, row in parts:
            key = tuple(row.keys[name] for name in by)
            self._amounts[key] = _sum((self._amounts.get(key), self._converted(day, row)))
        return rows

    def _parts(
        self, ask: Ask, by: tuple[str, ...], since: datetime | None, until: datetime | None
    ) -> Iterator[tuple[date, CostRow]]:
        """The groups in parts, each with a day whose rate holds for all of it.

        Rates are of days in UTC, by which calls are priced as well, whatever zone the groups' days are of.
        """
        if not set(TIMES).intersection(by):
            for row in ask((*by, _DAY), tz="UTC", since=since, until=until):
                yield _day_of(row), row
            return
        days = sorted(map(_day_of, ask((_DAY,), tz="UTC", since=since, until=until)))
        for _, run in groupby(days, lambda day: self._known.dollars(self.currency, day)):
            same = list(run)
            first, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (same[0], same[-1]))
            begin = first if since is None else max(first, since)
            end = last + timedelta(days=1)
            for row in ask(by, since=begin, until=end if until is None else min(end, until)):
                yield same[0], row

    def _converted(self, day: date, row: CostRow) -> Fraction | None:
        if row.cost_nano_usd is None:
            return None
        amount = self._known.converted(row.cost_nano_usd, self.currency, day)
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


def _day_of(row: CostRow) -> date:
    return date.fromisoformat(str(row.keys[_DAY]))


def _moment(name: str, value: datetime | str | None) -> datetime | None:
    """A filter as one moment: ``24h`` is another one with each question."""
    from spantally.queries.times import moment_ns

    found = moment_ns(name, value)
    return None if found is None else _EPOCH + timedelta(microseconds=found // 1000)


def _sum(amounts: Iterable[Fraction | None]) -> Fraction | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Fraction(0)) if known else None


def _known(rows: Sequence[CostRow]) -> tuple[int, int]:
    return sum(row.calls for row in rows), sum(row.cost_nano_usd or 0 for row in rows)
