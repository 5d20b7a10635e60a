"""The net of metrics: between the sums of a provider and its readers, whoever they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import spantally
from otel_kit import SECRET
from spantally.ground import guard
from spantally.otel import metric_net
from spantally.otel.metric_net import MetricNet, place_metric_net, remove_metric_net
from spantally.otel.provider import install_metric_net
from spantally.redaction import Redactor


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    spantally.uninstrument()
    guard.reset()
    yield
    spantally.uninstrument()
    guard.reset()


def text_of(reader: InMemoryMetricReader) -> str:
    """All that a reader gets."""
    return str(reader.get_metrics_data())


def test_readers_get_redacted_points_before_and_after_ours() -> None:
    """Those that the provider has, and those that it is given later; the sums are what they were."""
    first, later = InMemoryMetricReader(), InMemoryMetricReader()
    provider = MeterProvider([first], shutdown_on_exit=False)
    counter = provider.get_meter("app").create_counter("things")
    counter.add(2, {"who": SECRET})
    assert place_metric_net(provider, MetricNet(Redactor))
    counter.add(3, {"who": SECRET})
    data: Any = first.get_metrics_data()
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert point.value == 5
    assert SECRET not in str(data)
    if not hasattr(provider, "add_metric_reader"):  # since SDK 1.44
        return
    provider.add_metric_reader(later)
    counter.add(1, {"who": SECRET})
    assert "REDACTED" in text_of(later)
    assert SECRET not in text_of(later)


def test_different_secrets_stay_different_series() -> None:
    """Two series do not become one, which would be two values of the same thing."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    place_metric_net(provider, MetricNet(Redactor))
    counter = provider.get_meter("app").create_counter("things")
    for index in range(5):
        counter.add(1, {"who": f"{SECRET}{index}"})
    data: Any = reader.get_metrics_data()
    points = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert len({str(point.attributes) for point in points}) == 5


def test_clean_metrics_pass_as_the_same_object() -> None:
    """Nothing is copied where there is no secret."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("app").create_histogram("sizes").record(3, {"route": "/x", "list": 1})
    data: Any = reader.get_metrics_data()
    assert metric_net.safe_metrics(data, Redactor()) is data


def test_instrument_places_it_and_uninstrument_takes_it_back() -> None:
    """A given provider is covered from instrument() to uninstrument(), twice over and as redact= says."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    gauge = provider.get_meter("app").create_gauge("level")
    before = reader._collect
    for _ in range(2):
        spantally.instrument(meter_provider=provider, ledger=False, redact=False)
        gauge.set(1, {"who": SECRET})
        assert SECRET in text_of(reader)
        spantally.instrument(redact=True)
        gauge.set(1, {"who": SECRET})
        assert SECRET not in text_of(reader)
        spantally.uninstrument()
        assert reader._collect == before
        gauge.set(1, {"who": SECRET})
        assert SECRET in text_of(reader)


GLOBAL = """
import sys
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
import spantally
early = sys.argv[1] == "before"
reader = InMemoryMetricReader()
provider = MeterProvider([reader], shutdown_on_exit=False)
if early:
    metrics.set_meter_provider(provider)
spantally.instrument(ledger=False)
if not early:
    metrics.set_meter_provider(provider)
metrics.get_meter("app").create_counter("things").add(1, {"password": "hunter2hunter2"})
text = str(reader.get_metrics_data())
assert "REDACTED" in text and "hunter2" not in text, text
spantally.uninstrument()
assert metrics.get_meter_provider() is provider
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_global_provider_of_the_program(when: str) -> None:
    """One that the program sets before instrument() or after it."""
    done = subprocess.run(
        [sys.executable, "-c", GLOBAL, when], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_sdk_without_the_place_is_left_alone() -> None:
    """Nothing is replaced, nothing raised; the answer says so."""

    class Other:
        _measurement_consumer = object()

    net = MetricNet(Redactor)
    other = Other()
    assert not place_metric_net(other, net)
    remove_metric_net(other, net)
    assert install_metric_net(object(), net) is None


def test_a_provider_that_refuses_is_no_failure_of_the_program() -> None:
    """What raises while the net is placed is counted, and goes no further."""

    class Frozen:
        __slots__ = ()

        def collect(self) -> None:
            """Nothing."""

    class Refusing:
        _measurement_consumer = Frozen()

    assert install_metric_net(Refusing(), MetricNet(Redactor)) is None
    assert guard.failures["otel.install_metrics", "AttributeError"] == 1


def _fail() -> Any:
    raise RuntimeError(SECRET)


def test_a_net_that_fails_gives_the_reader_nothing() -> None:
    """It fails closed: the collection is left out, and the program and its reader go on."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    place_metric_net(provider, MetricNet(_fail))
    provider.get_meter("app").create_counter("things").add(1, {"who": SECRET})
    assert reader.get_metrics_data() is None
    assert guard.failures["redaction.metrics", "RuntimeError"] == 1
