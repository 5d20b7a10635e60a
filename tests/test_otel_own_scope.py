"""The instrumentation scope of what we send."""

from __future__ import annotations

from importlib import metadata

import openai
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spantally.ground import semconv
from spantally.testing import ScriptedServer
from watching import Watched


def test_signals_of_one_call_say_one_scope(server: ScriptedServer) -> None:
    """Span, metrics and event have name, version and schema URL of one instrumentation scope."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    watched = Watched(
        tracer_provider=tracers, logger_provider=loggers, meter_provider=meters, capture_content="event_only"
    )
    try:
        with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as client:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
        assert watched.records
        data = reader.get_metrics_data()
        assert data is not None
        scopes = [
            *(span.instrumentation_scope for span in spans.get_finished_spans()),
            *(event.instrumentation_scope for event in logs.get_finished_logs()),
            *(scope.scope for resource in data.resource_metrics for scope in resource.scope_metrics),
        ]
    finally:
        watched.close()
        meters.shutdown()
    assert len(scopes) == 3
    told = {(one.name, one.version, one.schema_url) for one in scopes if one is not None}
    assert told == {("spantally", metadata.version("spantally"), semconv.SCHEMA_URLS["latest"])}
