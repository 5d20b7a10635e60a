"""Spans of OpenTelemetry's own HTTP instrumentations: URLs and captured headers leave without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import spantally
from hygiene_kit import OFFICIAL, Send, Service, official
from leak_kit import Planter
from spantally.ground import guard
from spantally.redaction.registry import forget_literals
from spantally.testing import OtlpReceiver

HEADERS = "authorization,x-api-key,cookie,x-note"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST", HEADERS)
    spantally.uninstrument()
    guard.reset()
    yield
    spantally.uninstrument()
    forget_literals()
    guard.reset()


@pytest.mark.parametrize("redact", [True, False], ids=["redacted", "control"])
@pytest.mark.parametrize("shape", ["key", "pair", "literal"])
@pytest.mark.parametrize(("module", "name", "send"), OFFICIAL)
def test_urls_and_headers_of_other_instrumentations(
    module: str, name: str, send: Send, shape: str, redact: bool
) -> None:
    """Neither the query nor the path nor a captured header gets out; with redaction off they do."""
    instrumentor = official(module, name)
    planter = Planter(shape, label=name)
    with OtlpReceiver() as receiver, Service() as service:
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{receiver.url}/v1/traces")
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        spantally.instrument(tracer_provider=provider, ledger=False, redact=redact)
        instrumentor.instrument(tracer_provider=provider)
        try:
            query = planter("query") if shape == "pair" else f"note={quote(planter('query'))}"
            path = quote(planter("path"))
            send(service.at(path=f"{path}?{query}"), {"x-note": planter("header")})
        finally:
            instrumentor.uninstrument()
        spans = receiver.spans()
        data = receiver.received("/v1/traces")
        provider.shutdown()
    assert spans
    if redact:
        assert planter.found_in(data) == set()
    else:
        assert planter.found_in(data) >= {"query"}
