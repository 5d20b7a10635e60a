"""A program that ran with no exporter can be opened in the real Jaeger afterwards: `spantally export`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jaeger_kit import ROOT, running, shown
from program_kit import environment, ok
from test_jaeger_query import same_tree

pytestmark = [pytest.mark.collector, pytest.mark.timeout(180)]


def spantally(ledger: Path, *words: str, **values: str) -> str:
    """Run a command of ours; its stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "spantally.cli", *words],
        env=environment(SPANTALLY_LEDGER=str(ledger), **values),
        cwd=ledger.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ok(done).stdout


@pytest.mark.parametrize("sdk", ["an SDK without exporters", "no SDK"])
def test_a_recorded_session_is_the_tree_that_show_prints(tmp_path: Path, sdk: str) -> None:
    """The research team, exported over HTTP and once more over gRPC: nesting, tokens, costs and outcome."""
    ledger = tmp_path / "team.db"
    values = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    if sdk == "no SDK":
        values["OTEL_SDK_DISABLED"] = "true"
    program = str(ROOT / "examples" / "research_team.py")
    spantally(ledger, "run", "--", sys.executable, program, **values)
    with running(tmp_path) as jaeger:
        (told,) = json.loads(spantally(ledger, "export", "last", "--otlp", jaeger.http, "--json"))
        grpc = jaeger.grpc.replace("http://", "grpc://")
        assert (
            json.loads(spantally(ledger, "export", "last", "--otlp", grpc, "--json"))[0]["spans"]
            == told["spans"]
        )
        assert told["logs_refused"]  # Jaeger takes no log records, and is sent the spans all the same
        tree: dict[str, Any] = shown(ledger, "last")
        (service,) = jaeger.services()
        spans = {span.span_id: span for span in jaeger.session(service, tree["session_id"], told["spans"])}
    assert len(spans) == told["spans"]
    if sdk != "no SDK":  # without one the ledger has no ids of spans to compare by
        same_tree(list(spans.values()), tree)
    assert (
        sum(span.tags.get("spantally.cost.nano_usd", 0) for span in spans.values()) == tree["cost_nano_usd"]
    )
    assert {"invoke_agent planner", "execute_tool search"} < {span.name for span in spans.values()}
