"""Our processor among those of the SDK, while there is one."""

from __future__ import annotations

from typing import Any, Final

processors: Final[list[Any]] = []
lists: Final[list[Any]] = []
"""The SDK's lists of processors that ours was added to."""


def remove() -> None:
    """Take it out again."""
    mine = tuple(processors)
    processors.clear()
    for one in mine:
        one.switched_off = True
    while lists:
        held = lists.pop()
        held._processors = tuple(one for one in held._processors if one not in mine)
