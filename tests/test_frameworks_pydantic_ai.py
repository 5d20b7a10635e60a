"""pydantic-ai: the same agents, tools, calls and totals with its own instrumentation on and off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pydantic_ai = pytest.importorskip("pydantic_ai")

import openai
import wrapt
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import RequestUsage

import spantally
from frameworks_kit import KEY, billed, counted, script, tree
from spantally.testing import Reply, Request, ScriptedServer, ToolCall, Usage
from watching import Watched, attributes

EXPECTED = [
    "agent Researcher",
    "agent Researcher > inference gpt-4o",
    "agent Researcher > tool lookup",
    "agent Researcher > inference gpt-4o",
]


def run(server: ScriptedServer, work: Callable[[Any], Any], kind: Any = OpenAIChatModel) -> Any:
    """Run a coroutine function over a model of the scripted server."""

    async def whole() -> Any:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
            return await work(kind("gpt-4o", provider=OpenAIProvider(openai_client=client)))

    return asyncio.run(whole())


def researcher(model: Any, watched: Watched, *, native: bool) -> Any:
    """An agent with one tool, traced by pydantic-ai itself or not."""
    agent = pydantic_ai.Agent(model, name="Researcher")
    if native:
        agent.instrument = InstrumentationSettings(tracer_provider=watched.provider)

    @agent.tool_plain
    def lookup(word: str) -> str:
        """Look a word up."""
        return f"found {word}"

    return agent


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("how", ["run", "run_stream", "iter", "run_stream_events"])
@pytest.mark.parametrize("kind", [OpenAIChatModel, OpenAIResponsesModel])
def test_rows_and_totals_are_the_same_on_and_off(kind: Any, how: str, native: bool, watched: Watched) -> None:
    """Agent, calls and tool nest, each has one span, and the ledger's sum is the server's bill."""

    async def work(model: Any) -> None:
        agent = researcher(model, watched, native=native)
        with spantally.session("thread-7"):
            if how == "run":
                await agent.run("hello")
            elif how == "run_stream":
                async with agent.run_stream("hello") as result:
                    async for _ in result.stream_text():
                        pass
            elif how == "iter":
                async with agent.iter("hello") as steps:
                    async for _ in steps:
                        pass
            else:
                async with agent.run_stream_events("hello") as events:
                    async for _ in events:
                        pass

    with ScriptedServer(script) as server:
        run(server, work, kind)
        assert counted(watched) == billed(server) == (2, 311, 22)
    assert tree(watched.records) == EXPECTED
    assert {row.session_id for row in watched.records} == {"thread-7"}
    assert {row.agent_path for row in watched.records} == {("Researcher",)}
    assert [row.status for row in watched.records] == ["ok"] * 4
    assert watched.of("tool")[0].tool_call_id is not None
    assert watched.of("agent")[0].turn
    assert [span.name.split()[0] for span in watched.spans] == [
        "invoke_agent",
        "chat",
        "execute_tool",
        "chat",
    ]
    by_id = {span.span_id: span.name for span in watched.spans}
    assert [by_id.get(span.parent_span_id) for span in watched.spans] == [
        None,
        *["invoke_agent Researcher"] * 3,
    ]
    told = {attributes(span)["spantally.call.id"] for span in watched.spans}
    assert told == {row.call_id for row in watched.records}


@pytest.mark.parametrize("native", [False, True])
def test_delegates_errors_and_calls_inside_tools(native: bool, watched: Watched) -> None:
    """An agent that a tool runs, the SDK used straight in a tool, and a tool that fails."""

    def answers(request: Request) -> Reply:
        if "inner" in request.last_text:
            return Reply(text="inner answer", usage=Usage(input=1, output=1))
        if any(one.get("role") == "tool" for one in (request.body or {})["messages"]):
            return Reply(text="done", usage=Usage(input=20, output=5))
        return Reply(tool_calls=(ToolCall("delegate"), ToolCall("straight")), usage=Usage(input=10, output=4))

    async def work(model: Any) -> None:
        boss = researcher(model, watched, native=native)
        helper = pydantic_ai.Agent(model, name="Helper")
        if native:
            helper.instrument = boss.instrument

        @boss.tool_plain
        async def delegate() -> str:
            return str((await helper.run("inner")).output)

        @boss.tool_plain
        async def straight() -> str:
            await model.client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "inner"}]
            )
            return "done"

        await boss.run("hello")

    with ScriptedServer(answers) as server:
        run(server, work)
        assert counted(watched) == billed(server) == (4, 32, 11)
    assert sorted(tree(watched.records)) == [
        "agent Researcher",
        "agent Researcher > inference gpt-4o",
        "agent Researcher > inference gpt-4o",
        "agent Researcher > tool delegate",
        "agent Researcher > tool delegate > agent Helper",
        "agent Researcher > tool delegate > agent Helper > inference gpt-4o",
        "agent Researcher > tool straight",
        "agent Researcher > tool straight > inference gpt-4o",
    ]


@pytest.mark.parametrize("native", [False, True])
def test_exceptions_pass_and_are_told(native: bool, watched: Watched) -> None:
    """A tool's exception reaches the program unchanged; tool and agent are errors."""

    async def work(model: Any) -> None:
        agent = researcher(model, watched, native=native)

        @agent.tool_plain
        def broken() -> str:
            raise KeyError("x")

        await agent.run("hello")

    reply = Reply(tool_calls=(ToolCall("broken"),), usage=Usage(input=10, output=4))
    with ScriptedServer(reply) as server, pytest.raises(KeyError):
        run(server, work)
    assert [(row.kind, row.status) for row in watched.records] == [
        ("agent", "error"),
        ("inference", "ok"),
        ("tool", "error"),
    ]


class Other(Model):
    """A model over an SDK that nobody patches."""

    @property
    def model_name(self) -> str:
        """Its name."""
        return "gemini-2.5-flash"

    @property
    def system(self) -> str:
        """Its provider."""
        return "google-gla"

    async def request(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Answer."""
        usage = RequestUsage(input_tokens=1000, output_tokens=100, cache_read_tokens=400)
        return ModelResponse(
            parts=[TextPart("hi")],
            usage=usage,
            model_name="gemini-2.5-flash",
            provider_name="google-gla",
            provider_response_id="g-1",
        )


@pytest.mark.parametrize("native", [False, True])
def test_model_of_no_patched_sdk_is_counted(
    native: bool, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pydantic-ai reads of Gemini's usage is counted once, as one span, traced by itself or not."""
    from spantally.instrumentors.pydantic_ai import hooks

    hooks.use(lambda: spantally.PydanticAIInstrumentor().telemetry)
    monkeypatch.setattr(Other, "request", wrapt.FunctionWrapper(Other.request, hooks.request))
    agent = researcher(Other(), watched, native=native)
    asyncio.run(agent.run("hello"))
    assert counted(watched) == (1, 1000, 100)
    (row,) = watched.of("inference")
    assert (row.provider, row.request_model, row.response_id) == ("gcp.gemini", "gemini-2.5-flash", "g-1")
    assert row.agent_path == ("Researcher",)
    assert [span.name for span in watched.spans] == ["invoke_agent Researcher", "chat gemini-2.5-flash"]


def test_uninstrument_takes_the_hooks_out(watched: Watched) -> None:
    """Without our hooks pydantic-ai runs as before, and its calls are counted all the same."""

    async def work(model: Any) -> None:
        spantally.PydanticAIInstrumentor().uninstrument()
        await researcher(model, watched, native=False).run("hello")
        spantally.PydanticAIInstrumentor().instrument()

    with ScriptedServer(script) as server:
        run(server, work)
        assert counted(watched) == billed(server)
    assert {row.kind for row in watched.records} == {"inference", "tool"}  # the tool by its result alone
    assert watched.of("tool")[0].inferred


def test_limits_of_the_program_hold(watched: Watched) -> None:
    """A loop guard stops a tool that is called alike again and again, as it does for tools of ours."""
    reply = Reply(tool_calls=(ToolCall("lookup", {"word": "x"}),), usage=Usage(input=10, output=4))

    async def work(model: Any) -> None:
        guard_of_loops = spantally.LoopGuard(identical=3, on_loop="raise")
        with spantally.session("mine", loop_guard=guard_of_loops):
            await researcher(model, watched, native=False).run("hello")

    with ScriptedServer(reply) as server, pytest.raises(spantally.LoopDetected):
        run(server, work)
    assert [row.status for row in watched.of("tool")][-1] == "error"
