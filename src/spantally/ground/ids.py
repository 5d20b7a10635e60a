"""Ids: sortable by time, unique across processes and forks."""

from __future__ import annotations

import os
import random
import time
from typing import Final

_random: Final = random.Random(os.urandom(32))  # noqa: S311 - ids are unique, not secret
"""A generator of our own: the program's ``random`` and its seed stay as they are, without a system call."""

if hasattr(os, "register_at_fork"):
    # A child that went on with its parent's state would give the same ids.
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def new_call_id() -> str:
    """A call id: 32 lower-case hex digits, the first 12 the time in milliseconds (as UUID version 7 has)."""
    return f"{time.time_ns() // 1_000_000:012x}{_random.getrandbits(80):020x}"


def foreign_call_id(trace_id: str, span_id: str) -> str:
    """The call id of a row that is known only by its span: derived, so that every delivery gives the same.

    Args:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
    """
    return f"{trace_id}-{span_id}"


def new_session_id() -> str:
    """A UUID version 7 (RFC 9562 section 5.7) in its usual text form."""
    milliseconds = time.time_ns() // 1_000_000
    tail = _random.getrandbits(80)
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | ((tail >> 62) & 0xFFF) << 64
    value |= 0b10 << 62 | (tail & 0x3FFF_FFFF_FFFF_FFFF)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
