"""Stretches of time in which no listed rate changes."""

from __future__ import annotations

from itertools import groupby

import pytest

from spantally.ground.records import CallRecord, Kind
from spantally.pricing import rates
from spantally.pricing.linear import Formula, formula, period
from spantally.pricing.periods import periods_of
from spantally.pricing.rate import HOUR_NS

PROVIDERS = ("openai", "deepseek")


def asked(provider: str, model: str, hour: int, tier: str | None = None) -> CallRecord:
    """A call of an hour."""
    return CallRecord(
        call_id="-",
        session_id="-",
        kind=Kind.INFERENCE,
        operation="chat",
        start_ns=hour * HOUR_NS,
        provider=provider,
        request_model=model,
        price_context=None if tier is None else {"service_tier": tier},
    )


def rates_in(one: Formula) -> object:
    """What two formulas have in common that rate alike."""
    steps = [(step.above, step.vector, step.gaps, step.price_id) for step in one.card.steps]
    return steps, one.card.per_call, one.status


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_steady_rates_are_the_same_throughout_a_period(step: int) -> None:
    """Of any model and tier: a formula that says it is steady is that of each hour of its period."""
    table = rates.load()
    assert table is not None
    starts = periods_of(table).starts
    hours = sorted({start + near for start in starts for near in (-12, -1, 0, 6)})
    steady = 0
    for vendor in table.providers:
        if vendor.id not in PROVIDERS:
            continue
        for model in vendor.models[::step]:
            if not isinstance(model.prices, list) and not model.price_variants:
                continue
            for tier in (None, "batch", "priority"):
                for _, those in groupby(hours, period):
                    found = [formula(asked(vendor.id, model.id, hour, tier)) for hour in those]
                    known = [rates_in(one) for one in found if one and one.steady]
                    assert all(one == known[0] for one in known), (model.id, tier)
                    steady += len(known)
    assert steady > 500 // step


def test_rates_by_the_time_of_day_are_not_steady() -> None:
    """A model that costs less at night has a formula for each hour, of which one differs."""
    found = [formula(asked("deepseek", "deepseek-flash", 486_000 + hour)) for hour in range(24)]
    vectors = {one.card.steps[-1].vector for one in found if one is not None}
    assert len(vectors) > 1
    assert not any(one.steady for one in found if one is not None)


def test_a_date_begins_a_period() -> None:
    """The hour at which a rate begins to hold is the first of the next period."""
    table = rates.load()
    assert table is not None
    for start in periods_of(table).starts:
        assert period(start - 1) < period(start) == period(start + 1)
