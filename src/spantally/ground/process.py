"""Which process this is, in a form that another process can later ask after."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Final

_IMPORTED_NS: Final = time.time_ns()

_CLOCK_DIGITS: Final = len(str(_IMPORTED_NS)) - 1
"""The kernel counts from the start of the machine; a start that is longer is of our clock, from a process
that could not read its own, and cannot be compared."""

_ENDED: Final = frozenset({b"Z", b"X", b"x"})
"""States of a process that has ended and that its parent has not waited for yet."""


def _seen(pid: int) -> tuple[str, bool] | None:
    """The kernel's start time of a process, and whether it has ended, where /proc tells it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        fields = stat[stat.rindex(b")") + 2 :].split()
        return fields[19].decode(), fields[0] in _ENDED
    except (OSError, ValueError, IndexError):
        return None


def _start_mark(pid: int) -> str:
    """What tells this process from another of its pid."""
    seen = _seen(pid)
    return str(_IMPORTED_NS) if seen is None else seen[0]


_own: tuple[int, str] = (os.getpid(), _start_mark(os.getpid()))
"""Pid and start of this process, looked up once: later there may be no file descriptor left for it."""


def _own_mark() -> str:
    global _own
    pid, mark = _own
    if pid != os.getpid():  # a fork
        pid = os.getpid()
        mark = _start_mark(pid)
        _own = (pid, mark)
    return mark


def identity() -> str:
    """This process as ``host:pid:start``; another one after a fork."""
    return f"{platform.node()}:{os.getpid()}:{_own_mark()}"


def keep_interrupt() -> None:
    """Let an unhandled KeyboardInterrupt end the process as the interpreter meant it, by SIGINT.

    The interpreter remembers it in a flag that any ``exec`` of a text clears, also one in an exit handler
    or on another thread meanwhile: a module that is imported then and makes a named tuple is enough, and
    the exit status is 1. Called last of all at exit, this raises the flag again.
    """
    trace = getattr(sys, "last_traceback", None)
    unhandled = getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1")
    if not unhandled or trace is None or trace.tb_frame.f_back is not None:
        return  # an interactive shell showed it and went on
    try:
        exec("raise KeyboardInterrupt", {})  # noqa: S102 - a text of ours; only a text sets the flag
    except KeyboardInterrupt:
        pass


def is_alive(process: str) -> bool:
    """False only if the process of an :func:`identity` is known to be gone.

    One that has ended is gone before its parent has waited for it, and so is one whose pid another has now.

    Args:
        process: ``host:pid:start``. A process of another host counts as alive: nothing is known of it.
    """
    host, _, start = process.rpartition(":")
    host, _, pid_text = host.rpartition(":")
    if host != platform.node() or not pid_text.isdecimal():
        return True
    pid = int(pid_text)
    if pid == os.getpid():
        return start == _own_mark()
    seen = _seen(pid)
    if seen is None:
        # No /proc, one that hides the processes of others, or no file descriptor left to read it.
        return _signalable(pid)
    mark, ended = seen
    return not ended and (mark == start or len(start) >= _CLOCK_DIGITS)


def is_dead(process: str | None, alive: dict[str, bool]) -> bool:
    """True if a process is known to be gone.

    Args:
        process: ``host:pid:start``, or None where nobody said.
        alive: what is known of processes; grows, so that each is asked after once.
    """
    if process is None:
        return False
    known = alive.get(process)
    if known is None:
        known = alive[process] = is_alive(process)
    return not known


def _signalable(pid: int) -> bool:
    """Whether a process of this pid exists, without a word of when it began."""
    if os.name == "nt":
        # os.kill(pid, 0) would end the process on Windows; without an answer it counts as alive.
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
