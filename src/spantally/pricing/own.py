"""What sets a cost by a rate of the user's own apart from one by the table: its status and its source."""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias

from spantally.ground.money import CostStatus, Rating, partial
from spantally.ground.records import CallRecord

Rate: TypeAlias = int | Fraction
"""Nano-USD per million units."""

_THOUSANDS: Final = frozenset({"annotated_pages", "file_searches", "pages", "search_units", "web_searches"})
_OTHER_UNITS: Final = {"audio_ms": 3_600_000, "images": 1}
"""Sound by the hour, pictures by the piece."""


def units_of(part: str) -> int:
    """For how many units of a part people give its rate: a million tokens, a thousand searches or pages."""
    return 1_000 if part in _THOUSANDS else _OTHER_UNITS.get(part, 1_000_000)


RATES: Final = "rates"
MULTIPLIER: Final = "multiplier"
FREE: Final = "free"
COVERED: Final = "covered"

_SECONDS: Final = partial("seconds")
_PRICED: Final = CostStatus.PRICED
_OVERRIDE: Final = CostStatus.OVERRIDE


class Own(NamedTuple):
    """The part of a compiled card that only an override has."""

    how: str
    """:data:`RATES`, :data:`MULTIPLIER`, :data:`FREE` or :data:`COVERED`."""
    source: str
    per_second: Rate = 0
    """Nano-USD for each second of the call."""
    complete: bool = False
    """True where no usage is needed: free, covered, or by time and request alone."""
    listed: bool = False
    """The rates of the table have part in it."""

    def fixed(self, record: CallRecord, per_call: Rate) -> Rate:
        """What a call costs beside its usage, in millionths of a nano-USD."""
        took = _took(record)
        if not self.per_second or took is None:
            return per_call
        return per_call + Fraction(took) * self.per_second / 1000

    def settled(self, rating: Rating, record: CallRecord) -> Rating:
        """The rating as it is stored."""
        nano, status = rating.nano_usd, rating.status
        source = f"{self.source} on {rating.source}" if self.listed else self.source
        if self.how == FREE:
            return rating._replace(nano_usd=0, status=CostStatus.FREE, source=source)
        if self.how == COVERED:
            value = nano if self.listed else None
            return rating._replace(
                nano_usd=None, status=CostStatus.COVERED, source=source, list_nano_usd=value
            )
        if self.per_second and _took(record) is None:
            known = None if self.complete else nano
            return rating._replace(nano_usd=known, status=_SECONDS, source=source)
        if self.complete or status == _PRICED or status == CostStatus.FREE:
            status = _OVERRIDE
        return rating._replace(status=status, source=source)


def _took(record: CallRecord) -> int | None:
    """Nanoseconds; None of what runs, and of what ended before it began: its clock was set meanwhile."""
    end = record.end_ns
    return None if end is None or end < record.start_ns else end - record.start_ns
