"""The boundaries within a process: tasks, threads, pools, generators, context managers."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import spantally
from boundary_kit import Cross, Outcome, boundary, here, row, span_here
from boundary_probe import Seen, probe
from watching import Watched

GROUP = "One process"


def _in_loop(run: Callable[[Callable[..., Seen]], Awaitable[Seen]]) -> Iterator[Cross]:
    async def body(probe: Callable[..., Seen]) -> Seen:
        return await run(probe)

    yield lambda probe: asyncio.run(body(probe))


@boundary("The same task; coroutines awaited", group=GROUP)
def same_task() -> Iterator[Cross]:
    async def run(probe: Callable[..., Seen]) -> Seen:
        await asyncio.sleep(0)
        return probe()

    yield from _in_loop(run)


@boundary("`asyncio.create_task`, `gather`", group=GROUP)
def tasks() -> Iterator[Cross]:
    async def run(probe: Callable[..., Seen]) -> Seen:
        async def work() -> Seen:
            await asyncio.sleep(0)
            return probe()

        first, second = await asyncio.gather(asyncio.create_task(work()), work())
        assert first == second
        return first

    yield from _in_loop(run)


@boundary("`asyncio.TaskGroup`", group=GROUP)
def groups() -> Iterator[Cross]:
    async def run(probe: Callable[..., Seen]) -> Seen:
        async def work() -> Seen:
            await asyncio.sleep(0)
            return probe()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(work())
        return task.result()

    yield from _in_loop(run)


@boundary("`asyncio.to_thread`", group=GROUP)
def to_thread() -> Iterator[Cross]:
    async def run(probe: Callable[..., Seen]) -> Seen:
        return await asyncio.to_thread(probe)

    yield from _in_loop(run)


@boundary("`loop.run_in_executor`", group=GROUP)
def in_executor() -> Iterator[Cross]:
    with ThreadPoolExecutor(1) as pool:

        async def run(probe: Callable[..., Seen]) -> Seen:
            return await asyncio.get_running_loop().run_in_executor(pool, probe)

        yield from _in_loop(run)


@boundary("`ThreadPoolExecutor.submit`", group=GROUP)
def pool_submit() -> Iterator[Cross]:
    with ThreadPoolExecutor(1) as pool:
        yield lambda probe: pool.submit(probe).result()


@boundary("`ThreadPoolExecutor.map`", group=GROUP)
def pool_map() -> Iterator[Cross]:
    with ThreadPoolExecutor(1) as pool:
        yield lambda probe: next(iter(pool.map(probe, [1])))


@boundary("`multiprocessing.pool.ThreadPool`: `apply`, `map`, `imap` and the others", group=GROUP)
def thread_pool() -> Iterator[Cross]:
    with ThreadPool(1) as pool:

        def cross(probe: Callable[..., Seen]) -> Seen:
            found = [
                pool.apply(probe),
                pool.apply_async(probe).get(),
                *pool.map(probe, [1]),
                *pool.starmap(probe, [(1, 2)]),
                *pool.map_async(probe, [1]).get(),
                *pool.imap(probe, [1]),
                *pool.imap(probe, [1], chunksize=2),
                *pool.imap_unordered(probe, [1]),
            ]
            assert len(set(found)) == 1
            return found[0]

        yield cross


@boundary("`threading.Thread`, while the session is open", group=GROUP)
def thread() -> Iterator[Cross]:
    def cross(probe: Callable[..., Seen]) -> Seen:
        answers: queue.Queue[Seen] = queue.Queue()
        started = threading.Thread(target=lambda: answers.put(probe()))
        started.start()
        started.join()
        return answers.get_nowait()

    yield cross


@boundary("`threading.Timer`, while the session is open", group=GROUP)
def timer() -> Iterator[Cross]:
    def cross(probe: Callable[..., Seen]) -> Seen:
        answers: queue.Queue[Seen] = queue.Queue()
        started = threading.Timer(0.001, lambda: answers.put(probe()))
        started.start()
        started.join()
        return answers.get_nowait()

    yield cross


# -- generators ------------------------------------------------------------------------------------------


def _stepped(step: Callable[[], Seen], session: str, agent: str | None) -> Outcome:
    """Drive a body that has a session of its own, from inside another session and agent."""
    with spantally.session() as driving, spantally.agent("driver"):
        mine = span_here()
        found = [(step(), here(), span_here()) for _ in range(2)]
    seen = [one for one, _, _ in found]
    paths = {one.path[-1] for one in seen}
    return Outcome(
        kept=all(one.session == session for one in seen) and paths == {agent or "driver"},
        clean=all(where == driving.id for _, where, _ in found) and here() is None,
        parent=all(span == mine for _, _, span in found) and span_here() is None,
    )


@row("Generator, session entered in its body", group=GROUP)
def generator(watched: Watched) -> Outcome:
    def body() -> Generator[Seen, None, None]:
        with spantally.session("inside"):
            while True:
                yield probe()

    running = body()
    found = _stepped(lambda: next(running), "inside", None)
    running.close()
    return found._replace(clean=found.clean and here() is None)


@row("Asynchronous generator, session entered in its body", group=GROUP)
def async_generator(watched: Watched) -> Outcome:
    async def body() -> AsyncIterator[Seen]:
        async with spantally.session("inside"):
            while True:
                await asyncio.sleep(0)
                yield probe()

    async def drive() -> Outcome:
        running = body()
        with spantally.session() as driving, spantally.agent("driver"):
            mine = span_here()
            found = [(await anext(running), here(), span_here()) for _ in range(2)]
        await running.aclose()  # type: ignore[attr-defined]
        return Outcome(
            kept=all(one.session == "inside" for one, _, _ in found),
            clean=all(where == driving.id for _, where, _ in found) and here() is None,
            parent=all(span == mine for _, _, span in found),
        )

    return asyncio.run(drive())


AGENT_IN_BODY = "`with agent()` in a generator's body"


@row(AGENT_IN_BODY, "on 3.11: the decorator `@agent`", group=GROUP)
def agent_in_body(watched: Watched) -> Outcome:
    def body() -> Generator[Seen, None, None]:
        with spantally.session("inside"), spantally.agent("stepping"):
            while True:
                yield probe()

    running = body()
    found = _stepped(lambda: next(running), "inside", "stepping")
    running.close()
    return found._replace(clean=found.clean and here() is None and span_here() is None)


@row("`@agent` and `@session` on a generator", group=GROUP)
def decorated(watched: Watched) -> Outcome:
    @spantally.session("inside")
    @spantally.agent(name="stepping")
    def body() -> Generator[Seen, None, None]:
        while True:
            yield probe()

    running = body()
    found = _stepped(lambda: next(running), "inside", "stepping")
    running.close()
    return found._replace(clean=found.clean and here() is None and span_here() is None)


def _held(managed: Callable[[], contextlib.AbstractContextManager[None]]) -> Outcome:
    with managed():
        seen, top = probe(), span_here()
    return Outcome(
        kept=seen.session == "held",
        clean=here() is None and span_here() is None,
        parent=top is not None and seen.spans[:1] == (top,) and seen.path == ("holder",),
    )


@row("`contextlib.contextmanager`, `ExitStack`", group=GROUP)
def context_manager(watched: Watched) -> Outcome:
    @contextlib.contextmanager
    def managed() -> Iterator[None]:
        with spantally.session("held"), spantally.agent("holder"):
            yield

    @contextlib.contextmanager
    def stacked() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(managed())
            yield

    found = _held(managed)
    assert _held(stacked) == found
    return found


@row("`contextlib.asynccontextmanager`, `AsyncExitStack`", group=GROUP)
def async_context_manager(watched: Watched) -> Outcome:
    @contextlib.asynccontextmanager
    async def managed() -> AsyncIterator[None]:
        async with spantally.session("held"), spantally.agent("holder"):
            yield

    async def run() -> Outcome:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(managed())
            seen, top = probe(), span_here()
        return Outcome(
            kept=seen.session == "held",
            clean=here() is None and span_here() is None,
            parent=top is not None and seen.spans[:1] == (top,) and seen.path == ("holder",),
        )

    return asyncio.run(run())


LIMITS = {AGENT_IN_BODY} if sys.version_info < (3, 12) else set()
"""Rows whose parent span is not right on this interpreter."""
