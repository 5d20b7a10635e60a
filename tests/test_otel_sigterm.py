"""A process that is told to go sends its last spans, in bounded time, and ends as the sender expects."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import spantally
from spantally.testing import OtlpReceiver

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGTERM")

INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")
PROGRAM = """
import signal, sys, time
from opentelemetry import metrics, trace
import spantally
metrics.get_meter("app").create_counter("things").add(1)
tracer = trace.get_tracer("app")
with tracer.start_as_current_span("before"):
    pass
{lines}
with spantally.session("told-to-go"), spantally.agent("planner"):
    print("ready", flush=True)
    while True:
        time.sleep(0.1)
"""
"""Its sleeps are short: a signal that comes between two lines of C on the way into a sleep is seen by Python
only after it, in some thousandth of all runs and without us, too."""
SERVER = """
def own(number, frame):  # as uvicorn: what was there comes back and gets the signal once the server is down
    signal.signal(number, original)
    signal.raise_signal(number)
original = signal.signal(signal.SIGTERM, own)
"""


@contextmanager
def running(folder: Path, lines: str = "", **env: str) -> Iterator[subprocess.Popen[str]]:
    """The program under opentelemetry-instrument, ready for its signal."""
    path = folder / "app.py"
    path.write_text(PROGRAM.format(lines=lines))
    process = subprocess.Popen(
        [str(INSTRUMENT), sys.executable, str(path)],
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_BSP_SCHEDULE_DELAY": "60000",
            "OTEL_METRIC_EXPORT_INTERVAL": "60000",
            **env,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def terminated(process: subprocess.Popen[str]) -> tuple[float, int, str]:
    """Seconds until the end, exit status, stderr."""
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, talk = process.communicate(timeout=30)
    return time.monotonic() - begin, process.returncode, talk


@pytest.mark.parametrize("lines", ["", SERVER], ids=["no handler", "a server's handler"])
def test_the_last_spans_arrive(tmp_path: Path, lines: str) -> None:
    """Those that wait in the batch, the agent that the signal interrupts, and metrics."""
    with (
        OtlpReceiver() as receiver,
        running(tmp_path, lines, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as process,
    ):
        _, status, _ = terminated(process)
        assert status == -signal.SIGTERM
        assert {span.name for span in receiver.spans()} == {"before", "invoke_agent planner"}
        assert "things" in {metric.name for metric in receiver.metrics()}


def test_nobody_listens(tmp_path: Path) -> None:
    """No wait for a receiver that is not there, and one line that says so."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}") as process:
        seconds, status, talk = terminated(process)
    assert status == -signal.SIGTERM
    assert "spantally: traces went nowhere" in talk
    assert seconds < 2.5


def test_a_receiver_that_never_answers(tmp_path: Path) -> None:
    """The wait has an end."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with running(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}") as process:
            seconds, status, _ = terminated(process)
    assert status == -signal.SIGTERM
    assert seconds < 8  # 2 for the tally and 2 for the exporters at most, and a busy machine


def test_ours_raises(tmp_path: Path) -> None:
    """The tally is written before, the process ends all the same."""
    lines = """
from spantally.api.providers import Providers
def fail(*args, **kwargs):
    raise RuntimeError("ours")
Providers.flush = fail
"""
    with (
        OtlpReceiver() as receiver,
        running(tmp_path, lines, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as process,
    ):
        _, status, talk = terminated(process)
    assert status == -signal.SIGTERM
    assert "Traceback" not in talk
    with spantally.open_ledger() as ledger:
        (session,) = ledger.sessions()
    assert session.session_id == "told-to-go"
    assert session.status == "abandoned"


def test_the_line_of_run(tmp_path: Path) -> None:
    """`spantally run` says what was spent where SIGTERM ends the program, too."""
    path = tmp_path / "app.py"
    path.write_text("import time; print('ready', flush=True)\nwhile True: time.sleep(0.1)")
    process = subprocess.Popen(
        [sys.executable, "-m", "spantally.cli", "run", "--", sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    _, status, talk = terminated(process)
    assert status == -signal.SIGTERM
    assert talk.startswith("spantally: 0 calls")
    assert talk.count("\n") == 1
