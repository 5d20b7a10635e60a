"""What a loop guard takes for the same arguments, and what it does not."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spantally


class Query:
    """An object of the program's own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("comparison of the program's own")

    __hash__ = None  # type: ignore[assignment]


class Slim:
    """One that no weak reference can be made to."""

    __slots__ = ()


class Shop:
    """What has tools for methods."""

    def search(self, query: str) -> int:
        return 1

    @spantally.tool
    @classmethod
    def find(cls, query: str) -> int:
        return 1


@spantally.tool
def label(cls: str) -> int:
    """A function whose parameter happens to be called as that of a class method."""
    return 1


TOOLS = spantally.wrap_tools({"search": Shop().search})


class Level(enum.IntEnum):
    """A number by name."""

    HIGH = 1


@spantally.tool
def search(query: Any = None, **named: Any) -> int:
    """Does nothing."""
    return 1


def loops(run: Callable[[int], Any]) -> bool:
    """Whether six calls are a loop of three."""
    with spantally.session(loop_guard=spantally.LoopGuard(identical=3, on_loop="raise")):
        try:
            for number in range(6):
                run(number)
        except spantally.LoopDetected:
            return True
    return False


ONE = Query("one")
DIFFERENT: dict[str, Callable[[int], Any]] = {
    "objects": lambda number: search(Query(str(number))),
    "bare objects": lambda number: search(object()),
    "slim objects": lambda number: search(Slim()),
    "dates": lambda number: search(dt.datetime(2025, 1, 1 + number, tzinfo=dt.UTC)),
    "decimals": lambda number: search(decimal.Decimal(number)),
    "sets": lambda number: search({number}),
    "ids": lambda number: search(uuid.UUID(int=number)),
    "bound methods": lambda number: TOOLS["search"](str(number)),
    "class methods": lambda number: Shop.find(str(number)),
    "parameters called cls": lambda number: label(str(number)),
    "parameters called cls, by name": lambda number: label(cls=str(number)),
    "within": lambda number: search({"at": [dt.date(2025, 1, 1 + number)]}),
}
SAME: dict[str, Callable[[int], Any]] = {
    "the same object": lambda number: search(ONE),
    "dates": lambda number: search(dt.datetime(2025, 1, 1, tzinfo=dt.UTC)),
    "decimals": lambda number: search(decimal.Decimal("1.5")),
    "paths": lambda number: search(Path("a") / "b"),
    "sets": lambda number: search({1, 2} if number % 2 else {2, 1}),
    "order of keys": lambda number: search({"a": 1, "b": 2} if number % 2 else {"b": 2, "a": 1}),
    "order of names": lambda number: search(a=1, b=2) if number % 2 else search(b=2, a=1),
    "bound methods": lambda number: TOOLS["search"]("a"),
    "class methods": lambda number: Shop.find("a"),
    "members": lambda number: search(Level.HIGH),
}


@pytest.fixture(autouse=True)
def instrumented() -> None:
    """With a ledger in memory."""
    spantally.instrument(ledger=":memory:")


@pytest.mark.parametrize("run", DIFFERENT.values(), ids=DIFFERENT)
def test_other_arguments_are_no_loop(run: Callable[[int], Any]) -> None:
    """Fresh objects are others, although each may lie where the last one lay."""
    assert not loops(run)


@pytest.mark.parametrize("run", SAME.values(), ids=SAME)
def test_the_same_arguments_are_a_loop(run: Callable[[int], Any]) -> None:
    """Equal values are the same whatever object holds them."""
    assert loops(run)
