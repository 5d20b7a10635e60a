"""Programs whose event loop is trio's: metered as those of asyncio, and held up as little."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import spantally
from spantally.api import keeping, session_ids
from spantally.calls import admission, beside
from spantally.calls.telemetry import active as telemetry
from spantally.ground import guard
from spantally.ground.event_loop import in_event_loop, run_beside, told
from spantally.ground.worker import worker
from spantally.testing import Reply, ScriptedServer
from watching import Watched

trio: Any = pytest.importorskip("trio")

LONG = "a key to the token of some house, and so on. " * 1_600
PATIENCE = 20
"""Seconds after which what a test waits for does not come any more."""


@pytest.fixture
def active(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(capture_content="span_only", ledger=tmp_path / "ledger.db")
    yield made
    made.close()


def run(act: Callable[[openai.AsyncOpenAI], Awaitable[Any]], server: ScriptedServer) -> None:
    """Run a program with a client in trio."""

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="made-up", max_retries=0) as client:
            with trio.fail_after(PATIENCE):
                await act(client)

    trio.run(main)


async def ask(client: openai.AsyncOpenAI, text: str = "hello", **more: Any) -> Any:
    return await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": text}], **more
    )


class Ticks:
    """Counts how often the loop comes by, and tells another thread once it did."""

    def __init__(self) -> None:
        self.went_on = threading.Event()

    async def __call__(self) -> None:
        for _ in range(20):
            await trio.sleep(0.001)
        self.went_on.set()


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning"
)  # trio tells of the SDK's own generators, without us, too
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_all_kinds_of_calls(active: Watched, server: ScriptedServer) -> None:
    """Whole and streamed, left early, side by side, in agents and tools: each once, in its session."""

    async def act(client: openai.AsyncOpenAI) -> None:
        async with spantally.session("s"), spantally.agent("planner"):
            await ask(client, LONG)
            async for _ in await ask(client, stream=True):
                pass
            left = await ask(client, stream=True)
            async for _ in left:
                break
            await left.close()
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(ask, client)

            @spantally.tool
            async def look(question: str) -> str:
                await trio.sleep(0)
                return question

            assert await look("x") == "x"

    run(act, server)
    rows = [(record.kind, record.status, record.abandoned, record.session_id) for record in active.records]
    assert rows.count(("inference", "ok", False, "s")) == 5
    assert rows.count(("inference", "ok", True, "s")) == 1
    assert {row for row in rows if row[0] != "inference"} == {
        ("agent", "ok", False, "s"),
        ("tool", "ok", False, "s"),
    }
    assert {record.agent_path for record in active.records} == {("planner",)}
    assert not guard.failures


def test_a_cancelled_call(active: Watched) -> None:
    """What a cancel scope ends is cancelled."""

    async def act(client: openai.AsyncOpenAI) -> None:
        with trio.move_on_after(0.2) as scope:
            await ask(client)
        assert scope.cancelled_caught

    with ScriptedServer([Reply(text="late", delay=3)]) as server:
        run(act, server)
    (record,) = active.records
    assert (record.status, record.possibly_billed) == ("cancelled", True)
    assert not guard.failures


def test_much_text_is_scanned_beside_the_loop(
    active: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop goes on while the redactor is at it."""
    ticks, waited = Ticks(), []
    text = type(telemetry.redactor).text

    def slow(redactor: Any, given: str, *args: Any) -> Any:
        if threading.current_thread().name == "spantally-scan":
            waited.append(ticks.went_on.wait(PATIENCE))
        return text(redactor, given, *args)

    monkeypatch.setattr(type(telemetry.redactor), "text", slow)
    monkeypatch.setattr(beside, "PATIENCE_SECONDS", PATIENCE)

    async def act(client: openai.AsyncOpenAI) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticks)
            await ask(client, LONG)

    run(act, server)
    assert waited
    assert all(waited)
    assert len(active.records) == 1


def test_the_end_of_a_session_holds_nothing_up(active: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """``async with`` lets the loop go on until the ledger has it; ``with`` does not wait."""
    ticks, waited = Ticks(), []

    def drained(tell: Callable[[], None]) -> None:
        def wait() -> None:
            waited.append(ticks.went_on.wait(PATIENCE))
            tell()

        threading.Thread(target=wait).start()

    def never(seconds: float) -> bool:
        raise AssertionError("waits")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticks)
            with monkeypatch.context() as patch:
                patch.setattr(worker, "flush", never)
                with spantally.session("plain"):
                    pass
                patch.setattr(worker, "notify_when_drained", drained)
                patch.setattr(keeping, "FLUSH_SECONDS", PATIENCE)
                async with spantally.session("s"):
                    pass

    trio.run(main)
    assert waited == [True]
    assert not guard.failures


def test_a_budget_is_asked_beside_the_loop(
    active: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker asks; what it refuses is refused, and the loop goes on meanwhile."""
    ticks, waited = Ticks(), []
    question = admission._Question.__call__

    def slow(asked: Any) -> None:
        waited.append(ticks.went_on.wait(PATIENCE))
        question(asked)

    monkeypatch.setattr(admission._Question, "__call__", slow)
    monkeypatch.setattr(admission, "WAIT_SECONDS", PATIENCE)

    async def act(client: openai.AsyncOpenAI) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticks)
            async with spantally.session("s", budget=spantally.Budget(calls=1, on_exceed="hard")):
                await ask(client)
                with pytest.raises(spantally.BudgetExceeded):
                    await ask(client)

    run(act, server)
    assert waited
    assert all(waited)
    assert len(server.requests) == 1


def test_a_call_given_up_while_its_budget_is_asked(
    active: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request, no call, nothing reserved."""
    monkeypatch.setattr(admission, "WAIT_SECONDS", PATIENCE)
    monkeypatch.setattr(admission._Question, "__call__", lambda question: None)

    async def act(client: openai.AsyncOpenAI) -> None:
        budget = spantally.Budget(calls=1, on_exceed="hard")
        async with spantally.session("s", budget=budget) as session:
            with trio.move_on_after(0.2) as scope:
                await ask(client)
            assert scope.cancelled_caught
            assert session.totals.calls == 0

    run(act, server)
    assert server.requests == []
    (record,) = active.records
    assert (record.kind, record.status, record.possibly_billed) == ("other", "cancelled", False)


def test_what_the_ledger_knows_of_an_id_is_read_beside_the_loop(
    active: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a thread of its own; where that fails, the session begins by what this process knows."""
    looked: list[str] = []

    def fail(given: str) -> None:
        looked.append(threading.current_thread().name)
        raise LookupError

    monkeypatch.setattr("spantally.api.session.learn_use", fail)

    async def main() -> None:
        async with spantally.session("chat", idle_timeout=60) as made:
            assert made.id == "chat"

    trio.run(main)
    session_ids.forget_use()
    assert looked == ["spantally-look-up"]
    assert ("session.look_up", "LookupError") in guard.failures


def test_waiting() -> None:
    """In time, too late, with an error, and where there is no loop."""
    assert not in_event_loop()
    late: list[Callable[[], None]] = []

    def fail() -> None:
        raise LookupError

    async def main() -> None:
        assert in_event_loop()
        assert await trio.to_thread.run_sync(in_event_loop) is False
        assert await told(lambda tell: tell(), PATIENCE)
        assert not await told(late.append, 0.01)
        assert await run_beside(lambda: None, PATIENCE, name="beside")
        with pytest.raises(LookupError):
            await run_beside(fail, PATIENCE, name="beside")

    trio.run(main)
    late[0]()  # the loop is over
    with pytest.raises(RuntimeError, match="no event loop"):
        told(late.append, 1).send(None)
