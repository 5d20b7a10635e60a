"""How a program ends whose OTLP exporters have nobody to talk to: fast, with one line, and only then."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otlp_grpc_kit import GrpcCollector
from spantally.testing import OtlpReceiver

PROGRAM = """
import logging, sys, time
from opentelemetry import metrics, trace
metrics.get_meter("app").create_counter("things").add(1)
logging.getLogger("app").warning("a log line")
tracer = trace.get_tracer("app")
chat = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4}
for index in range(3):
    with tracer.start_as_current_span(f"span-{index}", attributes=chat):
        pass
print("ready", flush=True)
how = sys.argv[1]
if how == "wait":
    sys.stdin.readline()
    with tracer.start_as_current_span("span-late"):
        pass
    sys.stdin.readline()
if how == "exit":
    sys.exit(3)
if how == "raise":
    raise RuntimeError("the program's own")
"""

ENDS = {"normal": 0, "exit": 3, "raise": 1}
LINE = "spantally: traces went nowhere"
INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, in a directory of its own."""
    path = tmp_path_factory.mktemp("program") / "app.py"
    path.write_text(PROGRAM)
    return path


def _environment(**env: str) -> dict[str, str]:
    return {**os.environ, "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true", **env}


def _run(program: Path, how: str = "normal", **env: str) -> tuple[float, int, str]:
    begin = time.monotonic()
    done = subprocess.run(
        [str(INSTRUMENT), sys.executable, str(program), how],
        env=_environment(**env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return time.monotonic() - begin, done.returncode, done.stderr


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(params=["grpc", "http/protobuf"])
def protocol(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both OTLP protocols, at their default addresses, which one test of this machine has at a time."""
    with (Path(tempfile.gettempdir()) / f"spantally-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(_port_is_free(port) for port in (4317, 4318)):
            pytest.skip("something listens at the default OTLP address of this machine")
        yield request.param


OFF = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}

_quiet_runs: dict[str, tuple[float, str]] = {}
"""Seconds and stderr of the program with exporters off, by how it ends."""


def _run_within(seconds: float, program: Path, how: str = "normal", **env: str) -> tuple[int, str, str]:
    """Exit code and stderr of a run that takes at most so much longer than with exporters off, whose stderr
    is the third.

    A busy machine only ever adds time, so the best of a few tries counts. The run with exporters off is that
    of an earlier test at the first try.
    """
    over: list[float] = []
    for _ in range(4):
        if how not in _quiet_runs or over:
            baseline, _, quiet = _run(program, how, **OFF)
            _quiet_runs[how] = baseline, quiet
        baseline, quiet = _quiet_runs[how]
        taken, code, stderr = _run(program, how, **env)
        if taken < baseline + seconds:
            return code, stderr, quiet
        over.append(round(taken - baseline, 2))
    pytest.fail(f"the end of the program took {over} s longer than with exporters off")


@pytest.mark.parametrize("how", ENDS)
def test_nothing_listening_costs_no_time_and_one_line(program: Path, protocol: str, how: str) -> None:
    """Within 1 s of the same run with exporters off, the program's exit code, one line, no other noise."""
    code, stderr, quiet = _run_within(1.0, program, how, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert code == ENDS[how]
    added = [line for line in stderr.splitlines() if line not in quiet.splitlines()]
    assert len(added) == 1, stderr
    port = 4317 if protocol == "grpc" else 4318
    assert added[0].startswith(LINE)
    assert f"nothing listens at localhost:{port}" in added[0]
    assert added[0].endswith("the tally is complete, see it with: spantally sessions")
    assert LINE not in quiet


@pytest.mark.slow
def test_a_longer_program_is_not_told_of_retries_either(program: Path, protocol: str) -> None:
    """Batches that find nobody while the program runs make no noise, no delay, and one line at the end."""
    taken: list[float] = []
    while not taken or (min(taken) >= 1.5 and len(taken) < 4):
        running = _start(program, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, OTEL_BSP_SCHEDULE_DELAY="100")
        time.sleep(2.5)
        _, stderr, ended = _finish(running)
        taken.append(ended)
    assert min(taken) < 1.5
    assert [line for line in stderr.splitlines() if "a log line" not in line] == [
        line for line in stderr.splitlines() if line.startswith(LINE)
    ]
    assert stderr.count(LINE) == 1


def _start(program: Path, **env: str) -> subprocess.Popen[str]:
    running = subprocess.Popen(
        [str(INSTRUMENT), sys.executable, str(program), "wait"],
        env=_environment(**env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    return running


def _finish(running: subprocess.Popen[str]) -> tuple[str, str, float]:
    begin = time.monotonic()
    out, err = running.communicate("\n\n", timeout=60)
    return out, err, time.monotonic() - begin


ALL = {"span-0", "span-1", "span-2", "span-late"}


def test_a_collector_that_comes_up_gets_the_spans(program: Path, protocol: str) -> None:
    """Spans that found nobody at first arrive, and no line claims otherwise."""
    running = _start(program, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, OTEL_BSP_SCHEDULE_DELAY="100")
    time.sleep(0.6)  # several batches have found nobody
    if protocol == "grpc":
        collector = GrpcCollector(4317)
        try:
            _, stderr, _ = _finish(running)
            names = collector.names
        finally:
            collector.close()
    else:
        with OtlpReceiver(port=4318) as receiver:
            _, stderr, _ = _finish(running)
            names = [span.name for span in receiver.spans()]
    # Another program of this machine may have found the collector, too.
    assert sorted(name for name in names if name.startswith("span-")) == sorted(ALL)
    assert "spantally:" not in stderr


def test_a_collector_that_is_there_gets_everything(program: Path) -> None:
    """A receiver at an explicit address gets each span once and nobody is told anything."""
    with OtlpReceiver() as receiver:
        _, code, stderr = _run(
            program, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"
        )
        names = [span.name for span in receiver.spans()]
    assert sorted(names) == ["span-0", "span-1", "span-2"]
    assert code == 0
    assert "spantally:" not in stderr


@pytest.mark.parametrize("wire", ["grpc", "http/protobuf"])
def test_an_explicit_endpoint_that_refuses_is_named(program: Path, wire: str) -> None:
    """Bounded as well; the line names the host that the user configured."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        _, stderr, _ = _run_within(
            1.5,
            program,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            OTEL_EXPORTER_OTLP_PROTOCOL=wire,
        )
    lines = [line for line in stderr.splitlines() if "a log line" not in line]
    assert len(lines) == 1, stderr
    assert f"the endpoint 127.0.0.1:{port} does not answer" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("wire", ["grpc", "http/protobuf"])
def test_an_explicit_endpoint_that_never_answers_is_bounded(program: Path, wire: str) -> None:
    """A host that drops packets costs a second or two, not the exporters' ten."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.2", 0))
        full.listen(0)
        for filler in (first, second):  # the backlog is full: further connections hang
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        _, stderr, _ = _run_within(
            3.5,
            program,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.2:{full.getsockname()[1]}",
            OTEL_EXPORTER_OTLP_PROTOCOL=wire,
            OTEL_BSP_SCHEDULE_DELAY="50",
        )
    assert stderr.count(LINE) == 1
