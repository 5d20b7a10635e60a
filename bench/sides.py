"""The sides of the comparison: nothing at all, a span alone, the official instrumentor, spantally.

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


class SpanAlone:
    """One span of the SDK around the call with as many attributes as ours has, and nothing else.

    Neither metrics nor ledger, redaction, prices or content: whoever makes a span of the SDK on the calling
    thread adds no less than this.
    """

    def __init__(self, *, content: bool, sampled: bool) -> None:
        self.exporter = CountingExporter()
        self._tracer = _providers(self.exporter, sampled=sampled)[0].get_tracer("bench")
        self._original: Any = None

    def on(self) -> None:
        """Wrap the method."""
        from openai.resources.chat.completions import Completions
        from opentelemetry import context
        from opentelemetry.trace import SpanKind, set_span_in_context

        original = self._original = Completions.create
        tracer = self._tracer

        def create(self: Any, *args: Any, **kwargs: Any) -> Any:
            span = tracer.start_span(
                "chat gpt-4o",
                kind=SpanKind.CLIENT,
                attributes={**_AT_START, "gen_ai.request.model": kwargs["model"]},
            )
            token = context.attach(set_span_in_context(span))
            try:
                return original(self, *args, **kwargs)
            finally:
                context.detach(token)
                span.set_attributes(_AT_END)
                span.end()

        Completions.create = create  # type: ignore[method-assign]

    def settle(self) -> None:
        """Nothing to do."""

    def off(self) -> None:
        """Put the method back."""
        from openai.resources.chat.completions import Completions

        Completions.create = self._original  # type: ignore[method-assign]


_AT_START: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.max_tokens": 256,
    "openai.api.type": "chat_completions",
    "server.address": "127.0.0.1",
    "server.port": 9,
    "session.id": "01a219a0-28b4-71ef-8b35-8ef157bbd136",
    "spantally.call.id": "01a219a037570a1b2c3d4e5f60718293",
}
_AT_END: dict[str, Any] = {
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "gen_ai.response.finish_reasons": ("stop",),
    "openai.response.service_tier": "default",
    "openai.response.system_fingerprint": "fp_50cad350e4",
    "gen_ai.usage.input_tokens": 19,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.usage.cache_read.input_tokens": 0,
    "gen_ai.usage.reasoning.output_tokens": 0,
    "spantally.cost.nano_usd": 147_500,
    "spantally.cost.usd": 0.0001475,
    "spantally.cost.status": "priced",
}

SIDES: dict[str, Any] = {
    "nothing": Nothing,
    "span": SpanAlone,
    "official": Official,
    "spantally": Spantally,
}
