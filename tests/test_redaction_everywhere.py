"""A marker secret in every place that leaves a process: none is in the bytes that a receiver gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

import spantally
from leak_kit import DROPPED, SHAPES, Planter, plant_logs, plant_metrics, plant_span, resource_of
from spantally.ground import guard
from spantally.redaction.registry import forget_literals
from spantally.testing import OtlpReceiver


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    spantally.uninstrument()
    guard.reset()
    yield
    spantally.uninstrument()
    forget_literals()
    guard.reset()


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as made:
        yield made


ORDERS = ("before", "after")
PROCESSORS: dict[str, Callable[[Any], Any]] = {"simple": SimpleSpanProcessor, "batch": BatchSpanProcessor}
LOG_PROCESSORS: dict[str, Callable[[Any], Any]] = {
    "simple": SimpleLogRecordProcessor,
    "batch": BatchLogRecordProcessor,
}


def send_spans(
    receiver: OtlpReceiver, planter: Planter, *, order: str, how: str, redact: bool = True
) -> bytes:
    """What an exporter added before or after ours sends of a foreign span."""
    provider = TracerProvider(shutdown_on_exit=False, resource=resource_of(planter))
    exporting = PROCESSORS[how](OTLPSpanExporter(endpoint=f"{receiver.url}/v1/traces"))
    if order == "before":
        provider.add_span_processor(exporting)
    spantally.instrument(tracer_provider=provider, ledger=False, redact=redact)
    if order == "after":
        provider.add_span_processor(exporting)
    plant_span(provider, planter)
    assert provider.force_flush()
    provider.shutdown()
    return receiver.received()


def send_logs(
    receiver: OtlpReceiver, planter: Planter, *, order: str, how: str, redact: bool = True
) -> bytes:
    """The same of log records."""
    provider = LoggerProvider(shutdown_on_exit=False, resource=resource_of(planter))
    exporting = LOG_PROCESSORS[how](OTLPLogExporter(endpoint=f"{receiver.url}/v1/logs"))
    if order == "before":
        provider.add_log_record_processor(exporting)
    spantally.instrument(logger_provider=provider, ledger=False, redact=redact)
    if order == "after":
        provider.add_log_record_processor(exporting)
    plant_logs(provider, planter)
    assert provider.force_flush()
    provider.shutdown()
    return receiver.received()


def send_metrics(receiver: OtlpReceiver, planter: Planter, *, redact: bool = True) -> bytes:
    """The same of metrics."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{receiver.url}/v1/metrics"))
    provider = MeterProvider(
        [reader],
        shutdown_on_exit=False,
        resource=resource_of(planter),
        exemplar_filter=AlwaysOnExemplarFilter(),
        views=[View(instrument_name="filtered", attribute_keys=set())],
    )
    spantally.instrument(meter_provider=provider, ledger=False, redact=redact)
    plant_metrics(provider, planter)
    assert provider.force_flush()
    provider.shutdown()
    return receiver.received()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", PROCESSORS)
@pytest.mark.parametrize("order", ORDERS)
def test_no_place_of_a_foreign_span_leaks(receiver: OtlpReceiver, shape: str, how: str, order: str) -> None:
    """Whatever a foreign instrumentor puts a secret into, and whoever exports it."""
    planter = Planter(shape)
    data = send_spans(receiver, planter, order=order, how=how)
    assert receiver.spans()
    assert planter.found_in(data) == set()
    assert not guard.failures


@pytest.mark.parametrize("shape", SHAPES)
def test_each_place_of_a_span_reaches_the_receiver_without_us(receiver: OtlpReceiver, shape: str) -> None:
    """The control: with redaction off each of these secrets is in the bytes, so the search does find them."""
    planter = Planter(shape)
    data = send_spans(receiver, planter, order="before", how="simple", redact=False)
    assert set(planter.markers) - planter.found_in(data) == set(DROPPED & set(planter.markers))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", LOG_PROCESSORS)
@pytest.mark.parametrize("order", ORDERS)
def test_no_place_of_a_log_record_leaks(receiver: OtlpReceiver, shape: str, how: str, order: str) -> None:
    """Bodies of every type, attributes, names, exceptions, scope and resource."""
    planter = Planter(shape)
    data = send_logs(receiver, planter, order=order, how=how)
    assert receiver.logs()
    assert planter.found_in(data) == set()
    assert not guard.failures


@pytest.mark.parametrize("shape", SHAPES)
def test_each_place_of_a_log_record_reaches_the_receiver_without_us(
    receiver: OtlpReceiver, shape: str
) -> None:
    """The control for log records."""
    planter = Planter(shape)
    data = send_logs(receiver, planter, order="before", how="simple", redact=False)
    assert set(planter.markers) - planter.found_in(data) == set(DROPPED & set(planter.markers))


@pytest.mark.parametrize("shape", SHAPES)
def test_no_place_of_a_metric_leaks(receiver: OtlpReceiver, shape: str) -> None:
    """Attributes of points, filtered attributes of exemplars, descriptions, scope and resource."""
    planter = Planter(shape)
    data = send_metrics(receiver, planter)
    assert receiver.metrics()
    assert planter.found_in(data) == set()
    assert not guard.failures


@pytest.mark.parametrize("shape", SHAPES)
def test_each_place_of_a_metric_reaches_the_receiver_without_us(receiver: OtlpReceiver, shape: str) -> None:
    """The control for metrics."""
    planter = Planter(shape)
    data = send_metrics(receiver, planter, redact=False)
    assert set(planter.markers) - planter.found_in(data) == set(DROPPED & set(planter.markers))
