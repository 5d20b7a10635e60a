"""Rates and errors of services, as Jaeger derives them from spans: few series, and each means something."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jaeger_kit import ROOT, Jaeger, running, until
from program_kit import environment, free_port, ok

pytestmark = [pytest.mark.collector, pytest.mark.timeout(180)]

METRICS = """
connectors:
  spanmetrics:
    metrics_flush_interval: 200ms
    # A process is a resource of its own; without this the last one's counts would stand for the service's.
    resource_metrics_key_attributes: [service.name]
exporters:
  prometheus:
    endpoint: 127.0.0.1:{port}
service:
  pipelines:
    traces:
      exporters: [jaeger_storage_exporter, spanmetrics]
    metrics/spanmetrics:
      receivers: [spanmetrics]
      exporters: [prometheus]
"""

MONITOR = """
extensions:
  jaeger_storage:
    metric_backends:
      rates:
        prometheus:
          endpoint: http://127.0.0.1:{port}
          normalize_calls: true
          normalize_duration: true
  jaeger_query:
    storage:
      metrics: rates
"""


def calls(port: int) -> dict[tuple[str, str, str, str], int]:
    """Calls by service, kind, name and status of spans."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = {}
    for labels, value in re.findall(r"^\w*calls_total\{(.*)\} (\S+)$", text, re.MULTILINE):
        values = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        key = (
            values["service_name"],
            values["span_kind"].removeprefix("SPAN_KIND_").lower(),
            values["span_name"],
            values["status_code"].removeprefix("STATUS_CODE_").lower(),
        )
        found[key] = int(float(value))
    return found


def run_example(jaeger: Jaeger, folder: Path, program: str, service: str) -> None:
    """Run one of the examples with its spans on their way to Jaeger."""
    done = subprocess.run(
        [sys.executable, "-m", "spantally.cli", "run", "-q", "--", sys.executable, program],
        env=environment(SPANTALLY_LEDGER=str(folder / "l.db"), **jaeger.exporting(service)),
        cwd=ROOT / "examples",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    ok(done)


@contextlib.contextmanager
def prometheus(folder: Path, program: str, scraped: int) -> Iterator[int]:
    """Prometheus, looking twice a second; its port."""
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 500ms}\nscrape_configs:\n"
        f"- {{job_name: spans, static_configs: [{{targets: ['127.0.0.1:{scraped}']}}]}}\n"
    )
    words = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    words.append(f"--web.listen-address=127.0.0.1:{port}")
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            yield port
        finally:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_monitor_has_rates_of_agents_and_calls(tmp_path: Path) -> None:
    """Jaeger's own API of rates, with Prometheus behind it, tells calls and errors by operation."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not here; it is a package of most systems")
    scraped = free_port()
    with prometheus(tmp_path, program, scraped) as port:
        more = METRICS.format(port=scraped) + MONITOR.format(port=port)
        with running(tmp_path, more) as jaeger:

            def rates(what: str, service: str, kind: str) -> set[str]:
                found = jaeger.ask_metrics(what, service, kind)
                return {
                    label["value"]
                    for one in found["metrics"]
                    for label in one["labels"]
                    if label["name"] == "operation"
                    if any(
                        point["gaugeValue"]["doubleValue"] not in (0, "NaN") for point in one["metricPoints"]
                    )
                }

            def seen() -> list[set[str]]:
                run_example(jaeger, tmp_path, "two_services.py", "buyer")
                run_example(jaeger, tmp_path, "research_team.py", "team")
                return [
                    rates("calls", "buyer", "internal"),
                    rates("calls", "supplier", "server"),
                    rates("errors", "team", "client"),
                ]

            expected = [
                {"invoke_agent buyer", "execute_tool fetch_quote"},
                {"GET /quote/{item}"},
                {"chat gpt-4o-mini"},
            ]
            assert until(seen, lambda found: found == expected, limit=40) == expected


def test_services_have_rates_and_errors(tmp_path: Path) -> None:
    """Two runs of three programs: names of spans tell operations apart, not sessions or addresses."""
    port = free_port()
    with running(tmp_path, METRICS.format(port=port)) as jaeger:
        for program, service in (("research_team.py", "team"), ("two_services.py", "buyer")) * 2:
            run_example(jaeger, tmp_path, program, service)
        found = until(lambda: calls(port), lambda seen: sum(seen.values()) >= 2 * (15 + 9))
    assert {key: count for key, count in found.items() if key[0] != "team"} == {
        ("buyer", "internal", "invoke_agent buyer", "unset"): 2,
        ("buyer", "client", "chat gpt-4o-mini", "unset"): 4,
        ("buyer", "internal", "execute_tool fetch_quote", "unset"): 2,
        ("buyer", "client", "GET", "unset"): 2,
        ("supplier", "server", "GET /quote/{item}", "unset"): 2,
        ("supplier", "internal", "invoke_agent supplier", "unset"): 2,
        ("supplier", "client", "SELECT stock", "unset"): 2,
        ("supplier", "client", "chat gpt-4o-mini", "unset"): 2,
    }
    failed = {key: count for key, count in found.items() if key[3] == "error"}
    assert failed == {("team", "client", "chat gpt-4o-mini", "error"): 2}
    assert found[("team", "internal", "invoke_agent researcher", "unset")] == 4
