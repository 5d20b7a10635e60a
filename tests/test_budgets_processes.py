"""One budget in several processes, by the ledger; in one alone, and said so, where there is none to use."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import spantally
from budgets_kit import COST, INPUT, OUTPUT, answer, ask, client
from spantally.api import limits
from spantally.budgets import account
from spantally.budgets.account import Spent
from spantally.budgets.budget import Amounts
from spantally.ground.errors import LedgerError
from spantally.ground.worker import worker
from spantally.ledger.sqlite.budgets import BudgetLedger
from spantally.testing import Reply, Request, ScriptedServer, Usage
from watching import Watched

PROGRAM = """
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
import openai, spantally

base_url, session_id, usd, calls = sys.argv[1:]
spantally.instrument()
made = openai.OpenAI(base_url=base_url, api_key="sk-made-up", max_retries=0)
sent = refused = 0

def call(_):
    try:
        made.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "x" * 4000}], max_tokens=500)
    except spantally.BudgetExceeded:
        return False
    return True

with spantally.session(session_id, budget=spantally.Budget(usd=usd, on_exceed="hard")) as session:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(call, range(int(calls))))
print(sum(outcomes), len(outcomes) - sum(outcomes))
"""


def _start(server: ScriptedServer, ledger: Path, usd: float, calls: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server.base_url, "shared", str(usd), str(calls)],
        env={**os.environ, "SPANTALLY_LEDGER": str(ledger)},
        stdout=subprocess.PIPE,
        text=True,
    )


def _counts(process: subprocess.Popen[str]) -> tuple[int, int]:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    sent, refused = map(int, out.split())
    return sent, refused


def test_two_processes_share_one_budget(tmp_path: Path) -> None:
    """Both together spend the limit and no more than one reservation beyond; a third finds nothing left."""

    def slow(request: Request) -> Reply:
        return Reply(text="fine", usage=Usage(input=INPUT, output=OUTPUT), delay=0.02)

    ledger, fitting = tmp_path / "shared.db", 40
    usd = fitting * COST / 10**9
    with ScriptedServer(slow) as server:
        both = [_start(server, ledger, usd, 60) for _ in range(2)]
        counts = [_counts(one) for one in both]
        sent = len(server.requests)
        assert sum(one[0] for one in counts) == sent
        assert sent * COST <= usd * 10**9 + 2 * COST
        assert sent >= fitting - 2
        assert all(one[1] for one in counts)
        third = _counts(_start(server, ledger, usd, 3))
    assert third[0] <= 2
    with sqlite3.connect(ledger) as db:
        used = db.execute("SELECT account, usd, calls FROM budget").fetchall()
    db.close()
    total = sent + third[0]
    assert used == [("session:shared", total * COST, total)]


TURNS = """
import sys
import openai, spantally
from spantally.ground.worker import worker

base_url, calls = sys.argv[1:]
worker.gather_seconds = worker.steady_seconds = 300  # nothing is told but what is pressing
spantally.instrument()
made = openai.OpenAI(base_url=base_url, api_key="sk-made-up", max_retries=0)
with spantally.session("shared", budget=spantally.Budget(tokens=int(calls) * 1500, on_exceed="hard")):
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            made.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "hi"}], max_tokens=100)
            print("sent", flush=True)
        except spantally.BudgetExceeded:
            print("refused", flush=True)
"""


def test_processes_hear_at_once_of_a_call_that_used_more_than_was_set_aside(tmp_path: Path) -> None:
    """Processes that call in turn: one call in flight, so what was reserved too low is exceeded by one."""
    ledger, fitting = tmp_path / "shared.db", 2

    def is_told(calls: int) -> bool:
        with sqlite3.connect(ledger) as db:
            found = db.execute("SELECT calls FROM budget").fetchone()
        db.close()
        return bool(found == (calls,))

    with ScriptedServer(answer) as server:
        running = [
            subprocess.Popen(
                [sys.executable, "-c", TURNS, server.base_url, str(fitting)],
                env={**os.environ, "SPANTALLY_LEDGER": str(ledger)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        outcomes: list[str] = []
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in running:
            assert one.stdin is not None
            assert one.stdout is not None
            print("go", file=one.stdin, flush=True)
            outcomes.append(one.stdout.readline().strip())
            deadline = time.monotonic() + 20
            while not is_told(outcomes.count("sent")) and time.monotonic() < deadline:
                time.sleep(0.02)
        for one in running:
            one.communicate(timeout=60)
    assert outcomes == ["sent", "sent", "refused", "refused"]


@pytest.mark.parametrize("force", [False, True], ids=["hard", "warn"])
def test_worker_is_hurried_only_where_others_could_take_what_is_used_up(
    force: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within what is set aside nobody need know, and where nothing is refused nobody has to hurry."""
    hurried: list[int] = []
    monkeypatch.setattr(account, "told", SimpleNamespace(put=lambda one: None))
    monkeypatch.setattr(account, "worker", SimpleNamespace(hurry=lambda: hurried.append(1)))
    ledger, other = (BudgetLedger(str(tmp_path / "ledger.db"), "normal") for _ in range(2))
    other._process = "another-host:1:1"
    one = account.Account("a", lambda: ledger, account.Opening(lambda mine: (0, 0, 0, 0)))
    one.limits = limits = (None, None, 1_000)

    def call(call_id: str, used: int) -> int:
        one.reserve(call_id, Amounts(0, 1, 10), wait=True, alone=False, force=force)
        one.settle(call_id, Spent(0, 1, used), 0)
        return len(hurried)

    def left() -> int:
        found = other.visit("a", (0, 0, 0, 0), (0, 0, 0), None, limits, lambda: (0, 0, 0, 0))
        return 1_000 - found.used[2] - found.others[2]

    spare = 990 // 16
    assert call("1", 10) == 0
    assert call("2", spare) == 0
    assert left() == (1_000 if force else 990 - spare)
    assert call("3", 400) == (0 if force else 1)
    one.tell()
    assert left() == 1_000 - 10 - spare - 400
    one._quiet_until = float("inf")
    call("4", 400)
    assert len(hurried) == (0 if force else 1)  # there is nobody to tell for now
    for each in (ledger, other):
        each.close()


def test_resumed_session_counts_what_the_ledger_has(tmp_path: Path) -> None:
    """A session of an earlier process, which had no budget, has used what its calls did."""
    ledger = tmp_path / "ledger.db"
    with ScriptedServer(answer) as server, client(server) as made:
        first = Watched(ledger=ledger)
        with spantally.session("resumed"):
            ask(made)
            ask(made)
        first.close()
        second = Watched(ledger=ledger)
        try:
            budget = spantally.Budget(calls=3, on_exceed="hard")
            with spantally.session("resumed", budget=budget) as session:
                assert session.remaining.calls == 1
                ask(made)
                with pytest.raises(spantally.BudgetExceeded, match="spent 3 calls"):
                    ask(made)
        finally:
            second.close()


@pytest.mark.parametrize("ledger", [False, ":memory:", "missing/ledger.db"])
def test_without_a_ledger_it_holds_in_the_process_and_says_so(
    ledger: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no file can be shared, the budget holds all the same, and one line says how far."""
    monkeypatch.setattr(limits, "_shared", (limits._MISSING, None))  # an earlier test may have asked
    if isinstance(ledger, str) and "/" in ledger:
        (tmp_path / "missing").write_text("a file where a directory should be")
        ledger = str(tmp_path / ledger)
    with ScriptedServer(answer) as server, client(server) as made:
        active = Watched(ledger=ledger)
        try:
            with (
                caplog.at_level(logging.WARNING, "spantally"),
                spantally.session(budget=spantally.Budget(calls=2, on_exceed="hard")),
            ):
                ask(made)
                ask(made)
                with pytest.raises(spantally.BudgetExceeded):
                    ask(made)
        finally:
            active.close()
    assert len([line for line in caplog.messages if "within this process only" in line]) == 1
    assert len(server.requests) == 2


def test_locked_ledger_holds_up_a_call_for_a_moment_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While another program holds the ledger, calls go by what this process knows; then it is told all."""
    path = tmp_path / "ledger.db"
    with ScriptedServer(answer) as server, client(server) as made:
        active = Watched(ledger=path)
        try:
            with spantally.session("s", budget=spantally.Budget(calls=4, on_exceed="hard")):
                ask(made)
                assert worker.flush(10)
                holder = sqlite3.connect(path, isolation_level=None)
                holder.execute("BEGIN IMMEDIATE")
                for _ in range(2):
                    ask(made)
                holder.execute("ROLLBACK")
                holder.close()
                ask(made)
                with pytest.raises(spantally.BudgetExceeded):
                    ask(made)
        finally:
            active.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT calls FROM budget").fetchone() == (4,)
    db.close()
    assert "within this process only" in caplog.text


def test_process_that_is_gone_gives_back_what_it_had_set_aside(tmp_path: Path) -> None:
    """A lease of a dead process holds nobody up."""
    path = tmp_path / "ledger.db"
    ledger = BudgetLedger(str(path), "normal")

    def nothing() -> tuple[int, int, int, int]:
        return 0, 0, 0, 0

    ask_for, limits = Amounts(0, 2, 0), (None, 2, None)
    dead = BudgetLedger(str(path), "normal")
    dead._process = "another-host:1:1"
    assert dead.visit("a", (0, 0, 0, 0), (0, 0, 0), ask_for, limits, nothing).granted
    assert not ledger.visit("a", (0, 0, 0, 0), (0, 0, 0), ask_for, limits, nothing).granted  # it may live
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    host = ledger._process.split(":")[0]
    with sqlite3.connect(path) as db:
        db.execute("UPDATE budget_lease SET process = ?", (f"{host}:{gone.pid}:1",))
    db.close()
    assert ledger.visit("a", (0, 0, 0, 0), (0, 0, 0), ask_for, limits, nothing).granted
    ledger.close()
    dead.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forked_child_shares_the_budget(tmp_path: Path) -> None:
    """A child goes on with what is left, and its parent then knows."""
    path = tmp_path / "ledger.db"
    with ScriptedServer(answer) as server, client(server) as made:
        active = Watched(ledger=path)
        try:
            with spantally.session("forked", budget=spantally.Budget(calls=3, on_exceed="hard")):
                ask(made)
                child = os.fork()
                if child == 0:
                    try:
                        with client(server) as own:
                            ask(own)
                        os._exit(0 if worker.flush(10) else 2)
                    except BaseException:
                        os._exit(1)
                assert os.waitpid(child, 0)[1] == 0
                ask(made)
                with pytest.raises(spantally.BudgetExceeded, match="spent 3 calls"):
                    ask(made)
        finally:
            active.close()
    assert len(server.requests) == 3


def test_budget_that_only_warns_never_asks_the_ledger_on_the_callers_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is refused, so nobody waits: the worker tells the ledger, and hears of other processes."""
    names: set[str] = set()
    visit = BudgetLedger.visit

    def noted(self: BudgetLedger, *args: Any, **options: Any) -> Any:
        names.add(threading.current_thread().name)
        return visit(self, *args, **options)

    path = tmp_path / "ledger.db"
    with ScriptedServer(answer) as server, client(server) as made:
        active = Watched(ledger=path)
        try:
            session = spantally.session("warned", budget=spantally.Budget(calls=1)).begin()
            monkeypatch.setattr(BudgetLedger, "visit", noted)
            for _ in range(5):
                ask(made)
            session.finish()
            assert worker.flush(10)
        finally:
            active.close()
    assert names == {"spantally-worker"}
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT calls FROM budget").fetchone() == (5,)
    db.close()


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A ledger that cannot be asked until the fixture is called."""
    with monkeypatch.context() as patch:
        patch.setattr(account, "_pause", 0.05)
        patch.setattr(account, "QUIET_SECONDS", 0.05)

        def fail(*_: Any, **options: Any) -> Any:
            raise LedgerError("forced", slug="locked")

        patch.setattr(BudgetLedger, "visit", fail)
        yield patch.undo
    account.late.clear()


def _told(path: Path) -> list[Any]:
    with sqlite3.connect(path) as db:
        found = db.execute("SELECT calls FROM budget").fetchall()
    db.close()
    return found


@pytest.mark.parametrize("by", ["worker", "uninstrument"])
def test_what_could_not_be_told_is_told_though_no_call_follows(
    by: str, tmp_path: Path, unreachable: Callable[[], None]
) -> None:
    """A ledger that was locked when the last call ended: what was used would be missing for good."""
    path = tmp_path / "ledger.db"
    with ScriptedServer(answer) as server, client(server) as made:
        active = Watched(ledger=path)
        try:
            with spantally.session("s", budget=spantally.Budget(calls=9, on_exceed="hard")):
                ask(made)
                ask(made)
            assert worker.flush(10)
            assert len(account.late) == 1
            assert _told(path) == []
            if by == "uninstrument":
                account._try_at = float("inf")
            unreachable()
            deadline = time.monotonic() + 20
            while by == "worker" and not _told(path) and time.monotonic() < deadline:
                time.sleep(0.02)
            if by == "worker":
                assert _told(path) == [(2,)]
                assert not account.late
        finally:
            active.close()
            account._try_at = 0.0
    assert _told(path) == [(2,)]


def test_a_ledger_that_cannot_be_told_is_tried_less_and_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One try for all accounts, then a pause that grows, until the worker may sleep; a call begins anew."""
    tries: list[str] = []

    def fail(self: BudgetLedger, key: str, *_: Any, **options: Any) -> Any:
        tries.append(key)
        raise LedgerError("forced", slug="locked")

    monkeypatch.setattr(BudgetLedger, "visit", fail)
    monkeypatch.setattr(account, "_pause", 0.05)
    monkeypatch.setattr(account, "_try_at", 0.0)
    monkeypatch.setattr(account, "late", {})
    monkeypatch.setattr(account, "told", SimpleNamespace(put=lambda one: None))
    ledger = BudgetLedger(str(tmp_path / "ledger.db"), "normal")
    accounts = [
        account.Account(str(number), lambda: ledger, account.Opening(lambda mine: (0, 0, 0, 0)))
        for number in range(50)
    ]
    for one in accounts:
        one.settle("c", Spent(0, 1, 0), 0)
    account._tell(accounts)
    assert len(tries) == 1
    assert set(account.late) == set(accounts)
    dues: list[float | None] = []
    while (due := account._tell_late()) is not None and len(dues) < 50:
        dues.append(due)
        account._try_at = 0.0
    assert dues == sorted(dues, key=lambda due: due or 0)
    assert len(tries) <= len(dues) + 2
    assert 5 < len(dues) < 20
    assert len(account.late) == 50
    ledger.close()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, int], None]]:
    """Another process that uses calls of the budget of session "s", and sets others aside."""
    monkeypatch.setattr(account, "FRESH_SECONDS", 0.0)
    other = BudgetLedger(str(tmp_path / "ledger.db"), "normal")
    other._process = "another-host:1:1"

    def act(used: int, held: int) -> None:
        other.visit("session:s", (0, used, 0, 0), (0, held, 0), None, (None, 9, None), lambda: (0, 0, 0, 0))

    yield act
    other.close()


@pytest.mark.parametrize("loop", [False, True], ids=["thread", "event loop"])
def test_what_others_have_used_is_heard_without_a_call(
    loop: bool, tmp_path: Path, elsewhere: Callable[[int, int], None]
) -> None:
    """What is left, and whether a turn may begin: a process that makes no calls hears of those that do."""
    active = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s", budget=spantally.Budget(calls=9, on_exceed="soft")) as session:
            session.record_call(model="own", cost_usd=1)
            assert worker.flush(10)

            def look() -> Any:
                return session.remaining.calls

            async def look_in_a_loop() -> Any:
                return look()

            def left() -> Any:
                return asyncio.run(look_in_a_loop()) if loop else look()

            assert left() == 8
            elsewhere(2, 3)
            assert left() == 3
            elsewhere(4, 0)
            assert left() == 2
            with spantally.agent("fits"):
                pass
            elsewhere(2, 0)
            with pytest.raises(spantally.BudgetExceeded, match="spent 9 calls"), spantally.agent("too late"):
                pass
    finally:
        active.close()


def test_nobody_is_waited_for_to_hear_of_others(
    tmp_path: Path, elsewhere: Callable[[int, int], None]
) -> None:
    """A ledger that is written, or that cannot be read: what is known stands."""
    active = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s", budget=spantally.Budget(calls=9, on_exceed="hard")) as session:
            state: Any = session._state
            one = state.budget.own[0].account
            elsewhere(2, 0)

            async def look() -> Any:
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(one._visiting.acquire).result()
                    busy = session.remaining.calls
                    one._visiting.release()
                return busy, session.remaining.calls

            assert asyncio.run(look()) == (9, 7)
            holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            assert session.remaining.calls == 7
            holder.execute("ROLLBACK")
            holder.close()
    finally:
        active.close()
