"""`spantally outcomes`: success rate and metrics of sessions, by groups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import spantally
from spantally.cli.main import cli
from spantally.ground.errors import ArgumentError
from watching import Watched


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Ten sessions of alice's planner, of which three fail; one of bob's critic, cancelled; carol's."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        for number in range(10):
            session = spantally.session(f"a{number}", user="alice", name="chat").begin()
            with spantally.agent("planner"):
                pass
            bad = number < 3
            session.finish(
                success=not bad,
                reason="no answer" if bad else None,
                metrics={"score": number, "words": 10},
            )
        with pytest.raises(KeyboardInterrupt), spantally.session("b", user="bob"), spantally.agent("critic"):
            raise KeyboardInterrupt
        running = spantally.session("c", user="carol").begin()
        with spantally.agent("planner"):
            pass
        assert spantally.flush(10)
        result = CliRunner().invoke(cli, ["--ledger", str(path), "outcomes", "--by", "user", "--json"])
        assert json.loads(result.output)[2]["running"] == 1
        running.finish()
    finally:
        seen.close()
    return path


def ask(path: Path, *arguments: str, code: int = 0) -> Any:
    """The command's answer as JSON."""
    result = CliRunner().invoke(cli, ["--ledger", str(path), "outcomes", *arguments, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.output) if code == 0 else result.output


def test_rates_and_metrics_by_user(ledger: Path) -> None:
    """Seven of ten succeeded; of the values 0 to 9 the mean is 4.5, half are at most 4, 95 % at most 9."""
    alice, bob, carol = ask(ledger, "--by", "user")
    assert (alice["user"], alice["sessions"], alice["succeeded"], alice["failed"]) == ("alice", 10, 7, 3)
    assert alice["success_rate"] == 0.7
    assert alice["reasons"] == {"no answer": 3}
    assert alice["metrics"]["score"] == {"count": 10, "mean": 4.5, "p50": 4.0, "p95": 9.0}
    assert alice["metrics"]["words"]["p95"] == 10.0
    assert (bob["cancelled"], bob["success_rate"], bob["metrics"]) == (1, 0.0, {})
    assert (carol["succeeded"], carol["success_rate"]) == (1, 1.0)


def test_groups_and_filters(ledger: Path) -> None:
    """By agent and period, all together, and only those asked for."""
    assert {row["agent"]: row["sessions"] for row in ask(ledger, "--by", "agent")} == {
        "planner": 11,
        "critic": 1,
    }
    (whole,) = ask(ledger)
    assert (whole["sessions"], whole["succeeded"]) == (12, 8)
    (failed,) = ask(ledger, "--status", "failed")
    assert (failed["sessions"], failed["success_rate"]) == (3, 0.0)
    rows = ask(ledger, "--by", "day,user", "--tz", "UTC", "--user", "alice")
    assert [(row["user"], row["sessions"], row["tz"]) for row in rows] == [("alice", 10, "UTC")]
    with spantally.open_ledger(ledger) as opened:
        assert opened.outcomes("user")[0].success_rate == 0.7
        with pytest.raises(ArgumentError, match="agent, user, entity"):
            opened.outcomes(["nonsense"])


def test_sessions_that_nobody_opened_are_left_out(tmp_path: Path) -> None:
    """Work outside a session succeeded as far as its process ended: that is no outcome."""
    seen = Watched(ledger=tmp_path / "l.db")
    try:
        with spantally.agent("planner"):
            pass
        assert spantally.flush(10)
    finally:
        seen.close()
    assert ask(tmp_path / "l.db") == []


def test_what_a_session_took(tmp_path: Path) -> None:
    """Turns, calls and cost of each session that ended; one without a price is not in the cost."""
    path = tmp_path / "l.db"
    seen = Watched(ledger=path)
    try:
        for number, model in enumerate(("gpt-4o", "gpt-4o", "gpt-4o", "nobody-s-model")):
            with spantally.session(f"s{number}") as session:
                for turn in range(number + 1):
                    asked = model if turn else "gpt-4o"
                    session.record_call(provider="openai", model=asked, input_tokens=1000, output_tokens=0)
        open_one = spantally.session("s9").begin()
        open_one.record_call(provider="openai", model="gpt-4o", input_tokens=10**6, output_tokens=0)
        assert spantally.flush(10)
        (whole,) = ask(path)
        open_one.finish()
    finally:
        seen.close()
    took = whole["per_session"]
    assert (took["calls"]["count"], took["calls"]["mean"], took["calls"]["p95"]) == (4, 2.5, 4)
    assert took["input_tokens"]["p50"] == 2000
    # One, two and three calls of 1,000 tokens at $2.50 a million.
    assert (took["cost_nano_usd"]["count"], took["cost_nano_usd"]["mean"]) == (3, 5_000_000)
    table = CliRunner().invoke(cli, ["--ledger", str(path), "outcomes"], env={"COLUMNS": "200"}).output
    assert "COST EACH" in table


def test_means_of_numbers_whose_sum_is_too_large(tmp_path: Path) -> None:
    """A mean lies among its values, however large these are and in whatever order they come."""
    path = tmp_path / "ledger.db"
    watched = Watched(ledger=str(path))
    try:
        for number, tiny in enumerate((1e16, 1.0, -1e16)):
            with spantally.session(f"s{number}") as session:
                spantally.evaluation("huge", 1.5e308)
                session.finish(metrics={"tiny": tiny})
        assert spantally.flush()
    finally:
        watched.close()
    [row] = ask(path)
    assert row["metrics"]["evaluation.huge"]["mean"] == 1.5e308
    assert row["metrics"]["tiny"]["mean"] == 1 / 3


def test_the_table_and_wrong_arguments(ledger: Path) -> None:
    """A line for each group; a grouping that is none is told with those that are."""
    result = CliRunner().invoke(cli, ["--ledger", str(ledger), "outcomes", "--by", "user"])
    assert "70.0 %" in result.output
    assert "4.5 / 4 / 9" in result.output
    assert "agent, user, entity, model" in ask(ledger, "--by", "color", code=2)
