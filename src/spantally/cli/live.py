"""Running a command and reading what it exports: its OTLP exporter is pointed at a receiver on loopback."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from spantally.cli import exits

if TYPE_CHECKING:
    from spantally.otlp import Batch
    from spantally.testing import OtlpReceiver

_OVERRIDING = ("OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE")
"""Variables whose file would name other exporters than the environment does."""


def environment(base: Mapping[str, str], url: str) -> dict[str, str]:
    """The environment of the command: traces and logs go to ``url`` by OTLP over HTTP.

    Args:
        base: environment to start from.
        url: ``http://host:port`` of the receiver.
    """
    made = {
        name: value
        for name, value in base.items()
        if not name.startswith("OTEL_EXPORTER_OTLP_") and name not in _OVERRIDING
    }
    made["OTEL_EXPORTER_OTLP_ENDPOINT"] = url
    made["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
    made["OTEL_TRACES_EXPORTER"] = made["OTEL_LOGS_EXPORTER"] = "otlp"
    made["OTEL_METRICS_EXPORTER"] = "none"
    for name in ("NO_PROXY", "no_proxy"):
        made[name] = ",".join(filter(None, (base.get(name), "127.0.0.1")))
    return made


def exported_by(command: Sequence[str]) -> Batch:
    """Run a command to its end and read the spans and events that it exported.

    Its stdin, stdout and stderr are ours; its exit code, where it is not 0, is said on stderr.

    Raises:
        click.ClickException: where it cannot be started, or the reader of OTLP is not installed.
    """
    from spantally.testing import OtlpReceiver

    with OtlpReceiver() as receiver:
        code = _run(command, environment(os.environ, receiver.url))
        if code:
            exits.say(f"spantally conformance: {command[0]} ended with {code}")
        return _decode(receiver)


def _run(command: Sequence[str], environ: dict[str, str]) -> int:
    try:
        child = subprocess.Popen(list(command), env=environ)  # noqa: S603 - running it is the point
    except OSError as error:
        raise click.UsageError(f"{command[0]}: {error.strerror or error}") from error
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the child got it too and decides what it means
            continue


def _decode(receiver: OtlpReceiver) -> Batch:
    from spantally.otlp import Batch, Unusable, read_document

    try:
        from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError as error:
        raise click.UsageError("--live needs the OTLP messages: pip install 'spantally[otlp]'") from error
    kinds: dict[str, Any] = {"/v1/traces": ExportTraceServiceRequest, "/v1/logs": ExportLogsServiceRequest}
    found = Batch([], [], [])
    for request in receiver.requests:
        kind = kinds.get(request.path)
        if kind is None:
            continue
        try:
            document = MessageToDict(kind.FromString(request.body))
        except (DecodeError, ValueError, RecursionError) as error:
            found.unusable.append(Unusable(f"an export request to {request.path} is damaged: {error}"))
            continue
        found.extend(read_document(document))
    return found
