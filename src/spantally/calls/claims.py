"""Model calls that a framework announces before some SDK makes them, so that each is counted once.

LangChain tells of a model call by a callback; whether an SDK that we patch makes it, shows only when that
SDK's operation begins, in the same context, before the callback that tells of the end. The operation then
takes the announced call: it is metered there. What nobody took is counted from what the framework says.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context

from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord, LateRecord
from spantally.ground.scope import PAUSED_KEY, with_values

if TYPE_CHECKING:
    from spantally.calls.operation import Operation

Listener = Callable[["CallRecord | LateRecord"], None]

_USAGE: Final = ("gen_ai.usage.", "llm.token_count.", "llm.usage.")
"""Beginnings of the attributes by which spans of others tell tokens."""


class Announced:
    """A model call that a framework has announced; one operation at most takes it."""

    __slots__ = ("_place", "_spans", "_ticket", "listeners", "operation")

    def __init__(self, place: Callable[[Context], Context], listeners: list[Listener]) -> None:
        """Announce a call.

        Args:
            place: gives the Context that the call belongs in, from the current one.
            listeners: get the record of the operation that takes it.
        """
        self._place = place
        self._ticket: list[None] = [None]
        self._spans: tuple[Any, ...] = ()
        self.listeners = listeners
        self.operation: Operation | None = None

    @property
    def waiting(self) -> bool:
        """True while an operation may take it."""
        return bool(self._ticket)

    def close(self) -> None:
        """Its answer is here: what begins from now on is something else."""
        self._ticket.clear()

    def take(self) -> bool:
        """Take it; False where another one has, or where it is over."""
        try:
            self._ticket.pop()
        except IndexError:
            return False
        return True

    def give_back(self) -> None:
        """The operation that took it did not begin after all."""
        self._ticket.append(None)

    def place(self, context: Context) -> Context:
        """The Context that the operation belongs in."""
        try:
            placed = self._place(context)
            hidden = context.get(PAUSED_KEY)
            return placed if not hidden else with_values(placed, {PAUSED_KEY: hidden})
        except Exception as error:
            swallowed("calls.place", error)
            return context

    def belongs_to(self, operation: Operation) -> None:
        """Note who meters it."""
        self.operation = operation
        operation.listeners = tuple(self.listeners)

    def note_span(self, span: Any) -> None:
        """Another instrumentor has begun the span of a model call inside."""
        self._spans = (*self._spans, span)

    @property
    def told_elsewhere(self) -> bool:
        """True where such a span tells the tokens: whoever reads the spans counts the call."""
        return any(
            key.startswith(_USAGE)
            for span in self._spans
            for key in (getattr(span, "attributes", None) or ())
        )


announced: Final[ContextVar[tuple[Announced, ...]]] = ContextVar("spantally-announced-calls", default=())
"""Announced in this context, the oldest first."""


def announce(call: Announced) -> None:
    """Have the operation find it that begins next in this context."""
    announced.set((*(one for one in announced.get() if one.waiting), call))


def withdraw(call: Announced) -> None:
    """It is over: the context need not hold it any longer."""
    call.close()
    known = announced.get()
    if known:
        announced.set(tuple(one for one in known if one.waiting))


def take() -> Announced | None:
    """Take the oldest call that is announced here and waits."""
    for call in announced.get():
        if call.take():
            return call
    return None


def note_span(span: Any) -> None:
    """Another instrumentor's span of a model call begins."""
    for call in announced.get():
        if call.waiting:
            call.note_span(span)
            return
