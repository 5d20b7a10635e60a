"""SIGTERM: tally and spans are drained before the process goes, where the program has no handler of its own.

The handler may interrupt any line of the main thread, also one that holds a lock. So it only hands work to
the worker and waits, for a bounded time and without a lock, then restores the default and sends the signal
again: the exit status is the one the sender expects.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from spantally.calls import pipeline
from spantally.ground.guard import swallowed
from spantally.ground.worker import worker

WAIT_SECONDS: Final = 2.0
"""How long the end of the process waits for the tally."""
SEND_SECONDS: Final = 2.0
"""How long it then waits for exporters, whose receivers may be slow or gone."""

_installed: Any = None
_drain: Callable[[], None] | None = None
_send: Callable[[float], None] | None = None


def install(drain: Callable[[], None], send: Callable[[float], None]) -> bool:
    """Drain on SIGTERM, if its disposition is the default one and this is the main thread.

    Args:
        drain: ends what is open and writes what waits; runs on the worker.
        send: sends what exporters hold, in the given number of seconds; runs on the worker once the tally
            is written.

    Returns:
        True if the handler is in place.
    """
    global _installed, _drain, _send
    try:
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGTERM"):
            return False
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return False
        _drain, _send = drain, send
        signal.signal(signal.SIGTERM, _handle)
        _installed = _handle
        return True
    except Exception as error:
        swallowed("api.sigterm", error)
        return False


def uninstall() -> None:
    """Put the default back, unless the program has set a handler since."""
    global _installed, _drain, _send
    try:
        on_main = threading.current_thread() is threading.main_thread()
        if _installed is not None and on_main and signal.getsignal(signal.SIGTERM) is _installed:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except Exception as error:
        swallowed("api.sigterm", error)
    _installed = None
    _drain = _send = None


def _handle(number: int, frame: FrameType | None) -> None:
    try:
        drain, send = _drain, _send
        if drain is not None and not worker.running:
            worker.start()
        if drain is not None and worker.running:
            deadline = time.monotonic() + WAIT_SECONDS
            _on_worker(drain, deadline)
            # The records that draining made are written after it, in the same turn of the worker.
            while worker.pending() and time.monotonic() < deadline:
                time.sleep(0.005)
            _wait_for_turn(deadline)
            if send is not None:
                _on_worker(functools.partial(send, SEND_SECONDS), time.monotonic() + SEND_SECONDS)
    except Exception as error:
        swallowed("api.sigterm", error)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _on_worker(work: Callable[[], None], deadline: float) -> None:
    """Let the worker do something and wait for its end, or until the deadline."""
    done: list[bool] = []

    def run() -> None:
        try:
            work()
        finally:
            done.append(True)

    pipeline.late.put_from_finaliser(run)
    worker.hurry()
    while not done and time.monotonic() < deadline:
        time.sleep(0.005)


def _wait_for_turn(deadline: float) -> None:
    """Wait until the worker has finished the batch that it holds."""
    told: list[bool] = []
    worker._waiters.append(lambda: told.append(True))
    worker.hurry()
    while not told and time.monotonic() < deadline:
        time.sleep(0.005)
