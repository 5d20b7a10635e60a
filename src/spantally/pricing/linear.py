"""Rates as a formula: for many calls of one model, hour and context that are rated at once.

A cost is a sum of parts times rates, rounded once. Who has the parts of many calls in a table can work it out
there; here is which calls may be, and by what rates.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from spantally.ground.money import CostStatus, UsageParts
from spantally.ground.records import CallRecord, Precedence, UsageFormat
from spantally.pricing import rates
from spantally.pricing.card import Card
from spantally.pricing.periods import periods_of
from spantally.pricing.rate import HOUR_NS, _cards, rate

LARGEST_RATE: Final = 4 * 10**11
"""Nano-USD per million units: with :data:`MOST_TOKENS` no sum leaves 64 bits."""
MOST_TOKENS: Final = 2_000_000
LARGEST_FEE: Final = 10**15
"""Nano-USD per million uses, of at most :data:`MOST_USES` of them."""
MOST_USES: Final = 1000
_MOST: Final = tuple(
    LARGEST_FEE if name in ("web_searches", "file_searches") else LARGEST_RATE for name in UsageParts._fields
)

_STATUSES: Final = frozenset({CostStatus.PRICED, CostStatus.FREE, CostStatus.OVERRIDE})
_ONE: Final = UsageParts(uncached_input=1)._asdict()


class Formula(NamedTuple):
    """What one card makes of parts, in whole nano-USD per million units."""

    card: Card
    source: str
    status: str
    """Of a call that costs something."""
    steady: bool
    """True if it holds for the whole period (:mod:`~spantally.pricing.periods`), not only for the hour."""


def formula(record: CallRecord) -> Formula | None:
    """The formula by which calls like a record are rated; None where each must be rated by itself.

    Args:
        record: its usage is of no consequence.
    """
    context = record.price_context or {}
    if "server_tools" in context or "search" in context:
        return None  # fees beside the parts
    found = rate(record._replace(usage=_ONE, usage_format=UsageFormat.PARTS, estimated=False))
    card = _cards.get(_key(record))
    if found.status not in _STATUSES or not isinstance(card, Card) or card.estimated or found.source is None:
        return None
    if card.units or (card.own is not None and card.own.per_second):
        return None  # not by tokens alone
    found_rates = [(card.per_call, LARGEST_FEE)]
    for step in card.steps:
        found_rates.extend(zip(step.vector, _MOST, strict=True))
    table = rates.table()
    if table is None or any(not isinstance(one, int) or abs(one) > most for one, most in found_rates):
        return None
    daily = periods_of(table).daily
    status = CostStatus.PRICED if found.status == CostStatus.FREE else found.status
    steady = card.own is None and all(_model_of(step.price_id) not in daily for step in card.steps)
    return Formula(card, found.source, str(status), steady)


def period(hour: int) -> int:
    """The number of the stretch of time, in which no listed rate changes, in which an hour lies."""
    table = rates.table()
    return -1 if table is None else periods_of(table).number(hour)


def period_bounds(number: int) -> tuple[int | None, int | None]:
    """The first hour of a period, and the first after it; None where there is none.

    Args:
        number: what :func:`period` said.
    """
    table = rates.table()
    return (None, None) if table is None else periods_of(table).bounds(number)


def _model_of(price_id: str) -> str:
    """Vendor and model, which a price id begins with."""
    return price_id.partition("@")[0].partition(";")[0]


def _key(record: CallRecord) -> tuple[object, ...]:
    """The key under which :func:`~spantally.pricing.rate.rate` keeps the card; another finds none."""
    context = record.price_context or {}
    return (
        context.get("provider", record.provider),
        record.response_model,
        record.request_model,
        record.start_ns // HOUR_NS,
        tuple(context.get(name) for name in ("service_tier", "batch", "speed", "geography", "search")),
        record.server_address or context.get("server_address"),
        record.precedence == Precedence.FOREIGN,
    )
