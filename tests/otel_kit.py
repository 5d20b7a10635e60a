"""A provider with our processor between two exporters that serialise at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace import SpanProcessor as SdkSpanProcessor

from spantally.calls.telemetry import Telemetry
from spantally.ground.records import CallRecord, LinkRecord, Record, SessionRecord
from spantally.otel.span_processor import SpanProcessor

SECRET = "sk-proj-Zq8Xw3Vt6Ys1Ur4Pn9Mk2Lj7Hg5Fd0Sa"


class Bytes(SdkSpanProcessor):
    """Serialises each span as OTLP the moment it ends; ``starts`` keeps what ``on_start`` could see."""

    def __init__(self, *, looks_at_start: bool = False) -> None:
        self.sent = b""
        self.spans: list[ReadableSpan] = []
        self.starts: list[dict[str, Any]] = []
        if looks_at_start:
            self.__class__ = LookingBytes

    def on_end(self, span: ReadableSpan) -> None:
        self.sent += encode_spans([span]).SerializeToString()
        self.spans.append(span)

    def attributes(self, name: str) -> Mapping[str, Any]:
        """Attributes of the span of that name."""
        return next(span.attributes or {} for span in self.spans if span.name == name)


class LookingBytes(Bytes):
    """One that exports at the start of a span."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.starts.append(dict(span.attributes))


class Bench:
    """Tracer, processor, the exporters before and behind it, and the records that came out."""

    def __init__(self, *, front: bool = False, looks_at_start: bool = False, **arguments: Any) -> None:
        self.records: list[Record] = []
        arguments.setdefault("telemetry", Telemetry())
        self.processor = SpanProcessor(sink=self.records.append, **arguments)
        self.before, self.after = Bytes(), Bytes(looks_at_start=looks_at_start)
        self.provider = TracerProvider(
            shutdown_on_exit=False, resource=Resource({"service.name": "shop", "process.command": SECRET})
        )
        chain: Sequence[SdkSpanProcessor] = (self.before, self.processor, self.after)
        for processor in chain[1:] if front else chain:
            self.provider.add_span_processor(processor)
        self.tracer = self.provider.get_tracer("foreign.instrumentor")

    @property
    def calls(self) -> list[CallRecord]:
        return [one for one in self.records if isinstance(one, CallRecord)]

    @property
    def sessions(self) -> list[SessionRecord]:
        return [one for one in self.records if isinstance(one, SessionRecord)]

    @property
    def links(self) -> list[LinkRecord]:
        return [one for one in self.records if isinstance(one, LinkRecord)]


CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
}
