"""What may refuse work: how budgets and loop guards look to the rooms that ask them.

A session without either has None in their place, and that is all its calls find out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from spantally.ground.records import CallRecord
    from spantally.ground.scope import Scope


class Ask(NamedTuple):
    """What a call is about to use, as far as its request tells."""

    call_id: str
    kind: str
    provider: str | None
    model: str | None
    price_context: Mapping[str, Any] | None
    server_address: str | None
    input_tokens: int
    """By estimate."""
    output_tokens: int
    """At most, as the request says; else by default."""
    turn: bool
    """Whether it begins a turn: a message of the user's, outside agents."""


class NotYetError(Exception):
    """The answer takes work that may block for a moment: reading prices, or the ledger."""


class Brake(Protocol):
    """The budgets that hold for a session."""

    def admit(self, scope: Scope, ask: Ask, *, wait: bool, alone: bool = False) -> None:
        """Reserve what a call may use, or refuse it.

        Args:
            scope: whose call it is.
            ask: what it may use.
            wait: whether this thread may do work that blocks for a moment.
            alone: go by what this process knows.

        Raises:
            BudgetExceeded: the call must not be sent.
            NotYetError: where ``wait`` is False and such work is needed.
        """

    def release(self, call_id: str) -> None:
        """Take the reservations of a call back, since it is not made."""

    def admit_turn(self, scope: Scope) -> None:
        """Let a top-level agent begin, or refuse it.

        Raises:
            BudgetExceeded: it must not begin.
        """

    def ended(self, record: CallRecord) -> None:
        """A call has ended: what it used takes the place of what it reserved."""


class LoopWatch(Protocol):
    """The loop guard of a session."""

    def note(self, scope: Scope, name: str, arguments: Callable[[], Any]) -> None:
        """Look at a tool call that is about to run.

        Raises:
            LoopDetected: it must not run.
        """
