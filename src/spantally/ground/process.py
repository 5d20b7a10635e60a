"""Which process this is, in a form that another process can later ask after."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Final

_IMPORTED_NS: Final = time.time_ns()


def _start_mark(pid: int) -> str | None:
    """The kernel's start time of a process, where /proc tells it: a reused pid has another one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return stat[stat.rindex(b")") + 2 :].split()[19].decode()
    except (OSError, ValueError, IndexError):
        return None


def identity() -> str:
    """This process as ``host:pid:start``; computed afresh, since a fork changes it."""
    pid = os.getpid()
    return f"{platform.node()}:{pid}:{_start_mark(pid) or _IMPORTED_NS}"


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

    Args:
        process: ``host:pid:start``. A process of another host counts as alive: nothing is known of it.
    """
    host, _, rest = process.rpartition(":")
    host, _, pid_text = host.rpartition(":")
    if host != platform.node() or not pid_text.isdigit():
        return True
    pid = int(pid_text)
    if pid == os.getpid():
        return True
    mark = _start_mark(pid)
    if mark is not None:
        return mark == rest
    if Path("/proc/self/stat").exists():
        return False
    return _signalable(pid)


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
    """Whether a process of this pid exists, on systems without /proc."""
    if os.name == "nt":
        # os.kill(pid, 0) would end the process on Windows; without an answer it counts as alive.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
