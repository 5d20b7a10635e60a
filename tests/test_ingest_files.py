"""`spantally ingest`: spans of OTLP files become rows once, placed by their parents, whatever the order."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

import spantally
from otlp_files_kit import agent, attribute, chat, lines, request, rows, span
from spantally.cli.main import cli

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"

SPANS = [
    agent(1, name="planner", attributes={"session.id": "s1", "user.id": "alice"}),
    span(2, 1, name="GET /"),
    chat(3, 2),
    span(
        4, 1, name="tool", attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    ),
    chat(5, 4),
]


def ingest(path: Path | str, ledger: Path, *more: str, code: int = 0) -> str:
    """Run the command; returns what it said."""
    result = CliRunner().invoke(cli, ["--ledger", str(ledger), "ingest", str(path), *more])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_spans_does_not_matter(tmp_path: Path, seed: int) -> None:
    """Children before their parents, each in a run of its own, give the rows of one file in order."""
    (tmp_path / "all.jsonl").write_bytes(lines([request(*SPANS)]))
    ingest(tmp_path / "all.jsonl", tmp_path / "whole.db")
    mixed = SPANS.copy()
    random.Random(seed).shuffle(mixed)
    for place, one in enumerate(mixed):
        (tmp_path / f"{place}.jsonl").write_bytes(lines([request(one)]))
        ingest(tmp_path / f"{place}.jsonl", tmp_path / "pieces.db")
    found = rows(tmp_path / "whole.db")
    assert rows(tmp_path / "pieces.db") == found
    assert {row["session_id"] for row in found} == {"s1"}
    assert [row["tool"] for row in found] == [None, None, "search", "search"]
    assert {row["agent_path"] for row in found} == {'["planner"]'}
    assert [row["cost_nano_usd"] for row in found] == [None, 21_000, None, 21_000]


def test_twice_changes_nothing(tmp_path: Path) -> None:
    """The same file again, packed this time, finds every row there."""
    data = lines([request(*SPANS)])
    (tmp_path / "a.jsonl").write_bytes(data)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(data))
    assert "4 rows (4 new, 0 changed)" in ingest(tmp_path / "a.jsonl", tmp_path / "l.db")
    assert "4 rows (0 new, 0 changed)" in ingest(tmp_path / "a.jsonl.gz", tmp_path / "l.db")


def test_a_bad_line_is_told_and_the_rest_is_taken(tmp_path: Path) -> None:
    """A line that is no JSON has its number said, and exit code 1; an unfinished last line is no fault."""
    good = lines([request(chat(1))])
    (tmp_path / "a.jsonl").write_bytes(good + b"{nonsense\n" + lines([request(chat(2))]) + good[:40])
    said = ingest(tmp_path / "a.jsonl", tmp_path / "l.db", code=1)
    assert "a.jsonl line 2: is no JSON" in said
    assert "line 4: the input ends in the middle" in said
    assert len(rows(tmp_path / "l.db")) == 2
    (tmp_path / "b.jsonl").write_bytes(good + good[:40])
    ingest(tmp_path / "b.jsonl", tmp_path / "l.db")


@pytest.mark.parametrize("kept", ["never", "explicit", "all"])
def test_no_secret_of_a_span_gets_into_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """What programs of others put anywhere into their spans passes redaction before it is kept."""
    monkeypatch.setenv("SPANTALLY_LEDGER_CONTENT", kept)
    message = json.dumps([{"role": "user", "parts": [{"type": "text", "content": f"my key is {KEY}"}]}])
    event = {
        "name": "gen_ai.evaluation.result",
        "timeUnixNano": str(1_793_000_000_000_000_700),
        "attributes": [attribute("gen_ai.evaluation.explanation", f"because {KEY}")],
    }
    spans = [
        agent(
            1,
            name=f"agent {KEY}",
            attributes={
                "session.id": "s1",
                "user.id": f"user-{KEY}",
                "gen_ai.agent.description": f"uses {KEY}",
                "spantally.tag.team": f"t {KEY}",
            },
            events=[event],
            status={"code": 2, "message": f"failed with {KEY}"},
        ),
        chat(
            2,
            1,
            attributes={
                "gen_ai.input.messages": message,
                "gen_ai.output.messages": message,
                "gen_ai.system_instructions": message,
                "gen_ai.response.id": f"resp {KEY}",
                "error.type": f"Error {KEY}",
                "llm.headers": f"Authorization: Bearer {KEY}",
            },
        ),
        span(
            3,
            1,
            name=f"execute_tool {KEY}",
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": f"tool {KEY}",
                "gen_ai.tool.call.arguments": json.dumps({"api_key": KEY}),
                "gen_ai.tool.call.result": f"ok {KEY}",
            },
        ),
    ]
    (tmp_path / "a.jsonl").write_bytes(lines([request(*spans, service=f"service {KEY}")]))
    ledger = tmp_path / "l.db"
    ingest(tmp_path / "a.jsonl", ledger)
    assert len(rows(ledger)) == 3
    found = [path.name for path in tmp_path.glob("l.db*") if KEY.encode() in path.read_bytes()]
    assert b"[REDACTED:" in ledger.read_bytes()
    assert not found, [name for row in rows(ledger) for name, value in row.items() if KEY in str(value)]


def test_the_session_of_a_trace_goes_with_its_last_row(tmp_path: Path) -> None:
    """A call that came before the agent that names its session leaves no empty session behind."""
    said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner", "session.id": "chat-42"}
    for made in (chat(2, 1), span(1, attributes=said)):
        (tmp_path / "a.jsonl").write_bytes(lines([request(made)]))
        arguments = ["--ledger", str(tmp_path / "l.db"), "ingest", str(tmp_path / "a.jsonl")]
        assert CliRunner().invoke(cli, arguments).exit_code == 0
    (row,) = spantally.open_ledger(tmp_path / "l.db").sessions()
    assert (row.session_id, row.calls, row.agents) == ("chat-42", 1, ("planner",))
