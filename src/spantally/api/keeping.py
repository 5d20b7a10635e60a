"""Waiting, at the end of a session, until the ledger has it."""

from __future__ import annotations

import contextlib
import threading
from typing import Final

from spantally.ground.event_loop import in_event_loop
from spantally.ground.guard import swallowed
from spantally.ground.worker import worker

FLUSH_SECONDS: Final = 1.0
"""How long the end of a session waits, off any event loop, until the ledger has it."""


def wait_until_kept() -> None:
    """A finished session is in the ledger when its block ends; an event loop is never made to wait."""
    try:
        if in_event_loop():
            worker.hurry()
        elif threading.current_thread().name != "spantally-worker":
            worker.flush(FLUSH_SECONDS)
    except Exception as error:
        swallowed("session.flush", error)


async def await_until_kept() -> None:
    """The same in an event loop, which goes on meanwhile."""
    import asyncio

    try:
        if not in_event_loop():  # one that is not asyncio's
            worker.hurry()
            return
        loop = asyncio.get_running_loop()
        kept = loop.create_future()

        def tell() -> None:
            if not kept.done():
                kept.set_result(None)

        def wake_up() -> None:
            with contextlib.suppress(RuntimeError):  # nobody waits any more, and the loop is closed
                loop.call_soon_threadsafe(tell)

        worker.notify_when_drained(wake_up)
        await asyncio.wait((kept,), timeout=FLUSH_SECONDS)
    except Exception as error:
        swallowed("session.flush", error)
