"""Calls side by side: spending stays within the limit plus one reservation, as the provider counts it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import spantally
from budgets_kit import COST, INPUT, MESSAGES, MODEL, OUTPUT, ask_async, client
from spantally.ground import guard
from spantally.testing import Reply, Request, ScriptedServer, Usage
from watching import Watched

CALLS = 50
FITTING = 10
LIMIT = FITTING * COST
"""Nano-USD: ten calls fit."""

TEXT = "x" * (4 * INPUT)
"""A prompt that is estimated as what it bills, so that a reservation is just what a call costs."""

PROMPT: Any = [{"role": "user", "content": TEXT}]


def slow(request: Request) -> Reply:
    """An answer that takes long enough for all calls to be in flight at once."""
    return Reply(text="fine", usage=Usage(input=INPUT, output=OUTPUT), delay=0.05)


@pytest.fixture
def billing() -> Iterator[ScriptedServer]:
    """The provider, who counts what it bills."""
    with ScriptedServer(slow) as running:
        yield running


@pytest.fixture(params=["no ledger", "ledger"])
def active(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    """spantally with and without a ledger that budgets are shared by."""
    made = Watched(ledger=False if request.param == "no ledger" else tmp_path / "shared.db")
    yield made
    made.close()


def _budget() -> spantally.Budget:
    return spantally.Budget(usd=LIMIT / 10**9, on_exceed="hard")


def _check(billing: ScriptedServer, outcomes: list[str]) -> None:
    spent = len(billing.requests) * COST
    assert spent <= LIMIT + 2 * COST  # one reservation; it counts a role as a token
    assert len(billing.requests) >= FITTING - 1  # and the room is used
    assert outcomes.count("fine") == len(billing.requests)
    assert outcomes.count("refused") == CALLS - len(billing.requests)
    assert not guard.failures


def test_fifty_threads_stay_within_the_limit(billing: ScriptedServer, active: Watched) -> None:
    """Fifty threads that call at the same moment."""
    together = threading.Barrier(CALLS)
    with client(billing) as made, spantally.session(budget=_budget()) as session:

        def call(_: int) -> str:
            together.wait()
            try:
                made.chat.completions.create(model=MODEL, messages=PROMPT, max_tokens=OUTPUT)
            except spantally.BudgetExceeded:
                return "refused"
            return "fine"

        with ThreadPoolExecutor(CALLS) as pool:
            outcomes = list(pool.map(call, range(CALLS)))
    _check(billing, outcomes)
    assert session.totals.calls == len(billing.requests)


def test_fifty_tasks_stay_within_the_limit(billing: ScriptedServer, active: Watched) -> None:
    """Fifty tasks of one event loop, which is never held up."""
    gaps: list[float] = []

    async def watch(stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            before = loop.time()
            await asyncio.sleep(0)
            gaps.append(loop.time() - before)

    async def act(made: Any) -> list[str]:
        async def call() -> str:
            try:
                await made.chat.completions.create(model=MODEL, messages=PROMPT, max_tokens=OUTPUT)
            except spantally.BudgetExceeded:
                return "refused"
            return "fine"

        stop = asyncio.Event()
        async with spantally.session(budget=_budget()):
            watching = asyncio.create_task(watch(stop))
            outcomes = await asyncio.gather(*(call() for _ in range(CALLS)))
            stop.set()
            await watching
        return outcomes

    _check(billing, ask_async(billing, act))
    assert gaps


def test_estimate_may_be_low_by_what_is_in_flight_only(active: Watched) -> None:
    """Answers larger than reserved exceed the limit by the calls that were in flight, and by no more."""
    with ScriptedServer(slow) as server, client(server) as made, spantally.session(budget=_budget()):
        in_flight = 5

        def call(_: int) -> int:
            try:
                made.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=1)
            except spantally.BudgetExceeded:
                return 0
            return 1

        with ThreadPoolExecutor(in_flight) as pool:
            sent = sum(pool.map(call, range(CALLS)))
    assert sent == len(server.requests)
    assert FITTING <= sent <= FITTING + in_flight


def test_cancelled_call_gives_its_reservation_back(active: Watched) -> None:
    """A task that is cancelled while it waits, or while it calls, leaves nothing reserved for ever."""
    with ScriptedServer(lambda request: Reply(text="fine", delay=5)) as server:

        async def act(made: Any) -> Any:
            async with spantally.session(budget=spantally.Budget(calls=10, on_exceed="hard")) as session:
                tasks = [
                    asyncio.create_task(made.chat.completions.create(model=MODEL, messages=MESSAGES))
                    for _ in range(4)
                ]
                await asyncio.sleep(0)
                tasks[0].cancel()
                await asyncio.sleep(0.3)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                state: Any = session._state
                return state.budget.own[0].account

        account = ask_async(server, act)
    assert not any(account.held)
