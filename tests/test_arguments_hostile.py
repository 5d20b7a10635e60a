"""Wrong arguments that cannot even be shown: the error is ours, short, and names what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import spantally


class Hostile:
    """An object whose repr, text and comparison raise."""

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        """Raise."""
        raise RuntimeError("repr of the program's own")

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Raise."""
        raise RuntimeError("comparison of the program's own")


def deep() -> dict[str, Any]:
    """A mapping nested deeper than Python shows."""
    outer: dict[str, Any] = {}
    inner = outer
    for _ in range(5_000):
        inner["a"] = inner = {}
    return outer


WRONG: list[Callable[[], Any]] = [
    Hostile,
    lambda: [Hostile()],
    lambda: {"k": Hostile()},
    deep,
    lambda: "x" * 100_000,
]

CALLS: dict[str, Callable[[Any], Any]] = {
    "session": spantally.session,
    "conversation": lambda value: spantally.session(conversation=value),
    "user": lambda value: spantally.session(user=value),
    "entity": lambda value: spantally.session(entity=value),
    "tags": lambda value: spantally.session(tags=value),
    "parent": lambda value: spantally.session(parent=value),
    "idle_timeout": lambda value: spantally.session(idle_timeout=value),
    "budget": lambda value: spantally.session(budget=value),
    "loop_guard": lambda value: spantally.session(loop_guard=value),
    "console": lambda value: spantally.session(console=value),
    "capture": lambda value: spantally.session(capture=value),
    "success": lambda value: spantally.session("s").finish(success=value),
    "role": lambda value: spantally.session("s").record_message(value, "text"),
    "alternatives": lambda value: spantally.decision("because", alternatives=value),
    "by": lambda value: spantally.decision("because", by=value),
    "feedback": lambda value: spantally.feedback(1, session="s", id=value),
    "attribute": lambda value: spantally.attribute(user=value),
    "bind": lambda value: spantally.bind(value, user="alice"),
    "usd": lambda value: spantally.Budget(usd=value),
    "on_exceed": lambda value: spantally.Budget(usd=1, on_exceed=value),
    "tell_at": lambda value: spantally.Budget(usd=1, tell_at=value),
    "webhook": lambda value: spantally.Budget(usd=1, webhook=value),
    "identical": lambda value: spantally.LoopGuard(identical=value),
    "on_loop": lambda value: spantally.LoopGuard(on_loop=value),
    "verbose": lambda value: spantally.agent("planner", verbose=value),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_wrong_argument_is_our_error(call: Callable[[Any], Any]) -> None:
    """Whatever the value does when it is looked at, the call that the user made raises a short ValueError."""
    for make in WRONG:
        with pytest.raises(ValueError, match=r"use|pass|must|not|give|has") as caught:
            call(make())
        assert isinstance(caught.value, spantally.ArgumentError)
        assert len(str(caught.value)) < 400
