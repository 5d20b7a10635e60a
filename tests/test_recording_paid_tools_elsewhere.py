"""The cost of a paid tool where it is told on: another ledger, a bill, the live view, the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from opentelemetry.sdk.trace import TracerProvider

import spantally
from ledger_kit import T0, chat, tool
from otlp_files_kit import as_file_json, lines
from spantally.cli.main import cli
from spantally.ground.worker import worker
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.pricing.rate import rate
from spantally.queries.exports import read_export
from spantally.queries.ledger import Ledger
from spantally.queries.reconcile import reconcile
from watching import Watched


def ask_cli(path: Path, *arguments: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(cli, ["--ledger", str(path), *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_spans_carry_it_into_another_ledger(tmp_path: Path) -> None:
    """The spans that went out live, ingested, give the same row and the same sums; twice is once."""
    seen = Watched(ledger=tmp_path / "here.db")
    try:
        with spantally.session("s1") as session, spantally.agent("buyer"):
            session.record_tool("maps", cost_usd=0.005)
            session.record_tool("free")
            session.record_call(model="own", cost_usd=0.25)
        assert worker.flush(10)
    finally:
        seen.close()
    file = tmp_path / "spans.jsonl"
    file.write_bytes(lines(as_file_json(one) for one in seen.exporter.payloads))
    for _ in range(2):
        ask_cli(tmp_path / "there.db", "ingest", str(file))
    ask_cli(tmp_path / "here.db", "ingest", str(file))
    for name in ("here.db", "there.db"):
        found = {
            row["tool"]: (row["calls"], row["cost_nano_usd"])
            for row in json.loads(ask_cli(tmp_path / name, "cost", "--by", "tool", "--json"))
        }
        assert found == {"maps": (0, 5_000_000), None: (1, 250_000_000)}, name


@pytest.mark.parametrize("model", ["gpt-5", None])
def test_a_bill_is_compared_without_paid_tools(model: str | None, tmp_path: Path) -> None:
    """An export that is of no single provider agrees with the calls; a day of tools alone is no row."""
    file = tmp_path / "bill.csv"
    head, name = ("", "") if model is None else ("model,", f"{model},")
    file.write_text(f"date,{head}input_tokens,output_tokens,cost_usd\n2026-10-26,{name}10,2,0.0000325\n")
    store = SQLiteStore(":memory:")
    paid: dict[str, Any] = {"usage": {"cost_nano_usd": 10**9}, "usage_format": "recorded"}
    day = 86_400 * 10**9
    records = [
        chat("c1", response_model="gpt-5", start_ns=T0, end_ns=T0 + 1),
        tool("t1", **paid),
        tool("t2", start_ns=T0 + day, **paid),
    ]
    store.write(records, rate)
    found = reconcile(Ledger(store), read_export(file))
    assert [(row.model, row.cause) for row in found.rows] == [(model, None)], found
    assert found.ledger.cost_nano_usd == 32_500


def test_the_live_view_adds_it_to_agent_and_session(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its own line has its cost, and so have the sums of what is around it."""
    spantally.uninstrument()
    spantally.instrument(
        tracer_provider=TracerProvider(shutdown_on_exit=False), console=True, ledger=tmp_path / "ledger.db"
    )
    try:
        with spantally.session("s1") as session, spantally.agent("buyer"):
            session.record_tool("maps", cost_usd=0.005)
        assert spantally.flush(10)
    finally:
        spantally.uninstrument()
    ends = [line for line in capsys.readouterr().err.splitlines() if re.search(r"cost=", line)]
    assert len(ends) == 3, ends
    assert all("$0.005" in line for line in ends)


def test_the_command_line_shows_it(tmp_path: Path) -> None:
    """show, sessions, cost and check have it, and reprice leaves it as it is."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        with spantally.session("s1") as session:
            session.record_tool("maps", cost_usd=0.5)
        assert worker.flush(10)
    finally:
        seen.close()
    assert re.search(r"tool maps +\$0\.50", ask_cli(path, "show", "s1"))
    (row,) = json.loads(ask_cli(path, "sessions", "--json"))
    assert (row["calls"], row["cost_nano_usd"], row["total_cost"]) == (0, 500_000_000, "0.50")
    (group,) = json.loads(ask_cli(path, "cost", "--by", "model", "--json"))
    assert (group["model"], group["calls"], group["cost_nano_usd"]) == (None, 0, 500_000_000)
    assert "$0.50" in ask_cli(path, "cost", "--by", "tool")
    checked = CliRunner().invoke(cli, ["--ledger", str(path), "check", "--max-usd", "0.4", "--each"])
    assert checked.exit_code == 1, checked.output
    before = ask_cli(path, "show", "s1", "--json")
    ask_cli(path, "reprice")
    assert ask_cli(path, "show", "s1", "--json") == before
