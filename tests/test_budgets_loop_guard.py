"""A loop guard notices a tool that is called alike again and again, by hashes alone."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import spantally
from budgets_kit import COST, answer, ask, client
from spantally import pricing
from spantally.ground import guard, semconv
from spantally.ground.records import EventRecord
from spantally.testing import ScriptedServer
from watching import Watched


@spantally.tool
def search(query: str, *, limit: int = 3, options: Any = None) -> str:
    """A tool."""
    return query


@spantally.tool
async def fetch(url: str) -> str:
    """Another."""
    return url


def _events(watched: Watched) -> list[EventRecord]:
    assert watched.records
    return [
        record
        for record in watched._records
        if isinstance(record, EventRecord) and record.type == semconv.EVENT_LOOP
    ]


def _raising(**values: Any) -> spantally.LoopGuard:
    return spantally.LoopGuard(on_loop="raise", **values)


def test_third_identical_call_warns_once_and_is_an_event(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """By default the third call alike gives one line and one event; the tool runs every time."""
    with (
        caplog.at_level(logging.WARNING, "spantally"),
        spantally.session("looping", loop_guard=spantally.LoopGuard()),
    ):
        assert [search("a") for _ in range(5)] == ["a"] * 5
    (event,) = _events(watched)
    assert event.session_id == "looping"
    assert event.attributes is not None
    assert event.attributes[semconv.TOOL_NAME] == "search"
    assert event.attributes[semconv.LOOP_TIMES] == 3
    assert len([line for line in caplog.messages if "same arguments" in line]) == 1
    assert len(watched.of("tool")) == 5


def test_raise_stops_the_tool_before_it_runs(watched: Watched) -> None:
    """With "raise" the third call does not happen; the error says what, how often and at what cost."""
    ran: list[str] = []

    @spantally.tool
    def note(text: str) -> None:
        ran.append(text)

    with spantally.session("s", loop_guard=_raising()):
        note("x")
        note("x")
        with pytest.raises(spantally.LoopDetected) as caught:
            note("x")
        note("y")
    assert ran == ["x", "x", "y"]
    error = caught.value
    assert (error.tool, error.times, error.window, error.cost_nano_usd) == ("note", 3, 10, 0)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.__dict__) == (str(error), error.__dict__)
    assert [(row.status, row.error_type) for row in watched.of("tool")][2] == (
        "error",
        "spantally.LoopDetected",
    )
    assert not guard.failures


def test_money_since_the_first_repetition_is_told(watched: Watched) -> None:
    """What the session spent between the second call alike and now is stated, nothing before it."""
    assert pricing.load() is not None
    with (
        ScriptedServer(answer) as server,
        client(server) as made,
        spantally.session("s", loop_guard=_raising()),
    ):
        ask(made)
        search("a")
        ask(made)
        search("a")
        ask(made)
        ask(made)
        with pytest.raises(spantally.LoopDetected) as caught:
            search("a")
    assert caught.value.cost_nano_usd == 2 * COST
    assert "$0.015" in str(caught.value)
    (event,) = _events(watched)
    assert event.attributes is not None
    assert event.attributes[semconv.LOOP_COST] == 2 * COST


class _Opaque:
    """No plain data."""


SHARED = _Opaque()

ALIKE: dict[str, Callable[[], Any]] = {
    "nested": lambda: [search("a", options={"deep": [1, (2, None)], "b": b"x"}) for _ in range(3)],
    "the same object": lambda: [search("a", options=SHARED) for _ in range(3)],
    "asynchronous": lambda: [asyncio.run(fetch("a")) for _ in range(3)],
}

DIFFERENT: dict[str, Callable[[], Any]] = {
    "arguments": lambda: [search(str(number)) for number in range(9)],
    "nested": lambda: [search("a", options={"page": number}) for number in range(9)],
    "types": lambda: [search("a", options=one) for one in (1, "1", 1.0, True, None, [1], {"1": 1}, b"1")],
    "objects": lambda: (kept := [_Opaque() for _ in range(9)]) and [search("a", options=x) for x in kept],
    "tools": lambda: [spantally.tool(name=f"tool{n}")(lambda query: query)("a") for n in range(9)],
}


@pytest.mark.parametrize("form", ALIKE)
def test_calls_alike_are_found(form: str, watched: Watched) -> None:
    """Whatever the arguments are, the same ones are the same."""
    with spantally.session("s", loop_guard=_raising()), pytest.raises(spantally.LoopDetected):
        ALIKE[form]()


def test_arguments_by_position_and_by_name_are_the_same(watched: Watched) -> None:
    """How the program writes its arguments makes no difference."""
    with spantally.session("s", loop_guard=_raising(identical=2)):
        search("a")
        with pytest.raises(spantally.LoopDetected):
            search(query="a")


@pytest.mark.parametrize("form", DIFFERENT)
def test_different_calls_are_no_loop(form: str, watched: Watched) -> None:
    """Other arguments, or another tool, are no repetition."""
    with spantally.session("s", loop_guard=_raising(identical=2)):
        DIFFERENT[form]()
    assert not _events(watched)


def test_only_the_window_is_looked_at(watched: Watched) -> None:
    """Calls alike that lie further apart are no loop."""
    with spantally.session("s", loop_guard=_raising(identical=3, window=4)):
        for number in range(6):
            search("again")
            search(f"other {number}")
            search(f"more {number}")


def test_sessions_beneath_are_watched_and_others_are_not(watched: Watched) -> None:
    """A child's tools count with its parent's; a session beside it has a window of its own."""
    with spantally.session("outer", loop_guard=_raising()):
        search("a")
        with spantally.session("inner"):
            search("a")
            with pytest.raises(spantally.LoopDetected):
                search("a")
    with spantally.session("beside", loop_guard=_raising()):
        search("a")
        search("a")


def test_no_argument_is_kept(watched: Watched) -> None:
    """With content off the arguments are nowhere: neither in the event nor in what the guard remembers."""
    secret = "planted-argument-text"
    with spantally.session("s", loop_guard=spantally.LoopGuard()) as session:
        for _ in range(3):
            search(secret, options={"key": secret})
        state: Any = session._state
        watch = state.loop_guard
        assert secret not in repr((watch._last, watch._told))
    assert secret not in repr(_events(watched))
    assert secret.encode() not in watched.exported()


@pytest.mark.parametrize(
    ("values", "piece"),
    [
        ({"identical": 1}, "from 2 up"),
        ({"identical": 2.5}, "identical=2.5"),
        ({"window": 2}, "from identical (3)"),
        ({"window": "all"}, "window='all'"),
        ({"on_loop": "stop"}, "warn, raise"),
    ],
)
def test_wrong_guards_are_named(values: dict[str, Any], piece: str) -> None:
    """A wrong argument raises where the guard is made."""
    with pytest.raises(spantally.ArgumentError) as caught:
        spantally.LoopGuard(**values)
    assert piece in str(caught.value)
