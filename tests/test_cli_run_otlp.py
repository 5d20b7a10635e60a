"""`spantally run --otlp ENDPOINT`: spans, metrics and events of a program reach a collector."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from otlp_grpc_kit import GrpcCollector
from spantally.cli.main import cli
from spantally.cli.otlp_target import parse_target, with_target
from spantally.ground.errors import ArgumentError
from spantally.testing import OtlpReceiver, ScriptedServer

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"
PROGRAM = f"""
import openai, spantally
with spantally.session("s1"), spantally.agent("planner"):
    client = openai.OpenAI()
    client.chat.completions.create(model="gpt-4o-mini", messages=[{{"role": "user", "content": "{KEY}"}}])
    spantally.decision("it is {KEY}", choice="refund")
"""


def run(
    tmp_path: Path, server: ScriptedServer, *options: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """The program under `spantally run`."""
    (tmp_path / "agent.py").write_text(PROGRAM)
    environ = {
        **os.environ,
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": "none",
        "HOME": str(tmp_path),
        **more,
    }
    command = [sys.executable, "-m", "spantally.cli", "run", *options, "--", sys.executable, "agent.py"]
    return subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=60)


def test_everything_arrives_over_http(tmp_path: Path, server: ScriptedServer) -> None:
    """Spans, metrics and events are there when the program has ended, compressed and with headers as set."""
    with OtlpReceiver() as receiver:
        done = run(
            tmp_path,
            server,
            "--otlp",
            receiver.url,
            OTEL_EXPORTER_OTLP_HEADERS="x-tenant=acme",
            OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:9/elsewhere",
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="span_and_event",
        )
        assert done.returncode == 0, done.stderr
        sent = [one for one in receiver.requests if one.body]  # the empty one only asks what speaks there
        assert {one.path for one in sent} == {"/v1/traces", "/v1/metrics", "/v1/logs"}
        assert {one.headers.get("x-tenant") for one in sent} == {"acme"}
        assert {one.headers.get("content-encoding") for one in sent} == {"gzip"}
        assert {"invoke_agent planner", "chat gpt-4o-mini"} <= {span.name for span in receiver.spans()}
        everything = receiver.received()
    assert b"gen_ai.client.inference.duration" in everything
    assert b"spantally.decision" in everything
    assert KEY.encode() not in everything
    assert "1 call" in done.stderr


def test_spans_arrive_over_grpc(tmp_path: Path, server: ScriptedServer) -> None:
    """The scheme grpc:// chooses the protocol."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    collector = GrpcCollector(port)
    try:
        done = run(tmp_path, server, "--otlp", f"grpc://127.0.0.1:{port}")
    finally:
        collector.close()
    assert done.returncode == 0, done.stderr
    assert {"invoke_agent planner", "chat gpt-4o-mini"} <= set(collector.names)


def test_a_collector_that_is_not_there_costs_little(tmp_path: Path, server: ScriptedServer) -> None:
    """The program ends as it would, its calls are tallied, and one line says what did not arrive."""
    done = run(tmp_path, server, "--otlp", "http://127.0.0.1:9")
    assert done.returncode == 0
    assert "went nowhere (the endpoint 127.0.0.1:9 does not answer)" in done.stderr
    assert "1 call" in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://localhost:4318", ("http://localhost:4318", "http/protobuf")),
        ("https://otlp.example/tenant/", ("https://otlp.example/tenant", "http/protobuf")),
        ("http://localhost:4317", ("http://localhost:4317", "grpc")),
        ("grpc://[::1]:4000", ("http://[::1]:4000", "grpc")),
        ("grpcs://otlp.example", ("https://otlp.example", "grpc")),
    ],
)
def test_addresses(text: str, expected: tuple[str, str]) -> None:
    """What the exporters are told for an address."""
    assert parse_target(text) == expected


@pytest.mark.parametrize(
    "text", ["", "localhost:4318", "ftp://x", "http://", "http://x:port", "grpc://x/path", "http://x?y=1"]
)
def test_what_is_no_address_is_told(text: str) -> None:
    """The value, what is allowed, exit code 2; nothing is run."""
    with pytest.raises(ArgumentError, match=r"http://HOST:4318"):
        parse_target(text)
    result = CliRunner().invoke(cli, ["run", "--otlp", text, "--", "no-such-command"])
    assert result.exit_code == 2
    assert "http://HOST:4318" in " ".join(result.output.split())


def test_beside_a_configuration_file_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file alone says where spans go: an option without effect would be a lie."""
    monkeypatch.setenv("OTEL_CONFIG_FILE", "otel.yaml")
    result = CliRunner().invoke(cli, ["run", "--otlp", "http://localhost:4318", "--", "no-such-command"])
    assert result.exit_code == 2
    assert "OTEL_CONFIG_FILE" in result.output


def test_what_the_user_set_for_a_signal_stays() -> None:
    """An exporter that was named stays, and so do headers; an endpoint of the environment gives way."""
    given: dict[str, Any] = {
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_HEADERS": "a=b",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://other:4318",
    }
    assert with_target(given, ("http://x:4318", "http/protobuf")) == {
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_HEADERS": "a=b",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
