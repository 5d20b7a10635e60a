"""Forked children: they end by ``os._exit``, which skips every exit handler.

multiprocessing has finalizers of its own, which such a child runs at its end, and clears them in the child
before it starts. So the end of our work is handed to it there, from its own after-fork hook.

Other children (the work horse of a queue, one that a test runner forks) call ``os._exit`` once their job is
done, often right after a call. In them, and nowhere else, it waits for the tally first, for a bounded time.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

from spantally.ground import greenlets
from spantally.ground.guard import swallowed
from spantally.ground.worker import worker

LAST: Final = -1000
"""Priority among multiprocessing's finalizers: after those of the program."""

EXIT_SECONDS: Final = 1.0
"""How long ``os._exit`` in a forked child waits for the ledger at most; nothing where all is written."""

_ends: list[Callable[[], None]] = []
_hooked: list[Any] = []
_ending: list[int] = []
"""This process, once its end is told."""


def at_end_of_child(end: Callable[[], None]) -> None:
    """Run ``end`` when a forked child of multiprocessing ends.

    Args:
        end: must not raise; replaces the one given before.
    """
    _ends[:] = [end]
    # A child that was started by spawn or forkserver has imported multiprocessing before it imports us, and
    # runs the hooks of after a fork once it has unpickled its task.
    _before_fork()
    _in_this_child()


def _before_fork() -> None:
    """Whoever forks by multiprocessing has imported it by now; it is never imported for our sake."""
    try:
        util: Any = sys.modules.get("multiprocessing.util")
        if util is not None and util not in _hooked:
            util.register_after_fork(worker, _in_child)
            _hooked.append(util)
    except Exception as error:
        swallowed("api.before_fork", error)


def _in_this_child() -> None:
    """Where this is such a child already, the hooks have run: its task, or an initializer, instruments it."""
    try:
        process: Any = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None and os.getpid() not in _ending:
            _ending[:] = [os.getpid()]
            _in_child(None)
    except Exception as error:
        swallowed("api.this_child", error)


def _in_child(_: object) -> None:
    try:
        sys.modules["multiprocessing.util"].Finalize(None, _end, exitpriority=LAST)
    except Exception as error:
        swallowed("api.after_fork", error)


def _end() -> None:
    try:
        for end in tuple(_ends):
            end()
        worker.stop()
    except Exception as error:
        swallowed("api.child_end", error)


class _Exit:
    """In a forked child in the place of ``os._exit``."""

    def __init__(self, original: Callable[[int], NoReturn]) -> None:
        functools.update_wrapper(self, original)
        self._original = original

    def __call__(self, status: int) -> NoReturn:
        try:
            # A worker that sleeps has written all there was. Where greenlets are threads, those of the
            # program would run in the child while it waits.
            waits = worker.running and not (worker.sleeping and not worker.pending())
            if _ends and waits and not greenlets.are_threads():
                worker.flush(EXIT_SECONDS)
        except Exception as error:
            swallowed("api.child_exit", error)
        finally:
            self._original(status)


def _after_fork() -> None:
    try:
        if _ends and not isinstance(os._exit, _Exit):
            os._exit = _Exit(os._exit)
    except Exception as error:
        swallowed("api.after_fork", error)


def let_go() -> None:
    """Everything is taken back."""
    _ends.clear()
    original = getattr(os._exit, "_original", None)
    if isinstance(os._exit, _Exit) and original is not None:
        os._exit = original


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
