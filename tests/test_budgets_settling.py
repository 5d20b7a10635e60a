"""What counts against a budget, and when: late prices, calls of others, results of batches."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import spantally
from budgets_kit import COST, INPUT, OUTPUT, answer, ask, client
from spantally.api.runtime import settle_budgets
from spantally.budgets import account, brake
from spantally.budgets.budget import Amounts
from spantally.budgets.telling import callbacks
from spantally.ground import guard
from spantally.instrumentors.openai import background
from spantally.pricing import load, rates
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched

EXERCISED = {"api.settle_budgets"}
"""Guards that fail in these tests."""


@pytest.fixture
def billing() -> Iterator[ScriptedServer]:
    """A provider whose every answer costs the same."""
    with ScriptedServer(answer) as running:
        yield running


def test_calls_that_end_before_the_prices_are_there_count_once_they_are(
    billing: ScriptedServer, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget that warns waits for no price; the money is counted, and told, when prices come."""
    load()
    told: list[Any] = []
    with (
        client(billing) as made,
        spantally.session(
            budget=spantally.Budget(usd=COST / 10**9, tell_at=(), on_share=told.append)
        ) as session,
    ):
        with monkeypatch.context() as patch:
            _without_prices(patch)
            ask(made)
            assert len(brake._pending) == 1
            assert not told
        assert session.remaining.usd == 0
    assert not brake._pending
    assert callbacks.wait(10)
    assert [notice.spent for notice in told] == [COST]
    assert not guard.failures


def test_what_a_call_used_is_known_when_it_returns(billing: ScriptedServer) -> None:
    """Also where no span is recorded, and a body could wait for the worker to read it."""
    active = Watched(sampler=ALWAYS_OFF)
    try:
        with client(billing) as made, spantally.session(budget=spantally.Budget(calls=9)) as session:
            state: Any = session._state
            counted = state.budget.own[0].account
            ask(made)
            assert (counted.used, counted.held) == (Amounts(COST, 1, INPUT + OUTPUT), Amounts())
    finally:
        active.close()


def test_child_of_a_fork_has_none_of_its_parents_reservations() -> None:
    """What was used stays used; what is in flight is the parent's."""
    parent = account.Account("forked", lambda: None, account.Opening(lambda mine: (0, 0, 0, 0)))
    parent.reserve("one", Amounts(5, 1, 5), wait=True, alone=False, force=False)
    parent.settle("one", account.Spent(3, 1, 3), 0)
    parent.reserve("two", Amounts(5, 1, 5), wait=True, alone=False, force=False)
    account._after_fork_in_child()
    assert (parent.used, parent.held) == (Amounts(3, 1, 3), Amounts())


def _without_prices(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rates, "table", lambda: None)
    patch.setattr(rates, "loaded", lambda: False)
    patch.setattr(brake, "loaded", lambda: False)
    patch.setattr(brake, "on_loaded", lambda callback: None)


def test_limits_on_calls_and_tokens_need_no_prices(
    billing: ScriptedServer, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the rates are there a call counts as what it used, not as its reservation or as nothing."""
    budget = spantally.Budget(calls=9, tokens=100_000, on_exceed="hard")
    with (
        client(billing) as made,
        spantally.session(budget=budget) as session,
        monkeypatch.context() as patch,
    ):
        _without_prices(patch)
        ask(made, max_tokens=90_000)
        session.record_call(model="own", input_tokens=7, output_tokens=1)
        assert session.remaining == (None, 7, 100_000 - INPUT - OUTPUT - 8)


@pytest.mark.parametrize(
    "end",
    [
        "exit",
        "uninstrument",
        pytest.param("SIGTERM", marks=pytest.mark.skipif(os.name == "nt", reason="it cannot be caught")),
    ],
)
def test_program_that_ends_before_the_prices_are_there_has_made_its_calls(
    end: str, billing: ScriptedServer, tmp_path: Path
) -> None:
    """Their number and tokens stand in the budget for the next process, and that their cost is not known."""
    program = f"""
import os, signal
import openai, spantally
from spantally.pricing import rates
rates._read = lambda pause: None
spantally.instrument()
made = openai.OpenAI(base_url={billing.base_url!r}, api_key="sk-made-up")
with spantally.session("s", budget=spantally.Budget(usd=1)):
    made.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hi"}}])
if {end!r} == "uninstrument":
    spantally.uninstrument()
    os._exit(0)
if {end!r} == "SIGTERM":
    os.kill(os.getpid(), signal.SIGTERM)
"""
    path = tmp_path / "ledger.db"
    subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SPANTALLY_LEDGER": str(path)},
        timeout=60,
        check=end != "SIGTERM",
    )
    with sqlite3.connect(path) as db:
        found = db.execute("SELECT usd, calls, tokens, unpriced FROM budget").fetchall()
    db.close()
    assert found == [(0, 1, INPUT + OUTPUT, 1)]


def test_settling_at_the_end_that_fails_stays_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end goes on."""

    def fail() -> None:
        raise RuntimeError("forced")

    monkeypatch.setattr(brake, "settle_last", fail)
    settle_budgets()
    assert guard.failures[("api.settle_budgets", "RuntimeError")] == 1
    guard.reset()


def test_child_of_a_fork_does_not_settle_what_its_parent_will(
    billing: ScriptedServer, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that waits for its price is counted by one of the two."""
    with client(billing) as made, spantally.session(budget=spantally.Budget(usd=1)):
        with monkeypatch.context() as patch:
            _without_prices(patch)
            ask(made)
        waiting = len(brake._pending)
        brake._after_fork_in_child()
        assert (waiting, len(brake._pending)) == (1, 0)


def test_calls_that_nobody_asked_about_count_also_without_usage(watched: Watched) -> None:
    """Nothing was reserved for them, and nothing is known of their tokens: they are calls all the same."""
    with spantally.session(budget=spantally.Budget(calls=9, tokens=100)) as session:
        session.record_call(model="own")
        session.record_call(model="own", cost_usd=1)
        assert session.totals.calls == 2
        assert session.remaining == (None, 7, 100)


def test_zeros_are_no_usage(watched: Watched) -> None:
    """A host that fills in zeros has told nothing: the call counts as what it had reserved."""
    reply = Reply(text="fine", usage=Usage(input=0, output=0))
    budget = spantally.Budget(usd=1, tokens=10_000)
    with (
        ScriptedServer(lambda request: reply) as server,
        client(server) as made,
        spantally.session(budget=budget) as session,
    ):
        ask(made, max_tokens=500)
        left = session.remaining
    assert left.usd is not None
    assert left.tokens is not None
    assert left.usd < 1 - Decimal("0.005")
    assert left.tokens <= 9_500


@contextmanager
def _foreign_span(watched: Watched) -> Iterator[Callable[[str | None], None]]:
    """A span as another instrumentor makes it, around what happens in it; gives how its end is told."""
    tracer = trace.get_tracer("another.instrumentor", tracer_provider=watched.provider)
    with tracer.start_as_current_span("chat gpt-4o") as span:

        def tell(response_id: str | None) -> None:
            span.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.usage.input_tokens": INPUT,
                    "gen_ai.usage.output_tokens": OUTPUT,
                }
            )
            if response_id is not None:
                span.set_attribute("gen_ai.response.id", response_id)

        yield tell


def _foreign(watched: Watched, response_id: str | None) -> None:
    with _foreign_span(watched) as tell:
        tell(response_id)


@pytest.mark.parametrize("named", [True, False], ids=["response id", "no response id"])
def test_span_around_a_call_counts_nothing(named: bool, billing: ScriptedServer, watched: Watched) -> None:
    """Another instrumentor's span around a metered call is a second view of it, whether it says so or not."""
    budget = spantally.Budget(usd=1, calls=5, tokens=10_000)
    with client(billing) as made, spantally.session("s", budget=budget) as session:
        with _foreign_span(watched) as tell:
            response = ask(made)
            tell(response.id if named else None)
        assert session.remaining == (1 - Decimal(COST) / 10**9, 4, 10_000 - INPUT - OUTPUT)
        assert session.totals.calls == 1


@pytest.mark.parametrize("pending", [False, True], ids=["priced", "price to come"])
def test_foreign_view_that_was_first_is_taken_back(
    pending: bool, billing: ScriptedServer, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream's call ends after the other instrumentor's span of the same response: it counts once."""
    load()
    budget = spantally.Budget(usd=1, calls=5, tokens=10_000)
    with client(billing) as made, spantally.session("s", budget=budget) as session:
        stream = ask(made, stream=True, stream_options={"include_usage": True})
        first = next(iter(stream))
        with monkeypatch.context() as patch:
            if pending:
                _without_prices(patch)
            _foreign(watched, first.id)
            _foreign(watched, "another")
            assert len(brake._pending) == (2 if pending else 0)
            list(stream)
        left = 1 - 2 * Decimal(COST) / 10**9
        assert session.remaining == (left, 3, 10_000 - 2 * (INPUT + OUTPUT))
        assert session.totals.calls == 2
    assert not guard.failures


def test_calls_that_only_another_instrumentor_sees_count(watched: Watched) -> None:
    """They cannot be refused, but they use the budget up."""
    budget = spantally.Budget(calls=2, tokens=10_000, on_exceed="hard")
    with spantally.session(budget=budget) as session:
        _foreign(watched, "resp-a")
        assert session.remaining == (None, 1, 10_000 - INPUT - OUTPUT)


def test_second_view_of_a_call_counts_nothing(billing: ScriptedServer, watched: Watched) -> None:
    """A span of another instrumentor about a call that was metered adds nothing."""
    with client(billing) as made, spantally.session(budget=spantally.Budget(calls=5)) as session:
        response = ask(made)
        _foreign(watched, response.id)
        assert session.remaining.calls == 4


def test_share_is_told_once_though_the_session_is_entered_again(
    billing: ScriptedServer, watched: Watched
) -> None:
    """The same limit of the same session is not told anew; another limit is."""
    told: list[Any] = []

    def budget(calls: int) -> spantally.Budget:
        return spantally.Budget(calls=calls, tell_at=(), on_share=told.append)

    with client(billing) as made:
        with spantally.session("again", budget=budget(1)) as kept:
            ask(made)
        with spantally.session("again", budget=budget(1)):
            ask(made)
        with spantally.session("again", budget=budget(3)):
            ask(made)
    assert kept.id == "again"
    assert callbacks.wait(10)
    assert [notice.limit for notice in told] == [1, 3]


def test_budget_where_nothing_is_watched_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A program that forgot ``instrument()`` learns that its budget holds for nothing."""
    spantally.uninstrument()
    guard.reset()
    with (
        caplog.at_level(logging.WARNING, "spantally"),
        spantally.session(budget=spantally.Budget(calls=1)),
    ):
        pass
    assert "but nothing is watched" in caplog.text
    guard.reset()


@pytest.mark.parametrize("policy", ["unknown", "estimate"])
def test_what_a_later_reading_told_counts_in_the_place_of_what_was_reserved(
    billing: ScriptedServer, policy: str
) -> None:
    """A stream that was left counts as what it had reserved, until its answer is fetched: one call."""
    load()
    background.forget()
    watched = Watched(stream_usage=policy)
    try:
        budget = spantally.Budget(usd=1, calls=10, tokens=100_000)
        with client(billing) as made, spantally.session(budget=budget) as session:
            with made.responses.create(model="gpt-4o-mini", input="x", stream=True) as stream:
                response_id = next(iter(stream)).response.id
            assert session.totals.calls == 1
            before = session.remaining
            assert (before.calls, before.tokens) != (10, 100_000 - INPUT - OUTPUT)
            for _ in range(2):
                made.responses.retrieve(response_id)
            left = session.remaining
            totals = session.totals
        assert (left.calls, left.tokens) == (9, 100_000 - INPUT - OUTPUT)
        assert totals.cost_usd is not None
        assert left.usd == 1 - totals.cost_usd
    finally:
        watched.close()
