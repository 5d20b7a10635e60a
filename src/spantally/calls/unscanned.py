"""Content that is too much to be scanned on an event loop's thread, given to a synchronous function there.

An asynchronous one waits beside the loop (:mod:`spantally.calls.beside`). Here nobody can: so the span goes
out with a mark in the place of large texts, and the worker scans them for the row.
"""

from __future__ import annotations

from typing import Any, Final

from spantally.calls.beside import SHORTEST
from spantally.calls.operation import Operation
from spantally.calls.telemetry import RedactorLike
from spantally.ground.event_loop import in_event_loop
from spantally.ground.guard import say_once
from spantally.redaction import Redactor

ROOM: Final = 200_000
"""Characters of one value that are scanned on the thread of an event loop: about 10 ms."""

WITHHELD: Final = "[REDACTED:error]"
_MOST_NODES: Final = 50_000


def for_span(operation: Operation, raw: Any) -> Any:
    """A value as its span may have it here: the very same, or a copy without the texts that must wait.

    Args:
        operation: gives the redactor.
        raw: plain data.
    """
    return without_large(operation.telemetry.redactor, raw)


def is_large_here(value: Any) -> bool:
    """True on the thread of an event loop for plain data with more text than that can scan."""
    return _exceeds(value, ROOM) and in_event_loop()


def without_large(redactor: RedactorLike, raw: Any) -> Any:
    """Plain data as it is, or on the thread of an event loop a copy without the texts that must wait.

    Args:
        redactor: one of the program's own making has no memory that could be asked, and scans all of it.
        raw: plain data.
    """
    if not is_large_here(raw) or type(redactor) is not Redactor:
        return raw
    fitting = _Fitting(redactor)
    shown = fitting.of(raw)
    if not fitting.withheld:
        return raw  # what is large is known
    say_once(
        "redaction:too-large-on-loop",
        "spantally: a text is too large to be scanned on an event loop; %s stands for it on its span",
        WITHHELD,
    )
    return shown


def _exceeds(value: Any, most: int) -> bool:
    total = 0
    waiting = [value]
    for _ in range(_MOST_NODES):  # the value may contain itself
        if not waiting:
            break
        one = waiting.pop()
        kind = type(one)
        if kind is str:
            total += len(one)
            if total > most:
                return True
        elif kind is dict:
            waiting.extend(one.values())
        elif kind is list or kind is tuple:
            waiting.extend(one)
    return False


class _Fitting:
    """Copies a value up to the room that there is; what was scanned before takes none."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._room = ROOM
        self.withheld = False

    def of(self, value: Any) -> Any:
        """The value with marks for texts that do not fit."""
        kind = type(value)
        if kind is dict:
            return {name: self.of(one) for name, one in value.items()}
        if kind is list or kind is tuple:
            return kind(self.of(one) for one in value)
        return self._text(value) if kind is str else value

    def _text(self, text: str) -> str:
        if len(text) <= self._room:
            self._room -= len(text)
        elif len(text) < SHORTEST or not self._redactor.knows(text):
            self.withheld = True
            return WITHHELD
        return text
