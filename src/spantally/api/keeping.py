"""Waiting, at the end of a session, until the ledger has it."""

from __future__ import annotations

import threading
from typing import Final

from spantally.ground.event_loop import in_event_loop, told
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
    try:
        if in_event_loop():
            await told(worker.notify_when_drained, FLUSH_SECONDS)
        else:  # one that we do not know
            worker.hurry()
    except Exception as error:
        swallowed("session.flush", error)
