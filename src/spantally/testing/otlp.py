"""A small OTLP/HTTP receiver, for tests that judge telemetry by the bytes that left the process."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from spantally.testing.loopback import Connection, LoopbackServer

TRACES: Final = "/v1/traces"
METRICS: Final = "/v1/metrics"
LOGS: Final = "/v1/logs"


class OtlpRequest(NamedTuple):
    """One export request."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    """The message, decompressed."""


class ReceivedSpan(NamedTuple):
    """One span, decoded to plain values."""

    name: str
    kind: str
    """``INTERNAL``, ``CLIENT``, ..."""
    trace_id: str
    span_id: str
    parent_span_id: str
    """Empty for a root."""
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str
    status: str
    """``UNSET``, ``OK`` or ``ERROR``."""
    status_message: str
    events: list[tuple[str, dict[str, Any]]]
    start_ns: int
    end_ns: int


class OtlpReceiver(LoopbackServer):
    """Accepts OTLP over HTTP (protobuf, plain or gzip) and keeps what came.

    Keeping needs the standard library only; :meth:`spans`, :meth:`metrics` and :meth:`logs` decode with
    opentelemetry-proto (``pip install 'spantally[otlp]'``).

    Example:
        >>> with OtlpReceiver() as receiver:
        ...     env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}

    Args:
        status: HTTP status of every answer; 503 makes exporters retry.
        host: address to listen at.
        port: 0 takes a free one.

    Attributes:
        requests: every export request, in order of arrival.
    """

    def __init__(self, *, status: int = 200, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host, port=port)
        self.status = status
        self.requests: list[OtlpRequest] = []
        self._arrived = threading.Condition()

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Keep one export request and acknowledge it."""
        headers = {name.lower(): value for name, value in connection.headers.items()}
        if headers.get("content-encoding", "").lower() == "gzip":
            body = gzip.decompress(body)
        with self._arrived:
            self.requests.append(OtlpRequest(urlsplit(connection.path).path, headers, body))
            self._arrived.notify_all()
        kind = headers.get("content-type", "application/x-protobuf")
        empty = b"{}" if kind.startswith("application/json") else b""  # a response without a complaint
        connection.answer(self.status, empty, {"content-type": kind})

    def received(self, path: str | None = None) -> bytes:
        """All messages of one signal (or of all) joined: to search for what must not be in them."""
        with self._arrived:
            return b"\n".join(item.body for item in self.requests if path in (None, item.path))

    def wait_for(self, condition: Callable[[OtlpReceiver], bool], timeout: float = 10.0) -> bool:
        """Wait until a condition on this receiver holds.

        Args:
            condition: asked after each export request.
            timeout: seconds.

        Returns:
            Whether it holds.
        """
        end = time.monotonic() + timeout
        while not condition(self):
            with self._arrived:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._arrived.wait(min(left, 0.05))
        return True

    def spans(self) -> list[ReceivedSpan]:
        """Every span received, in order of arrival.

        Raises:
            ModuleNotFoundError: without opentelemetry-proto (``pip install 'spantally[otlp]'``).
        """
        with _named_extra():
            from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found: list[ReceivedSpan] = []
        for message in self._messages(TRACES, ExportTraceServiceRequest):
            for group in message.resource_spans:
                resource = _attributes(group.resource.attributes)
                for scoped in group.scope_spans:
                    found += [_span(item, resource, scoped.scope.name) for item in scoped.spans]
        return found

    def metrics(self) -> list[Any]:
        """Every ``Metric`` message received.

        Raises:
            ModuleNotFoundError: without opentelemetry-proto (``pip install 'spantally[otlp]'``).
        """
        with _named_extra():
            from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
                ExportMetricsServiceRequest,
            )

        return [
            metric
            for message in self._messages(METRICS, ExportMetricsServiceRequest)
            for group in message.resource_metrics
            for scoped in group.scope_metrics
            for metric in scoped.metrics
        ]

    def logs(self) -> list[Any]:
        """Every ``LogRecord`` message received.

        Raises:
            ModuleNotFoundError: without opentelemetry-proto (``pip install 'spantally[otlp]'``).
        """
        with _named_extra():
            from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

        return [
            record
            for message in self._messages(LOGS, ExportLogsServiceRequest)
            for group in message.resource_logs
            for scoped in group.scope_logs
            for record in scoped.log_records
        ]

    def _messages(self, path: str, kind: Callable[[], Any]) -> list[Any]:
        with self._arrived:
            bodies = [item.body for item in self.requests if item.path == path]
        messages = []
        for body in bodies:
            message = kind()
            message.ParseFromString(body)
            messages.append(message)
        return messages


@contextmanager
def _named_extra() -> Iterator[None]:
    """Says what to install where the messages of OTLP are not."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(("opentelemetry.proto", "google")):
            raise
        raise ModuleNotFoundError(
            "OtlpReceiver decodes with opentelemetry-proto: pip install 'spantally[otlp]'", name=error.name
        ) from error


def _span(item: Any, resource: dict[str, Any], scope: str) -> ReceivedSpan:
    return ReceivedSpan(
        name=item.name,
        kind=type(item).SpanKind.Name(item.kind).removeprefix("SPAN_KIND_"),
        trace_id=item.trace_id.hex(),
        span_id=item.span_id.hex(),
        parent_span_id=item.parent_span_id.hex(),
        attributes=_attributes(item.attributes),
        resource=resource,
        scope=scope,
        status=("UNSET", "OK", "ERROR")[item.status.code],
        status_message=item.status.message,
        events=[(event.name, _attributes(event.attributes)) for event in item.events],
        start_ns=item.start_time_unix_nano,
        end_ns=item.end_time_unix_nano,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None
