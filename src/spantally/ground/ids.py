"""Ids: sortable by time, unique across processes and forks."""

from __future__ import annotations

import os
import random
from time import time_ns
from typing import Final

_random: Final = random.Random(os.urandom(32))  # noqa: S311 - ids are unique, not secret
"""A generator of our own: the program's ``random`` and its seed stay as they are, without a system call."""

_process: str = f"{_random.getrandbits(32):08x}"
"""Stands in each call id, so that rows of one process can be told from those of another."""


def _begin_anew() -> None:
    """In the child of a fork: one that went on with its parent's state would give the same ids."""
    global _process
    _random.seed(os.urandom(32))
    _process = f"{_random.getrandbits(32):08x}"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def new_call_id() -> str:
    """A call id: 32 lower-case hex digits.

    The first 12 are the time in milliseconds (as UUID version 7 has), the next 8 the process, the rest is
    chance.
    """
    return f"{time_ns() // 1_000_000:012x}{_process}{_random.getrandbits(48):012x}"


def process_of(call_id: str) -> str | None:
    """Which process made a call id of ours; None for one that is derived from a span, or somebody else's."""
    return call_id[12:20] if len(call_id) == 32 else None


GIVEN: Final = "given-"
"""Beginning of the ids of what a program names itself, so that it may tell it again."""


def is_given(call_id: str) -> bool:
    """Whether an id stands for a name that the program gave."""
    return call_id.startswith(GIVEN)


def foreign_call_id(trace_id: str, span_id: str) -> str:
    """The call id of a row that is known only by its span: derived, so that every delivery gives the same.

    Args:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
    """
    return f"{trace_id}-{span_id}"


def new_session_id() -> str:
    """A UUID version 7 (RFC 9562 section 5.7) in its usual text form."""
    milliseconds = time_ns() // 1_000_000
    tail = _random.getrandbits(80)
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | ((tail >> 62) & 0xFFF) << 64
    value |= 0b10 << 62 | (tail & 0x3FFF_FFFF_FFFF_FFFF)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
