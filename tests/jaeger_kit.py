"""The real Jaeger, all in one with its memory as store, on free ports, and its query API."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from program_kit import environment, free_port

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "collector-config"


@lru_cache
def binary(name: str = "jaeger") -> str | None:
    """The program that ``make jaeger`` has built, or another of tools/; None where it is not built."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "obtain.py"), "--cached", name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip() or None


@dataclass
class Span:
    """A span as Jaeger gives it back."""

    trace_id: str
    span_id: str
    parent_id: str | None
    service: str
    name: str
    kind: str
    start_us: int
    duration_us: int
    tags: dict[str, Any]
    logs: list[dict[str, Any]]
    children: list[Span] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether it is shown as an error."""
        return self.tags.get("error") is True


def _values(tags: list[dict[str, Any]]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in tags}


def _span(found: dict[str, Any], services: Mapping[str, str]) -> Span:
    tags = _values(found["tags"])
    parents = [one["spanID"] for one in found["references"] if one["refType"] == "CHILD_OF"]
    return Span(
        trace_id=found["traceID"].zfill(32),
        span_id=found["spanID"],
        parent_id=parents[0] if parents else None,
        service=services[found["processID"]],
        name=found["operationName"],
        kind=str(tags.get("span.kind", "internal")),
        start_us=found["startTime"],
        duration_us=found["duration"],
        tags=tags,
        logs=[_values(log["fields"]) for log in found["logs"]],
    )


class Jaeger:
    """A running Jaeger.

    Attributes:
        http: where it takes OTLP over HTTP.
        grpc: where it takes OTLP over gRPC.
        pages: its web address.
    """

    def __init__(self, http: int, grpc: int, pages: int) -> None:
        self.http = f"http://127.0.0.1:{http}"
        self.grpc = f"http://127.0.0.1:{grpc}"
        self.pages = f"http://127.0.0.1:{pages}"

    def exporting(self, service: str, protocol: str = "http/protobuf") -> dict[str, str]:
        """The environment of a program that sends its spans here."""
        return {
            "OTEL_SERVICE_NAME": service,
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.grpc if protocol == "grpc" else self.http,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            # Where they are installed, they add a span to each model call.
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx,httpx2",
        }

    def ask(self, path: str, **query: Any) -> Any:
        """The data of an answer of the query API."""
        url = f"{self.pages}/api/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)["data"]

    def services(self) -> set[str]:
        """Names of the services that have sent something."""
        return set(self.ask("services") or ())

    def operations(self, service: str) -> set[tuple[str, str]]:
        """Names of a service's spans with their kinds."""
        return {(one["name"], one["spanKind"]) for one in self.ask("operations", service=service) or ()}

    def traces(self, service: str, **tags: str) -> list[list[Span]]:
        """Traces in which a span of the service has these tags (dots written as double underscores)."""
        wanted = {name.replace("__", "."): value for name, value in tags.items()}
        found = self.ask(
            "traces", service=service, tags=json.dumps(wanted), lookback="1h", limit=200, **self._window()
        )
        return [self._trace(one) for one in found or ()]

    def _trace(self, found: dict[str, Any]) -> list[Span]:
        services = {key: one["serviceName"] for key, one in found["processes"].items()}
        return [_span(one, services) for one in found["spans"]]

    @staticmethod
    def _window() -> dict[str, int]:
        now = time.time_ns() // 1000
        return {"start": now - 3_600_000_000, "end": now + 60_000_000}

    def dependencies(self) -> dict[tuple[str, str], int]:
        """Edges between services, with the calls of each."""
        now = time.time_ns() // 1_000_000
        links = self.ask("dependencies", endTs=now + 60_000, lookback=3_600_000)
        return {(one["parent"], one["child"]): one["callCount"] for one in links or ()}

    def ask_metrics(self, what: str, service: str, kind: str) -> Any:
        """Calls, errors or latencies of a service's operations in the last minute, where metrics are kept."""
        query = {
            "service": service,
            "spanKind": kind,
            "groupByOperation": "true",
            "endTs": time.time_ns() // 1_000_000,
            "lookback": 60_000,
            "step": 1000,
            "ratePer": 10_000,
        }
        url = f"{self.pages}/api/metrics/{what}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)

    def session(self, service: str, session_id: str, spans: int = 1) -> list[Span]:
        """All spans of the traces that hold a session, once there are so many."""
        found: list[Span] = until(
            lambda: [span for one in self.traces(service, session__id=session_id) for span in one],
            lambda found: len(found) >= spans,
        )
        return found


def until(look: Callable[[], Any], enough: Callable[[Any], bool], limit: float = 15) -> Any:
    """Look again until it is enough; what was seen last."""
    end = time.monotonic() + limit
    while not enough(found := look()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def laid_over(values: Mapping[str, str]) -> list[str]:
    """Arguments that lay settings over a configuration file, each by its path."""
    return [word for path, value in values.items() for word in ("--config", f"yaml:{path}: {value}")]


def at(port: int) -> str:
    """An address of loopback."""
    return f"127.0.0.1:{port}"


@contextlib.contextmanager
def running(folder: Path, more: str = "") -> Iterator[Jaeger]:
    """Jaeger, until it is no longer needed; skips the test where it is not there.

    Args:
        folder: for its files.
        more: a second configuration, laid over the shipped one.
    """
    program = binary()
    if program is None:
        pytest.skip("Jaeger is not here; `make jaeger` builds it")
    http, grpc, pages, query = (free_port() for _ in range(4))
    words = [program, "--config", str(CONFIGS / "jaeger.yaml")]
    words += laid_over(
        {
            "receivers::otlp::protocols::http::endpoint": at(http),
            "receivers::otlp::protocols::grpc::endpoint": at(grpc),
            "extensions::jaeger_query::http::endpoint": at(pages),
            "extensions::jaeger_query::grpc::endpoint": at(query),
        }
    )
    if more:
        (folder / "more.yaml").write_text(more, encoding="utf-8")
        words += ["--config", str(folder / "more.yaml")]
    made = Jaeger(http, grpc, pages)
    with (folder / "jaeger.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder, env=environment())
        try:
            _wait_until_ready(made, process, folder / "jaeger.log")
            yield made
        finally:
            process.kill()  # it would take 10 s to end in an orderly way, and keeps nothing
            process.wait()


@contextlib.contextmanager
def collecting(jaeger: Jaeger, folder: Path) -> Iterator[str]:
    """The shipped collector in front of Jaeger; where it takes OTLP over HTTP."""
    program = binary("collector")
    if program is None:
        pytest.skip("the collector is not here; `make collector` builds it")
    http, grpc, health = (free_port() for _ in range(3))
    words = [program, "--config", str(CONFIGS / "collector.yaml")]
    words += laid_over(
        {
            "receivers::otlp::protocols::http::endpoint": at(http),
            "receivers::otlp::protocols::grpc::endpoint": at(grpc),
            "exporters::otlp_grpc/jaeger::endpoint": jaeger.grpc.removeprefix("http://"),
            "extensions::health_check::endpoint": at(health),
        }
    )
    with (folder / "collector.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder, env=environment())
        try:
            limit = time.monotonic() + 60
            while not _listens(http):
                assert process.poll() is None, (folder / "collector.log").read_text()[-3000:]
                assert time.monotonic() < limit, "the collector does not answer"
                time.sleep(0.1)
            yield f"http://127.0.0.1:{http}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _wait_until_ready(jaeger: Jaeger, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            jaeger.services()
            # Its receivers start last: any answer to an empty request will do.
            urllib.request.urlopen(f"{jaeger.http}/v1/traces", data=b"", timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            assert time.monotonic() < limit, "Jaeger does not answer"
            time.sleep(0.1)


# -- what the ledger says --------------------------------------------------------------------------------


def shown(ledger: Path, session_id: str) -> dict[str, Any]:
    """What ``spantally show SESSION --json`` prints of a session."""
    done = subprocess.run(
        [sys.executable, "-m", "spantally.cli", "show", session_id, "--json"],
        env=environment(SPANTALLY_LEDGER=str(ledger)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def nodes(tree: Mapping[str, Any]) -> dict[str, tuple[dict[str, Any], str | None]]:
    """All rows of a session's tree by their span's id, each with the span's id of the row around it."""
    found: dict[str, tuple[dict[str, Any], str | None]] = {}
    waiting: list[tuple[dict[str, Any], str | None]] = [(one, None) for one in tree["children"]]
    while waiting:
        node, around = waiting.pop()
        found[node["span_id"]] = (node, around)
        waiting.extend((below, node["span_id"]) for below in node["children"])
    return found


def nearest(spans: Mapping[str, Span], span: Span, among: Mapping[str, Any]) -> str | None:
    """The id of the innermost span around one that is among these."""
    around = span.parent_id
    while around is not None and around not in among:
        around = spans[around].parent_id if around in spans else None
    return around
