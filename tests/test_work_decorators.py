"""Agents and tools: kinds of functions, values, exceptions, trees."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import pickle
import types
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any

import openai
import pytest

import spantally
from spantally.testing import Reply, ScriptedServer, ToolCall
from watching import Watched, attributes


@spantally.tool
def importable(value: int) -> int:
    """Doubles a value."""
    return value * 2


def test_values_and_kinds_stay(watched: Watched) -> None:
    """Decorated functions keep kind, signature, name, pickling and values."""

    @spantally.agent
    def plain(a: int, b: int = 2) -> int:
        """Adds."""
        return a + b

    @spantally.agent(name="other")
    async def coroutine(a: int) -> int:
        return a

    @spantally.tool()
    def generator(n: int) -> Generator[int, int, int]:
        got = yield n
        yield got
        return 5

    @spantally.tool
    async def async_generator(n: int) -> AsyncIterator[int]:
        yield n

    assert plain(1) == 3
    assert str(inspect.signature(plain)) == "(a: 'int', b: 'int' = 2) -> 'int'"
    assert plain.__name__ == "plain"
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)
    assert asyncio.run(coroutine(4)) == 4
    running = generator(1)
    assert next(running) == 1
    assert running.send(9) == 9
    with pytest.raises(StopIteration) as stop:
        next(running)
    assert stop.value.value == 5

    async def main() -> list[int]:
        return [item async for item in async_generator(3)]

    assert asyncio.run(main()) == [3]
    assert pickle.loads(pickle.dumps(importable))(2) == 4
    assert [record.name for record in watched.records] == [
        "plain",
        "other",
        "generator",
        "async_generator",
        "importable",
    ]
    assert all(record.status == "ok" for record in watched.records)


def test_methods_are_decorated(watched: Watched) -> None:
    """Methods, class methods and static methods work in either order of decorators."""

    class Agent:
        @spantally.tool
        def method(self, x: int) -> int:
            return x

        @classmethod
        @spantally.tool
        def inner_class(cls, x: int) -> int:
            return x

        @spantally.tool
        @staticmethod
        def outer_static(x: int) -> int:
            return x

    assert (Agent().method(1), Agent.inner_class(2), Agent.outer_static(3)) == (1, 2, 3)
    assert [record.name for record in watched.records] == ["method", "inner_class", "outer_static"]


def test_exceptions_pass_unmodified(watched: Watched) -> None:
    """The program's own exception leaves as it is; row and span say error without its text."""
    error = ValueError("the prompt was: secret plan")

    @spantally.agent
    def failing() -> None:
        raise error

    with pytest.raises(ValueError, match="secret plan") as raised:
        failing()
    assert raised.value is error
    (record,) = watched.records
    assert (record.status, record.error_type) == ("error", "ValueError")
    assert watched.spans[0].status.code == 2
    assert b"secret plan" not in watched.exported()


def test_nesting_gives_paths_and_parents(
    watched: Watched, server: ScriptedServer, request: pytest.FixtureRequest
) -> None:
    """Calls know the path of agents, the innermost tool, the run and their parent; only the top is a turn."""
    client = openai.OpenAI(base_url=server.base_url, api_key="sk-made-up")
    request.addfinalizer(client.close)

    @spantally.tool
    def search() -> None:
        client.embeddings.create(model="text-embedding-3-small", input="a")

    @spantally.agent
    def researcher() -> None:
        search()

    with spantally.session("s"), spantally.agent("planner"):
        researcher()
    planner, inner, tool, call = watched.records
    assert call.agent_path == ("planner", "researcher")
    assert inner.agent_path == ("planner", "researcher")
    assert planner.agent_path == ("planner",)
    assert call.tool == "search"
    assert [call.parent_call_id, tool.parent_call_id, inner.parent_call_id, planner.parent_call_id] == [
        tool.call_id,
        inner.call_id,
        planner.call_id,
        None,
    ]
    assert {record.run_id for record in watched.records} == {planner.call_id}
    assert [record.turn for record in watched.records] == [True, False, False, False]
    spans = {span.name: span for span in watched.spans}
    assert set(spans) == {
        "invoke_agent planner",
        "invoke_agent researcher",
        "execute_tool search",
        "embeddings text-embedding-3-small",
    }
    assert spans["execute_tool search"].parent_span_id == spans["invoke_agent researcher"].span_id
    assert attributes(spans["execute_tool search"])["gen_ai.tool.type"] == "function"
    assert attributes(spans["invoke_agent researcher"])["spantally.agent.path"] == "planner > researcher"


def test_generator_left_early_is_abandoned(watched: Watched) -> None:
    """An agent's generator that is closed or collected early is abandoned, and no error."""

    @spantally.agent
    def streaming() -> Generator[int, None, None]:
        yield 1
        yield 2

    closed = streaming()
    next(closed)
    closed.close()
    collected = streaming()
    next(collected)
    del collected
    gc.collect()
    assert [(record.status, record.abandoned) for record in watched.records] == [("ok", True), ("ok", True)]


def test_generator_body_keeps_its_own_session(watched: Watched) -> None:
    """What a decorated generator's body enters holds across its yields, and never in the driver."""
    from spantally.ground.scope import current_scope

    @spantally.agent
    def streaming() -> Generator[str, None, None]:
        with spantally.session("inside"):
            for _ in range(2):
                scope = current_scope()
                yield scope.session.session_id if scope else ""

    running = streaming()
    assert next(running) == "inside"
    assert current_scope() is None
    assert next(running) == "inside"
    running.close()
    assert current_scope() is None


def test_tool_takes_the_models_call_id(watched: Watched) -> None:
    """A traced tool that the model asked for takes its call id; an unseen one is inferred from the result."""
    script = [
        Reply(tool_calls=[ToolCall("search", {"q": "x"}, id="call_a"), ToolCall("hidden", {}, id="call_b")]),
        Reply(text="done"),
    ]
    with (
        ScriptedServer(script) as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client,
    ):

        @spantally.tool
        def search(q: str) -> str:
            return f"found {q}"

        messages: list[Any] = [{"role": "user", "content": "go"}]
        answer = client.chat.completions.create(model="gpt-4o", messages=messages)
        messages.append(answer.choices[0].message)
        messages.append({"role": "tool", "tool_call_id": "call_a", "content": search("x")})
        messages.append({"role": "tool", "tool_call_id": "call_b", "content": "seen only here"})
        client.chat.completions.create(model="gpt-4o", messages=messages)
    tools = {record.name: record for record in watched.of("tool")}
    assert tools["search"].tool_call_id == "call_a"
    assert not tools["search"].inferred
    assert tools["hidden"].inferred
    assert tools["hidden"].tool_call_id == "call_b"


def test_wrap_tools_wraps_a_dispatch_table(watched: Watched) -> None:
    """wrap_tools() gives a new table whose functions are tools of their keys' names."""
    table = {"double": lambda value: value * 2}
    wrapped = spantally.wrap_tools(table)
    assert wrapped["double"](4) == 8
    assert wrapped is not table
    assert [record.name for record in watched.of("tool")] == ["double"]


@pytest.mark.parametrize("target", [5, int, None])
def test_undecoratable_is_a_value_error(target: Any) -> None:
    """Decorating a class or a value raises a ValueError that says what to pass."""
    with pytest.raises(ValueError, match=r"function|mapping"):
        spantally.agent(name="x")(target)
    with pytest.raises(ValueError, match="mapping"):
        spantally.wrap_tools(target)


def test_async_context_manager_and_nesting(watched: Watched) -> None:
    """`async with agent()` and parallel tasks keep each its own path."""

    async def researcher(name: str) -> None:
        async with spantally.agent(name):
            await asyncio.sleep(0.01)
            importable(1)

    async def main() -> None:
        async with spantally.agent("top"):
            await asyncio.gather(researcher("a"), researcher("b"))

    asyncio.run(main())
    paths = sorted(record.agent_path for record in watched.of("tool"))
    assert paths == [("top", "a"), ("top", "b")]


def test_agents_side_by_side_keep_their_tool_calls_apart(watched: Watched) -> None:
    """Two agents that ask for one tool at once: each run is one row, whichever of them runs first."""
    script = [
        Reply(tool_calls=[ToolCall("search", {"q": "a"}, id="call_a")]),
        Reply(tool_calls=[ToolCall("search", {"q": "b"}, id="call_b")]),
        Reply(text="b done"),
        Reply(text="a done"),
    ]

    @spantally.tool
    def search(q: str) -> str:
        return q

    with (
        ScriptedServer(script) as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client,
    ):

        def ask(messages: list[Any]) -> Any:
            return client.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message

        def told(messages: list[Any], tool_call_id: str) -> None:
            result = {"role": "tool", "tool_call_id": tool_call_id, "content": search("x")}
            ask([*messages, result])

        with spantally.session("both"):
            first, second = spantally.agent("first"), spantally.agent("second")
            with first:
                messages_a: list[Any] = [{"role": "user", "content": "a"}]
                messages_a.append(ask(messages_a))
                with second:  # the second asks, runs and reports while the first still waits
                    messages_b: list[Any] = [{"role": "user", "content": "b"}]
                    messages_b.append(ask(messages_b))
                    told(messages_b, "call_b")
                told(messages_a, "call_a")
    tools = watched.of("tool")
    assert [(tool.tool_call_id, tool.agent_path[-1], tool.inferred) for tool in tools] == [
        ("call_b", "second", False),
        ("call_a", "first", False),
    ]


def test_runs_without_agents_that_swap_ids_stay_one_row_each(watched: Watched) -> None:
    """Where nothing tells two runs of one tool apart they may swap ids, but none is counted twice."""
    script = [
        Reply(tool_calls=[ToolCall("search", {}, id="call_a")]),
        Reply(tool_calls=[ToolCall("search", {}, id="call_b")]),
        Reply(text="b done"),
        Reply(text="a done"),
    ]

    @spantally.tool
    def search() -> str:
        return "x"

    with (
        ScriptedServer(script) as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client,
    ):

        def ask(*messages: Any) -> Any:
            return client.chat.completions.create(model="gpt-4o", messages=list(messages)).choices[0].message

        user: Any = {"role": "user", "content": "go"}
        asked_a, asked_b = ask(user), ask(user)
        ask(user, asked_b, {"role": "tool", "tool_call_id": "call_b", "content": search()})
        ask(user, asked_a, {"role": "tool", "tool_call_id": "call_a", "content": search()})
    assert [tool.inferred for tool in watched.of("tool")] == [False, False]


def test_a_workflow_is_a_span_and_a_row(watched: Watched) -> None:
    """A workflow has the forms of an agent, and is not on the agents' path."""

    @spantally.workflow
    def nightly() -> int:
        with spantally.agent("planner"):
            return 3

    assert nightly() == 3
    with spantally.workflow("by hand"):
        pass
    first, inside, second = watched.records
    assert (first.kind, first.operation, first.name, first.agent_path) == (
        "workflow",
        "invoke_workflow",
        "nightly",
        (),
    )
    assert (inside.parent_call_id, inside.agent_path, inside.run_id) == (
        first.call_id,
        ("planner",),
        inside.call_id,
    )
    assert (second.name, second.turn, second.run_id) == ("by hand", False, None)
    span = watched.spans[0]
    assert span.name == "invoke_workflow nightly"
    assert attributes(span)["gen_ai.workflow.name"] == "nightly"
    assert attributes(span)["gen_ai.operation.name"] == "invoke_workflow"
    with pytest.raises(ValueError, match="decorated"):
        spantally.workflow(7)  # type: ignore[call-overload]


def test_objects_are_of_the_kind_of_their_method(watched: Watched) -> None:
    """An object whose method is asynchronous, or a generator's, is awaited or driven inside its tool."""

    class Searching:
        async def __call__(self, query: str) -> str:
            await asyncio.sleep(0)
            return inner(query)

    class Listing:
        def __call__(self) -> Iterator[str]:
            yield inner("listed")

    @spantally.tool
    def inner(query: str) -> str:
        return query.upper()

    tools = spantally.wrap_tools({"search": Searching(), "list": Listing()})
    assert inspect.iscoroutinefunction(tools["search"])
    assert asyncio.run(tools["search"]("motors")) == "MOTORS"
    assert list(tools["list"]()) == ["LISTED"]
    inner_one, inner_two = (one for one in watched.of("tool") if one.name == "inner")
    around = {one.call_id: one.name for one in watched.of("tool")}
    assert [around[one.parent_call_id or ""] for one in (inner_one, inner_two)] == ["search", "list"]


def test_a_generator_that_is_awaited_stays_so(watched: Watched) -> None:
    """``types.coroutine`` makes coroutines of a generator function's generators."""

    @spantally.tool
    @types.coroutine
    def waits(value: int) -> Generator[Any, Any, int]:
        yield from asyncio.sleep(0).__await__()
        return value

    async def main() -> int:
        return await waits(4)

    assert asyncio.run(main()) == 4
    assert [one.name for one in watched.of("tool")] == ["waits"]


def test_a_cache_can_still_be_cleared(watched: Watched) -> None:
    """What is kept runs no function, but is an execution of the tool."""

    class Shop:
        @spantally.tool
        @functools.lru_cache
        def stock(self, item: str) -> str:
            return item

    shop = Shop()
    assert [shop.stock("a"), shop.stock("a")] == ["a", "a"]
    assert Shop.stock.cache_info().hits == 1
    Shop.stock.cache_clear()
    assert (Shop.stock.cache_info().hits, len(watched.of("tool"))) == (0, 2)


def test_closing_gives_what_the_body_gives(watched: Watched) -> None:
    """From Python 3.13 ``close()`` returns what the body returned."""

    def body() -> Generator[int, None, int]:
        try:
            yield 1
        except GeneratorExit:
            pass
        return 7

    closed: list[Any] = []
    for function in (body, spantally.agent(body)):
        running = function()
        next(running)
        closed.append(running.close())  # type: ignore[func-returns-value]
    assert closed[0] == closed[1]


def _told(act: Callable[[], Any]) -> Any:
    """What comes of something: a value, or an error with all that it stands in."""
    try:
        return act()
    except BaseException as error:
        chain: list[Any] = []
        at: BaseException | None = error
        while at is not None:
            chain.append((type(at), at.args))
            at = at.__context__
        return chain


def _generator_ends(decorate: Callable[[Any], Any]) -> list[Any]:
    def fails(value: int) -> Iterator[int]:
        try:
            yield value
        finally:
            raise ValueError("in the end")

    def stays(value: int) -> Iterator[int]:
        while True:
            try:
                yield value
            except GeneratorExit:
                yield -value

    found: list[Any] = []
    for body in (fails, stays):
        for act in (lambda one: one.close(), lambda one: (one.throw(GeneratorExit()), next(one))):
            running = decorate(body)(3)
            next(running)
            found.append(_told(functools.partial(act, running)))
            _told(running.close)
    return found


def _async_generator_ends(decorate: Callable[[Any], Any]) -> list[Any]:
    async def fails(value: int) -> AsyncIterator[int]:
        try:
            yield value
        finally:
            await asyncio.sleep(0)
            raise ValueError("in the end")

    async def stays(value: int) -> AsyncIterator[int]:
        for _ in range(2):
            try:
                yield value
            except GeneratorExit:
                yield -value

    async def thrown(one: Any) -> Any:
        return await one.athrow(GeneratorExit()), await anext(one)

    async def main(body: Any, act: Callable[[Any], Any]) -> Any:
        running = decorate(body)(3)
        await anext(running)
        try:
            return await act(running)
        finally:
            async for _ in running:
                pass

    acts: tuple[Callable[[Any], Any], ...] = (lambda one: one.aclose(), thrown)
    return [
        _told(lambda body=body, act=act: asyncio.run(main(body, act)))  # type: ignore[misc]
        for body in (fails, stays)
        for act in acts
    ]


@pytest.mark.parametrize("ends", [_generator_ends, _async_generator_ends])
def test_a_generator_that_is_told_to_end_answers_as_without_us(
    ends: Callable[[Callable[[Any], Any]], list[Any]], watched: Watched
) -> None:
    """Its errors stand in what they stand in, and what it yields still is yielded."""
    expected = ends(lambda function: function)
    assert ends(spantally.agent) == expected
    assert [one.abandoned for one in watched.of("agent")][:2] == [True, True]


class _Remote:
    """A stand-in for something remote, as of ``xmlrpc``: it answers whatever it is asked for."""

    def __getattr__(self, name: str) -> Any:
        return _Remote()

    def __call__(self, *args: Any) -> Any:
        return args


class _Gone(_Remote):
    """One that answers with an error."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("remote", [_Remote, _Gone])
def test_a_stand_in_for_something_remote_is_a_tool(remote: type[_Remote], watched: Watched) -> None:
    """It is called by what names it here."""
    assert spantally.wrap_tools({"search": remote()})["search"]("a") == ("a",)
    assert spantally.tool(remote())("b") == ("b",)
    assert [one.name for one in watched.of("tool")] == ["search", remote.__name__]


def test_a_partial_is_the_tool_of_its_function(watched: Watched) -> None:
    """Its name and description are the function's; those of ``functools.partial`` tell of no tool."""
    fixed = functools.partial(functools.partial(importable, value=3))
    assert (spantally.tool(fixed)(), spantally.wrap_tools({"six": fixed})["six"]()) == (6, 6)
    told = [attributes(span) for span in watched.spans]
    assert {one["gen_ai.tool.name"] for one in told} == {"importable", "six"}
    assert {one["gen_ai.tool.description"] for one in told} == {"Doubles a value."}


class _Thing:
    """Something that can be waited for to go."""


def _generator_keeps(decorate: Callable[[Any], Any]) -> dict[str, bool]:
    things: dict[str, weakref.ref[_Thing]] = {}

    def made(name: str) -> _Thing:
        thing = _Thing()
        things[name] = weakref.ref(thing)
        return thing

    def body(given: Any) -> Generator[Any, Any, None]:
        del given
        held = made("of a body that an error has ended")
        yield made("an item")
        yield None
        del held

    running = decorate(body)(made("an argument"))
    assert next(running) is not None
    found = {name: things[name]() is None for name in ("an item", "an argument")}
    running.send(made("what was sent"))
    with contextlib.suppress(KeyError):
        running.throw(KeyError())
    return found | {name: thing() is None for name, thing in things.items()}


def _async_keeps(decorate: Callable[[Any], Any]) -> dict[str, bool]:
    things: dict[str, weakref.ref[_Thing]] = {}

    def made(name: str) -> _Thing:
        thing = _Thing()
        things[name] = weakref.ref(thing)
        return thing

    async def body(given: Any) -> AsyncGenerator[Any, Any]:
        del given
        held = made("of a body that an error has ended")
        yield made("an item")
        yield None
        del held

    async def coroutine(given: Any) -> None:
        del given
        await asyncio.sleep(0)
        found["an argument of a coroutine"] = things["of a coroutine"]() is None

    found: dict[str, bool] = {}

    async def main() -> None:
        running = decorate(body)(made("an argument"))
        assert await anext(running) is not None
        found.update({name: things[name]() is None for name in ("an item", "an argument")})
        await running.asend(made("what was sent"))
        with contextlib.suppress(KeyError):
            await running.athrow(KeyError())
        found.update({name: thing() is None for name, thing in things.items()})
        await decorate(coroutine)(made("of a coroutine"))

    asyncio.run(main())
    return found


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("keeps", [_generator_keeps, _async_keeps])
def test_what_the_program_lets_go_goes(
    keeps: Callable[[Callable[[Any], Any]], dict[str, bool]], on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments, items and what an error held are as soon gone as without us, with no collection."""
    if not on:
        monkeypatch.setenv("SPANTALLY_DISABLED", "true")
    watched = Watched()
    gc.disable()
    try:
        expected = keeps(lambda function: function)
        assert all(expected.values())
        assert keeps(spantally.tool) == expected
    finally:
        gc.enable()
        watched.close()


@pytest.mark.parametrize("decorate", [spantally.tool, spantally.session("s-args")])
def test_a_generator_that_cannot_be_called_has_ended(watched: Watched, decorate: Any) -> None:
    """Wrong arguments, as models give them: the error is the program's, and nothing stays open."""

    def rows(number: int) -> Iterator[int]:
        yield number

    async def later_rows(number: int) -> AsyncIterator[int]:
        yield number

    async def read() -> None:
        await anext(decorate(later_rows)(wrong=1))

    with pytest.raises(TypeError, match="unexpected keyword argument 'wrong'"):
        next(decorate(rows)(wrong=1))
    with pytest.raises(TypeError, match="unexpected keyword argument 'wrong'"):
        asyncio.run(read())
    ended: list[Any] = [*watched.of("tool"), *(one for one in watched.sessions if one.end_ns is not None)]
    assert [one.status for one in ended] == ["error" if decorate is spantally.tool else "failed"] * 2


@pytest.mark.parametrize("on", [True, False])
def test_the_loop_closes_what_is_open_at_its_end(on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, without a word: ours closes the program's generator, and the loop knows one of the two."""
    if not on:
        monkeypatch.setenv("SPANTALLY_DISABLED", "true")
    watched = Watched()
    told: list[str] = []
    closed: list[int] = []

    @spantally.session(name="rows")
    @spantally.agent
    async def rows(number: int) -> AsyncIterator[int]:
        try:
            yield number
        finally:
            await asyncio.sleep(0)
            closed.append(number)

    kept: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
        kept.extend(rows(number) for number in range(5))
        assert [await anext(one) for one in kept] == list(range(5))

    try:
        asyncio.run(main())
        assert told == []
        assert sorted(closed) == list(range(5))
        if on:
            assert [(one.name, one.abandoned) for one in watched.of("agent")] == [("rows", True)] * 5
    finally:
        watched.close()
