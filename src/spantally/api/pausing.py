"""``paused()``: neither spans nor metering inside."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from opentelemetry import context as otel_context

from spantally.calls.entering import Entered
from spantally.ground.guard import swallowed
from spantally.ground.scope import PAUSED_KEY, with_values


class paused:  # noqa: N801 - reads as a statement: `with spantally.paused():`
    """Context manager (also ``async with``): calls inside give no span and are not metered."""

    def __init__(self) -> None:
        self._entered: list[Entered | None] = []

    def __enter__(self) -> Self:
        try:
            entered = Entered(with_values(otel_context.get_current(), {PAUSED_KEY: True}))
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
