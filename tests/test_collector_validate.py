"""Each shipped configuration is accepted, and run, by the program that it names."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from collector_kit import CONFIGS, Collector, binary, plain_provider, post, spans_of, until
from program_kit import environment, free_port

pytestmark = pytest.mark.collector

PROGRAMS = {
    "agent.yaml": "collector",
    "all-in-one.yaml": "jaeger",
    "clickhouse.yaml": "collector-clickhouse",
    "collector.yaml": "collector",
    "file.yaml": "collector",
    "gateway.yaml": "collector",
    "jaeger.yaml": "jaeger",
    "metrics.yaml": "collector",
    "redact.yaml": "collector",
    "tail-sampling.yaml": "collector",
}
SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "name": "chat m",
    "kind": 3,
}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_the_program_that_it_names_accepts_it(name: str) -> None:
    """`validate` of the pinned build has nothing against the file, and the file says which build that is."""
    text = (CONFIGS / name).read_text(encoding="utf-8")
    assert f"`make {PROGRAMS[name]}`" in text
    done = subprocess.run(
        [binary(PROGRAMS[name]), "validate", "--config", str(CONFIGS / name)],
        env=environment(GATEWAY_TOKEN="made-up"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_wrong_name_is_not_accepted(tmp_path: Path) -> None:
    """`validate` is a test at all: it refuses what no component of the build is called."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((CONFIGS / "file.yaml").read_text().replace("rotation:", "rotations:"))
    done = subprocess.run(
        [binary(), "validate", "--config", str(wrong)], env=environment(), capture_output=True, timeout=60
    )
    assert done.returncode != 0
    assert b"rotations" in done.stderr


def test_every_file_is_tried() -> None:
    """No configuration is shipped that no program has seen."""
    shipped = {path.name for path in CONFIGS.glob("*.yaml")}
    assert shipped - set(PROGRAMS) <= {"compose.yaml", "kubernetes.yaml", "kustomization.yaml"}
    assert set(PROGRAMS) <= shipped


def test_files_hold_what_was_sent(tmp_path: Path) -> None:
    """file.yaml: spans, metrics and logs are in a file each, readable by their owner alone."""
    with Collector("file.yaml", tmp_path, OTLP_DIR=str(tmp_path / "otlp")) as collector:
        assert post(f"{collector.http}/v1/traces", traces(SPAN)) == 200
        assert post(f"{collector.http}/v1/logs", LOGS) == 200
        assert post(f"{collector.http}/v1/metrics", METRICS) == 200
    assert [span.name for span in spans_of(tmp_path / "otlp" / "traces.jsonl")] == ["chat m"]
    assert "made up line" in (tmp_path / "otlp" / "logs.jsonl").read_text()
    assert "gen_ai.client.token.usage" in (tmp_path / "otlp" / "metrics.jsonl").read_text()
    assert (tmp_path / "otlp").stat().st_mode & 0o077 == 0


def test_prometheus_gets_metrics_of_programs_and_of_spans(tmp_path: Path) -> None:
    """metrics.yaml: what the program counts and what is counted from its spans can be scraped."""
    often = ["connectors::span_metrics::metrics_flush_interval: 200ms"]
    with Collector("metrics.yaml", tmp_path, overlays=often) as collector:
        provider = plain_provider(collector.http)
        attributes = {"gen_ai.request.model": "m-1", "session.id": "s-1"}
        provider.get_tracer("test").start_span("chat m-1", attributes=attributes).end()
        provider.shutdown()
        assert post(f"{collector.http}/v1/metrics", METRICS) == 200

        def scrape() -> str:
            with urllib.request.urlopen(collector.metrics, timeout=10) as answer:
                return str(answer.read().decode())

        # A series begins with a 0, so that rates know its first call.
        page = until(scrape, lambda text: counted(text).endswith(" 1") and "gen_ai_client" in text)
    assert 'gen_ai_request_model="m-1"' in counted(page)
    assert counted(page).endswith(" 1")
    assert "traces_span_metrics_duration_milliseconds_bucket{" in page
    assert "gen_ai_client_token_usage" in page
    assert "s-1" not in page


@pytest.mark.parametrize("name", ["collector.yaml", "tail-sampling.yaml"])
def test_it_runs_and_ends_without_its_backend(name: str, tmp_path: Path) -> None:
    """The others start, take a span and end in time while what they send to is not there."""
    with Collector(name, tmp_path, JAEGER_OTLP="127.0.0.1:9", TRACES_OTLP="http://127.0.0.1:9") as collector:
        assert post(f"{collector.http}/v1/traces", traces(SPAN)) == 200
        began = time.monotonic()
    assert time.monotonic() - began < 15


@pytest.mark.slow
def test_jaeger_alone_takes_spans_and_finds_them_by_session(tmp_path: Path) -> None:
    """all-in-one.yaml: what is sent to its OTLP receiver is found by the query API."""
    program = binary("jaeger")
    ports = {name: free_port() for name in ("http", "grpc", "pages", "query")}
    laid_over = {
        "receivers::otlp::protocols::http::endpoint": ports["http"],
        "receivers::otlp::protocols::grpc::endpoint": ports["grpc"],
        "extensions::jaeger_query::http::endpoint": ports["pages"],
        "extensions::jaeger_query::grpc::endpoint": ports["query"],
    }
    words = [program, "--config", str(CONFIGS / "all-in-one.yaml")]
    for path, port in laid_over.items():
        words += ["--config", f"yaml:{path}: 127.0.0.1:{port}"]
    tags = urllib.parse.quote(json.dumps({"session.id": "s-1"}))
    query = f"http://127.0.0.1:{ports['pages']}/api/traces?service=plain&tags={tags}&lookback=1h"

    def names() -> list[str]:
        try:
            with urllib.request.urlopen(query, timeout=10) as answer:
                found = json.load(answer)["data"] or ()
        except OSError:
            return []
        return [span["operationName"] for trace in found for span in trace["spans"]]

    with (tmp_path / "jaeger.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=tmp_path, env=environment())
    try:
        until(lambda: listens(ports["http"]), bool, limit=60)
        provider = plain_provider(f"http://127.0.0.1:{ports['http']}")
        provider.get_tracer("test").start_span("chat m-1", attributes={"session.id": "s-1"}).end()
        provider.shutdown()
        assert until(names, bool) == ["chat m-1"]
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    """Whether somebody listens at a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def counted(page: str) -> str:
    """The line of the calls that were counted from spans."""
    return "".join(line for line in page.splitlines() if line.startswith("traces_span_metrics_calls_total{"))


def traces(*spans: dict[str, object]) -> dict[str, object]:
    """An export of spans as OTLP JSON."""
    now = time.time_ns()
    timed = [{"startTimeUnixNano": str(now - 1000), "endTimeUnixNano": str(now), **span} for span in spans]
    return {"resourceSpans": [{"scopeSpans": [{"spans": timed}]}]}


LOGS = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "made up line"}}]}]}]}
POINT = {"asInt": "7", "timeUnixNano": str(time.time_ns())}
METRICS = {
    "resourceMetrics": [
        {
            "scopeMetrics": [
                {
                    "metrics": [
                        {
                            "name": "gen_ai.client.token.usage",
                            "sum": {"dataPoints": [POINT], "aggregationTemporality": 2, "isMonotonic": True},
                        }
                    ]
                }
            ]
        }
    ]
}


@pytest.mark.parametrize("name", ["agent.yaml", "gateway.yaml"])
def test_without_a_token_it_does_not_start(name: str) -> None:
    """A gateway that nobody has given a token lets nobody in, and says so at once."""
    done = subprocess.run(
        [binary(), "--config", str(CONFIGS / name)],
        env=environment(GATEWAY_TOKEN=""),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert b"no bearer token provided" in done.stderr
