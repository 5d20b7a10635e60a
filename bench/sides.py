"""The sides of the comparison: nothing at all, the official instrumentor, spantally.

Each side is switched on and off by its public functions. Both instrumentors report to the same providers:
one simple span processor into an exporter that only counts, and a real meter provider.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


class CountingExporter(SpanExporter):
    """Takes spans and only counts them."""

    def __init__(self) -> None:
        self.spans = 0
        self.attributes = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Count."""
        for span in spans:
            self.spans += 1
            self.attributes += len(span.attributes or ())
        return SpanExportResult.SUCCESS


class Side(Protocol):
    """One side of the comparison."""

    exporter: CountingExporter

    def on(self) -> None:
        """Instrument the SDK."""

    def settle(self) -> None:
        """Wait for work that was put off to other threads: it belongs to the calls before."""

    def off(self) -> None:
        """Take everything back."""


class Nothing:
    """The uninstrumented SDK, measured like the others: what it seems to add is the noise of the machine."""

    def __init__(self, *, content: bool, sampled: bool) -> None:
        self.exporter = CountingExporter()

    def on(self) -> None:
        """Nothing to do."""

    def settle(self) -> None:
        """Nothing to do."""

    def off(self) -> None:
        """Nothing to do."""


def _providers(exporter: CountingExporter, *, sampled: bool) -> tuple[TracerProvider, MeterProvider]:
    provider = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, MeterProvider(metric_readers=[InMemoryMetricReader()], shutdown_on_exit=False)


class Official:
    """opentelemetry-instrumentation-genai-openai: spans, duration and token metrics."""

    def __init__(self, *, content: bool, sampled: bool) -> None:
        os.environ[CONTENT_VARIABLE] = "SPAN_ONLY" if content else "NO_CONTENT"
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

        self.exporter = CountingExporter()
        self._tracing, self._metering = _providers(self.exporter, sampled=sampled)
        self._instrumentor: Any = OpenAIInstrumentor()

    def on(self) -> None:
        """Instrument the SDK."""
        self._instrumentor.instrument(
            tracer_provider=self._tracing, meter_provider=self._metering, skip_dep_check=True
        )

    def settle(self) -> None:
        """It does all its work on the calling thread."""

    def off(self) -> None:
        """Uninstrument."""
        self._instrumentor.uninstrument()


class Spantally:
    """spantally with everything on: redaction, a SQLite ledger in a file, prices, metrics."""

    def __init__(self, *, content: bool, sampled: bool) -> None:
        import spantally

        self._spantally = spantally
        self.exporter = CountingExporter()
        self._content = "span_only" if content else "no_content"
        self._sampled = sampled
        self._directory = tempfile.TemporaryDirectory(prefix="spantally-bench-")
        self._providers = _providers(self.exporter, sampled=sampled)

    def on(self) -> None:
        """Instrument the SDK."""
        self._spantally.instrument(
            tracer_provider=self._providers[0],
            meter_provider=self._providers[1],
            ledger=str(Path(self._directory.name) / "ledger.db"),
            capture_content=self._content,
            sigterm=False,
        )

    def settle(self) -> None:
        """Let the worker write its rows and metrics."""
        self._spantally.flush(10)

    def off(self) -> None:
        """Uninstrument."""
        self._spantally.uninstrument()

    def failures(self) -> dict[str, int]:
        """What spantally swallowed: must be empty."""
        from spantally.ground.guard import failures

        return {f"{place}: {kind}": count for (place, kind), count in failures.items()}


SIDES: dict[str, Any] = {"nothing": Nothing, "official": Official, "spantally": Spantally}
