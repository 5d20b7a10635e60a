"""The backstop: exporters that redact what another exporter sends, without any other part of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import StatusCode

import spantally
from leak_kit import DROPPED, SHAPES, Planter, plant_logs, plant_metrics, plant_span, resource_of
from spantally.ground import guard
from spantally.otel import exporters, log_exporter, metric_net, redaction_net
from spantally.redaction import Redactor
from spantally.redaction.registry import forget_literals
from spantally.testing import OtlpReceiver


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    spantally.uninstrument()
    guard.reset()
    yield
    forget_literals()
    guard.reset()


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as made:
        yield made


class Keeping(SpanExporter):
    """Keeps the spans that it is given."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> Any:
        self.spans.extend(spans)
        return "the inner result"


def _spans(receiver: OtlpReceiver, planter: Planter) -> None:
    provider = TracerProvider(shutdown_on_exit=False, resource=resource_of(planter))
    inner = OTLPSpanExporter(endpoint=f"{receiver.url}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(spantally.RedactingSpanExporter(inner)))
    plant_span(provider, planter)
    assert provider.force_flush()
    provider.shutdown()


def _logs(receiver: OtlpReceiver, planter: Planter) -> None:
    provider = LoggerProvider(shutdown_on_exit=False, resource=resource_of(planter))
    inner = OTLPLogExporter(endpoint=f"{receiver.url}/v1/logs")
    provider.add_log_record_processor(BatchLogRecordProcessor(spantally.RedactingLogExporter(inner)))
    plant_logs(provider, planter)
    assert provider.force_flush()
    provider.shutdown()


def _metrics(receiver: OtlpReceiver, planter: Planter) -> None:
    inner = OTLPMetricExporter(endpoint=f"{receiver.url}/v1/metrics")
    provider = MeterProvider(
        [PeriodicExportingMetricReader(spantally.RedactingMetricExporter(inner))],
        shutdown_on_exit=False,
        resource=resource_of(planter),
        exemplar_filter=AlwaysOnExemplarFilter(),
        views=[View(instrument_name="filtered", attribute_keys=set())],
    )
    plant_metrics(provider, planter)
    assert provider.force_flush()
    provider.shutdown()


SIGNALS: dict[str, Callable[[OtlpReceiver, Planter], None]] = {
    "spans": _spans,
    "logs": _logs,
    "metrics": _metrics,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("signal", SIGNALS)
def test_no_place_leaks_where_only_the_exporter_is_ours(
    receiver: OtlpReceiver, signal: str, shape: str
) -> None:
    """On a provider that has nothing else of ours, no secret of any place is in the bytes."""
    planter = Planter(shape)
    SIGNALS[signal](receiver, planter)
    assert receiver.received()
    assert planter.found_in(receiver.received()) == set()
    assert not guard.failures


def _exported(redact: Any = True) -> tuple[ReadableSpan, ReadableSpan, Planter]:
    """A span as another exporter of the provider got it, and as the one behind the backstop did."""
    planter = Planter("key")
    provider = TracerProvider(shutdown_on_exit=False, resource=resource_of(planter))
    plain, inner = Keeping(), Keeping()
    provider.add_span_processor(SimpleSpanProcessor(spantally.RedactingSpanExporter(inner, redact)))
    provider.add_span_processor(SimpleSpanProcessor(plain))
    plant_span(provider, planter)
    return plain.spans[0], inner.spans[0], planter


def _told(span: ReadableSpan) -> bytes:
    """All of a span, as it would be sent."""
    told: bytes = encode_spans([span]).SerializeToString()
    return told


def test_the_spans_of_other_exporters_stay_as_they_are() -> None:
    """What another exporter of the same provider gets is not touched: the backstop works on copies."""
    plain, safe, planter = _exported()
    assert planter.found_in(_told(plain)) == set(planter.markers) - DROPPED
    assert planter.found_in(_told(safe)) == set()
    assert [event.timestamp for event in safe.events] == [event.timestamp for event in plain.events]
    assert (safe.start_time, safe.end_time, safe.kind) == (plain.start_time, plain.end_time, plain.kind)
    assert safe.status.status_code is StatusCode.ERROR
    assert safe.attributes is not None
    assert safe.attributes["tokens"] == 42


def test_results_and_preferences_are_the_inner_exporters() -> None:
    """Whoever asks the backstop for something that is not its own gets the inner exporter's."""
    inner = Keeping()
    made = spantally.RedactingSpanExporter(inner)
    assert str(made.export([])) == "the inner result"
    assert made.force_flush() is True

    class Preferring(MetricExporter):
        def export(self, metrics_data: Any, timeout_millis: float = 0, **kwargs: Any) -> Any:
            return timeout_millis

        def force_flush(self, timeout_millis: float = 0) -> bool:
            return False

        def shutdown(self, timeout_millis: float = 0, **kwargs: Any) -> None:
            self.ended = timeout_millis

    preferring = Preferring(preferred_temporality={int: 1})  # type: ignore[dict-item]
    wrapped: Any = spantally.RedactingMetricExporter(preferring, redact=False)
    assert wrapped._preferred_temporality == {int: 1}
    assert wrapped.export(None, timeout_millis=7) == 7
    assert wrapped.force_flush() is False
    wrapped.shutdown(timeout_millis=3)
    assert preferring.ended == 3


def test_redact_false_and_a_wrong_value() -> None:
    """False lets spans pass as the same objects; what is no redactor is refused at once."""
    plain, passed, _ = _exported(redact=False)
    assert _told(passed) == _told(plain)
    with pytest.raises(spantally.SettingsError):
        spantally.RedactingSpanExporter(Keeping(), redact="yes")  # type: ignore[arg-type]


class Counting(Redactor):
    """Counts what it is asked."""

    asked = 0

    def attributes(self, attributes: Any) -> dict[str, Any]:
        Counting.asked += 1
        return super().attributes(attributes)


def test_what_another_net_has_scanned_passes_unscanned() -> None:
    """A span that went through the net as it ended costs the exporter nothing, until a secret is learned."""
    redactor = Counting()
    inner = Keeping()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(spantally.SpanProcessor(redact=redactor, ledger=False))
    made = spantally.RedactingSpanExporter(inner, redact=redactor)
    provider.add_span_processor(SimpleSpanProcessor(made))
    provider.get_tracer("x").start_span("first", attributes={"word": "amber-birch-774411"}).end()
    (first,) = inner.spans
    before = Counting.asked
    made.export([first])
    assert Counting.asked == before
    assert inner.spans[1] is first
    spantally.redaction.register_literal("amber-birch-774411")
    made.export([first])
    assert Counting.asked > before
    assert "birch" not in inner.spans[2].to_json()


# -- faults ------------------------------------------------------------------------------------------------


class Boom(Exception):
    """What the forced failures raise."""


def _fail(*_: Any, **__: Any) -> Any:
    raise Boom


def test_a_span_that_cannot_be_copied_goes_out_as_bones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids, times and numbers survive; none of the texts does."""
    monkeypatch.setattr(exporters, "redacted_copy", _fail)
    plain, safe, planter = _exported()
    assert planter.found_in(_told(safe)) == set()
    assert guard.failures["redaction.export", "Boom"] == 1
    assert safe.attributes is not None
    assert safe.attributes["tokens"] == 42
    assert safe.attributes["gen_ai.input.messages"] == "[REDACTED:error]"
    mine, theirs = safe.get_span_context(), plain.get_span_context()
    assert mine is not None
    assert theirs is not None
    assert (mine.trace_id, mine.span_id) == (theirs.trace_id, theirs.span_id)
    assert (safe.start_time, safe.end_time) == (plain.start_time, plain.end_time)


def test_a_span_without_even_bones_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch goes out without it."""
    monkeypatch.setattr(exporters, "redacted_copy", _fail)
    monkeypatch.setattr(exporters, "_bones", _fail)
    inner = Keeping()
    span = ReadableSpan("x", attributes={"a": "b"})
    assert str(spantally.RedactingSpanExporter(inner).export([span])) == "the inner result"
    assert inner.spans == []
    assert guard.failures["redaction.export_closed", "Boom"] == 1


def test_an_sdk_that_keeps_its_parts_elsewhere_is_noticed() -> None:
    """A span whose public name is not what was replaced goes out as bones."""

    class Other(ReadableSpan):
        @property
        def name(self) -> str:
            return "sk-proj-" + "Zb2C3d4E" * 5

    inner = Keeping()
    spantally.RedactingSpanExporter(inner).export([Other("x", attributes={})])
    assert inner.spans[0].name == "[REDACTED:error]"


@pytest.mark.parametrize("part", ["_redact_scope", "_redact_context", "_redact_resource"])
def test_a_part_that_cannot_be_replaced_is_lost_not_leaked(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scope, trace state and resource are withheld where their redaction raises."""
    monkeypatch.setattr(redaction_net, part, _fail)
    _, safe, planter = _exported()
    assert planter.found_in(_told(safe)) == set()
    assert any(where.startswith("redaction.span_") for where, _ in guard.failures)


def test_a_log_record_that_cannot_be_copied_goes_out_without_text(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Severity and times survive."""
    monkeypatch.setattr(log_exporter, "redact_record", _fail)
    planter = Planter("key")
    _logs(receiver, planter)
    assert receiver.logs()
    assert planter.found_in(receiver.received()) == set()
    assert guard.failures["redaction.export_log", "Boom"]
    monkeypatch.setattr(log_exporter, "closed_record", _fail)
    receiver.requests.clear()
    _logs(receiver, planter)
    assert receiver.logs() == []
    assert guard.failures["redaction.export_log_closed", "Boom"]


@pytest.mark.parametrize("part", ["_safe_metric", "safe_resource"])
def test_metrics_that_cannot_be_copied_are_left_out(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """No point of theirs is sent with its texts; the exporter and the program go on."""
    monkeypatch.setattr(metric_net, part, _fail)
    planter = Planter("key")
    _metrics(receiver, planter)
    assert planter.found_in(receiver.received()) == set()
    assert receiver.metrics() == []
    assert {where for where, _ in guard.failures} == {
        "redaction.metric" if part == "_safe_metric" else "redaction.metrics"
    }
