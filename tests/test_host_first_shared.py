"""One agent or session object that many tasks and threads enter at once leaks no scope into any of them."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest

import spantally
from spantally.ground.scope import current_scope
from watching import Watched


@pytest.mark.parametrize("make", [lambda: spantally.agent("planner"), lambda: spantally.session("shared")])
def test_object_entered_by_many_tasks_leaves_each_as_it_was(watched: Watched, make: Any) -> None:
    """Tasks enter one object and leave it in another order: each is outside again afterwards."""
    shared = make()

    async def one(number: int) -> bool:
        async with shared:
            await asyncio.sleep(0.005 * number)
            assert current_scope() is not None
        return current_scope() is None

    async def main() -> list[bool]:
        return await asyncio.gather(*(one(number) for number in (3, 1, 4, 2)))

    assert asyncio.run(main()) == [True] * 4
    assert {record.status for record in watched.records} <= {"ok"}
    assert {record.status for record in watched.sessions} <= {"running", "succeeded"}


def test_object_entered_by_many_threads_ends_each_invocation_once(watched: Watched) -> None:
    """Threads share one agent object: as many rows as invocations, each of them ended."""
    shared = spantally.agent("planner")
    leaked: list[object] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(20):
            with shared:
                threading.Event().wait(chance.random() / 1000)
            if current_scope() is not None:
                leaked.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert leaked == []
    assert len(watched.of("agent")) == 80
