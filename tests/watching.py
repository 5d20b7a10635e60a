"""spantally with everything on, and what came out of it: records, and spans as exported bytes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Sampler

import spantally
from spantally.budgets.brake import forget_accounts
from spantally.calls import implicit, pipeline
from spantally.ground import guard
from spantally.ground.records import CallRecord, Record, SessionRecord
from spantally.ground.session_state import forget_sessions
from spantally.ground.worker import worker


class BytesExporter(SpanExporter):
    """Serialises at once, as an OTLP exporter does: later changes of a span cannot hide what left."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.spans: list[Span] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep the bytes."""
        message = encode_spans(spans)
        self.payloads.append(message.SerializeToString())
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to end."""


def attributes(span: Span) -> dict[str, Any]:
    """Attributes of an exported span as plain values."""
    found: dict[str, Any] = {}
    for pair in span.attributes:
        kind = pair.value.WhichOneof("value")
        value: Any = getattr(pair.value, kind) if kind else None
        if kind == "array_value":
            value = [getattr(item, item.WhichOneof("value") or "string_value") for item in value.values]
        found[pair.key] = value
    return found


class Watched:
    """An active spantally, and what it saw."""

    def __init__(self, *, sampler: Sampler | None = None, **arguments: Any) -> None:
        spantally.uninstrument()
        implicit.forget_process_session()
        forget_sessions()
        forget_accounts()
        background = sys.modules.get("spantally.instrumentors.openai.background")
        if background is not None:
            background.forget()  # every scripted server counts its responses from one
        guard.reset()
        self._records: list[Record] = []
        self.exporter = BytesExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        arguments.setdefault("ledger", False)
        arguments.setdefault("tracer_provider", self.provider)
        spantally.instrument(**arguments)
        pipeline.add_consumer(self._take)

    def _take(self, batch: Sequence[Record]) -> None:
        self._records.extend(batch)

    @property
    def records(self) -> list[CallRecord]:
        """Records of calls so far, in the order of their start."""
        assert worker.flush(10)
        found = [record for record in self._records if isinstance(record, CallRecord)]
        return sorted(found, key=lambda record: record.start_ns)

    @property
    def sessions(self) -> list[SessionRecord]:
        """Records of sessions so far."""
        assert worker.flush(10)
        return [record for record in self._records if isinstance(record, SessionRecord)]

    def of(self, kind: str) -> list[CallRecord]:
        """Records of one kind."""
        return [record for record in self.records if record.kind == kind]

    @property
    def spans(self) -> list[Span]:
        """Exported spans so far, in the order of their start."""
        assert worker.flush(10)
        return sorted(self.exporter.spans, key=lambda span: span.start_time_unix_nano)

    def exported(self) -> bytes:
        """Everything that left, as bytes."""
        assert worker.flush(10)
        return b"".join(self.exporter.payloads)

    def close(self) -> None:
        """Take everything back."""
        pipeline.remove_consumer(self._take)
        spantally.uninstrument()
        implicit.forget_process_session()
        guard.reset()
