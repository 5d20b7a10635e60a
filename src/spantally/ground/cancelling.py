"""What event loops raise in a task to cancel it, told by name: none of them is imported for our sake."""

from __future__ import annotations

from typing import Final

_OF_LOOPS: Final = frozenset({"Cancelled", "GreenletExit"})
"""Of trio and gevent; both are no ``Exception``, unlike what a program may call so."""


def is_cancellation(error: BaseException | None) -> bool:
    """True for what cancels a task of asyncio, trio or gevent.

    Args:
        error: what was raised.
    """
    name = type(error).__name__
    return name == "CancelledError" or (name in _OF_LOOPS and not isinstance(error, Exception))
