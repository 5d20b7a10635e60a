"""Waiting for a thread, also for one that somebody has made and not yet started."""

from __future__ import annotations

import threading
import time
from typing import Final

POLL_SECONDS: Final = 0.001


def join(thread: threading.Thread, timeout: float) -> bool:
    """Wait for the end of a thread; True if it has ended.

    Under gevent, and now and then elsewhere, a fork comes while another thread is in the middle of
    ``start()``: ``Thread.join`` refuses to wait for what has not started.

    Args:
        thread: not the current one.
        timeout: seconds to wait at most.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            thread.join(max(0.0, deadline - time.monotonic()))
            return not thread.is_alive()
        except RuntimeError:
            if time.monotonic() >= deadline:
                return False
        time.sleep(POLL_SECONDS)
