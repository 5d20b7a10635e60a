"""What was used before a budget was opened, and while nobody knew of it: each call once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import spantally
from spantally.api import limits
from spantally.budgets import account
from spantally.budgets.budget import Amounts
from spantally.ground import guard
from spantally.ground.worker import worker
from spantally.ledger.sqlite import budgets
from spantally.ledger.sqlite.budgets import BudgetLedger
from watching import Watched

EXERCISED = {"api.budget_written"}
"""Guards that fail in these tests."""


def record(session: Any, number: int) -> None:
    """Calls that nobody asks about before."""
    for _ in range(number):
        session.record_call(model="own", cost_usd=0.1, input_tokens=5, output_tokens=1)


def hold_back(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Accounts that the worker would open; the test does it when it likes."""
    held: list[Any] = []
    for module in (account, limits):
        monkeypatch.setattr(module, "told", SimpleNamespace(put=held.append))
    return held


@pytest.mark.parametrize("flushed", [True, False])
def test_calls_of_two_processes_before_the_budget_are_added_up(flushed: bool, tmp_path: Path) -> None:
    """An earlier process's calls and this one's, written or not: neither hides the other."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    with spantally.session("s1") as session:
        record(session, 2)
    seen.close()
    seen = Watched(ledger=path)
    try:
        with spantally.session("s1") as session:
            record(session, 1)
        if flushed:
            assert worker.flush(10)
        with spantally.session("s1", budget=spantally.Budget(calls=10)) as session:
            assert session.remaining.calls == 7
            record(session, 1)
            assert session.remaining.calls == 6
        assert worker.flush(10)
        with spantally.session("s1", budget=spantally.Budget(calls=10)) as session:
            assert session.remaining.calls == 6
    finally:
        seen.close()


@pytest.mark.parametrize("early", [True, False])
def test_calls_that_end_before_the_account_is_opened_count_once(
    early: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an event loop the worker opens the account; what ended before is in the ledger by then, or not."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    with spantally.session("s1") as session:
        record(session, 2)
    seen.close()
    seen = Watched(ledger=path)
    try:
        held = hold_back(monkeypatch)

        async def program() -> None:
            with spantally.session("s1", budget=spantally.Budget(calls=10)) as session:
                record(session, 1)
                if early:
                    assert await asyncio.to_thread(worker.flush, 10)
                await asyncio.to_thread(held[0].tell)
                assert session.remaining.calls == 7

        asyncio.run(program())
    finally:
        seen.close()


@pytest.mark.parametrize("early", [True, False])
def test_the_same_for_a_budget_of_the_settings_file(
    early: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its account is made when its first call has ended, and opened later."""
    file = tmp_path / "spantally.toml"
    file.write_text('[[budget]]\nname = "mine"\nuser = "alice"\nper = "total"\ncalls = 10\n')
    monkeypatch.setenv("SPANTALLY_CONFIG", str(file))
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        held = hold_back(monkeypatch)
        with spantally.session("s1", user="alice") as session:
            record(session, 3)
        if early:
            assert worker.flush(10)
        one = held[0]
        one.tell()
        assert one.used.calls == 3
    finally:
        seen.close()


@pytest.mark.parametrize("busy", [None, "told just now", "calls in flight"])
def test_calls_of_a_program_without_the_budget_count_when_it_is_opened_again(
    busy: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody told the budget of them; but what another process is about to tell is not counted twice."""
    path = tmp_path / "ledger.db"
    monkeypatch.setattr(budgets, "SETTLED_NS", 10**12 if busy == "told just now" else -(10**9))
    for limit, number in ((10, 1), (None, 3)):
        seen = Watched(ledger=path)
        budget = None if limit is None else spantally.Budget(calls=limit)
        with spantally.session("s1", budget=budget) as session:
            record(session, number)
        seen.close()
    if busy == "calls in flight":
        other = BudgetLedger(str(path), "normal")
        other._process = "another-host:1:1"
        other.visit("session:s1", (0, 0, 0, 0), (0, 1, 0), None, (None, 10, None), lambda: (0, 0, 0, 0))
        other.close()
    seen = Watched(ledger=path)
    try:
        with spantally.session("s1", budget=spantally.Budget(calls=10)) as session:
            assert session.remaining.calls == {None: 6, "told just now": 9, "calls in flight": 8}[busy]
            record(session, 1)
            assert session.remaining.calls == {None: 5, "told just now": 8, "calls in flight": 7}[busy]
    finally:
        seen.close()


def test_what_is_left_is_known_in_an_event_loop_before_the_worker_has_been_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is entered again: what was used before counts, and not twice."""
    path = tmp_path / "ledger.db"

    def budget() -> spantally.Budget:
        return spantally.Budget(calls=4, on_exceed="soft")

    seen = Watched(ledger=path)
    with spantally.session("s1", budget=budget()) as session:
        record(session, 2)
    seen.close()
    seen = Watched(ledger=path)
    try:
        held = hold_back(monkeypatch)

        async def program() -> None:
            with spantally.session("s1", budget=budget()) as session:
                assert session.remaining.calls == 2
                record(session, 1)
                assert session.remaining.calls == 1
                record(session, 1)
                with pytest.raises(spantally.BudgetExceeded), spantally.agent("no more"):
                    pass
                await asyncio.to_thread(held[0].tell)
                assert session.remaining.calls == 0

        asyncio.run(program())
        assert held[0].used.calls == 4
    finally:
        seen.close()


def test_a_ledger_that_is_gone_takes_nothing_along(tmp_path: Path) -> None:
    """Moved or deleted while a process runs: the new one has what is known, before it and by others, too."""
    ledgers = [BudgetLedger(str(tmp_path / name), "normal") for name in ("old.db", "new.db")]
    limits = (None, 10, None)
    one = account.Account("a", lambda: ledgers[0], account.Opening(lambda mine: (0, 1, 0, 1)))
    one.limits = limits
    other = BudgetLedger(str(tmp_path / "old.db"), "normal")
    other._process = "another-host:1:1"
    other.visit("a", (0, 2, 0, 0), (0, 0, 0), None, limits, lambda: (0, 1, 0, 1))

    def call(call_id: str) -> bool:
        verdict = one.reserve(call_id, Amounts(0, 1, 0), wait=True, alone=False, force=False)
        if verdict.granted:
            one.settle(call_id, account.Spent(0, 1, 0), 1)
        return verdict.granted

    assert call("1")
    assert call("2")
    one.tell()
    assert call("3")
    gone = ledgers.pop(0)
    assert [call(str(number)) for number in range(4, 10)] == [True] * 4 + [False] * 2
    one.tell()
    found = ledgers[0].standing("a")
    assert found is not None
    assert (found.used, found.unpriced) == ((0, 10, 0), 8)
    for each in (gone, other, *ledgers):
        each.close()


def test_a_ledger_that_cannot_be_written_first_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget is opened with what is known, and the program goes on."""

    def fail(*_: Any) -> None:
        raise RuntimeError("forced")

    monkeypatch.setattr("spantally.budgets.brake.settle_pending", fail)
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s1") as session:
            record(session, 2)
        with spantally.session("s1", budget=spantally.Budget(calls=10)) as session:
            assert session.remaining.calls == 8
        assert ("api.budget_written", "RuntimeError") in guard.failures
    finally:
        seen.close()
