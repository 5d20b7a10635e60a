"""Rows that a file carries whole: a secret stands in none of their fields afterwards, and nothing fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click import exceptions

from otel_kit import SECRET
from spantally.cli.main import cli
from spantally.ground import semconv

ROW: dict[str, Any] = {
    "call_id": "0" * 32,
    "session_id": "s1",
    "kind": "inference",
    "operation": "chat",
    "start_ns": 1_790_000_000_000_000_000,
    "status": "ok",
    "trace_id": "1" * 32,
    "span_id": "2" * 16,
    "parent_span_id": "3" * 16,
    "parent_call_id": "4" * 32,
    "run_id": "5" * 32,
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    "usage_format": "openai.chat",
}


def took(tmp_path: Path, row: dict[str, Any]) -> bytes:
    """The ledger after a file with this row was read into it."""
    attributes = {"gen_ai.operation.name": "chat", semconv.RECORD: json.dumps(row)}
    span = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "name": "chat",
        "startTimeUnixNano": str(row["start_ns"]),
        "endTimeUnixNano": str(row["start_ns"] + 5),
        "attributes": [{"key": key, "value": {"stringValue": text}} for key, text in attributes.items()],
    }
    file = tmp_path / "spans.json"
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))
    try:
        cli(["--ledger", str(tmp_path / "ledger.db"), "ingest", str(file)], standalone_mode=False)
    except exceptions.Exit:
        pass
    return b"".join(one.read_bytes() for one in tmp_path.glob("ledger.db*"))


@pytest.mark.parametrize("name", [None, *(name for name in ROW if name not in ("start_ns", "usage"))])
def test_a_field_with_a_secret(name: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An id that is any text is redacted, a word that no row has makes the span a bad one."""
    data = took(tmp_path, ROW if name is None else {**ROW, name: SECRET})
    assert SECRET.encode() not in data
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err
    taken = name not in ("kind", "status", "trace_id", "span_id", "parent_span_id", "usage_format")
    assert ("1 new" in told.err) == taken, told
