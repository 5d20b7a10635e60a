"""Currencies of the settings file: what one unit is worth in US dollars, from a date on.

The table is the user's own; nothing is fetched. Days are those of UTC.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

USD: Final = "USD"


class Dated(NamedTuple):
    """The rates of one currency."""

    days: tuple[date, ...]
    """Since when each holds, ascending; the first is the earliest date there is where it always held."""
    dollars: tuple[Decimal, ...]
    """US dollars for one unit."""


class Currencies(NamedTuple):
    """The ``[currencies]`` of a settings file."""

    known: Mapping[str, Dated] = {}

    def names(self) -> list[str]:
        """Every currency that can be used, US dollars first."""
        return [USD, *sorted(self.known)]

    def dollars(self, currency: str, day: date) -> Decimal | None:
        """US dollars for one unit at a day; None where the table begins later, or lacks the currency."""
        if currency == USD:
            return Decimal(1)
        found = self.known.get(currency)
        if found is None:
            return None
        place = bisect_right(found.days, day)
        return found.dollars[place - 1] if place else None

    def converted(self, nano_usd: int, currency: str, day: date) -> Fraction | None:
        """An amount of nano-USD in billionths of a unit, exact; None where no rate is known for the day."""
        worth = self.dollars(currency, day)
        return None if worth is None else Fraction(nano_usd) / Fraction(worth)
