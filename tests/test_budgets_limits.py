"""A budget lets through what it has room for; beyond it warns, refuses, or lets the turn end first."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

import spantally
from budgets_kit import COST, INPUT, MESSAGES, MODEL, OUTPUT, UNPRICED, answer, ask, ask_async, client
from spantally.budgets.account import Account
from spantally.budgets.brake import SessionBrake
from spantally.ground import guard, semconv
from spantally.ground.records import EventRecord
from spantally.testing import Reply, ScriptedServer
from watching import Watched, attributes


@pytest.fixture
def billing() -> Iterator[ScriptedServer]:
    """A provider whose every answer costs the same."""
    with ScriptedServer(answer) as running:
        yield running


def _hard(**limits: Any) -> spantally.Budget:
    return spantally.Budget(on_exceed="hard", **limits)


def _events(watched: Watched) -> list[EventRecord]:
    assert watched.records is not None
    return [record for record in watched._records if isinstance(record, EventRecord)]


async def _streamed_async(made: Any) -> Any:
    stream = await made.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    return [chunk async for chunk in stream]


FORMS: dict[str, Callable[[ScriptedServer, Any], Any]] = {
    "chat": lambda server, made: ask(made),
    "stream": lambda server, made: list(ask(made, stream=True)),
    "raw": lambda server, made: made.chat.completions.with_raw_response.create(
        model=MODEL, messages=MESSAGES
    ),
    "streaming response": lambda server, made: made.chat.completions.with_streaming_response.create(
        model=MODEL, messages=MESSAGES
    ).__enter__(),
    "responses": lambda server, made: made.responses.create(model=MODEL, input="hello"),
    "embeddings": lambda server, made: made.embeddings.create(model="text-embedding-3-small", input="x"),
    "async chat": lambda server, made: ask_async(
        server, lambda one: one.chat.completions.create(model=MODEL, messages=MESSAGES)
    ),
    "async stream": lambda server, made: ask_async(server, _streamed_async),
    "async embeddings": lambda server, made: ask_async(
        server, lambda one: one.embeddings.create(model="text-embedding-3-small", input="x")
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_hard_refuses_every_form_before_it_is_sent(
    form: str, billing: ScriptedServer, watched: Watched
) -> None:
    """Whatever form a call has, a budget that is used up raises and the provider hears nothing."""
    with (
        client(billing) as made,
        spantally.session("full", budget=_hard(calls=1)) as session,
    ):
        ask(made)
        with pytest.raises(spantally.BudgetExceeded) as caught:
            FORMS[form](billing, made)
    assert len(billing.requests) == 1
    assert (caught.value.unit, caught.value.limit, caught.value.spent) == ("calls", 1, 1)
    assert session.totals.calls == 1  # what was not sent is no call
    assert not guard.failures


def test_refusal_names_limit_spent_reserved_and_unpriced(billing: ScriptedServer, watched: Watched) -> None:
    """The error says all four, in its text and as attributes, and survives a pickle."""
    budget = _hard(usd=Decimal(COST) / 10**9)
    with client(billing) as made, spantally.session("job", budget=budget) as session:
        ask(made, model=UNPRICED)
        ask(made)
        with pytest.raises(spantally.BudgetExceeded) as caught:
            ask(made)
    error = caught.value
    assert (error.budget, error.unit, error.limit, error.spent) == ("session job", "usd", COST, COST)
    assert (error.reserved, error.unpriced) == (0, 1)
    text = str(error)
    for piece in ("session job", "limit $0.0075", "spent $0.0075", "in flight $0.00", "1 unpriced"):
        assert piece in text
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.__dict__) == (text, error.__dict__)
    assert session.remaining.usd == 0


def test_a_refusal_has_one_name(billing: ScriptedServer, watched: Watched) -> None:
    """On the call, and on the tool, the agent and the session that it leaves."""

    @spantally.agent
    def planner(made: Any) -> None:
        spantally.tool(ask)(made)

    with (
        client(billing) as made,
        pytest.raises(spantally.BudgetExceeded),
        spantally.session("job", budget=_hard(calls=0)),
    ):
        planner(made)
    assert {row.kind for row in watched.records} == {"other", "tool", "agent"}
    assert {row.error_type for row in watched.records} == {"spantally.BudgetExceeded"}
    assert watched.sessions[-1].error_type == "spantally.BudgetExceeded"


def test_refused_call_is_a_row_and_a_span_but_no_call(billing: ScriptedServer, watched: Watched) -> None:
    """The refusal shows in the trace and in the ledger, where it counts for nothing."""
    with client(billing) as made, spantally.session("job", budget=_hard(calls=0)) as session:
        with pytest.raises(spantally.BudgetExceeded):
            ask(made)
        totals = session.totals
    (row,) = watched.records
    assert (row.kind, row.status, row.error_type) == ("other", "error", "spantally.BudgetExceeded")
    assert totals.calls == totals.unpriced_calls == 0
    (span,) = watched.spans
    assert attributes(span)["error.type"] == "spantally.BudgetExceeded"
    (event,) = [one for one in _events(watched) if one.attributes[semconv.BUDGET_OUTCOME] == "refused"]  # type: ignore[index]
    assert event.session_id == "job"


def test_without_a_budget_nothing_is_refused(billing: ScriptedServer, watched: Watched) -> None:
    """A session without one makes its calls, and has nothing that remains."""
    with client(billing) as made, spantally.session("free") as session:
        for _ in range(3):
            ask(made)
    assert session.remaining == (None, None, None)
    assert len(billing.requests) == 3


def test_remaining_counts_down(billing: ScriptedServer, watched: Watched) -> None:
    """What is left is the limit less what was used, by unit, and less what is in flight."""
    seen: list[Any] = []

    def look(request: Any) -> Reply:
        seen.append(session.remaining)
        return answer(request)

    budget = _hard(usd=1, calls=3, tokens=10_000)
    with (
        ScriptedServer(look) as server,
        client(server) as made,
        spantally.session("s", budget=budget) as session,
    ):
        before = session.remaining
        ask(made)
        after = session.remaining
    assert tuple(before) == (1, 3, 10_000)
    (during,) = seen
    assert during.usd < 1
    assert during.calls == 2
    assert tuple(after) == (1 - Decimal(COST) / 10**9, 2, 10_000 - INPUT - OUTPUT)


def test_inner_budget_and_outer_budget_both_hold(billing: ScriptedServer, watched: Watched) -> None:
    """A child's calls count against its parent's budget as well; the tighter one refuses."""
    with client(billing) as made, spantally.session("outer", budget=_hard(calls=3)) as outer:
        ask(made)
        with spantally.session("inner", budget=_hard(calls=5)) as inner:
            ask(made)
            ask(made)
            assert inner.remaining.calls == 0
            with pytest.raises(spantally.BudgetExceeded, match="session outer"):
                ask(made)
        with spantally.session() as third:
            with pytest.raises(spantally.BudgetExceeded, match="session outer"):
                ask(made)
            assert third.remaining.calls == 0
        assert outer.remaining.calls == 0
    assert len(billing.requests) == 3


def test_refusal_of_one_budget_leaves_no_reservation_in_another(
    billing: ScriptedServer, watched: Watched
) -> None:
    """Where the inner budget refuses, the outer one has its room again."""
    with client(billing) as made, spantally.session("outer", budget=_hard(usd=1, calls=9)) as outer:
        before = outer.remaining
        with spantally.session("inner", budget=_hard(calls=0)), pytest.raises(spantally.BudgetExceeded):
            ask(made)
        assert outer.remaining == before


def test_interrupt_while_a_budget_is_asked_leaves_no_reservation(
    billing: ScriptedServer, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before the request is sent: it is no call, and the budgets asked have their room again."""
    reserve = Account.reserve

    def interrupted(self: Account, *args: Any, **options: Any) -> Any:
        if self.key.endswith("inner"):
            raise KeyboardInterrupt
        return reserve(self, *args, **options)

    with client(billing) as made, spantally.session("outer", budget=_hard(usd=1, calls=9)) as outer:
        before = outer.remaining
        with spantally.session("inner", budget=_hard(calls=5)):
            monkeypatch.setattr(Account, "reserve", interrupted)
            with pytest.raises(KeyboardInterrupt):
                ask(made)
        assert outer.remaining == before
    assert billing.requests == []
    assert not guard.failures


def test_interrupt_when_the_budgets_have_answered_leaves_no_reservation(
    billing: ScriptedServer, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same a moment later."""
    admit = SessionBrake.admit

    def interrupted(self: SessionBrake, *args: Any, **options: Any) -> None:
        admit(self, *args, **options)
        raise KeyboardInterrupt

    with client(billing) as made, spantally.session(budget=_hard(usd=1, calls=9)) as session:
        before = session.remaining
        monkeypatch.setattr(SessionBrake, "admit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ask(made)
        assert session.remaining == before


def test_warn_refuses_nothing_and_tells(
    billing: ScriptedServer, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """The default lets every call through, logs once that the limit is reached and keeps an event of it."""
    with (
        caplog.at_level(logging.WARNING, "spantally"),
        client(billing) as made,
        spantally.session("loose", budget=spantally.Budget(calls=2)),
    ):
        for _ in range(4):
            ask(made)
    lines = [line for line in caplog.messages if "100 %" in line]
    assert len(lines) == 1
    assert "session loose" in lines[0]
    assert [one.attributes[semconv.BUDGET_SHARE] for one in _events(watched)] == [0.8, 1.0]  # type: ignore[index]
    assert len(billing.requests) == 4


def test_soft_finishes_the_turn_and_refuses_the_next(billing: ScriptedServer, watched: Watched) -> None:
    """An agent that runs goes on to its end; the next top-level agent does not begin."""
    ran: list[str] = []

    @spantally.agent
    def planner(made: Any) -> None:
        ran.append("planner")
        for _ in range(3):
            ask(made)
        helper(made)

    @spantally.agent
    def helper(made: Any) -> None:
        ran.append("helper")
        ask(made)

    budget = spantally.Budget(calls=2, on_exceed="soft")
    with client(billing) as made, spantally.session("turns", budget=budget):
        planner(made)
        assert ran == ["planner", "helper"]
        with pytest.raises(spantally.BudgetExceeded, match="limit 2 calls, spent 4 calls"):
            planner(made)
        with pytest.raises(spantally.BudgetExceeded), spantally.agent("other"):
            ran.append("never")
        with pytest.raises(spantally.BudgetExceeded):
            ask(made)  # a message of the user's outside agents begins a turn as well
    assert ran == ["planner", "helper"]
    assert len(billing.requests) == 4
    assert {row.status for row in watched.of("agent")} == {"ok", "error"}


def test_soft_refuses_agents_of_every_kind(billing: ScriptedServer, watched: Watched) -> None:
    """Coroutine functions and generators are refused when their body would begin."""

    made_up = bool(FORMS)

    @spantally.agent
    async def waits() -> None:
        raise AssertionError

    @spantally.agent
    def steps() -> Iterator[int]:
        if made_up:
            raise AssertionError
        yield 1

    async def enter() -> None:
        async with spantally.agent("inside"):
            raise AssertionError

    with spantally.session("none", budget=spantally.Budget(calls=0, on_exceed="soft")):
        for act in (lambda: asyncio.run(waits()), lambda: list(steps()), lambda: asyncio.run(enter())):
            with pytest.raises(spantally.BudgetExceeded):
                act()


def test_unpriced_calls_warn_once_per_model(
    billing: ScriptedServer, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """By default a model without a price passes a limit in dollars, and one line says so for each model."""
    with (
        caplog.at_level(logging.WARNING, "spantally"),
        client(billing) as made,
        spantally.session("s", budget=_hard(usd=1)) as session,
    ):
        for model in (UNPRICED, UNPRICED, "nobodys-model-2"):
            ask(made, model=model)
        assert session.remaining.usd == 1
    assert len([line for line in caplog.messages if "no price is known" in line]) == 2
    assert len(billing.requests) == 3


def test_unpriced_calls_are_left_to_the_limit_on_tokens(
    billing: ScriptedServer, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """With "tokens" nothing is said, and the tokens they use count."""
    budget = _hard(usd=1, tokens=INPUT + OUTPUT + 1, on_unpriced="tokens")
    with (
        caplog.at_level(logging.WARNING, "spantally"),
        client(billing) as made,
        spantally.session("s", budget=budget),
    ):
        ask(made, model=UNPRICED)
        ask(made, model=UNPRICED)
        with pytest.raises(spantally.BudgetExceeded, match="tokens"):
            ask(made, model=UNPRICED)
    assert "no price is known" not in caplog.text
    assert len(billing.requests) == 2


@pytest.mark.parametrize("on_exceed", ["warn", "soft", "hard"])
def test_unpriced_calls_are_refused(on_exceed: str, billing: ScriptedServer, watched: Watched) -> None:
    """With "refuse" a model without a price is never called; one with a price is."""
    budget = spantally.Budget(usd=1, on_unpriced="refuse", on_exceed=on_exceed)
    with client(billing) as made, spantally.session("s", budget=budget):
        with pytest.raises(spantally.BudgetExceeded, match=UNPRICED) as caught:
            ask(made, model=UNPRICED)
        ask(made)
    assert caught.value.unit == "unpriced"
    assert len(billing.requests) == 1


def test_unpriced_calls_meet_limits_without_dollars_as_any_other(
    billing: ScriptedServer, watched: Watched
) -> None:
    """A budget of calls alone asks for no price."""
    with client(billing) as made, spantally.session("s", budget=_hard(calls=1, on_unpriced="refuse")):
        ask(made, model=UNPRICED)
        with pytest.raises(spantally.BudgetExceeded, match="1 calls"):
            ask(made, model=UNPRICED)


def test_call_without_usage_counts_what_it_reserved(watched: Watched) -> None:
    """A stream that reports no usage cannot slip past a limit in dollars."""
    with (
        ScriptedServer(lambda request: Reply(text="fine", usage=False)) as server,
        client(server) as made,
        spantally.session("s", budget=_hard(usd="0.008")) as session,
    ):
        list(ask(made, stream=True))
        left = session.remaining.usd
        list(ask(made, stream=True))
        with pytest.raises(spantally.BudgetExceeded) as caught:
            ask(made, stream=True)
    assert left is not None
    assert left == Decimal("0.008") - Decimal(3 * 2_500 + OUTPUT * 10_000) / 10**9
    assert caught.value.unpriced == 2


def test_call_that_the_provider_refuses_costs_nothing(watched: Watched) -> None:
    """A 4xx gives back what the call had reserved; it was a call."""
    with (
        ScriptedServer(lambda request: Reply(status=400, error="no")) as server,
        client(server) as made,
        spantally.session("s", budget=_hard(usd=1, calls=5)) as session,
    ):
        with pytest.raises(Exception, match="no"):
            ask(made)
        assert tuple(session.remaining) == (1, 4, None)


def test_abandoned_stream_is_settled(billing: ScriptedServer, watched: Watched) -> None:
    """A stream that the program leaves gives its reservation up for what it counts."""
    with client(billing) as made, spantally.session("s", budget=_hard(usd=1, calls=5)) as session:
        stream = ask(made, stream=True)
        next(iter(stream))
        stream.close()
        ask(made)
        assert session.remaining.calls == 3
        assert session._state is not None
        assert not any(session._state.budget.own[0].account.held)  # type: ignore[union-attr]


def test_session_entered_again_goes_on_with_its_budget(billing: ScriptedServer, watched: Watched) -> None:
    """The same id finds its budget as it was left; another budget puts other limits on what was used."""
    with client(billing) as made:
        with spantally.session("again", budget=_hard(calls=2)) as first:
            ask(made)
        with spantally.session("again", budget=_hard(calls=3)) as second:
            ask(made)
            assert second.remaining.calls == 1
        assert first.remaining.calls == 1


def test_budget_over_calls_made_before(billing: ScriptedServer, watched: Watched) -> None:
    """A budget that comes later counts what the session has used already."""
    with client(billing) as made:
        with spantally.session("late") as plain:
            ask(made)
            with spantally.session("late", budget=_hard(calls=2)) as session:
                assert session.remaining.calls == 1
        assert plain.totals.calls == 1


def test_decorated_session_has_a_budget_for_each_run(billing: ScriptedServer, watched: Watched) -> None:
    """``@session(budget=...)`` begins anew with each call of the function."""
    with client(billing) as made:

        @spantally.session(budget=_hard(calls=1))
        def job() -> None:
            ask(made)

        job()
        job()
    assert len(billing.requests) == 2


@pytest.mark.parametrize(
    ("values", "piece"),
    [
        ({}, "give a limit"),
        ({"usd": -1}, "usd=-1"),
        ({"usd": "much"}, "usd='much'"),
        ({"usd": float("nan")}, "usd=nan"),
        ({"usd": True}, "usd=True"),
        ({"calls": 1.5}, "calls=1.5"),
        ({"tokens": -1}, "tokens=-1"),
        ({"calls": 1, "on_exceed": "stop"}, "warn, soft, hard"),
        ({"calls": 1, "on_unpriced": "guess"}, "warn, tokens, refuse"),
        ({"usd": 1, "on_unpriced": "tokens"}, "tokens="),
        ({"calls": 1, "tell_at": 0.5}, "tell_at=0.5"),
        ({"calls": 1, "tell_at": (0,)}, "tell_at"),
        ({"calls": 1, "on_share": "me"}, "on_share='me'"),
        ({"calls": 1, "webhook": "ftp://x"}, "http://"),
        ({"calls": 1, "webhook": "http://["}, "http://"),
    ],
)
def test_wrong_budgets_are_named(values: dict[str, Any], piece: str) -> None:
    """A wrong argument raises where the budget is made, with the value and what is allowed."""
    with pytest.raises(spantally.ArgumentError) as caught:
        spantally.Budget(**values)
    assert piece in str(caught.value)


def test_wrong_argument_of_session_is_named() -> None:
    """What is no budget is refused before any effect."""
    with pytest.raises(spantally.ArgumentError, match="budget=5"):
        spantally.session(budget=5)  # type: ignore[call-overload]
    with pytest.raises(spantally.ArgumentError, match="loop_guard=5"):
        spantally.session(loop_guard=5)  # type: ignore[call-overload]
