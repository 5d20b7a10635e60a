"""`spantally ingest`: spans of OTLP files become rows once, placed by their parents, whatever the order."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from otlp_files_kit import agent, chat, lines, request, rows, span
from spantally.cli.main import cli

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
