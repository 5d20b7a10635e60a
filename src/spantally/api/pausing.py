"""``paused()`` and ``untracked()``: nothing is shown of what happens inside."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.calls.entering import Entered
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.guard import swallowed
from spantally.ground.scope import COST_ONLY, PAUSED_KEY, is_paused, with_values


class paused:  # noqa: N801 - reads as a statement: `with spantally.paused():`
    """Context manager (also ``async with``): calls inside give no span and are not metered."""

    def __init__(self) -> None:
        self._entered: list[Entered | None] = []

    def _context(self) -> Context:
        return with_values(otel_context.get_current(), {PAUSED_KEY: True})

    def __enter__(self) -> Self:
        try:
            entered = Entered(self._context())
        except Exception as error:
            swallowed("api.paused", error)
            entered = None
        self._entered.append(entered)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered:
            entered = self._entered.pop()
            if entered is not None:
                entered.leave()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class untracked(paused):  # noqa: N801 - reads as a statement: `with spantally.untracked():`
    """Context manager (also ``async with``): work inside gives no span, no content and no event.

    What model calls cost is counted in the session all the same, in rows that name no agent, tool or
    response. Spans that another instrumentor makes inside are its own to hide; they are not tallied.

    Args:
        cost: False keeps nothing of the calls at all, as ``paused()`` does.

    Raises:
        ArgumentError: (a ValueError) where ``cost`` is not True or False.
    """

    def __init__(self, cost: bool = True) -> None:
        if not isinstance(cost, bool):
            raise ArgumentError(f"untracked(cost={shown(cost)}): use True or False")
        super().__init__()
        self._cost = cost

    def _context(self) -> Context:
        context = otel_context.get_current()
        # Where nothing at all is kept, nothing inside brings it back.
        value = COST_ONLY if self._cost and not is_paused(context) else True
        return with_values(context, {PAUSED_KEY: value})
