"""A budget or loop guard whose own parts fail: the program gets what it gets without us."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import spantally
from budgets_kit import answer, ask, ask_async, client
from host_kit import Program, script
from spantally.budgets import brake
from spantally.budgets.budget import Amounts
from spantally.calls import admission
from spantally.calls.operation import open_operations
from spantally.ground import guard
from spantally.ground.errors import LedgerError
from spantally.ground.worker import worker
from spantally.ledger.sqlite.budgets import BudgetLedger
from spantally.pricing import rates
from spantally.testing import ScriptedServer
from test_host_first_faults import Boom, Fault, _force, _met
from watching import Watched

BRAKE = "spantally.budgets.brake"
ACCOUNT = "spantally.budgets.account"

FAULTS = (
    Fault(f"{BRAKE}:SessionBrake.admit", ("calls.admit",)),
    Fault(f"{BRAKE}:quote", ("calls.admit",)),
    Fault(f"{BRAKE}:end_late_now", ("calls.admit",)),
    Fault(f"{BRAKE}:SessionBrake._lines", ("calls.admit", "calls.admit_turn")),
    Fault(f"{ACCOUNT}:Account.reserve", ("calls.admit",)),
    Fault(f"{ACCOUNT}:Account._visit", ("calls.admit", "api.budget_open", "budgets.tell")),
    Fault(f"{ACCOUNT}:Account.settle", ("session.budget",)),
    Fault(f"{BRAKE}:SessionBrake.ended", ("session.budget",)),
    Fault(f"{BRAKE}:rate_if_loaded", ("session.budget",)),
    Fault(f"{BRAKE}:SessionBrake.admit_turn", ("calls.admit_turn",)),
    Fault(f"{BRAKE}:SessionBrake.remaining", ("api.remaining",)),
    Fault("spantally.instrumentors.stainless.asking:ask_of", ("calls.admit",)),
    Fault("spantally.instrumentors.openai.beginning:body_of", ("sdk.body",)),
    Fault("spantally.budgets.line:_emit", ("budgets.shares",)),
    Fault("spantally.budgets.line:tell", ("budgets.shares",)),
    Fault("spantally.ledger.sqlite.store:SQLiteStore.budget_ledger", ("api.budget_ledger",)),
    Fault("spantally.ledger.sqlite.budgets:BudgetLedger.visit", ("calls.admit", "api.budget_open")),
    Fault("spantally.budgets.loops:Watch.note", ("calls.loop_guard",)),
    Fault("spantally.budgets.loops:digest", ("calls.loop_guard",)),
    Fault("spantally.budgets.loops:Watch._say", ("budgets.loop",)),
    Fault("spantally.calls.admission:_Question.__call__", ("calls.budget_question",)),
    Fault("spantally.api.limits:arm", ("session.enter",)),
)


async def _first_of_a_budget(program: Program) -> Any:
    """A call for which the ledger has to be asked, in an event loop."""
    async with spantally.session(budget=spantally.Budget(calls=9, on_exceed="hard")):
        return await program.ask_async()


@spantally.tool
def _again() -> str:
    return "again"


def _act(program: Program) -> Any:
    """Every form of call within a budget that warns and one with plenty of room; a loop of a tool."""
    plenty = spantally.Budget(usd=1_000, calls=1_000, on_exceed="hard")
    budget = spantally.Budget(usd="0.000001", calls=1_000, on_share=lambda notice: None)
    with (
        spantally.session("plenty", budget=plenty),
        spantally.session("budgeted", budget=budget, loop_guard=spantally.LoopGuard()) as session,
    ):
        got = program.run()
        got["first"] = program.run_async(_first_of_a_budget(program))
        got["loop"] = [_again() for _ in range(3)]
        session.remaining  # may fail inside, never outside
    assert worker.flush(10)
    return got


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """A program over a scripted server."""
    with ScriptedServer(script) as server, asyncio.Runner() as loop:
        made = Program(server, loop)
        yield made
        made.close()


@pytest.fixture(scope="module")
def without_us(program: Program) -> dict[str, Any]:
    """What the program gets when nothing is instrumented."""
    spantally.uninstrument()
    return {**program.run(), "first": program.ask(), "loop": ["again"] * 3}


@pytest.fixture
def active(tmp_path: Path) -> Iterator[Watched]:
    """spantally with a ledger that budgets are shared by."""
    made = Watched(ledger=tmp_path / "ledger.db")
    yield made
    made.close()


def test_budget_that_warns_changes_nothing(
    active: Watched, program: Program, without_us: dict[str, Any]
) -> None:
    """With a budget and a loop guard every form returns and raises what it does without us."""
    assert _act(program) == without_us
    assert not guard.failures


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.target.removeprefix("spantally."))
def test_failure_of_a_part_stays_ours(
    fault: Fault, active: Watched, program: Program, without_us: dict[str, Any], monkeypatch: Any
) -> None:
    """Whatever part fails, no call is refused, changed or lost for it, and the failure is counted."""
    monkeypatch.setattr(admission, "WAIT_SECONDS", 0.05)
    with pytest.MonkeyPatch.context() as patch:
        _force(patch, fault.target)
        got = _act(program)
    changed = {name: (got[name], without_us[name]) for name in got if got[name] != without_us[name]}
    assert not changed
    assert set(fault.places) <= _met()


def _raising_refusal(patch: pytest.MonkeyPatch) -> None:
    """An operation that cannot be ended, and an event that cannot be made, when a call is refused."""
    active = Watched()
    try:
        with ScriptedServer(answer) as server, client(server) as made:
            budget = spantally.Budget(calls=0, on_exceed="hard")
            unpriced = spantally.Budget(usd=1, on_unpriced="refuse")
            patch.setattr("spantally.budgets.line._emit", _fail)
            patch.setattr("spantally.calls.operation.Operation.finish", _fail)
            with spantally.session(budget=budget), pytest.raises(spantally.BudgetExceeded):
                ask(made)
            with spantally.session(budget=unpriced), pytest.raises(spantally.BudgetExceeded):
                ask(made, model="nobodys-model-1")
            assert not server.requests
    finally:
        patch.undo()
        met.update(_met())
        active.close()


def _raising_file(patch: pytest.MonkeyPatch) -> None:
    """A settings file that cannot even be looked for."""
    patch.setattr("spantally.api.runtime.config_path", _fail)
    active = Watched()
    met.update(_met())
    active.close()


met: set[str] = set()


def _fail(*args: Any, **kwargs: Any) -> Any:
    raise Boom


OTHERS: dict[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]] = {
    _raising_refusal: ("calls.refused", "budgets.exceeded"),
    _raising_file: ("api.budgets",),
}
GIVEN_UP = ("calls.not_sent",)
"""What :func:`test_a_call_given_up_before_it_was_sent` forces."""


@pytest.mark.parametrize("force", OTHERS, ids=lambda force: force.__name__.strip("_"))
def test_failure_beside_a_call_stays_ours(force: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Refusing, and coming up: what raises there is counted and goes no further."""
    met.clear()
    with pytest.MonkeyPatch.context() as patch:
        force(patch)
    assert set(OTHERS[force]) <= met


def test_worker_that_does_not_answer_holds_up_no_loop(tmp_path: Path, monkeypatch: Any) -> None:
    """Where the question to the ledger takes too long, a task goes by what this process knows."""
    monkeypatch.setattr(admission, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr("spantally.calls.admission._Question.__call__", lambda question: None)
    active = Watched(ledger=tmp_path / "ledger.db")
    try:
        with ScriptedServer(answer) as server:

            async def act(made: Any) -> None:
                async with spantally.session(budget=spantally.Budget(calls=1, on_exceed="hard")):
                    await made.chat.completions.create(model="gpt-4o", messages=[])
                    with pytest.raises(spantally.BudgetExceeded):
                        await made.chat.completions.create(model="gpt-4o", messages=[])

            ask_async(server, act)
            assert len(server.requests) == 1
    finally:
        active.close()


@pytest.mark.parametrize("fails", [False, True], ids=["", "our end fails"])
def test_a_call_given_up_before_it_was_sent(tmp_path: Path, monkeypatch: Any, fails: bool) -> None:
    """A task that is cancelled while its budget is asked: no request, no call, nothing billed, all ended."""
    monkeypatch.setattr(admission, "WAIT_SECONDS", 30)
    monkeypatch.setattr("spantally.calls.admission._Question.__call__", lambda question: None)
    active = Watched(ledger=tmp_path / "ledger.db")
    before = set(open_operations)  # what a forced failure of another test has left
    if fails:
        monkeypatch.setattr("spantally.calls.operation.Operation.finish", _fail)
    try:
        with ScriptedServer(answer) as server:

            async def act(made: Any) -> None:
                async with spantally.session(budget=spantally.Budget(calls=1, on_exceed="hard")) as session:
                    call = asyncio.ensure_future(made.chat.completions.create(model="gpt-4o", messages=[]))
                    await asyncio.sleep(0.2)
                    call.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await call
                    assert session.totals.calls == 0

            ask_async(server, act)
            assert server.requests == []
            if fails:
                assert "calls.not_sent" in _met()
                return
            (record,) = active.records
            assert (record.kind, record.status, record.possibly_billed) == ("other", "cancelled", False)
            assert set(open_operations) <= before
    finally:
        active.close()
        open_operations.clear()


@pytest.mark.parametrize("over", [True, False], ids=["call is over", "call is in flight"])
def test_answer_that_comes_too_late_reserves_nothing_for_good(
    over: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that goes without the worker's answer has reserved its call itself; once is enough."""
    go_on, answered = threading.Event(), threading.Event()
    asked = admission._Question.__call__

    def ask_late(question: Any) -> None:
        asked(question)
        answered.set()

    def visit_late(self: BudgetLedger, *args: Any, **options: Any) -> Any:
        if worker.is_here() and args[3] is not None:
            assert go_on.wait(20)
        return visit(self, *args, **options)

    def reply(request: Any) -> Any:
        if not over:
            go_on.set()
            assert answered.wait(20)
        return answer(request)

    visit = BudgetLedger.visit
    monkeypatch.setattr(admission, "WAIT_SECONDS", 1)  # the worker has begun to ask by then
    monkeypatch.setattr(admission._Question, "__call__", ask_late)
    monkeypatch.setattr(BudgetLedger, "visit", visit_late)
    active = Watched(ledger=tmp_path / "ledger.db")
    try:
        with ScriptedServer(reply) as server:

            async def act(made: Any) -> Any:
                async with spantally.session(budget=spantally.Budget(calls=3, on_exceed="hard")) as session:
                    await made.chat.completions.create(model="gpt-4o", messages=[])
                    go_on.set()
                    assert await asyncio.to_thread(answered.wait, 20)
                    state: Any = session._state
                    return state.budget.own[0].account

            account = ask_async(server, act)
            assert (account.held, account._holds, account.used.calls) == (Amounts(), {}, 1)
            assert not brake._open
    finally:
        active.close()


def test_hard_budget_holds_though_the_prices_take_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that does not wait for them any more goes by what is known: here, that nothing is left."""
    go_on = threading.Event()
    monkeypatch.setattr(admission, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(brake, "load", lambda: go_on.wait(20))
    active = Watched(ledger=tmp_path / "ledger.db")
    try:
        with ScriptedServer(answer) as server:

            async def act(made: Any) -> None:
                async with spantally.session(budget=spantally.Budget(usd=1, calls=0, on_exceed="hard")):
                    with monkeypatch.context() as patch:
                        patch.setattr(rates, "table", lambda: None)
                        with pytest.raises(spantally.BudgetExceeded):
                            await made.chat.completions.create(model="gpt-4o", messages=[])
                    go_on.set()

            ask_async(server, act)
            assert server.requests == []
            assert not guard.failures
    finally:
        go_on.set()
        active.close()


def test_a_visit_in_the_midst_of_another_leaves_that_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a signal handler makes a call: the inner one hears that it is busy, the outer one ends."""
    shared = BudgetLedger(str(tmp_path / "ledger.db"), "normal")
    told = BudgetLedger._visit
    refused: list[str | None] = []

    def visit(self: BudgetLedger, *given: Any) -> Any:
        if not refused:
            try:
                come()
            except LedgerError as error:
                refused.append(error.slug)
        return told(self, *given)

    def come() -> Any:
        return shared.visit("one", (0, 1, 0, 0), (0, 0, 0), None, (None, 10, None), lambda: (0, 0, 0, 0))

    monkeypatch.setattr(BudgetLedger, "_visit", visit)
    come()
    assert refused == ["locked"]
    come()
    standing = shared.standing("one")
    assert standing is not None
    assert standing.used == (0, 2, 0)
    shared.close()
