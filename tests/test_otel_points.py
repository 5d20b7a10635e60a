"""Values of one point given together: the SDK tells the same of them as when each comes alone."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, View

from spantally.otel import points

POINTS: tuple[dict[str, Any], ...] = (
    {"a": "x", "b": 1},
    {"a": "x", "b": 1.0},
    {"a": "x", "b": True},
    {"b": 1, "a": "x"},
    {},
)
VALUES = (0, 0.5, 3, 3, 1e9)


def _readers() -> list[InMemoryMetricReader]:
    delta: dict[type, Any] = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)
    return [InMemoryMetricReader(), InMemoryMetricReader(preferred_temporality=delta)]


def _told(give: Any, **options: Any) -> list[Any]:
    readers = _readers()
    provider = MeterProvider(metric_readers=readers, shutdown_on_exit=False, **options)
    meter = provider.get_meter("test")
    made = (meter.create_counter("sum"), meter.create_histogram("values"), meter.create_histogram("dropped"))
    told: list[Any] = []
    for _ in range(3):
        for instrument in made:
            for attributes in POINTS:
                give(instrument, VALUES, attributes)
        told.extend(
            points._plain(data, "test") for one in readers if (data := one.get_metrics_data()) is not None
        )
    provider.shutdown()
    return told


def test_this_sdk_has_the_shared_way() -> None:
    """The newest SDK has what the shared way needs; an older one is given each value alone."""
    shared = points._way()
    if shared is None:
        pytest.skip("an SDK with other private names")
    assert points._told(None) == points._told(shared)


@pytest.mark.parametrize(
    "views",
    [
        [],
        [View(instrument_name="*", attribute_keys={"a"})],
        [
            View(instrument_name="dropped", aggregation=DropAggregation()),
            View(instrument_name="values", name="v"),
        ],
    ],
)
def test_both_ways_tell_the_same(views: list[View]) -> None:
    """Cumulative and delta readers, views, equal numbers of different types, several collections."""
    assert _told(points._publicly, views=views) == _told(points.Points().give, views=views)


def test_exemplars_are_taken() -> None:
    """Where every value may be an exemplar, values given together may, too."""
    readers = _readers()
    provider = MeterProvider(
        metric_readers=readers, exemplar_filter=AlwaysOnExemplarFilter(), shutdown_on_exit=False
    )
    points.Points().give(provider.get_meter("test").create_histogram("values"), VALUES, {"a": "x"})
    ((_, _, (point,)),) = points._plain(readers[0].get_metrics_data(), "test")
    assert dict(point)["exemplars"]


def test_what_the_sdk_refuses_goes_the_public_way() -> None:
    """A negative duration, of a clock that was set back, is the SDK's to refuse; the others count."""
    told: list[str] = []
    for give in (points.Points().give, points._publicly):
        reader = InMemoryMetricReader()
        provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
        give(provider.get_meter("test").create_histogram("values"), (1, -1, float("nan"), 2), {})
        ((_, _, (point,)),) = points._plain(reader.get_metrics_data(), "test")
        told.append(repr((dict(point)["count"], dict(point)["sum"])))  # an older SDK takes nan, too
    assert told[0] == told[1]


def test_without_the_private_names_each_value_comes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another SDK gets all values by its public functions."""
    monkeypatch.setattr(points, "_found", [None])
    assert _told(points.Points().give) == _told(points._publicly)


def test_a_way_that_tells_otherwise_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK that has the names and gives them another meaning is found out."""
    monkeypatch.setattr(points, "_found", [])
    monkeypatch.setattr(points._Shared, "give", lambda *_: None)
    assert points._way() is None


def test_a_way_that_raises_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had in hand is counted as a failure and given to nobody twice; all after that goes publicly."""
    if points._way() is None:
        pytest.skip("an SDK with other private names")
    monkeypatch.setattr(points, "_found", list(points._found))
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    counter = provider.get_meter("test").create_counter("sum")
    taker = points.Points()

    def broken(*_: Any) -> None:
        raise RuntimeError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(points._Shared, "give", broken)
        with pytest.raises(RuntimeError, match="planted"):
            taker.give(counter, (1,), {"a": "x"})
    taker.give(counter, (2,), {"a": "x"})
    assert points._way() is None
    ((_, _, (point,)),) = points._plain(reader.get_metrics_data(), "test")
    assert dict(point)["value"] == 2
