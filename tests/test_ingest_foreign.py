"""`spantally ingest`: spans of others' packages in a file are the rows that they are in a live program."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from foreign_kit import FILES, counted, recorded, replayed, stored
from otlp_files_kit import lines, request, span
from spantally import open_ledger
from spantally.cli.main import cli
from spantally.ledger.sqlite.store import SQLiteStore

NAMES = sorted(path.stem for path in FILES.glob("*.json"))
_KINDS = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}


def as_file(name: str) -> bytes:
    """The recorded spans, as a collector writes them: each in a request of its own, inner ones first."""
    made = []
    for place, one in enumerate(recorded(name)["spans"]):
        parent = None if one["parent"] is None else one["parent"] + 1
        root = place
        while recorded_parent(name, root) is not None:
            root = recorded_parent(name, root)
        found = span(
            place + 1,
            parent,
            trace=f"{root + 1:032x}",
            name=one["name"],
            attributes=one["attributes"],
            kind=_KINDS[one["kind"]],
        )
        made.append(request(found, scope=one["scope"]))
    return lines(reversed(made))


def recorded_parent(name: str, place: int) -> Any:
    """The place of a span's parent."""
    return recorded(name)["spans"][place]["parent"]


def figures(store: SQLiteStore) -> list[tuple[Any, ...]]:
    """What the rows that count say."""
    found = [
        (
            row.kind,
            row.provider,
            row.model,
            row.input_tokens,
            row.output_tokens,
            row.cache_read,
            row.cache_write_5m,
            row.cost_nano_usd,
            row.cost_status,
        )
        for row in counted(store)
    ]
    return sorted(found, key=repr)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_spans_are_counted_as_in_a_live_program(tmp_path: Path, name: str) -> None:
    """Calls, providers, models, tokens and costs are the same, and reading the file again changes nothing."""
    path, ledger = tmp_path / "a.jsonl", tmp_path / "l.db"
    path.write_bytes(as_file(name))
    result = CliRunner().invoke(cli, ["--ledger", str(ledger), "ingest", str(path)])
    assert result.exit_code == 0, result.output
    store = SQLiteStore(ledger)
    try:
        assert figures(store) == figures(stored(replayed(recorded(name)["spans"])))
    finally:
        store.close()
    again = CliRunner().invoke(cli, ["--ledger", str(ledger), "ingest", str(path)])
    assert "(0 new, 0 changed)" in again.output


@pytest.mark.parametrize("seed", range(6))
def test_spans_that_come_one_by_one_are_placed_as_if_at_once(tmp_path: Path, seed: int) -> None:
    """Agents within agents: what stands beneath one gets what comes around it later."""
    name = "agents-openinference"
    requests = as_file(name).splitlines(keepends=True)
    random.Random(seed).shuffle(requests)
    again = [b"".join(requests[max(0, place - 4) : place + 2]) for place in range(0, len(requests), 2)]
    for ledger, parts in (("whole.db", [b"".join(requests)]), ("pieces.db", requests), ("again.db", again)):
        for part in parts:
            (tmp_path / "spans.jsonl").write_bytes(part)
            arguments = ["--ledger", str(tmp_path / ledger), "ingest", str(tmp_path / "spans.jsonl")]
            assert CliRunner().invoke(cli, arguments).exit_code == 0
    whole, *others = (
        {
            (row.span_id, row.agent_path, row.run_id, row.turn, row.session_id)
            for row in open_ledger(tmp_path / ledger).calls()
        }
        for ledger in ("whole.db", "pieces.db", "again.db")
    )
    assert others == [whole, whole]
