"""A program that leaves a bit of everything in a ledger, and two ledgers compared, column by column."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from program_kit import Programs, ok
from spantally.cli.main import cli

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"

PROGRAM = f"""
import asyncio

connection = client()

@spantally.tool
def search(query):
    return {{"found": [query, 1, None], "key": "{KEY}"}}

@spantally.agent(description="knows things")
def researcher(text):
    search("batteries")
    ask(connection, text, temperature=0.5, max_tokens=50)
    for chunk in ask(connection, "stream it", stream=True, stream_options={{"include_usage": True}}):
        pass
    for chunk in ask(connection, "leave early", stream=True):
        break

@spantally.agent
def planner(task):
    spantally.decision(by="agent", choice="ask", reasoning="the key is {KEY}", alternatives=["wait", "stop"])
    researcher(task)
    connection.responses.create(model="gpt-4o", input="and then?")
    connection.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    spantally.evaluation("helpful", 0.5, explanation="half of it")

with spantally.session(
    "main", name="research", user="alice", entity=("customer", "acme"),
    tags={{"feature": "search", "team": "blue"}},
) as session:
    session.set(title="On batteries, {KEY}", metadata={{"plan": {{"steps": [1, 2]}}, "dry": False}})
    session.set(labels=["b", "a"])
    planner("batteries " + "{KEY}")
    try:
        asyncio.run(openai.AsyncOpenAI(
            base_url=os.environ["BASE_URL"] + "/nowhere", api_key="sk-made-up", max_retries=0
        ).chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "fails"}}]))
    except openai.OpenAIError:
        pass
    with spantally.session("inner", name="detail") as inner:
        ask(connection, "inside")
        inner.finish(success=False, reason="not found")
    session.record_call(
        provider="openai", model="gpt-4o", input_tokens=1000, cached_tokens=200, output_tokens=100,
        reasoning_tokens=40, latency_ms=1500, response_id="resp-1", finish_reason="stop",
        input="what is it", output=[{{"role": "assistant", "content": "noted"}}], cost_usd="0.0123",
    )
    session.record_call(model="nobodys-model", input_tokens=10, output_tokens=1)
    session.record_tool(
        "lookup", {{"q": 1}}, ["x", {{"y": None}}], latency_ms=12, reasoning="to know", error="gone"
    )
    session.record_tool("paid", {{"q": 2}}, "x", cost_usd="0.002", id="paid-1")
    session.record_message("user", "hello there", tokens=3, metadata={{"n": [1, 2]}})
    session.event(
        "cart.opened", {{"items": [1, 2.5, "three"], "user.id": "bob", "deep": {{"a": None}}, "ok": True}}
    )
    session.event("bare")
    spantally.feedback(1, label="liked", session="main", comment="the key is {KEY}", id="f-1")
    session.finish(
        metrics={{"score": 0.9, "turns": 3}}, input="what", output={{"answer": 42}}, cost_usd="0.5"
    )

ask(connection, "outside of any session")
"""


def fill(programs: Programs, *, with_sdk: bool = True, more: str = "") -> Path:
    """Run the program; its ledger."""
    env = {"SPANTALLY_LEDGER_CONTENT": "all", "OTEL_TRACES_EXPORTER": "none"}
    if not with_sdk:
        env["OTEL_SDK_DISABLED"] = "true"
    ok(programs.run(PROGRAM + more, env=env))
    return programs.ledger


def command(ledger: Path, *words: str, code: int = 0) -> Result:
    """Run a command on a ledger; it must end with this code."""
    result = CliRunner().invoke(cli, ["--ledger", str(ledger), *words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


_TABLES = {
    "call": ("call_id",),
    "session": ("session_id",),
    "event": ("event_id",),
    "seen": ("session_id", "what", "name"),
}
_ROLLUPS = """SELECT d.session_id, d.project, d.provider, d.model, d.request_model, d.agent_path, d.user_id,
    d.entity_type, d.entity_id, d.tool, d.tags, r.* FROM rollup r JOIN dimension d USING (dimension_id)
    WHERE r.calls > 0"""


def contents(path: Path) -> dict[str, dict[Any, dict[str, Any]]]:
    """Every visible row of a ledger with all its columns, by table and key."""
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    try:
        found: dict[str, dict[Any, dict[str, Any]]] = {}
        for table, key in _TABLES.items():
            where = "hidden = 0 AND status <> 'running'" if table == "call" else "1"
            rows = [dict(row) for row in db.execute(f"SELECT * FROM {table} WHERE {where}")]
            found[table] = {tuple(row[name] for name in key): row for row in rows}
        rollups = [dict(row) for row in db.execute(_ROLLUPS)]
        for row in rollups:
            del row["dimension_id"]
        found["rollup"] = {json.dumps(list(row.values())): row for row in rollups}
        return found
    finally:
        db.close()


def differences(one: Path, other: Path) -> list[str]:
    """What two ledgers do not have alike: rows, and columns of rows."""
    left, right = contents(one), contents(other)
    found: list[str] = []
    for table, rows in left.items():
        others = right[table]
        found += [f"{table} {key} is only in the first" for key in rows.keys() - others.keys()]
        found += [f"{table} {key} is only in the second" for key in others.keys() - rows.keys()]
        for key in rows.keys() & others.keys():
            found += [
                f"{table} {key} {name}: {value!r} | {others[key].get(name)!r}"
                for name, value in rows[key].items()
                if value != others[key].get(name)
            ]
    return sorted(found)
