"""The cost of calls as metrics: what is known of it, and how many calls it does not cover.

Costs are whole nano-dollars until a batch is summed; only the sum becomes a floating number of dollars, which
is what a metrics backend adds up. A call whose price is not known yet waits until it is, outside the sums.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spantally.calls import pipeline
from spantally.calls.costing import PENDING
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord

if TYPE_CHECKING:
    from spantally.ground.money import Rating

Point: TypeAlias = tuple[tuple[str, Any], ...]
Rate: TypeAlias = "Callable[[CallRecord], Rating]"
OnReady: TypeAlias = Callable[[Callable[[], None]], object]

MOST_WAITING: Final = 4096
"""Calls that wait for the price data at most; those beyond it count as not covered."""


class CostMetrics:
    """Sums costs by attributes, on the worker.

    Args:
        add: adds a number to a counter, by name.
        attributes: makes a point's attributes safe.
        rate: prices a record without waiting.
        on_ready: takes a callback that is to run once prices can be told.
    """

    def __init__(
        self,
        add: Callable[[str, float, Mapping[str, Any]], None],
        attributes: Callable[[Point], Mapping[str, Any]],
        rate: Rate,
        on_ready: OnReady | None,
    ) -> None:
        self._add = add
        self._attributes = attributes
        self._rate = rate
        self._on_ready = on_ready
        self._asked = False
        self._waiting: deque[tuple[CallRecord, Point]] = deque()
        self._nano: dict[tuple[Point, str], int] = {}
        self._uncovered: dict[tuple[Point, str], int] = {}

    def note(self, record: CallRecord, rating: Rating, point: Point) -> None:
        """Count a call.

        Args:
            record: of the call.
            rating: its price.
            point: attributes of its data point.
        """
        if rating.status != PENDING:
            self._sum(rating, point)
            return
        if len(self._waiting) >= MOST_WAITING:
            self._sum(rating, self._waiting.popleft()[1])
        self._waiting.append((record._replace(content=None), point))
        if not self._asked and self._on_ready is not None:
            self._asked = True
            try:
                self._on_ready(lambda: pipeline.late.put(self.price_waiting))
            except Exception as error:
                swallowed("otel.cost_metrics", error)

    def _sum(self, rating: Rating, point: Point) -> None:
        key = (point, rating.status)
        if rating.nano_usd is None:
            self._uncovered[key] = self._uncovered.get(key, 0) + 1
        else:
            self._nano[key] = self._nano.get(key, 0) + rating.nano_usd

    def price_waiting(self) -> None:
        """Price what waited for the price data; on the worker."""
        waiting, self._waiting = self._waiting, deque()
        self._asked = False
        for record, point in waiting:
            self.note(record, self._rate(record), point)
        self.flush()

    def flush(self) -> None:
        """Add what was summed to the counters."""
        nano, self._nano = self._nano, {}
        uncovered, self._uncovered = self._uncovered, {}
        for key, amount in nano.items():
            self._add(semconv.METRIC_COST, amount / 1e9, self._attributes(_with_status(*key)))
        for key, count in uncovered.items():
            self._add(semconv.METRIC_UNPRICED_CALLS, count, self._attributes(_with_status(*key)))


def _with_status(point: Point, status: str) -> Point:
    return (*point, (semconv.COST_STATUS, str(status)))
