"""Where an export goes: a file of OTLP JSON lines, or a collector."""

from __future__ import annotations

import gzip
import io
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spantally.otlp.write import log_line, span_line

STDOUT: Final = "-"
CONNECT_SECONDS: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443}
_NOT_TAKEN: Final = ("404", "405", "UNIMPLEMENTED", "unknown service", "Not Found")
"""What exporters say of a receiver that has no place for a signal."""


class TargetError(Exception):
    """The target cannot be opened; the text says why, and what to do."""


class DeliveryError(Exception):
    """The target did not take what it was given; the text says why.

    Attributes:
        no_place: the receiver is there and takes nothing of this kind.
    """

    def __init__(self, text: str, *, no_place: bool = False) -> None:
        super().__init__(text)
        self.no_place = no_place


class Target(Protocol):
    """Where spans and log records go."""

    name: str
    spans: SpanExporter
    logs: LogRecordExporter

    def reason(self) -> str:
        """Why the last batch was not taken."""

    def close(self, *, whole: bool) -> None:
        """End it; ``whole`` once all was given to it."""


# -- files --------------------------------------------------------------------------------------------


class _Lines:
    def __init__(self, stream: IO[bytes], write: Callable[[Any], bytes], success: Any) -> None:
        self._stream = stream
        self._write = write
        self._success = success

    def export(self, batch: Sequence[Any]) -> Any:
        """Write a batch as one line."""
        if batch:
            self._stream.write(self._write(batch))
        return self._success

    def shutdown(self) -> None:
        """Nothing is to be done."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the stream."""
        self._stream.flush()
        return True


class _SpanLines(_Lines, SpanExporter):
    pass


class _LogLines(_Lines, LogRecordExporter):
    pass


class FileTarget:
    """OTLP JSON lines in a file, packed by gzip where its name ends in ``.gz``; ``-`` is stdout.

    A file appears under its name when it is whole; one that is there is replaced then.
    """

    def __init__(self, path: str, stdout: IO[bytes]) -> None:
        """Open it.

        Args:
            path: of the file, or ``-``.
            stdout: where ``-`` goes.

        Raises:
            TargetError: it cannot be written.
        """
        self.name = "stdout" if path == STDOUT else path
        self._path = Path(path).expanduser()
        self._made: str | None = None
        self._closing = ExitStack()
        raw = stdout if path == STDOUT else self._closing.enter_context(self._opened())
        stream: Any = raw
        if path.endswith(".gz"):
            stream = self._closing.enter_context(gzip.GzipFile(fileobj=raw, mode="wb", mtime=0))
            stream = self._closing.enter_context(io.BufferedWriter(stream))
        self._stream = stream
        self.spans: SpanExporter = _SpanLines(stream, span_line, SpanExportResult.SUCCESS)
        self.logs: LogRecordExporter = _LogLines(stream, log_line, LogRecordExportResult.SUCCESS)

    def _opened(self) -> IO[bytes]:
        path = self._path
        try:
            if path.exists() and not path.is_file():  # a pipe, or a device
                return path.open("wb")
            number, self._made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            return os.fdopen(number, "wb")
        except OSError as error:
            why = error.strerror or error
            raise TargetError(
                f"{path} cannot be written: {why}; name a file in a folder of yours, or - for stdout"
            ) from error

    def reason(self) -> str:
        """Files take all."""
        return "it could not be written"

    def close(self, *, whole: bool) -> None:
        """Give the file its name, or leave nothing of it."""
        made, self._made = self._made, None
        try:
            if self._closing is not None:
                self._stream.flush()
                self._closing.close()
            if made is not None and whole:
                Path(made).replace(self._path)
                made = None
        except OSError as error:
            raise TargetError(f"{self.name} cannot be written: {error.strerror or error}") from error
        finally:
            if made is not None:
                Path(made).unlink(missing_ok=True)


# -- collectors ---------------------------------------------------------------------------------------


class _Heard(logging.Handler):
    """What the exporters say, instead of letting it reach the terminal."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(" ".join(record.getMessage().split()))


class CollectorTarget:
    """A receiver of OTLP, by the usual exporters and their variables for headers, TLS and time-outs."""

    def __init__(self, endpoint: str, protocol: str) -> None:
        """Reach it.

        Args:
            endpoint: with its scheme.
            protocol: ``grpc`` or ``http/protobuf``.

        Raises:
            TargetError: nothing listens there, or the exporters are not installed.
        """
        self.name = endpoint
        _probe(endpoint)
        self._heard = _Heard()
        self._logger = logging.getLogger("opentelemetry")
        self._before = self._logger.propagate
        self._logger.addHandler(self._heard)
        self._logger.propagate = False
        self.spans, self.logs = _exporters(endpoint, protocol)

    def reason(self) -> str:
        """What the exporters said last."""
        said = self._heard.said
        return said[-1][:500] if said else "it gave no reason"

    def close(self, *, whole: bool) -> None:
        """End the exporters."""
        try:
            self.spans.shutdown()
            self.logs.shutdown()  # type: ignore[no-untyped-call]
        finally:
            self._logger.removeHandler(self._heard)
            self._logger.propagate = self._before


def _probe(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if getproxies().get(parts.scheme) and not proxy_bypass(host):
        return  # only the proxy can tell
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        raise TargetError(
            f"nothing was exported: {endpoint} does not answer ({error.strerror or error}); start the "
            "collector, or check host and port (4318 is OTLP over HTTP, 4317 over gRPC)"
        ) from error


def _exporters(endpoint: str, protocol: str) -> tuple[SpanExporter, LogRecordExporter]:
    try:
        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans

            return GrpcSpans(endpoint=endpoint), GrpcLogs(endpoint=endpoint)
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans

        return HttpSpans(endpoint=f"{endpoint}/v1/traces"), HttpLogs(endpoint=f"{endpoint}/v1/logs")
    except ImportError as error:
        raise TargetError(
            f"sending over {protocol} takes the OTLP exporters: pip install 'spantally[otlp]' ({error})"
        ) from error


class Delivery:
    """Gives batches to a target, without secrets.

    Args:
        target: where they go.
        guarded: puts the redaction before an exporter; see :mod:`spantally.otel.exporters`.
    """

    def __init__(self, target: Target, guarded: Callable[[Any, Any], tuple[Any, Any]]) -> None:
        self._target = target
        self._spans, self._logs = guarded(target.spans, target.logs)

    def spans(self, batch: Sequence[Any]) -> None:
        """Give spans.

        Raises:
            DeliveryError: they were not taken.
        """
        self._give(self._spans, batch)

    def logs(self, batch: Sequence[Any]) -> None:
        """Give log records.

        Raises:
            DeliveryError: they were not taken.
        """
        self._give(self._logs, batch)

    def _give(self, exporter: Any, batch: Sequence[Any]) -> None:
        try:
            result = exporter.export(batch)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise DeliveryError(str(error.strerror or error)) from error
        if result is None or getattr(result, "name", "") != "SUCCESS":
            reason = self._target.reason()
            raise DeliveryError(reason, no_place=any(word in reason for word in _NOT_TAKEN))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._target.close(whole=kind is None)
