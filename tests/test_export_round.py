"""Sessions exported and ingested into a fresh ledger are the same rows, column by column."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from export_kit import KEY, command, contents, differences, fill
from program_kit import Programs
from spantally.testing import ScriptedServer


@pytest.fixture
def programs(tmp_path: Path, server: ScriptedServer) -> Programs:
    """Programs over the scripted server."""
    return Programs(tmp_path, server.base_url)


@pytest.mark.parametrize("with_sdk", [True, False], ids=["spans", "no spans"])
def test_export_and_ingest_give_back_the_same_rows(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch, with_sdk: bool
) -> None:
    """Calls, tools, agents, events, sessions and sums are the same in every column, and once for all."""
    ledger = fill(programs, with_sdk=with_sdk)
    found = contents(ledger)
    assert len(found["call"]) == 15
    assert {row["kind"] for row in found["call"].values()} == {"inference", "embeddings", "agent", "tool"}
    assert len(found["session"]) == 3
    assert len(found["event"]) == 6
    file, copy = tmp_path / "out.jsonl", tmp_path / "copy.db"
    command(ledger, "export", "--all", "--otlp", str(file))
    assert KEY.encode() not in file.read_bytes()
    command(copy, "ingest", str(file))
    assert differences(ledger, copy) == []
    assert "(0 new, 0 changed)" in command(copy, "ingest", str(file)).output
    assert differences(ledger, copy) == []
    # The same again from the copy, packed and by another rate of exchange between the two: still the same.
    command(copy, "export", "--all", "--otlp", str(tmp_path / "again.jsonl.gz"))
    assert gzip.decompress((tmp_path / "again.jsonl.gz").read_bytes()).count(b"\n") >= 2
    assert "(0 new, 0 changed)" in command(ledger, "ingest", str(tmp_path / "again.jsonl.gz")).output
    assert differences(ledger, copy) == []
