"""Whether this thread runs an event loop, which nothing of ours may hold up."""

from __future__ import annotations

import sys
from typing import Any


def in_event_loop() -> bool:
    """True inside a coroutine or callback of asyncio.

    A program without asyncio owes us no import of it, which takes 30 ms.
    """
    loops: Any = sys.modules.get("asyncio")
    return loops is not None and loops._get_running_loop() is not None
