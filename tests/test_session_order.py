"""Sessions begun and finished by hand in any order, and generators that rest: nothing of either is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from opentelemetry import baggage, context

import spantally


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
