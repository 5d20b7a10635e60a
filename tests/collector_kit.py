"""The real OpenTelemetry Collector on the shipped configurations, at free ports, and what its files hold."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from program_kit import environment, free_port

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "collector-config"
Found = TypeVar("Found")


@lru_cache
def binary(name: str = "collector") -> str:
    """The program that ``make NAME`` has built; skips the test where it is not built."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "obtain.py"), "--cached", name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{name} is not built here; `make {name}` builds it")
    return done.stdout.strip()


class Collector:
    """A collector on one of the shipped files, in a folder of its own; started and ended as often as need be.

    Attributes:
        http: where it takes OTLP over HTTP.
        metrics: where Prometheus scrapes it, if it is that one.
    """

    def __init__(
        self,
        config: str,
        folder: Path,
        *,
        program: str = "collector",
        overlays: Iterable[str] = (),
        **values: str,
    ) -> None:
        ports = {name: free_port() for name in ("GRPC", "HTTP", "HEALTH", "METRICS")}
        self.http = f"http://127.0.0.1:{ports['HTTP']}"
        self.metrics = f"http://127.0.0.1:{ports['METRICS']}/metrics"
        self._health = f"http://127.0.0.1:{ports['HEALTH']}"
        self._words = [binary(program), "--config", str(CONFIGS / config)]
        for overlay in overlays:
            self._words += ["--config", f"yaml:{overlay}"]
        self._environment = environment(
            **{f"COLLECTOR_{name}_PORT": str(port) for name, port in ports.items()}, **values
        )
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "collector.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        with (self.folder / "collector.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._words, stdout=log, stderr=log, cwd=self.folder, env=self._environment
            )
        limit = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, self.log[-3000:]
            try:
                urllib.request.urlopen(self._health, timeout=5).close()
                return
            except OSError:
                assert time.monotonic() < limit, "the collector does not answer"
                time.sleep(0.05)

    def stop(self) -> None:
        """End it in an orderly way: what it holds goes out first."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass
class Span:
    """A span of an OTLP JSON file."""

    trace_id: str
    span_id: str
    name: str
    attributes: dict[str, Any]
    raw: dict[str, Any] = field(repr=False)


def spans_of(file: Path) -> list[Span]:
    """All spans in the lines of a file exporter."""
    if not file.exists():
        return []
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                found += [_span(one) for one in scope["spans"]]
    return found


def _span(raw: dict[str, Any]) -> Span:
    attributes = {one["key"]: next(iter(one["value"].values()), None) for one in raw.get("attributes", ())}
    return Span(raw["traceId"], raw["spanId"], raw["name"], attributes, raw)


def until(look: Callable[[], Found], enough: Callable[[Found], object], limit: float = 20) -> Found:
    """Look again until it is enough; what was seen last."""
    end = time.monotonic() + limit
    while not enough(found := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def plain_provider(endpoint: str, **attributes: str) -> TracerProvider:
    """The SDK of OpenTelemetry alone, which redacts nothing, with an exporter to a collector."""
    provider = TracerProvider(resource=Resource.create({"service.name": "plain", **attributes}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    return provider


def exporting(endpoint: str, **more: str) -> dict[str, str]:
    """The environment of a program that sends its spans to a collector, five times a second."""
    return {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_BSP_MAX_QUEUE_SIZE": "8192",
        **more,
    }


def post(url: str, body: Mapping[str, Any], **headers: str) -> int:
    """Send OTLP JSON; the status of the answer."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
