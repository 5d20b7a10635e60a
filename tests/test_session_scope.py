"""Sessions: whose work it is, across tasks, threads, generators, and what is inherited."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation

import spantally
from spantally.ground.scope import Scope, current_scope
from spantally.ground.session_state import SessionState
from spantally.testing import ScriptedServer
from watching import Watched, attributes


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, text: str = "hello") -> None:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])


def here() -> str | None:
    """The session in force."""
    scope = current_scope()
    return None if scope is None else scope.session.session_id


def test_call_carries_session_user_entity_tags(watched: Watched, client: openai.OpenAI) -> None:
    """Row and span carry what the session says, the span by the standard keys."""
    with spantally.session(
        "chat-42", user="alice", entity=("customer", "acme"), tags={"feature": "search"}, name="chat"
    ):
        ask(client)
    (record,) = watched.records
    assert (record.session_id, record.user_id) == ("chat-42", "alice")
    assert (record.entity_type, record.entity_id) == ("customer", "acme")
    assert record.tags == (("feature", "search"),)
    span = attributes(watched.spans[0])
    assert span["session.id"] == "chat-42"
    assert span["gen_ai.conversation.id"] == "chat-42"
    assert span["user.id"] == "alice"
    assert span["spantally.entity.id"] == "acme"
    assert span["spantally.tag.feature"] == "search"


def test_other_spans_are_stamped_without_genai_keys(watched: Watched) -> None:
    """An http or db span inside a session carries the session, and no gen_ai key that changes its look."""
    tracer = trace.get_tracer("db", tracer_provider=watched.provider)
    with spantally.session("s", user="u"), tracer.start_as_current_span("SELECT"):
        pass
    span = attributes(watched.spans[0])
    assert span["session.id"] == "s"
    assert not [key for key in span if key.startswith("gen_ai.")]


def test_inner_session_is_a_child_and_inherits(watched: Watched, client: openai.OpenAI) -> None:
    """A session inside another rolls up; user and entity are inherited, tags merged, the inner wins."""
    with spantally.session("outer", user="u", tags={"a": "1", "b": "1"}) as outer:
        ask(client)
        with spantally.session("inner", tags={"b": "2"}) as inner:
            ask(client)
        with spantally.session("outer"):
            ask(client)
    assert (inner.totals.calls, outer.totals.calls) == (1, 3)
    first, second, third = watched.records
    assert [record.session_id for record in (first, second, third)] == ["outer", "inner", "outer"]
    assert second.user_id == "u"
    assert second.tags == (("a", "1"), ("b", "2"))
    parents = {record.session_id: record.parent_id for record in watched.sessions}
    assert parents == {"outer": None, "inner": "outer"}


def test_session_ids_given_by_us_are_no_conversation(watched: Watched, client: openai.OpenAI) -> None:
    """The conventions forbid inventing a conversation id: only a given session id is one."""
    with spantally.session():
        ask(client)
    assert "gen_ai.conversation.id" not in attributes(watched.spans[0])


def test_calls_outside_belong_to_one_implicit_session(watched: Watched, client: openai.OpenAI) -> None:
    """Without a session, calls of one run share one, marked implicit and named after the program."""
    ask(client)
    ask(client)
    first, second = watched.records
    assert first.session_id == second.session_id
    assert first.implicit_session
    assert first.session_name


def test_environment_names_the_implicit_session(
    watched: Watched, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPANTALLY_SESSION is the session of calls outside any."""
    monkeypatch.setenv("SPANTALLY_SESSION", "nightly")
    ask(client)
    assert watched.records[0].session_id == "nightly"


def test_exception_fails_the_session(watched: Watched) -> None:
    """An exception in the block leaves unmodified and fails the session."""
    error = RuntimeError("mine")
    with pytest.raises(RuntimeError) as raised, spantally.session("s"):
        raise error
    assert raised.value is error
    ended = watched.sessions[-1]
    assert (ended.status, ended.error_type) == ("failed", "RuntimeError")


def test_threads_and_pools_keep_the_session(watched: Watched) -> None:
    """A thread keeps its starter's session; a pool's worker takes that of each task, and none between."""
    seen: dict[str, str | None] = {}
    pool = ThreadPoolExecutor(1)

    def note(name: str) -> None:
        seen[name] = here()

    class Own(threading.Thread):
        def run(self) -> None:
            note("subclass")

    with spantally.session("a"):
        pool.submit(note, "pool a").result()
        thread = threading.Thread(target=note, args=("thread",))
        thread.start()
        thread.join()
        own = Own()
        own.start()
        own.join()
        list(pool.map(note, ["map"]))
    with spantally.session("b"):
        pool.submit(note, "pool b").result()
    pool.submit(note, "pool none").result()
    pool.shutdown()
    assert seen == {
        "pool a": "a",
        "thread": "a",
        "subclass": "a",
        "map": "a",
        "pool b": "b",
        "pool none": None,
    }
    assert "run" not in own.__dict__


def test_asyncio_tasks_keep_the_session(watched: Watched) -> None:
    """Tasks, to_thread and executors keep the session of where they were made."""

    async def main() -> tuple[Any, ...]:
        async def one(name: str) -> Any:
            async with spantally.session(name):
                await asyncio.sleep(0.01)
                loop = asyncio.get_running_loop()
                in_executor = await loop.run_in_executor(None, here)
                return here(), await asyncio.to_thread(here), in_executor

        return tuple(await asyncio.gather(one("x"), one("y")))

    assert asyncio.run(main()) == (("x", "x", "x"), ("y", "y", "y"))


def test_suspended_generator_does_not_leak(watched: Watched) -> None:
    """A session entered in a generator body holds inside and not in its driver while it rests."""

    def body() -> Generator[str | None, None, None]:
        with spantally.session("inside"):
            yield here()
            yield here()

    generator = body()
    assert next(generator) == "inside"
    assert here() is None
    with spantally.session("driver"):
        assert next(generator) == "inside"
        assert here() == "driver"
    generator.close()
    assert here() is None
    assert otel_context.get_current().get("x") is None


def test_suspended_async_generator_does_not_leak(watched: Watched) -> None:
    """The same for an asynchronous generator."""

    async def body() -> AsyncIterator[str | None]:
        async with spantally.session("inside"):
            yield here()
            yield here()

    async def main() -> list[str | None]:
        generator = body()
        first = await anext(generator)
        between = here()
        second = await anext(generator)
        await generator.aclose()  # type: ignore[attr-defined]
        return [first, between, second, here()]

    assert asyncio.run(main()) == ["inside", None, "inside", None]


def test_contextmanager_holds_in_its_body(watched: Watched) -> None:
    """A session that a contextlib context manager enters is in force in the with-body."""

    @contextlib.contextmanager
    def managed() -> Iterator[None]:
        with spantally.session("managed"):
            yield

    with managed():
        assert here() == "managed"
    assert here() is None


def test_session_decorator_on_every_kind(watched: Watched) -> None:
    """@session runs functions, coroutines and generators of both kinds inside a session of their own."""

    @spantally.session("d")
    def plain() -> str | None:
        return here()

    @spantally.session
    async def coroutine() -> str | None:
        return here()

    @spantally.session("g")
    def generator() -> Iterator[str | None]:
        yield here()
        yield here()

    @spantally.session("ag")
    async def async_generator() -> AsyncIterator[str | None]:
        yield here()

    assert plain() == "d"
    made = asyncio.run(coroutine())
    assert made is not None
    assert made != "d"
    running = generator()
    assert next(running) == "g"
    assert here() is None
    assert list(running) == ["g"]

    async def main() -> list[str | None]:
        return [item async for item in async_generator()]

    assert asyncio.run(main()) == ["ag"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"id": ""},
        {"id": "x" * 300},
        {"id": "line\nbreak"},
        {"id": 7},
        {"user": ""},
        {"entity": "acme"},
        {"entity": ("customer",)},
        {"tags": {"a b": "1"}},
        {"tags": {"a": 1}},
        {"tags": {f"k{index}": "v" for index in range(60)}},
        {"tags": {f"k{index}": "v" * 250 for index in range(40)}},
    ],
)
def test_wrong_arguments_are_value_errors(arguments: dict[str, Any]) -> None:
    """A wrong argument raises a ValueError that names it, before any effect."""
    before = otel_context.get_current()
    with pytest.raises(ValueError, match=r"id|user|entity|tag"):
        spantally.session(**arguments)
    assert otel_context.get_current() is before


def test_paused_and_suppressed(watched: Watched, client: openai.OpenAI) -> None:
    """paused() gives neither span nor row; suppress_instrumentation gives a row without a span."""
    with spantally.paused():
        ask(client)
    assert watched.records == []
    with suppress_instrumentation():
        ask(client)
    assert len(watched.records) == 1
    assert watched.spans == []


def test_totals_are_live(watched: Watched, client: openai.OpenAI, server: ScriptedServer) -> None:
    """Totals hold each call as soon as it has ended, with its cost."""
    with spantally.session() as session:
        assert session.totals.calls == 0
        assert session.totals.cost_nano_usd == 0
        ask(client)
        totals = session.totals
        billed = server.billed["gpt-4o"]
        assert (totals.calls, totals.input_tokens, totals.output_tokens) == (1, billed.input, billed.output)
        assert totals.cost_nano_usd == billed.input * 2500 + billed.output * 10_000
        client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "x"}])
        assert (session.totals.calls, session.totals.unpriced_calls) == (2, 1)


def test_begin_and_finish(watched: Watched) -> None:
    """A session can be begun and finished without a block, with an outcome."""
    session = spantally.session("b").begin()
    assert here() == "b"
    session.finish(success=False, reason="gave up")
    assert here() is None
    assert (watched.sessions[-1].status, watched.sessions[-1].reason) == ("failed", "gave up")


def test_reason_is_not_kept_where_nothing_may_be() -> None:
    """ledger_content="never" keeps not even the reason that a program gives."""
    watched = Watched(ledger_content="never")
    try:
        spantally.session("n").begin().finish(success=False, reason="the prompt was odd")
        assert watched.sessions[-1].reason is None
        assert watched.sessions[-1].status == "failed"
    finally:
        watched.close()


_NAMES = ("session", "user_id", "entity_type", "entity_id", "tags", "conversation_id", "agent_path", "run_id")


@pytest.mark.parametrize(
    "name", [*_NAMES, "tool", "stamps", "rollup", "beneath", "_frame", "_thread", "_task"]
)
def test_the_scope_within_a_call_says_what_the_one_around_it_says(name: str) -> None:
    """But for the call itself, and also of a scope within one within it."""
    state = SessionState("s", start_ns=1)
    around = Scope(
        state,
        user_id="u",
        entity_type="customer",
        entity_id="acme",
        tags=(("a", "b"),),
        conversation_id="c",
        agent_path=("planner",),
        call_id="1",
        run_id="2",
        tool="search",
    )
    around.stamps = ("stamps",)
    around.rollup = ("sums",)
    within = around.inside("3").inside("4")
    assert getattr(within, name) == getattr(around, name)
    assert getattr(within, name) is getattr(within, name)
    assert (within.call_id, around.call_id) == ("4", "1")
    child = within.child(call_id="5")
    assert (child.parent, child.user_id, child.run_id, child.rollup) == (within, "u", "2", ("sums",))


def test_the_scope_within_a_call_is_not_left_because_that_around_it_is() -> None:
    """Whether a scope was entered and left is its own; a name that nobody has is an AttributeError."""
    around = Scope(SessionState("s", start_ns=1))
    around.hold_to(None)
    within = around.inside("1")
    around.release(Context())
    assert around._thread < 0
    assert within._thread == 0
    assert not hasattr(within, "_left_to")
    assert not hasattr(around, "nothing")
