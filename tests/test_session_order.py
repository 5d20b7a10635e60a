"""Sessions begun and finished by hand in any order, and generators that rest: nothing of either is left."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opentelemetry import baggage, context

import spantally
from spantally.ground.scope import current_scope


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path) -> Path:
    """A ledger of the test's own."""
    path = tmp_path / "order.db"
    spantally.instrument(ledger=str(path))
    return path


def told_in(path: Path, session: str) -> list[str]:
    """The reasons of the decisions that the ledger has for one session alone."""
    spantally.flush()
    with spantally.open_ledger(path) as ledger:
        return [
            event.attributes["spantally.decision.reasoning"]
            for event in ledger.events(session)
            if event.session_id == session and event.type == "spantally.decision"
        ]


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_any_order_of_finishing_leaves_nothing(order: str) -> None:
    """Three sessions that overlap end in any order: no baggage, no parent, no scope of theirs is left."""
    before = context.get_current()
    sessions = {name: spantally.session(f"order-{name}").begin() for name in "abc"}
    for name in order:
        sessions[name].finish()
    assert dict(baggage.get_all()) == {}
    assert dict(context.get_current()) == dict(before)


def test_a_task_keeps_a_session_that_ended_meanwhile(ledger: Path) -> None:
    """A task that outlives its session is in it still after a session of its own: only disorder skips one."""

    async def main() -> None:
        ended = asyncio.Event()

        async def outlive() -> None:
            async with spantally.session("inner"):
                await ended.wait()
            spantally.decision("after inner")

        async with spantally.session("outer"):
            task = asyncio.create_task(outlive())
            await asyncio.sleep(0)
        ended.set()
        await task

    asyncio.run(main())
    assert told_in(ledger, "outer") == ["after inner"]


def test_a_resting_generator_names_no_session_by_its_baggage(ledger: Path) -> None:
    """Beside any other session a generator that rests has none in force, whatever its baggage says."""

    def body() -> Iterator[None]:
        with spantally.session("resting"):
            spantally.decision("inside")
            yield

    async def abody() -> AsyncIterator[None]:
        async with spantally.session("resting-too"):
            spantally.decision("inside")
            yield

    async def drive() -> None:
        generator = abody()
        await anext(generator)
        spantally.decision("outside")
        await generator.aclose()  # type: ignore[attr-defined]

    generator = body()
    next(generator)
    spantally.decision("outside")
    generator.close()  # type: ignore[attr-defined]
    asyncio.run(drive())
    assert told_in(ledger, "resting") == ["inside"]
    assert told_in(ledger, "resting-too") == ["inside"]


def _here() -> str | None:
    scope = current_scope()
    return None if scope is None else scope.session.session_id


def test_a_session_finished_in_another_thread_is_over_where_it_began() -> None:
    """A callback of a pool ends it, or a task: the thread that began it is in no session after it."""
    made = spantally.session("begun").begin()
    assert _here() == "begun"
    ender = threading.Thread(target=made.finish)
    ender.start()
    ender.join()
    assert _here() is None
    with spantally.session("next"):
        scope = current_scope()
        assert scope is not None
        assert (scope.session.session_id, scope.session.parent) == ("next", None)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(_here).result() is None
    assert _here() is None

    again = spantally.session("again").begin()

    async def end() -> str | None:
        again.finish()
        return _here()

    assert asyncio.run(end()) is None
    assert _here() is None


def test_a_session_finished_in_another_task_is_over_where_it_began() -> None:
    """Its own task is in none after it, and neither is a task that it made meanwhile."""

    async def main() -> list[str | None]:
        begun: list[spantally.Session] = []
        finished = asyncio.Event()
        seen: list[str | None] = []

        async def helper() -> None:
            await finished.wait()
            seen.append(_here())

        async def begin() -> None:
            begun.append(spantally.session("a task's").begin())
            helping = asyncio.create_task(helper())
            await finished.wait()
            seen.append(_here())
            await helping

        task = asyncio.create_task(begin())
        await asyncio.sleep(0)
        begun[0].finish()
        finished.set()
        await task
        return [*seen, _here()]

    assert asyncio.run(main()) == [None, None, None]


@pytest.mark.parametrize("collected", [True, False])
def test_a_generator_closed_by_another_task_leaves_nothing_to_its_driver(collected: bool) -> None:
    """The event loop closes one that is dropped in a task of its own."""

    async def steps() -> AsyncIterator[int]:
        async with spantally.session("of the body"):
            yield 1
            yield 2

    async def main() -> str | None:
        generator = steps()
        async for _ in generator:
            break
        if collected:
            del generator
            gc.collect()
            for _ in range(5):
                await asyncio.sleep(0)
        else:
            await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
        return _here()

    assert asyncio.run(main()) is None
