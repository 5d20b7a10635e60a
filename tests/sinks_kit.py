"""A program on a scripted server whose spans go to sinks."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

import spantally


class Kept(SpanExporter):
    """Keeps names of spans, and how it was ended."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.threads: set[str] = set()
        self.shut = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep them."""
        self.threads.add(threading.current_thread().name)
        self.names.extend(span.name for span in spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Count it."""
        self.shut += 1


class Raising(SpanExporter):
    """Raises each time."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Raise."""
        raise OSError("the planted text of a failure")

    def shutdown(self) -> None:
        """Raise, too."""
        raise OSError("the planted text of a failure")


class Stuck(SpanExporter):
    """Blocks until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.reached = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Block."""
        self.reached.set()
        self.go.wait()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to end."""


@spantally.agent
def planner(number: int = 0) -> int:
    """An agent that does nothing."""
    return number


def wait_for(done: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until something holds, without a clock of its own."""
    ticks = threading.Event()
    for _ in range(int(seconds * 100)):
        if done():
            return
        ticks.wait(0.01)
    raise AssertionError("it did not come to hold in time")


def span_names(path: Path) -> list[str]:
    """Names of the spans in a file of lines of JSON."""
    items = map(json.loads, path.read_text().splitlines())
    return [item["name"] for item in items if item["type"] == "span"]


def run_program(
    source: str, tmp_path: Path, *arguments: str, timeout: float = 60, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of its own."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "SPANTALLY_LEDGER": "false", **env}
    return subprocess.run(
        [sys.executable, "-W", "error", str(path), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env=home,
    )
