"""A collector that is killed, away or slow costs a program no call of its tally and no time."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from collector_kit import Collector, exporting, spans_of, until
from program_kit import Programs, finish, ok
from spantally.testing import Reply, ScriptedServer, Usage

pytestmark = [pytest.mark.collector, pytest.mark.slow, pytest.mark.timeout(180)]

CALLS = 60
PROGRAM = f"""
import json, time
from pathlib import Path

def phase(name, connection):
    limit = time.monotonic() + 60
    while not Path(name).exists():  # the test says when
        assert time.monotonic() < limit
        time.sleep(0.01)
    times = []
    for number in range({CALLS}):
        began = time.perf_counter()
        with spantally.session(name):
            ask(connection)
        times.append(time.perf_counter() - began)
        time.sleep(0.02)
    Path(name + ".done").write_text(json.dumps(times))

with client() as connection:
    for number in range(10):
        ask(connection)  # what is loaded at the first calls is no matter here
    for name in ("there", "away", "again"):
        phase(name, connection)
"""


def run_phase(folder: Path, name: str) -> list[float]:
    """Let the program go through a phase; how long each of its calls took."""
    (folder / name).touch()
    done = folder / f"{name}.done"
    until(lambda: done.exists() and done.stat().st_size, bool, limit=60)
    times: list[float] = json.loads(done.read_text())
    return times


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Programs on a scripted model that answers in 5 ms."""
    reply = Reply(text="four", usage=Usage(input=9, output=1), delay=0.005)
    with ScriptedServer(reply) as server:
        yield Programs(tmp_path, server.base_url)


def check_times(before: list[float], during: list[float]) -> None:
    """No call waits for the collector: neither the usual one nor the slowest takes notably longer."""
    assert statistics.median(during) < 1.5 * statistics.median(before)
    assert max(during) < max(before) + 0.9


def test_a_collector_that_is_killed_and_comes_back(programs: Programs, tmp_path: Path) -> None:
    """All calls are in the ledger, none was slower, the exporter backs off, spans flow again afterwards."""
    file = tmp_path / "otlp" / "traces.jsonl"
    collector = Collector("file.yaml", tmp_path / "collector", OTLP_DIR=str(file.parent))
    collector.start()
    running = programs.start(PROGRAM, env=exporting(collector.http), limit=90)
    try:
        there = run_phase(tmp_path, "there")
        until(lambda: sessions_in(file), lambda found: "there" in found)
        collector.kill()
        away = run_phase(tmp_path, "away")
        collector.start()
        run_phase(tmp_path, "again")
        done = ok(finish(running))
        assert "again" in until(lambda: sessions_in(file), lambda found: "again" in found)
    finally:
        running.kill()
        collector.kill()
    check_times(there, away)
    assert tally(programs) == {"there": CALLS, "away": CALLS, "again": CALLS}
    assert "retrying in" in done.stderr


def test_a_collector_that_is_slow(programs: Programs, tmp_path: Path) -> None:
    """Behind a connection that holds all back for seconds, calls are as fast and the ledger as complete."""
    file = tmp_path / "otlp" / "traces.jsonl"
    with (
        Collector("file.yaml", tmp_path / "collector", OTLP_DIR=str(file.parent)) as collector,
        Slow(int(collector.http.rsplit(":", 1)[1])) as slow,
    ):
        exports = exporting(slow.url, OTEL_EXPORTER_OTLP_TIMEOUT="5")
        running = programs.start(PROGRAM, env=exports, limit=90)
        try:
            there = run_phase(tmp_path, "there")
            slow.delay = 3.0
            during = run_phase(tmp_path, "away")
            slow.delay = 0.0
            run_phase(tmp_path, "again")
            ok(finish(running))
        finally:
            running.kill()
        assert slow.delayed
        assert set(tally(programs)) == until(lambda: sessions_in(file), lambda found: len(found) >= 3)
    check_times(there, during)
    assert tally(programs) == {"there": CALLS, "away": CALLS, "again": CALLS}


def sessions_in(file: Path) -> set[str]:
    """The sessions that a collector has seen, of those that the program named."""
    return {str(span.attributes["session.id"]) for span in spans_of(file)} & {"there", "away", "again"}


def tally(programs: Programs) -> dict[str, int]:
    """Calls of each session in the ledger."""
    named = ("there", "away", "again")
    return {row.session_id: row.calls for row in programs.sessions() if row.session_id in named}


class Slow:
    """A connection to a port that can be made slow while it is in use."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.delay = 0.0
        self.delayed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.delay:
                    self.delayed += 1
                    time.sleep(self.delay)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
