"""Blocks in generator bodies: several drivers, nested blocks, early ends, throws, other threads."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context

import spantally
from boundary_kit import here, span_here
from spantally.calls import suspending
from watching import Watched

told = pytest.mark.skipif(sys.version_info < (3, 12), reason="nothing tells when a generator yields")

Seen = tuple[str | None, str | None]


@pytest.fixture(autouse=True)
def _clean(watched: Watched) -> Iterator[None]:
    """Nothing is in force before and after, and no generator is watched any more."""
    assert here() is None
    yield
    gc.collect()
    assert (here(), span_here()) == (None, None)
    assert not baggage.get_all()
    assert not suspending._bodies
    assert not suspending._codes


@told
def test_each_step_returns_to_its_own_driver() -> None:
    """A body that is driven on from another agent, and ends its block there, leaves that one as it was."""

    def body() -> Generator[str | None, None, None]:
        with spantally.session("inside"), spantally.agent("stepping"):
            yield span_here()
            yield span_here()
        yield span_here()

    running = body()
    with spantally.session("one"), spantally.agent("first"):
        mine = span_here()
        inside = next(running)
        assert inside not in (None, mine)
        assert (here(), span_here()) == ("one", mine)
    with spantally.session("two"), spantally.agent("second"):
        mine = span_here()
        assert next(running) == inside
        assert (here(), span_here(), baggage.get_baggage("session.id")) == ("two", mine, "two")
        assert next(running) == mine  # the block has ended: the body is where its driver is
        assert (here(), span_here(), baggage.get_baggage("session.id")) == ("two", mine, "two")
    running.close()


@told
def test_two_bodies_of_one_function() -> None:
    """Two generators of the same code rest and go on for themselves."""

    def body(name: str) -> Generator[Seen, None, None]:
        with spantally.session(name), spantally.agent(name):
            while True:
                yield here(), span_here()

    first, second = body("first"), body("second")
    with spantally.session("driver"), spantally.agent("driver"):
        mine = here(), span_here()
        seen = [(next(first), next(second)) for _ in range(3)]
        assert (here(), span_here()) == mine
        first.close()
        assert next(second) == seen[0][1]
        assert (here(), span_here()) == mine
        second.close()
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0][0] == "first"
    assert seen[0][1][0] == "second"


@told
def test_body_within_a_body() -> None:
    """A generator that drives another one, both with blocks of their own."""

    def inner() -> Generator[Seen, None, None]:
        with spantally.agent("inner"):
            while True:
                yield here(), span_here()

    def outer() -> Generator[tuple[Seen, Seen], None, None]:
        with spantally.session("outer"), spantally.agent("outer"):
            below = inner()
            while True:
                found = next(below)
                yield found, (here(), span_here())

    running = outer()
    with spantally.session("driver"):
        seen = [next(running) for _ in range(2)]
        assert (here(), span_here()) == ("driver", None)
    running.close()
    assert seen[0] == seen[1]
    (below, above) = seen[0]
    assert below[0] == above[0] == "outer"
    assert below[1] != above[1]


@told
def test_thrown_into_body_goes_on() -> None:
    """A body that catches what is thrown into it ends its block without harm to the driver."""

    def body() -> Generator[int, None, None]:
        with spantally.session("inside"), spantally.agent("stepping"):
            try:
                yield 1
            except KeyError:
                yield 2
            yield 3

    running = body()
    with spantally.session("driver"), spantally.agent("driver"):
        mine = here(), span_here(), dict(baggage.get_all())
        found = [next(running), running.throw(KeyError("x")), next(running)]
        assert (here(), span_here(), dict(baggage.get_all())) == mine
        assert list(running) == []
        assert (here(), span_here(), dict(baggage.get_all())) == mine
    assert found == [1, 2, 3]


@told
def test_body_collected_while_it_rests() -> None:
    """A generator that nobody ends leaves nothing when it is collected."""

    def body() -> Generator[int, None, None]:
        with spantally.session("inside"), spantally.agent("stepping"):
            yield 1

    running = body()
    next(running)
    assert (here(), span_here()) == (None, None)
    del running
    gc.collect()
    assert (here(), span_here()) == (None, None)


@told
def test_body_closed_where_it_began() -> None:
    """Closing a resting body changes nothing of its driver, wherever its last step was."""

    def body() -> Generator[int, None, None]:
        with spantally.session("inside"):
            yield 1
            yield 2

    running = body()
    with spantally.session("driver"), spantally.agent("first"):
        mine = here(), span_here()
        next(running)
        with spantally.agent("second"):
            next(running)
        running.close()
        assert (here(), span_here()) == mine


@told
def test_asynchronous_body_awaits_and_rests() -> None:
    """Awaiting in the body keeps its block; yielding rests it; another task may end it."""

    async def body() -> AsyncGenerator[Seen, None]:
        async with spantally.session("inside"):
            with spantally.agent("stepping"):
                while True:
                    before = here(), span_here()
                    await asyncio.sleep(0)
                    assert (here(), span_here()) == before
                    yield before

    async def main() -> list[Any]:
        running = body()
        with spantally.session("driver"), spantally.agent("driver"):
            mine = here(), span_here()
            first = await anext(running)
            assert (here(), span_here()) == mine
            second = await asyncio.create_task(anext(running))
            assert (here(), span_here()) == mine
            await asyncio.create_task(running.aclose())
            assert (here(), span_here()) == mine
        return [first, second]

    first, second = asyncio.run(main())
    assert first == second
    assert first[0] == "inside"


@told
def test_body_driven_from_a_thread() -> None:
    """A step in another thread is in the body's block, and leaves the thread as it was."""

    def body() -> Generator[Seen, None, None]:
        with spantally.session("inside"), spantally.agent("stepping"):
            while True:
                yield here(), span_here()

    running, seen = body(), []
    seen.append(next(running))

    def step() -> None:
        seen.append(next(running))
        seen.append((here(), span_here()))

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    running.close()
    assert seen[1] == seen[0]
    assert seen[2] == (None, None)


@told
def test_without_a_free_tool_id_it_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where other tools have every id, a session still rests with its generator."""
    monkeypatch.setattr(suspending, "_tool", [])
    monkeypatch.setattr(suspending, "_FREE_IDS", ())

    def body() -> Generator[str | None, None, None]:
        with spantally.session("inside"):
            yield here()

    running = body()

    def drive() -> None:
        assert next(running) == "inside"
        assert here() is None
        running.close()

    contextvars.copy_context().run(drive)


def test_body_ends_after_its_first_drivers_session() -> None:
    """A session in a body that outlives the one around its first step leaves nothing of that."""

    def body() -> Generator[str | None, None, None]:
        with spantally.session("inside"):
            yield here()
            yield here()

    running = body()
    with spantally.session("one"), spantally.session("two"):
        assert next(running) == "inside"
        assert here() == "two"
    assert here() is None
    assert next(running) == "inside"
    assert here() is None
    assert list(running) == []
    assert here() is None
    if sys.version_info < (3, 12):
        otel_context.attach(otel_context.Context())  # baggage of the suspended body; the table says so
