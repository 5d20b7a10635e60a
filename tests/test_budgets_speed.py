"""What budgets cost: nothing where there is none, microseconds where there is one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import spantally
from budgets_kit import MODEL, answer, ask, client
from spantally.calls import admission
from spantally.ground.brakes import Ask
from spantally.ground.ids import new_call_id
from spantally.ground.records import CallRecord
from spantally.ground.session_state import SessionState
from spantally.instrumentors.stainless import asking
from spantally.pricing import load
from spantally.testing import ScriptedServer
from watching import Watched

TIMES = 400


def test_without_a_budget_nobody_is_asked(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session without one runs no line of the budgets: its state is the plain class, its calls go by."""

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError

    for module, name in ((asking, "admit"), (asking, "admit_async"), (admission, "admit")):
        monkeypatch.setattr(module, name, never)
    with ScriptedServer(answer) as server, client(server) as made, spantally.session() as session:
        ask(made)
        assert type(session._state) is SessionState


def _best(act: Any) -> float:
    """The shortest of some rounds, in seconds for each: what others do on the machine does not count."""
    rounds = []
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(TIMES):
            act()
        rounds.append((time.perf_counter() - begin) / TIMES)
    return min(rounds)


@pytest.mark.parametrize("ledger", [False, "ledger.db"])
def test_check_costs_a_small_part_of_a_call(ledger: Any, tmp_path: Path) -> None:
    """Reserving and settling together take less than a twentieth of a call to a server on this machine."""
    load()
    active = Watched(ledger=ledger and tmp_path / ledger)
    budget = spantally.Budget(usd=1_000, calls=10**9, on_exceed="hard")
    try:
        with (
            ScriptedServer(answer) as server,
            client(server) as made,
            spantally.session(budget=budget) as one,
        ):
            ask(made)
            state: Any = one._state
            scope = one._stack[-1][1]
            assert scope is not None

            def check() -> None:
                call_id = new_call_id()
                state.budget.admit(
                    scope, Ask(call_id, "inference", "openai", MODEL, None, None, 100, 500, False), wait=True
                )
                usage = {"prompt_tokens": 100, "completion_tokens": 50}
                state.budget.ended(
                    CallRecord(
                        call_id,
                        state.session_id,
                        "inference",
                        "chat",
                        time.time_ns(),
                        provider="openai",
                        request_model=MODEL,
                        usage=usage,
                        usage_format="openai.chat",
                    )
                )

            check()
            checked = _best(check)
            begin = time.perf_counter()
            for _ in range(50):
                ask(made)
            call = (time.perf_counter() - begin) / 50
    finally:
        active.close()
    assert checked < call / 20
