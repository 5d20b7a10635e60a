"""Who is told of an operation as it begins: nobody, unless a live view is on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from spantally.ground.guard import swallowed

if TYPE_CHECKING:
    from spantally.calls.operation import Operation

Watcher: TypeAlias = "Callable[[Operation, str | None, bool], None]"
"""Takes the operation, what it is of (model, agent, tool) and whether its answer is streamed; one append."""

watchers: tuple[Watcher, ...] = ()


def add_watcher(watcher: Watcher) -> None:
    """Tell ``watcher`` of every operation from now on, on the thread that begins it; twice is once."""
    global watchers
    if watcher not in watchers:
        watchers = (*watchers, watcher)


def remove_watcher(watcher: Watcher) -> None:
    """Tell it no more."""
    global watchers
    watchers = tuple(one for one in watchers if one != watcher)


def began(operation: Operation, subject: str | None, streamed: bool) -> None:
    """Tell whoever watches; never raises."""
    for watcher in watchers:
        try:
            watcher(operation, subject, streamed)
        except Exception as error:
            swallowed("calls.watch", error)
