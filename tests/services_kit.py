"""Two services that send their spans to one place, and what is ingested there beside their ledgers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from export_kit import command
from program_kit import Programs, finish, ok

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


def run_services(programs: Programs, folder: Path, endpoint: str) -> None:
    """Run both, each with a ledger of its own, in front.db and back.db of the folder."""
    back = programs.script(BACK, name="back.py", instrument=False)
    env = {
        "BACK": str(back),
        "START": START,
        "BACK_LEDGER": str(folder / "back.db"),
        "SPANTALLY_LEDGER": str(folder / "front.db"),
        "OTEL_SERVICE_NAME": "front",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
    }
    # Two programs, one within the other: on a busy machine their imports alone take half a minute.
    ok(finish(programs.start(FRONT, START, instrument=False, env=env, limit=100), 105))


def check_one_tally(folder: Path, *wire: Path) -> None:
    """What came over the wire, ingested, is the two ledgers merged; a second time changes nothing."""
    merged, team = folder / "merged.db", folder / "team.db"
    for name in ("front", "back"):
        command(folder / f"{name}.db", "export", "--all", "--otlp", str(folder / f"{name}.jsonl"))
        command(merged, "ingest", str(folder / f"{name}.jsonl"))
    files = [str(file) for file in wire]
    command(team, "ingest", *files)
    found = totals(team)
    assert sum(row["calls"] for row in found["model"]) == 8
    assert found == totals(merged)
    assert "(0 new, 0 changed)" in command(team, "ingest", *files).output
    assert found == totals(team)
    # The services' own ledgers know it all already: what was exported takes nothing away from them.
    for name in ("front", "back"):
        ledger = folder / f"{name}.db"
        before = totals(ledger)
        command(ledger, "ingest", str(folder / f"{name}.jsonl"))
        assert totals(ledger) == before
