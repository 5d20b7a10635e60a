"""The secrets of a program that knows nothing of redaction, on providers that commands set up for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leak_kit import SHAPES, Planter, ledger_bytes
from leak_program import CLIENT
from spantally.redaction.registry import forget_literals
from spantally.testing import OtlpReceiver

BIN = Path(sys.executable).parent
PROGRAM = str(Path(__file__).with_name("leak_program.py"))


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as made:
        yield made
    forget_literals()


COMMANDS: dict[str, list[str]] = {
    "opentelemetry-instrument": [str(BIN / "opentelemetry-instrument"), sys.executable],
    "spantally run": [str(BIN / "spantally"), "run", "--quiet", "--", sys.executable],
}


def run(how: str, shape: str, receiver: OtlpReceiver, folder: Path, **more: str) -> tuple[Planter, str]:
    """Run the program; what it planted, and what it printed."""
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_METRICS_EXEMPLAR_FILTER": "always_on",
        "OTEL_LOG_LEVEL": "debug",
        "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_AND_EVENT",
        "SPANTALLY_LEDGER": str(folder / "zero.db"),
        "SPANTALLY_LEDGER_CONTENT": "all",
        **more,
    }
    done = subprocess.run(
        [*COMMANDS[how], PROGRAM, shape],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    planter = Planter(shape)
    for place in json.loads(done.stdout):
        planter(place)
    return planter, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", COMMANDS)
def test_nothing_leaks_from_a_program_that_was_only_started_otherwise(
    receiver: OtlpReceiver, tmp_path: Path, how: str, shape: str
) -> None:
    """Spans, logs and metrics as received, the ledger with its side files, and what is said on stderr."""
    planter, stderr = run(how, shape, receiver, tmp_path)
    assert len(planter.markers) > 80
    assert len(receiver.spans()) > 10
    assert receiver.logs()
    assert receiver.metrics()
    for where, data in (
        ("sent", receiver.received()),
        ("ledger", ledger_bytes(tmp_path / "zero.db")),
        ("said", stderr.encode()),
    ):
        assert planter.found_in(data) == set(), where
        assert CLIENT.encode() not in data, where


@pytest.mark.slow
@pytest.mark.parametrize("how", COMMANDS)
def test_it_would_without_redaction(receiver: OtlpReceiver, tmp_path: Path, how: str) -> None:
    """The control: the same program with redaction off sends and keeps its secrets."""
    planter, _ = run(how, "key", receiver, tmp_path, LEAK_REDACT="off")
    found = planter.found_in(receiver.received())
    assert len(found) > 80
    assert found >= {"line.argument", "line.extra", "line.message", "line.exception"}
    assert len(planter.found_in(ledger_bytes(tmp_path / "zero.db"))) > 20


OWN = """
import sys
import spantally
spantally.instrument(ledger=sys.argv[2])
sys.argv[1:] = sys.argv[1:2]
import leak_program
leak_program.main(sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_leaks_from_an_exporter_that_spantally_sets_up(
    receiver: OtlpReceiver, tmp_path: Path, shape: str
) -> None:
    """A program that only calls instrument() gets a provider by the OTEL_* variables, with the backstop."""
    environment: dict[str, Any] = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        "SPANTALLY_LEDGER_CONTENT": "all",
    }
    ledger = tmp_path / "own.db"
    done = subprocess.run(
        [sys.executable, "-c", OWN, shape, str(ledger)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    planter = Planter(shape)
    for place in json.loads(done.stdout):
        planter(place)
    assert len(receiver.spans()) > 10
    for where, data in (
        ("sent", receiver.received()),
        ("ledger", ledger_bytes(ledger)),
        ("said", done.stderr.encode()),
    ):
        assert planter.found_in(data) == set(), where
        assert CLIENT.encode() not in data, where
