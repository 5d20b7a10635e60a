"""What a session or agent has spent so far, as the live view tells it, and the words for a cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from spantally.console.lines import Fact
from spantally.ground.money import CostStatus, Rating, dollar_text
from spantally.ground.records import CallRecord

Rate: TypeAlias = Callable[[CallRecord], Rating]

MOST_PENDING: Final = 256
"""Calls of one sum that wait for the price data and are asked for again."""

_UNSPENT: Final = frozenset({CostStatus.COVERED})


def cost_text(record: CallRecord, rating: Rating) -> str:
    """The cost of one call in a word: ``$0.0012``, ``~$0.0012``, ``$0.0012+``, ``unpriced``, ``pending``."""
    if rating.status == CostStatus.PENDING:
        return "pending"
    if rating.nano_usd is None:
        return "covered" if rating.status in _UNSPENT else "unpriced"
    text = dollar_text(rating.nano_usd) or ""
    if record.estimated or rating.status == CostStatus.ESTIMATED:
        text = f"~{text}"
    return f"{text}+" if rating.status.startswith("partial:") else text


class Sums:
    """Sums of model calls, and of what tools cost."""

    __slots__ = ("_estimated", "_pending", "calls", "covered", "lost", "nano", "read", "unpriced", "written")

    def __init__(self) -> None:
        self.calls = 0
        self.read = 0
        self.written = 0
        self.nano: int | None = None
        self.unpriced = 0
        self.covered = 0
        self.lost = 0
        """Pending ones beyond :data:`MOST_PENDING`."""
        self._estimated = False
        self._pending: list[CallRecord] = []

    def add(self, record: CallRecord, rating: Rating) -> None:
        """Take a call in."""
        self.calls += 1
        if rating.parts is not None:
            self.read += rating.parts.input_total
            self.written += rating.parts.output_total
        self._price(record, rating)

    def pay(self, rating: Rating) -> None:
        """Take in what a tool cost, which is no call."""
        if rating.nano_usd:
            self.nano = (self.nano or 0) + rating.nano_usd

    def _price(self, record: CallRecord, rating: Rating) -> None:
        if rating.status == CostStatus.PENDING:
            if len(self._pending) < MOST_PENDING:
                self._pending.append(record)
            else:
                self.lost += 1
        elif rating.nano_usd is not None:
            self.nano = (self.nano or 0) + rating.nano_usd
            self._estimated |= record.estimated or rating.status == CostStatus.ESTIMATED
        elif rating.status in _UNSPENT:
            self.covered += 1
        else:
            self.unpriced += 1

    def facts(self, rate: Rate) -> list[Fact]:
        """Calls, tokens and cost; nothing for what made no call and paid for no tool.

        Args:
            rate: prices once more what was pending.
        """
        if not self.calls:
            return [] if self.nano is None else [("cost", dollar_text(self.nano))]
        waiting, self._pending = self._pending, []
        for record in waiting:
            self._price(record, rate(record))
        known = dollar_text(self.nano)
        pending = len(self._pending) + self.lost
        if known is None:
            words = (("pending", pending), ("unpriced", self.unpriced), ("covered", self.covered))
            known = next((word for word, count in words if count), None)
        elif self._estimated:
            known = f"~{known}"
        return [
            ("calls", self.calls),
            ("in", self.read),
            ("out", self.written),
            ("cost", known),
            ("unpriced", self.unpriced or None),
            ("covered", self.covered or None),
            ("pending", pending or None),
        ]
