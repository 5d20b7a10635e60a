"""``capture=``: what decorated functions were given and gave, kept where the content policy wants it."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest

import spantally
from spantally.calls import telemetry as telemetry_module
from spantally.calls.capturing import Yielded
from spantally.ground import guard
from watching import Watched, attributes

SECRET = "sk-proj-Zq8Xw3Vt6Ys1Ur4Pn9Mk2Lj7Hg5Fd0Sa"


class Boom(Exception):
    """What the forced failures raise."""


@pytest.fixture
def kept() -> Iterator[Watched]:
    """All content goes onto spans and into rows."""
    made = Watched(capture_content="span_only", ledger_content="all")
    yield made
    made.close()


@pytest.fixture
def unkept() -> Iterator[Watched]:
    """The defaults: nobody gets content."""
    made = Watched()
    yield made
    made.close()


def message(text: str, *, given: bool = True) -> list[dict[str, Any]]:
    """What an agent was given, or gave."""
    parts = [{"type": "text", "content": text}]
    if given:
        return [{"role": "user", "parts": parts}]
    return [{"role": "assistant", "parts": parts}]


def contents(watched: Watched) -> list[dict[str, Any]]:
    """Content of each row; that of its span says the same."""
    found = []
    for record, span in zip(watched.records, watched.spans, strict=True):
        content = dict(record.content or {})
        on_span = attributes(span)
        for word, key in (("input", "gen_ai.input.messages"), ("output", "gen_ai.output.messages")):
            assert json.loads(on_span.get(key, "null")) == content.get(word)
        found.append(content)
    return found


def test_arguments_and_value_of_an_agent(kept: Watched) -> None:
    """A sole text stands for itself; other arguments are JSON by name; values are untouched."""

    @spantally.agent
    def planner(task: str) -> str:
        return task.upper()

    @spantally.agent
    def team(task: str, *rest: int, deep: bool = False) -> dict[str, Any]:
        return {"task": task, "rest": rest}

    assert planner("compare") == "COMPARE"
    assert team("a", 1, 2, deep=True) == {"task": "a", "rest": (1, 2)}
    first, second = contents(kept)
    assert first == {"input": message("compare"), "output": message("COMPARE", given=False)}
    assert json.loads(second["input"][0]["parts"][0]["content"]) == {
        "task": "a",
        "rest": [1, 2],
        "deep": True,
    }
    assert json.loads(second["output"][0]["parts"][0]["content"]) == {"task": "a", "rest": [1, 2]}


def test_streams_are_joined_as_they_pass(kept: Watched) -> None:
    """Yielded texts are one text, other items a list; coroutines and workflows are captured alike."""

    @spantally.agent
    def texts(task: str) -> Iterator[str]:
        yield from ("Hel", "lo ", task)

    @spantally.agent
    async def numbers(task: str) -> AsyncIterator[int]:
        for number in range(3):
            yield number

    @spantally.workflow
    async def flow(task: str) -> str:
        return task + "!"

    async def read() -> list[int]:
        return [number async for number in numbers("n")]

    assert list(texts("you")) == ["Hel", "lo ", "you"]
    assert asyncio.run(read()) == [0, 1, 2]
    assert asyncio.run(flow("go")) == "go!"
    outputs = [content["output"] for content in contents(kept)]
    assert outputs == [message(text, given=False) for text in ("Hello you", "[0,1,2]", "go!")]


def test_a_stream_that_is_left_or_fails_keeps_what_came(kept: Watched) -> None:
    """Closed, collected or broken off by an exception: what had been yielded is the output."""

    @spantally.agent
    def texts(task: str) -> Iterator[str]:
        yield "one "
        yield "two "
        raise Boom

    with pytest.raises(Boom):
        list(texts("fails"))
    left = texts("left")
    next(left)
    del left
    gc.collect()
    assert [content["output"] for content in contents(kept)] == [
        message("one two ", given=False),
        message("one ", given=False),
    ]


def test_tools_keep_arguments_and_results(kept: Watched) -> None:
    """As they are, on span and row, a generator's items among them."""

    @spantally.tool
    def search(query: str) -> list[str]:
        return [query]

    @spantally.tool
    def pages(query: str) -> Iterator[str]:
        yield from ("a", "b")

    search("x")
    list(pages("y"))
    rows = [dict(record.content or {}) for record in kept.records]
    assert rows == [
        {"arguments": {"query": "x"}, "result": ["x"]},
        {"arguments": {"query": "y"}, "result": "ab"},
    ]


def test_arguments_of_methods_are_by_their_names(kept: Watched) -> None:
    """Bound before or after they are decorated; a parameter is not left out for what it is called."""

    class Shop:
        def search(self, query: str, limit: int = 1) -> int:
            return limit

        @spantally.tool
        def found(self, query: str) -> int:
            return 1

        @spantally.tool
        @classmethod
        def kinds(cls, query: str) -> int:
            return 1

    @spantally.tool
    def label(cls: str, text: str) -> int:
        return 1

    spantally.wrap_tools({"search": Shop().search})["search"]("motors", 3)
    Shop().found("a")
    Shop.kinds("b")
    label("dog", text="Rex")
    assert [dict(record.content or {})["arguments"] for record in kept.records] == [
        {"query": "motors", "limit": 3},
        {"query": "a"},
        {"query": "b"},
        {"cls": "dog", "text": "Rex"},
    ]


def test_nothing_is_kept_with_false(kept: Watched) -> None:
    """``capture=False`` holds for every decorator, whatever the policy."""

    @spantally.session(capture=False)
    @spantally.workflow(capture=False)
    @spantally.agent(capture=False)
    @spantally.tool(capture=False)
    def work(task: str) -> str:
        return task

    work("the secret task")
    assert [record.content for record in kept.records] == [None] * 3
    assert b"secret task" not in kept.exported()
    assert {(record.input, record.output) for record in kept.sessions} == {(None, None)}


def test_a_function_chooses_what_is_kept(kept: Watched) -> None:
    """It gets the arguments by name and the value, and returns input and output, or None."""
    calls: list[Any] = []

    def choose(arguments: dict[str, Any], value: Any) -> Mapping[str, Any] | None:
        calls.append((arguments, value))
        return {"input": len(arguments["task"]), "output": {"found": value}} if value else None

    @spantally.agent(capture=choose)
    def planner(task: str) -> int:
        return len(task)

    @spantally.tool(capture=choose)
    def search(task: str) -> Iterator[str]:
        yield from ("a", "b")

    planner("abc")
    planner("")
    list(search("xy"))
    assert calls == [({"task": "abc"}, 3), ({"task": ""}, 0), ({"task": "xy"}, "ab")]
    rows = [dict(record.content or {}) for record in kept.records]
    assert rows == [
        {"input": message("3"), "output": message('{"found":3}', given=False)},
        {},
        {"arguments": 2, "result": {"found": "ab"}},
    ]


def test_an_input_that_cannot_be_compared_costs_no_output(kept: Watched) -> None:
    """Arrays of some libraries refuse to be equal or not."""

    class Array:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

    @spantally.tool(capture=lambda arguments, value: {"input": Array(), "output": value})
    def search() -> str:
        return "found"

    search()
    assert dict(kept.records[-1].content or {}) == {"arguments": "Array", "result": "found"}


def test_endlessly_many_empty_texts_are_not_kept(kept: Watched) -> None:
    """What beats to keep a connection open takes no room for ever."""
    active = telemetry_module.active
    most = 2 * max(active.content_limits.span, active.ledger_limits.span)
    seen = Yielded(active)
    for _ in range(most + 10):
        seen.add("")
    assert len(seen._items) <= most
    assert seen.value() == ""


@pytest.mark.parametrize(
    "capture", [lambda a, v: 1 / 0, lambda a, v: "text", lambda a, v: {"in": 1}, lambda a: {"input": a}]
)
def test_a_function_that_fails_changes_nothing(capture: Callable[..., Any], kept: Watched) -> None:
    """It raises, or returns what it must not: the program gets its value, and nothing is kept."""

    @spantally.session(capture=capture)
    @spantally.agent(capture=capture)
    def planner(task: str) -> str:
        return task

    @spantally.agent(capture=capture)
    def failing(task: str) -> str:
        raise Boom

    assert planner("a") == "a"
    with pytest.raises(Boom):
        failing("a")
    assert [record.content for record in kept.records] == [None, None]
    assert {where for where, _ in guard.failures} == {"calls.capture", "session.capture"}


def test_nothing_is_looked_at_where_nobody_gets_it(unkept: Watched) -> None:
    """By default neither arguments nor values are read, and no function is called."""
    calls: list[Any] = []

    class Untouched:
        def __getattribute__(self, name: str) -> Any:
            calls.append(name)
            return object.__getattribute__(self, name)

    @spantally.session(capture=lambda arguments, value: calls.append(arguments))
    @spantally.agent(capture=lambda arguments, value: calls.append(arguments))
    def planner(task: Any) -> Any:
        return task

    @spantally.agent
    def plain(task: Any) -> Any:
        return task

    value = Untouched()
    assert planner(value) is value
    assert plain(value) is value
    assert calls == []
    assert [record.content for record in unkept.records] == [None, None]


def test_iterators_and_objects_stay_the_programs(kept: Watched) -> None:
    """An iterator that is given or returned is not consumed; an object is named, never asked for its text."""

    class Loud:
        def __repr__(self) -> str:
            raise Boom

        __str__ = __repr__

    @spantally.agent
    def planner(source: Iterator[int], thing: Loud) -> Iterator[int]:
        return source

    given = iter([1, 2, 3])
    assert planner(given, Loud()) is given
    assert list(given) == [1, 2, 3]
    (content,) = contents(kept)
    assert json.loads(content["input"][0]["parts"][0]["content"]) == {
        "source": "list_iterator",
        "thing": "Loud",
    }
    assert guard.failures == {}


def test_secrets_are_gone_and_limits_hold(kept: Watched) -> None:
    """What is kept is redacted, by name and by shape, and shortened."""

    @spantally.session
    @spantally.agent
    def planner(task: str, password: str) -> Iterator[str]:
        yield SECRET[:20]
        yield SECRET[20:]
        for _ in range(2000):
            yield "x" * 1000

    for _ in planner(f"use {SECRET}", password="hunter2-swordfish"):
        pass
    exported = kept.exported()
    told = str(kept.records) + str(kept.sessions)
    for text in (SECRET, "hunter2-swordfish"):
        assert text.encode() not in exported
        assert text not in told
    assert "REDACTED" in told
    assert len(told) < 2_000_000


def test_a_session_keeps_input_and_output(kept: Watched) -> None:
    """Of a decorated function: arguments, and value or stream, in the session's record."""

    @spantally.session
    def run(task: str) -> str:
        return task.upper()

    @spantally.session(capture=lambda arguments, value: {"output": value})
    def stream(task: str) -> Iterator[str]:
        yield from "abc"

    run("a")
    list(stream("b"))
    ended = [record for record in kept.sessions if record.end_ns is not None]
    assert [(record.input, record.output) for record in ended] == [({"task": "a"}, "A"), (None, "abc")]


@pytest.mark.parametrize("part", ["work_values.plain", "work_messages.plain", "work_messages.put_message"])
def test_failure_of_a_part_stays_ours(part: str, kept: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever raises while something is captured: the program gets its value, and the failure is counted."""

    def fail(*args: Any) -> Any:
        raise Boom

    monkeypatch.setattr(f"spantally.calls.{part}", fail)

    @spantally.session
    @spantally.agent
    def planner(task: str) -> Iterator[Any]:
        yield task
        yield 3

    assert list(planner("a")) == ["a", 3]
    assert {"calls.capture"} <= {where for where, _ in guard.failures}
    assert len(kept.records) == 1


@pytest.mark.parametrize("value", ["all", True, None, 3, str, asyncio.sleep])
def test_wrong_captures_are_refused(value: Any) -> None:
    """Before any effect, with the value and what is allowed."""
    for call in (spantally.agent, spantally.tool, spantally.workflow, spantally.session):
        with pytest.raises(ValueError, match=r'capture=.+\): use "auto", False, or a plain function'):
            call(capture=value)
