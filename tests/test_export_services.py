"""Two services that send their spans to one place: what is ingested there is what both have counted."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from export_kit import command
from otlp_files_kit import received
from program_kit import Programs, ok
from spantally.testing import OtlpReceiver, ScriptedServer

BACK = """
import spantally
connection = client()

@spantally.agent
def lookup(text):
    ask(connection, text)
    for chunk in ask(connection, "more", stream=True, stream_options={"include_usage": True}):
        pass

lookup("batteries")
connection.embeddings.create(model="text-embedding-3-small", input=["one"])
"""
FRONT = """
import subprocess
import spantally
connection = client()

@spantally.tool
def search(query):
    own = {"OTEL_SERVICE_NAME": "back", "SPANTALLY_LEDGER": os.environ["BACK_LEDGER"]}
    words = [os.environ["START"], sys.executable, os.environ["BACK"]]
    subprocess.run(words, env={**os.environ, **own}, check=True)

@spantally.agent
def planner(task):
    ask(connection, task)
    search(task)
    connection.responses.create(model="gpt-4o", input="and then?")
    spantally.evaluation("helpful", 0.5)

whose = dict(user="alice", entity=("customer", "acme"), tags={"team": "blue"})
with spantally.session("main", name="research", **whose):
    planner("batteries")
    ask(connection, "outside of the agent")
with spantally.session("second", name="again", user="bob"):
    ask(connection, "alone")
ask(connection, "outside of any session")
"""
START = str(Path(sys.executable).with_name("opentelemetry-instrument"))
GROUPINGS = ("model", "agent", "session", "user", "project", "entity", "provider", "day")


def totals(ledger: Path) -> dict[str, Any]:
    """What the command line tells of a ledger, but for what spans do not say."""
    # The name of a session and the turn of a call outside of agents are on no span, only in exports.
    found: dict[str, Any] = {
        by: json.loads(command(ledger, "cost", "--by", by, "--json").stdout) for by in GROUPINGS
    }
    sessions = json.loads(command(ledger, "sessions", "--json").stdout)
    keep = ("session_id", "user_id", "entity_id", "tags", "project", "calls", "cost_nano_usd")
    found["sessions"] = {one["session_id"]: {key: one[key] for key in keep} for one in sessions}
    return found


@pytest.mark.slow
def test_ingested_spans_of_two_services_are_their_ledgers_together(
    tmp_path: Path, server: ScriptedServer
) -> None:
    """Totals by every grouping and of each session agree; reading it all again changes nothing."""
    programs = Programs(tmp_path, server.base_url)
    back = programs.script(BACK, name="back.py", instrument=False)
    with OtlpReceiver() as receiver:
        env = {
            "BACK": str(back),
            "START": START,
            "BACK_LEDGER": str(tmp_path / "back.db"),
            "SPANTALLY_LEDGER": str(tmp_path / "front.db"),
            "OTEL_SERVICE_NAME": "front",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        }
        ok(
            programs.run(
                FRONT,
                START,
                instrument=False,
                env=env,
            )
        )
        wire = tmp_path / "wire.jsonl"
        wire.write_bytes(received(receiver))
    merged = tmp_path / "merged.db"
    for name in ("front", "back"):
        command(tmp_path / f"{name}.db", "export", "--all", "--otlp", str(tmp_path / f"{name}.jsonl"))
        command(merged, "ingest", str(tmp_path / f"{name}.jsonl"))
    team = tmp_path / "team.db"
    command(team, "ingest", str(wire))
    found = totals(team)
    assert sum(row["calls"] for row in found["model"]) == 8
    assert found == totals(merged)
    assert "(0 new, 0 changed)" in command(team, "ingest", str(wire)).output
    assert found == totals(team)
    # The services' own ledgers know it all already: what came over the wire takes nothing away from them.
    for name in ("front", "back"):
        ledger = tmp_path / f"{name}.db"
        before = totals(ledger)
        command(ledger, "ingest", str(tmp_path / f"{name}.jsonl"))
        assert totals(ledger) == before
