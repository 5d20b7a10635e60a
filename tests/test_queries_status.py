"""Every sum says which of its calls it does not cover: each command, in text and in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli_ledger import invoke
from ledger_kit import SECOND, T0, agent, chat, session, usage
from spantally.ground.money import CostStatus, Rating, UsageParts, partial
from spantally.ground.records import CallRecord
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import open_ledger

PARTS = UsageParts(uncached_input=10, output=2)
KNOWN = ("priced", "override", "free", "provider_reported", "estimated", "partial:audio_output")
UNKNOWN = ("unknown_model", "bad_usage", "covered")
COST = 5_000
"""Nano-USD of each call with a cost, but of the free one."""


def by_status(record: CallRecord) -> Rating:
    """The rating that the call's id names."""
    status = record.call_id
    if status == "no_usage" or status == "billed":
        return Rating(None, CostStatus.NO_USAGE)
    if status in KNOWN:
        return Rating(0 if status == "free" else COST, status, PARTS, "kit", "kit/model")
    return Rating(None, status, None if status == "bad_usage" else PARTS)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A session with one call of each status, and one that was sent and lost."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    inside: dict[str, Any] = {"parent_call_id": "a1", "agent_path": ("planner",), "run_id": "a1"}
    statuses = [*(str(one) for one in CostStatus), partial("audio_output")]
    store.write(
        [
            session(end_ns=T0 + SECOND, status="succeeded"),
            agent(turn=True, run_id="a1"),
            *(
                chat(one, usage=None if one == "no_usage" else usage(10, 2), **inside)
                for one in statuses
                if one != CostStatus.PENDING
            ),
            chat("billed", usage=None, possibly_billed=True, status="error", error_type="timeout", **inside),
        ],
        by_status,
    )
    # No rate is ever known of this one, so that it still waits when it is read.
    store.write([chat("pending", **inside)], lambda _record: Rating(None, CostStatus.PENDING, PARTS))
    store.close()
    return path


def told(text: str) -> None:
    """A sum in words names what it lacks, each call under one name."""
    assert "1 possibly billed" in text or "1 call possibly billed" in text
    assert "unpriced" in text
    assert "pending" in text


@pytest.mark.parametrize(
    "words",
    [
        ("sessions",),
        ("show", "s1"),
        ("cost", "--by", "agent"),
        ("cost", "--by", "run,day"),
        ("summary", "s1"),
        ("graph", "s1"),
        ("graph", "s1", "--dot"),
    ],
)
def test_text(ledger: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    """What a command prints says beside each sum how many calls it does not cover."""
    _never_rated(monkeypatch)
    done = invoke("--ledger", str(ledger), *words)
    assert done.exit_code == 0
    told(done.output)
    assert "0.000025" in done.output  # Mermaid writes the dollar as a number


def _never_rated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row that waits goes on waiting: the price data is not there."""
    monkeypatch.setattr(
        "spantally.pricing.rate.rate", lambda _record: Rating(None, CostStatus.PENDING, PARTS)
    )


@pytest.mark.parametrize(
    "words",
    [("sessions",), ("show", "s1"), ("cost", "--by", "agent"), ("cost", "--by", "run"), ("summary", "s1")],
)
def test_json(ledger: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    """Each sum of the JSON has the known part, and the numbers of calls that are not in it."""
    _never_rated(monkeypatch)
    (found,) = json.loads(invoke("--ledger", str(ledger), *words, "--json").output)
    for one in (found.get("total", found), *found.get("children", ()), *found.get("by_agent", ())):
        assert one["cost_nano_usd"] == COST * (len(KNOWN) - 1)
        assert one["pending_calls"] == 1
        assert one["possibly_billed_calls"] == 1
        assert one["unpriced_calls"] == len(UNKNOWN) + 2
        assert one["calls"] == len(KNOWN) + one["unpriced_calls"] + one["pending_calls"]


def test_graph_json(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes and edges have them, too."""
    _never_rated(monkeypatch)
    (found,) = json.loads(invoke("--ledger", str(ledger), "graph", "s1", "--json").output)
    for one in (*found["nodes"], *found["edges"]):
        assert (one["pending_calls"], one["possibly_billed_calls"]) == (1, 1)
        assert one["unpriced_calls"] == len(UNKNOWN) + 2


def test_each_row_tells_its_status(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row without a cost says why, and one that is not plainly rated says so beside it."""
    _never_rated(monkeypatch)
    text = invoke("--ledger", str(ledger), "calls", "--limit", "0").output
    for status in ("no_usage", *UNKNOWN, "pending", "$0.000005 estimated", "$0.000005 partial:audio_output"):
        assert status in text
    rows = json.loads(invoke("--ledger", str(ledger), "calls", "--limit", "0", "--json").output)
    seen = {row["cost_status"] for row in rows} - {None}
    assert seen == {*KNOWN, *UNKNOWN, "no_usage", "pending"}


def test_reprice_and_reconcile_tell_it(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison names the calls of the ledger whose cost it does not know."""
    from spantally.queries.export_values import Export, ExportLine
    from spantally.queries.reconcile import reconcile

    _never_rated(monkeypatch)
    line = ExportLine(T0, None, "gpt-5-2026", 13, cost_nano_usd=1)
    with open_ledger(ledger) as opened:
        found = reconcile(opened, Export("csv", None, [line]))
    words = " + ".join(f"{calls} {what}" for calls, what in found.uncovered)
    told(words)
