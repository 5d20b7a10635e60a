"""Rates and errors of services, as Jaeger derives them from spans: few series, and each means something."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from jaeger_kit import ROOT, free_port, running, until
from program_kit import environment, ok

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


def test_services_have_rates_and_errors(tmp_path: Path) -> None:
    """Two runs of three programs: names of spans tell operations apart, not sessions or addresses."""
    port = free_port()
    with running(tmp_path, METRICS.format(port=port)) as jaeger:
        for program, service in (("research_team.py", "team"), ("two_services.py", "buyer")) * 2:
            done = subprocess.run(
                [sys.executable, "-m", "spantally.cli", "run", "-q", "--", sys.executable, program],
                env=environment(SPANTALLY_LEDGER=str(tmp_path / "l.db"), **jaeger.exporting(service)),
                cwd=ROOT / "examples",
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            ok(done)
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
