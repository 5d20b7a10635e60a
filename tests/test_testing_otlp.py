"""The OTLP receiver: what an exporter sends is kept as bytes and decodes to what was meant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from spantally.testing import OtlpReceiver


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_spans_arrive_and_decode(compression: Compression) -> None:
    """A span exported over HTTP, plain or gzip, is in the bytes and decodes to its values."""
    with OtlpReceiver() as receiver:
        provider = TracerProvider(resource=Resource({"service.name": "shop"}))
        exporter = OTLPSpanExporter(endpoint=f"{receiver.url}/v1/traces", compression=compression)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("scope.of.test")
        with tracer.start_as_current_span("outer"):
            span = tracer.start_span("inner", kind=SpanKind.CLIENT)
            span.set_attributes({"session.id": "s1", "n": 3, "list": ["a", "b"], "f": 0.5})
            span.add_event("happened", {"why": "because"})
            span.set_status(Status(StatusCode.ERROR, "it failed"))
            span.end()
        provider.shutdown()
        assert receiver.wait_for(lambda it: len(it.spans()) == 2)
        inner, outer = receiver.spans()
        assert b"because" in receiver.received("/v1/traces")
        assert receiver.received("/v1/logs") == b""
    assert (inner.name, inner.kind, inner.status, inner.status_message) == (
        "inner",
        "CLIENT",
        "ERROR",
        "it failed",
    )
    assert inner.attributes == {"session.id": "s1", "n": 3, "list": ["a", "b"], "f": 0.5}
    assert inner.events == [("happened", {"why": "because"})]
    assert inner.resource["service.name"] == "shop"
    assert inner.scope == "scope.of.test"
    assert (inner.parent_span_id, inner.trace_id) == (outer.span_id, outer.trace_id)
    assert outer.parent_span_id == ""
    assert outer.start_ns <= inner.start_ns <= inner.end_ns <= outer.end_ns


def test_metrics_and_logs_of_a_whole_program() -> None:
    """All three signals of a program under `opentelemetry-instrument` settings arrive at one receiver."""
    code = """
from opentelemetry import trace, metrics, _logs
trace.get_tracer("t").start_span("a").end()
metrics.get_meter("m").create_counter("spent").add(2)
_logs.get_logger("l").emit(body="said", event_name="e")
"""
    command = [
        str(Path(sys.executable).with_name("opentelemetry-instrument")),
        sys.executable,
        "-c",
        code,
    ]
    with OtlpReceiver() as receiver:
        env = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
            "SPANTALLY_DISABLED": "true",
        }
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert [span.name for span in receiver.spans()] == ["a"]
        assert "spent" in [metric.name for metric in receiver.metrics()]
        assert [record.body.string_value for record in receiver.logs()] == ["said"]


def test_waiting_in_vain_says_so() -> None:
    """A condition that never holds ends the wait at its timeout with False."""
    with OtlpReceiver() as receiver:
        assert not receiver.wait_for(lambda it: bool(it.requests), timeout=0.1)


@pytest.mark.parametrize("question", ["spans", "metrics", "logs"])
def test_without_the_messages_of_otlp_the_extra_is_named(
    question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes are kept without them; who asks for what they mean is told what to install."""
    for name in [name for name in sys.modules if name.startswith("opentelemetry.proto")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.proto", None)
    with OtlpReceiver() as receiver:
        assert receiver.received() == b""
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'spantally\[otlp\]'"):
            getattr(receiver, question)()
