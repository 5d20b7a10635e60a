"""A clock that nobody sets: how long something took, also where the time of day jumped meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final


def _steady() -> Callable[[], int]:
    clock: Any = time  # some of it is not there on every system
    # These two go on while the machine sleeps, as the world and a provider's bill do; Linux has both.
    number = getattr(clock, "CLOCK_BOOTTIME", getattr(clock, "CLOCK_MONOTONIC", None))
    try:
        found: Callable[[], int] = partial(clock.clock_gettime_ns, number)
        found()
    except Exception:
        return time.monotonic_ns
    return found


steady_ns: Final = _steady()
"""Nanoseconds since some moment of the past."""
