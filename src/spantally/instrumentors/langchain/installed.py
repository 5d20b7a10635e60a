"""The handler that every run gets, while there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from spantally.calls.told import counted

NAME: Final = "langchain"

handlers: Final[list[tuple[Any, Callable[[], None]]]] = []
"""Our handler, and what takes it out of langchain-core's hooks."""


def remove() -> None:
    """No run that begins from now on gets it."""
    while handlers:
        handler, take_out = handlers.pop()
        handler.switched_off = True
        take_out()
    counted.discard(NAME)
