"""The event loop of this thread, asyncio's or trio's, which nothing of ours may hold up."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any


def in_event_loop() -> bool:
    """True inside a coroutine or callback of asyncio or trio.

    A program without one of them owes us no import of it; that of asyncio takes 30 ms.
    """
    return _asyncio_loop() is not None or _trio_token() is not None


async def told(hand_over: Callable[[Callable[[], None]], object], seconds: float) -> bool:
    """Wait until another thread tells, and let the event loop go on meanwhile.

    Args:
        hand_over: gets what the other thread is to call; that may be called from anywhere, also when nobody
            waits any more.
        seconds: to wait at most.

    Returns:
        True if it was called in time.

    Raises:
        RuntimeError: there is no event loop of asyncio or trio.
        BaseException: the task is cancelled, or ``hand_over`` raises.
    """
    loop = _asyncio_loop()
    if loop is not None:
        return await _told_in_asyncio(loop, hand_over, seconds)
    token = _trio_token()
    if token is not None:
        return await _told_in_trio(token, hand_over, seconds)
    raise RuntimeError("no event loop of asyncio or trio")


async def run_beside(work: Callable[[], object], seconds: float, *, name: str) -> bool:
    """Run something in a thread of its own, and wait for its end as :func:`told`.

    Args:
        work: what to do.
        seconds: to wait at most; the thread goes on after that.
        name: of the thread.

    Returns:
        True if it ended in time.

    Raises:
        Exception: what the work raised, in time.
    """
    raised: list[Exception] = []

    def begin(tell: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except Exception as error:
                raised.append(error)
            tell()

        threading.Thread(target=run, name=name, daemon=True).start()

    ended = await told(begin, seconds)
    if raised:
        raise raised[0]
    return ended


def _asyncio_loop() -> Any:
    asyncio: Any = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


def _trio_token() -> Any:
    """What enters trio's loop from other threads, where this thread runs one."""
    trio: Any = sys.modules.get("trio")
    if trio is None:
        return None
    try:
        return trio.lowlevel.current_trio_token()
    except (RuntimeError, AttributeError):  # not in it; or just being imported
        return None


async def _told_in_asyncio(
    loop: Any, hand_over: Callable[[Callable[[], None]], object], seconds: float
) -> bool:
    import asyncio

    done = loop.create_future()

    def tell() -> None:
        if not done.done():
            done.set_result(None)

    def call() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell)

    hand_over(call)
    await asyncio.wait((done,), timeout=seconds)
    return bool(done.done())


async def _told_in_trio(
    token: Any, hand_over: Callable[[Callable[[], None]], object], seconds: float
) -> bool:
    trio: Any = sys.modules["trio"]
    event = trio.Event()

    def call() -> None:
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(event.set)

    hand_over(call)
    with trio.move_on_after(seconds):
        await event.wait()
    return bool(event.is_set())
