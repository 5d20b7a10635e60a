"""How much text is looked at where nobody can wait: as a foreign span ends, as a log record is emitted.

The thread that ends a span is the program's. What is larger than the budget is replaced rather than scanned,
and the span goes out with the rest of it. Lengths are counted and not time, so that the same program loses
the same texts on a slow day and on a fast one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.telemetry import RedactorLike
from spantally.ground.event_loop import in_event_loop
from spantally.ground.guard import say_once
from spantally.otel.safe_values import REDACTED_ERROR

ON_A_LOOP: Final = 200_000
"""Characters scanned as one span ends on an event loop: about 10 ms."""

ON_A_THREAD: Final = 2_000_000
"""Characters scanned as one span ends on any other thread: about 100 ms."""

SMALL: Final = 4_096
"""Texts up to this length have a budget of their own: a large one takes nothing from its neighbours."""

_TEXTS: Final = (str, bytes, bytearray, memoryview)
_NUMBERS: Final = frozenset({bool, int, float})


class Bounded:
    """A redactor for the parts of one span or log record, which replaces what is beyond the budget.

    Args:
        redactor: what scans the rest.
    """

    __slots__ = ("_grown", "_large", "_redactor", "_small")

    def __init__(self, redactor: RedactorLike) -> None:
        self._redactor = redactor
        self._large = self._small = ON_A_LOOP
        self._grown = False

    def text(self, text: str, key: str | None = None) -> str:
        """The text without its secrets, or none of it."""
        return self._redactor.text(text, key) if self._fits(text) else REDACTED_ERROR

    def value(self, value: Any, key: str | None = None) -> Any:
        """The value without its secrets, or none of it."""
        return self._redactor.value(value, key) if self._fits(value) else REDACTED_ERROR

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes without their secrets, each or none of it."""
        size = 0
        for key, value in attributes.items():
            kind = type(value)
            size += len(key) if type(key) is str else SMALL
            size += len(value) if kind is str else 0 if kind in _NUMBERS else SMALL
        if size <= SMALL and size <= self._small:  # the usual case
            self._small -= size
            return self._redactor.attributes(attributes)
        refused: dict[str, str] = {}
        for key, value in attributes.items():
            if not self._fits(key):
                refused[key] = REDACTED_ERROR
            elif not self._fits(value):
                refused[key] = key
        if refused:
            attributes = {
                refused.get(key, key): REDACTED_ERROR if key in refused else value
                for key, value in attributes.items()
            }
        return self._redactor.attributes(attributes)

    def _fits(self, value: Any) -> bool:
        size = len(value) if type(value) is str else size_of(value, ON_A_THREAD)
        if self._takes(size):
            return True
        if not self._grown:
            self._grown = True
            if not in_event_loop():
                self._small += ON_A_THREAD - ON_A_LOOP
                self._large += ON_A_THREAD - ON_A_LOOP
                if self._takes(size):
                    return True
        say_once(
            "redaction:too-large",
            "spantally: a text is too large to be scanned while the program waits; %s stands for it",
            REDACTED_ERROR,
        )
        return False

    def _takes(self, size: int) -> bool:
        if size <= SMALL:
            if size <= self._small:
                self._small -= size
                return True
        elif size <= self._large:
            self._large -= size
            return True
        return False


def size_of(value: Any, most: int) -> int:
    """Characters and bytes in a value, its containers included; counting stops above ``most``."""
    if isinstance(value, _TEXTS):
        return len(value)
    if not isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return 0
    total = 0
    waiting: list[Any] = [value]
    while waiting and total <= most:
        item = waiting.pop()
        if isinstance(item, _TEXTS):
            total += len(item)
        elif isinstance(item, (Mapping, list, tuple, set, frozenset)):
            total += len(item)
            if total <= most:
                waiting.extend(item)
                if isinstance(item, Mapping):
                    waiting.extend(item.values())
    return total
