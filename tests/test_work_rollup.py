"""An agent's span carries what the calls beneath it used: summed, once, with what is unknown said."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import spantally
from spantally.calls import rollup
from spantally.calls.rollup import Rollup
from spantally.ground import guard
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched, attributes

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}
ASKED: Any = {"include_usage": True}
USED = Usage(input=11, output=7)
IN, OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
UNKNOWN = "spantally.usage.unknown_calls"


def client_of(server: ScriptedServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-for-tests", max_retries=0)


def agents(watched: Watched) -> dict[str, dict[str, Any]]:
    """Attributes of the agents' spans by the agent's name."""
    found = [attributes(span) for span in watched.spans if span.name.startswith("invoke_agent")]
    return {one["gen_ai.agent.name"]: one for one in found}


def test_nested_agents_threads_and_sessions_are_summed(watched: Watched) -> None:
    """The outer agent has all calls beneath it, the inner its own, whatever thread or session they run in."""
    with ScriptedServer(Reply(usage=USED)) as server, client_of(server) as client:
        with spantally.agent("outer"):
            client.chat.completions.create(**CHAT)
            with spantally.session("within"), spantally.agent("inner"):
                thread = threading.Thread(target=lambda: client.chat.completions.create(**CHAT))
                thread.start()
                thread.join()
                list(client.chat.completions.create(**CHAT, stream=True, stream_options=ASKED))
        client.chat.completions.create(**CHAT)
    told = agents(watched)
    assert (told["outer"][IN], told["outer"][OUT]) == (33, 21)
    assert (told["inner"][IN], told["inner"][OUT]) == (22, 14)
    for one in told.values():
        assert one["gen_ai.request.model"] == "gpt-4o"
        assert one["gen_ai.response.finish_reasons"] == ["stop"]
        assert UNKNOWN not in one
        assert "gen_ai.provider.name" not in one
        assert "gen_ai.usage.cache_read.input_tokens" not in one


def test_more_than_one_model_is_none(watched: Watched) -> None:
    """An agent whose calls ask for different models names none."""
    with (
        ScriptedServer(Reply(usage=USED)) as server,
        client_of(server) as client,
        spantally.agent("planner"),
    ):
        for model in ("gpt-4o", "gpt-4o-mini", "o3"):
            client.chat.completions.create(**{**CHAT, "model": model})
    told = agents(watched)["planner"]
    assert told[IN] == 33
    assert "gen_ai.request.model" not in told


def test_what_is_unknown_is_said(watched: Watched) -> None:
    """A stream without usage and one left early are counted as unknown; a refused call used nothing."""
    script = [
        Reply(usage=USED),
        Reply(usage=USED),
        Reply(usage=USED),
        Reply(status=401, error={"message": "no", "code": "invalid_api_key"}),
    ]
    with ScriptedServer(script) as server, client_of(server) as client, spantally.agent("planner"):
        client.chat.completions.create(**CHAT)
        list(client.chat.completions.create(**CHAT, stream=True))
        for _ in client.chat.completions.create(**CHAT, stream=True, stream_options=ASKED):
            break
        gc.collect()
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(**CHAT)
    told = agents(watched)["planner"]
    assert (told[IN], told[OUT], told[UNKNOWN]) == (11, 7, 2)


def test_an_agent_without_calls_tells_no_usage(watched: Watched) -> None:
    """Where nothing was seen beneath, nothing is said: no zero stands for what is not known."""
    with spantally.agent("quiet"):
        pass
    told = agents(watched)["quiet"]
    assert not {IN, OUT, UNKNOWN, "gen_ai.response.finish_reasons"} & told.keys()


def test_a_call_that_ends_after_its_agent_is_the_outer_ones(watched: Watched) -> None:
    """A stream read after its agent has ended counts for the agent that still runs, and harms nothing."""
    with ScriptedServer(Reply(usage=USED)) as server, client_of(server) as client:
        outer = spantally.agent("outer")
        with outer:
            with spantally.agent("inner"):
                stream = client.chat.completions.create(**CHAT, stream=True, stream_options=ASKED)
            list(stream)
    told = agents(watched)
    assert IN not in told["inner"]
    assert told["outer"][IN] == 11


def test_concurrent_tasks_are_summed(watched: Watched) -> None:
    """Calls of tasks side by side are all in the sum, once each."""

    async def main(server: ScriptedServer) -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-x", max_retries=0) as client:
            with spantally.agent("planner"):
                await asyncio.gather(*(client.chat.completions.create(**CHAT) for _ in range(8)))

    with ScriptedServer(Reply(usage=USED)) as server:
        asyncio.run(main(server))
    assert agents(watched)["planner"][IN] == 88


def test_before_the_newest_conventions_agents_had_more() -> None:
    """In profile 1.41 an agent also has its provider and the cached tokens, spelled as then."""
    watched = Watched(semconv="1.41")
    usage = {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    }
    try:
        with (
            ScriptedServer([Reply(usage=usage)]) as server,
            client_of(server) as client,
            spantally.agent("planner"),
        ):
            client.chat.completions.create(**CHAT)
        told = agents(watched)["planner"]
    finally:
        watched.close()
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.usage.cache_read.input_tokens"] == 4
    assert told["gen_ai.usage.cache_creation.input_tokens"] == 2


def test_unsampled_agents_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no span is recorded no sum is kept."""
    made: list[Any] = []
    monkeypatch.setattr(Rollup, "__init__", lambda self, around: made.append(self))
    watched = Watched(sampler=ALWAYS_OFF)
    try:
        with ScriptedServer() as server, client_of(server) as client, spantally.agent("planner"):
            client.chat.completions.create(**CHAT)
    finally:
        watched.close()
    assert made == []


def test_a_failing_sum_is_not_noticed(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours in adding up leaves call, agent and their spans as they are."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(rollup.Rollup, "_add", fail)
    with ScriptedServer() as server, client_of(server) as client, spantally.agent("planner"):
        assert client.chat.completions.create(**CHAT).choices
    assert {span.name for span in watched.spans} == {"invoke_agent planner", "chat gpt-4o"}
    assert guard.failures[("calls.rollup", "RuntimeError")] >= 1
