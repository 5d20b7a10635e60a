"""``attribute()`` and ``bind()``: whom calls are for, without a session of their own."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

import spantally
from spantally.ground.scope import current_scope
from spantally.testing import ScriptedServer
from watching import Watched, attributes

MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI) -> Any:
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES)


def test_attribute_changes_whom_a_call_is_for(watched: Watched, client: openai.OpenAI) -> None:
    """Inside the block user, entity and tags are others, in the same session and beneath the same agent."""
    with spantally.session("s", user="alice", tags={"a": "1", "b": "1"}), spantally.agent("planner"):
        ask(client)
        with spantally.attribute(user="bob", entity="customer:acme", tags={"b": "2"}):
            ask(client)
            with spantally.attribute(tags={"c": "3"}):
                ask(client)
        ask(client)
    calls = watched.of("inference")
    assert {call.session_id for call in calls} == {"s"}
    assert {call.agent_path for call in calls} == {("planner",)}
    assert [call.user_id for call in calls] == ["alice", "bob", "bob", "alice"]
    assert [call.entity_id for call in calls] == [None, "acme", "acme", None]
    assert [dict(call.tags) for call in calls] == [
        {"a": "1", "b": "1"},
        {"a": "1", "b": "2"},
        {"a": "1", "b": "2", "c": "3"},
        {"a": "1", "b": "1"},
    ]
    told = [attributes(span) for span in watched.spans if span.name == "chat gpt-4o"]
    assert [one["user.id"] for one in told] == ["alice", "bob", "bob", "alice"]
    assert [one.get("spantally.tag.c") for one in told] == [None, None, "3", None]
    (agent,) = watched.of("agent")
    assert {call.parent_call_id for call in calls} == {agent.call_id}


def test_attribute_outside_a_session(watched: Watched, client: openai.OpenAI) -> None:
    """The session is the run's own; the block ends with the block."""
    with spantally.attribute(user="bob"):
        ask(client)
    ask(client)
    first, second = watched.of("inference")
    assert (first.user_id, second.user_id) == ("bob", None)
    assert first.session_id == second.session_id
    assert first.implicit_session
    assert current_scope() is None


def test_attribute_in_tasks(watched: Watched, server: ScriptedServer) -> None:
    """Tasks that run side by side keep their own."""

    async def one(client: openai.AsyncOpenAI, user: str) -> None:
        async with spantally.attribute(user=user):
            await asyncio.sleep(0)
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-made-up") as client:
            with spantally.session("s"):
                await asyncio.gather(*(one(client, f"u{n}") for n in range(5)))

    asyncio.run(main())
    assert sorted(str(call.user_id) for call in watched.of("inference")) == [f"u{n}" for n in range(5)]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"user": ""},
        {"entity": "acme"},
        {"tags": {"a": 1}},
        {"tags": {f"k{n}": "v" for n in range(100)}},
    ],
)
def test_a_wrong_attribution_is_refused(watched: Watched, client: openai.OpenAI, wrong: Any) -> None:
    """attribute() and bind() raise a ValueError before any effect."""
    with pytest.raises(ValueError):
        spantally.attribute(**wrong)
    with pytest.raises(ValueError):
        spantally.bind(client, **wrong)
    with pytest.raises(ValueError, match="pass a client of an SDK: OpenAI, AsyncOpenAI, Anthropic"):
        spantally.bind("client", user="u")
    with pytest.raises(ValueError, match="enter the session first"):
        spantally.bind(client, session=spantally.session())
    ask(client)
    assert watched.of("inference")[0].user_id is None


def test_a_bound_client_carries_what_it_is_bound_to(watched: Watched, client: openai.OpenAI) -> None:
    """Every call of it, and none of the client that it was made from."""
    ask(client)  # the given client has made its resources
    bound = spantally.bind(client, session="chat-7", user="bob", entity=("customer", "acme"), tags={"a": "1"})
    assert type(bound) is type(client)
    ask(bound)
    ask(client)
    _, told, plain = watched.of("inference")
    assert (told.session_id, told.user_id, told.entity_id, dict(told.tags)) == (
        "chat-7",
        "bob",
        "acme",
        {"a": "1"},
    )
    assert told.conversation_id == "chat-7"
    assert plain.user_id is None
    assert plain.session_id != "chat-7"
    span = attributes(watched.spans[1])
    assert (span["session.id"], span["user.id"]) == ("chat-7", "bob")
    assert current_scope() is None


def test_every_way_of_a_bound_client(watched: Watched, client: openai.OpenAI) -> None:
    """Streams, raw responses, copies with options, embeddings and threads are all of the bound one."""
    bound = spantally.bind(client, session="chat-7")
    list(bound.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    bound.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
    bound.with_raw_response.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    bound.with_options(timeout=5).with_options(max_retries=1).embeddings.create(model="e", input="x")
    ask(bound.copy(timeout=3))
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: ask(bound), range(6)))
    assert {record.session_id for record in watched.records} == {"chat-7"}
    assert len(watched.records) == 11


def test_a_bound_client_inside_a_session(watched: Watched, client: openai.OpenAI) -> None:
    """What is bound nowhere is that of the session in force; the agent around stays the parent."""
    bound = spantally.bind(client, tags={"b": "2"})
    with spantally.session("s", user="alice", tags={"a": "1"}) as session, spantally.agent("planner"):
        ask(bound)
        ask(spantally.bind(bound, session=session, user="bob"))
    first, second = watched.of("inference")
    assert (first.session_id, first.user_id, dict(first.tags)) == ("s", "alice", {"a": "1", "b": "2"})
    assert (second.session_id, second.user_id, dict(second.tags)) == ("s", "bob", {"a": "1", "b": "2"})
    assert first.agent_path == second.agent_path == ("planner",)


def test_an_asynchronous_bound_client(watched: Watched, server: ScriptedServer) -> None:
    """The same without a thread."""

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-made-up") as client:
            bound = spantally.bind(client, user="bob")
            await asyncio.gather(
                *(bound.chat.completions.create(model="gpt-4o", messages=MESSAGES) for _ in range(3)),
                *(client.chat.completions.create(model="gpt-4o", messages=MESSAGES) for _ in range(3)),
            )
            stream: Any = await bound.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            assert [chunk async for chunk in stream]

    asyncio.run(main())
    users = [call.user_id for call in watched.of("inference")]
    assert (users.count("bob"), users.count(None)) == (4, 3)


class Own(openai.OpenAI):
    """A client of the program's own, whose constructor takes other arguments."""

    def __init__(self, server: ScriptedServer) -> None:
        super().__init__(base_url=server.base_url, api_key="sk-made-up")


def test_a_subclass_with_a_constructor_of_its_own(watched: Watched, server: ScriptedServer) -> None:
    """It is bound without being made anew."""
    with Own(server) as client:
        bound = spantally.bind(client, user="bob")
        assert type(bound) is Own
        ask(bound)
    assert watched.of("inference")[0].user_id == "bob"


def test_a_binding_that_fails_is_not_noticed(
    watched: Watched, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is made and metered as if the client were not bound."""
    bound = spantally.bind(client, user="bob")

    def fail(*_: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr("spantally.api.attribution.Binding.within", fail)
    monkeypatch.setattr("spantally.api.attribution.Entered", fail)
    with spantally.attribute(user="carol"):
        assert ask(bound).choices
    assert watched.of("inference")[0].user_id is None


def test_bound_without_instrumentation(server: ScriptedServer) -> None:
    """A bound client of a program that is not instrumented works as any."""
    spantally.uninstrument()
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client:
        assert ask(spantally.bind(client, user="bob")).choices
        with spantally.attribute(user="bob"), spantally.untracked():
            assert pickle.loads(pickle.dumps(ask(client))).choices


def test_a_client_that_is_bound_twice(watched: Watched, client: openai.OpenAI) -> None:
    """What the second binding does not say the first one does; the first client stays as it is."""
    first = spantally.bind(client, session="chat-7", user="bob", tags={"a": "1", "b": "1"})
    second = spantally.bind(first, entity=("customer", "acme"), tags={"b": "2"})
    with spantally.session("around", user="alice"):
        ask(second)
        ask(second.with_options(timeout=5))
        ask(first)
    calls = watched.of("inference")
    assert {call.session_id for call in calls} == {"chat-7"}
    assert [call.user_id for call in calls] == ["bob", "bob", "bob"]
    assert [call.entity_id for call in calls] == ["acme", "acme", None]
    assert [dict(call.tags) for call in calls] == [
        {"a": "1", "b": "2"},
        {"a": "1", "b": "2"},
        {"a": "1", "b": "1"},
    ]
