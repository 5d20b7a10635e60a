"""A span that conforms, to plant faults in, and the way from what a test exported to findings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)

from spantally.conformance import (
    PROFILES,
    Event,
    Finding,
    Scope,
    Span,
    check,
)
from spantally.otlp import Batch, read_document
from watching import Watched

SCOPE = Scope("lib", "1", "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev")
OLD_SCOPE = Scope("lib", "1", "https://opentelemetry.io/schemas/1.41.0")

CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 2,
    "server.address": "api.openai.com",
    "server.port": 443,
}
"""Attributes of a chat span without a fault."""

OTHERS: dict[str, dict[str, Any]] = {
    "embeddings": {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "small",
        "gen_ai.request.encoding_formats": ["float"],
        "gen_ai.embeddings.dimension.count": 3,
        "gen_ai.response.model": "small",
        "gen_ai.usage.input_tokens": 2,
        "server.address": "api.openai.com",
        "server.port": 443,
    },
    "execute_tool": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"},
    "invoke_agent": {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "planner",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 2,
        "gen_ai.usage.output_tokens": 2,
    },
    "search_memory": {
        "gen_ai.operation.name": "search_memory",
        "server.address": "memory",
        "server.port": 1,
    },
    "retrieval": {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "docs",
        "gen_ai.retrieval.top_k": 3,
        "server.address": "store",
        "server.port": 1,
    },
    "invoke_workflow": {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "crew"},
}
"""Attributes of further spans without a fault."""

NAMED = {
    "embeddings": ("embeddings small", "CLIENT"),
    "execute_tool": ("execute_tool look", "INTERNAL"),
    "invoke_agent": ("invoke_agent planner", "INTERNAL"),
    "search_memory": ("search_memory", "CLIENT"),
    "retrieval": ("retrieval docs", "CLIENT"),
    "invoke_workflow": ("invoke_workflow crew", "INTERNAL"),
}


def chat(*, without: Iterable[str] = (), **changes: Any) -> Span:
    """A chat span, with changes.

    Args:
        without: attributes to leave out.
        changes: fields of the span; ``attributes`` are added to the faultless ones.
    """
    attributes = {**CHAT, **changes.pop("attributes", {})}
    for name in without:
        del attributes[name]
    fields: dict[str, Any] = {"name": "chat gpt-4o", "kind": "CLIENT", "scope": SCOPE, **changes}
    return Span(attributes=attributes, **fields)


def other(operation: str, *, without: Iterable[str] = (), **changes: Any) -> Span:
    """A span of another operation, with changes as in :func:`chat`."""
    attributes = {**OTHERS[operation], **changes.pop("attributes", {})}
    for name in without:
        del attributes[name]
    name, kind = NAMED[operation]
    fields: dict[str, Any] = {"name": name, "kind": kind, "scope": SCOPE, **changes}
    return Span(attributes=attributes, **fields)


def findings(*things: Span | Event, profile: str = "latest") -> list[Finding]:
    """What the rules find on spans and log events."""
    spans = [one for one in things if isinstance(one, Span)]
    events = [one for one in things if isinstance(one, Event)]
    return check(Batch(spans, events, []), PROFILES[profile])


def of_payloads(
    traces: Iterable[bytes], profile: str = "latest", logs: Iterable[bytes] = ()
) -> list[Finding]:
    """What the rules find on exported messages, by way of their OTLP JSON, all taken together."""
    batch = Batch([], [], [])
    for kind, payloads in ((ExportTraceServiceRequest, traces), (ExportLogsServiceRequest, logs)):
        for payload in payloads:
            batch.extend(read_document(json.loads(json.dumps(MessageToDict(kind.FromString(payload))))))
    assert batch.unusable == []
    assert batch.spans
    return check(batch, PROFILES[profile])


class LogBytes(LogRecordExporter):
    """Serialises at once, as an OTLP exporter does."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def export(self, batch: Sequence[Any]) -> LogRecordExportResult:
        """Keep the bytes."""
        self.payloads.append(encode_logs(batch).SerializeToString())
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Nothing waits."""
        return True

    def events(self) -> list[Any]:
        """The log records that left, decoded."""
        return [
            record
            for payload in self.payloads
            for resource in ExportLogsServiceRequest.FromString(payload).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def schema_urls(self) -> set[str]:
        """Schema URLs of the scopes that they came from."""
        return {
            scope.schema_url
            for payload in self.payloads
            for resource in ExportLogsServiceRequest.FromString(payload).resource_logs
            for scope in resource.scope_logs
        }


class Judged(Watched):
    """An active spantally whose spans and events are judged by the bytes that left."""

    def __init__(self, **settings: Any) -> None:
        self.logs = LogBytes()
        self.profile = settings.get("semconv", "latest")
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(self.logs))
        super().__init__(logger_provider=provider, **settings)

    def findings(self) -> list[Finding]:
        """What the rules find."""
        self.exported()
        return of_payloads(self.exporter.payloads, self.profile, self.logs.payloads)


def plain_value(value: Any) -> Any:
    """An OTLP value as a plain one, structured ones too."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain_value(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind) if kind else None


def plain_attributes(thing: Any) -> dict[str, Any]:
    """Attributes of an exported span, event or log record as plain values."""
    return {pair.key: plain_value(pair.value) for pair in thing.attributes}
