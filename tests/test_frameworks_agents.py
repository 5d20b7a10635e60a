"""openai-agents: its spans become agents and tools, its model calls count once, its export goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

agents = pytest.importorskip("agents")

import openai

import spantally
from frameworks_kit import KEY, billed, counted, script, tree
from spantally.testing import Reply, Request, ScriptedServer, ToolCall, Usage
from watching import Watched, attributes

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Theirs:
    """A trace processor of the program's own."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def on_trace_start(self, trace: Any) -> None:
        """Not looked at."""

    def on_trace_end(self, trace: Any) -> None:
        """Not looked at."""

    def on_span_start(self, span: Any) -> None:
        """Not looked at."""

    def on_span_end(self, span: Any) -> None:
        """Keep the kind."""
        self.ended.append(span.span_data.type)

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self) -> None:
        """Nothing waits."""


@pytest.fixture(autouse=True)
def theirs(watched: Watched) -> Iterator[Theirs]:
    """The program replaces the SDK's exporter, which would ask for the network, by its own."""
    made = Theirs()
    agents.set_trace_processors([made])
    yield made
    agents.set_trace_processors([])


@agents.function_tool
def lookup(word: str) -> str:
    """Look a word up."""
    return f"found {word}"


@agents.function_tool
def broken(word: str) -> str:
    """Fail."""
    raise KeyError(word)


def run(server: ScriptedServer, work: Callable[[Any], Any], api: str = "responses") -> Any:
    """Run a coroutine function over a model of the scripted server."""

    async def whole() -> Any:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
            if api == "responses":
                model: Any = agents.OpenAIResponsesModel("gpt-4o", openai_client=client)
            else:
                model = agents.OpenAIChatCompletionsModel("gpt-4o", openai_client=client)
            return await work(model)

    return asyncio.run(whole())


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", ["responses", "chat_completions"])
def test_agent_calls_and_tools_nest(api: str, streamed: bool, watched: Watched, theirs: Theirs) -> None:
    """An agent with its calls and its tool beneath, the server's bill, and one span for each."""

    async def work(model: Any) -> None:
        settings = agents.ModelSettings(include_usage=True)
        agent = agents.Agent(name="Researcher", model=model, tools=[lookup], model_settings=settings)
        with spantally.session("thread-7"):
            if streamed:
                async for _ in agents.Runner.run_streamed(agent, "hello").stream_events():
                    pass
            else:
                await agents.Runner.run(agent, "hello")

    with ScriptedServer(script) as server:
        run(server, work, api)
        assert counted(watched) == billed(server) == (2, 311, 22)
    assert tree(watched.records) == [
        "agent Researcher",
        "agent Researcher > inference gpt-4o",
        "agent Researcher > tool lookup",
        "agent Researcher > inference gpt-4o",
    ]
    assert {row.session_id for row in watched.records} == {"thread-7"}
    (tool,) = watched.of("tool")
    assert (tool.status, tool.tool_call_id is not None) == ("ok", True)
    assert len(watched.spans) == 4
    told = attributes(next(span for span in watched.spans if span.name == "invoke_agent Researcher"))
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (311, 22)
    assert "agent" in theirs.ended
    assert "function" in theirs.ended


def test_handoffs_go_on_with_the_run(watched: Watched) -> None:
    """The agent that another hands over to is an agent of the same run, and the handoff is a tool."""

    def answers(request: Request) -> Reply:
        if any(one.get("type") == "function_call_output" for one in (request.body or {})["input"]):
            return Reply(text="done", usage=Usage(input=20, output=5))
        return Reply(tool_calls=(ToolCall("transfer_to_billing_desk"),), usage=Usage(input=10, output=4))

    async def work(model: Any) -> None:
        desk = agents.Agent(name="Billing desk", model=model)
        await agents.Runner.run(agents.Agent(name="Triage", model=model, handoffs=[desk]), "hello")

    with ScriptedServer(answers) as server:
        run(server, work)
        assert counted(watched) == billed(server) == (2, 30, 9)
    assert tree(watched.records) == [
        "agent Triage",
        "agent Triage > inference gpt-4o",
        "agent Triage > tool transfer_to_billing_desk",
        "agent Billing desk",
        "agent Billing desk > inference gpt-4o",
    ]
    first, second = watched.of("agent")
    assert (first.turn, second.turn) == (True, False)
    assert second.run_id == first.call_id
    assert not watched.of("tool")[0].inferred


def test_errors_agents_as_tools_and_guardrails(watched: Watched) -> None:
    """A failed tool is an error; an agent used as a tool is one beneath it; a guardrail has its row."""

    def answers(request: Request) -> Reply:
        told = [one for one in (request.body or {})["input"] if one.get("type") == "function_call_output"]
        if "inner task" in request.last_text and not told:
            return Reply(text="inner answer", usage=Usage(input=1, output=1))
        if told:
            return Reply(text="done", usage=Usage(input=20, output=5))
        calls = (ToolCall("broken", {"word": "x"}), ToolCall("helper", {"input": "inner task"}))
        return Reply(tool_calls=calls, usage=Usage(input=10, output=4))

    @agents.input_guardrail
    async def polite(context: Any, agent: Any, given: Any) -> Any:
        return agents.GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)

    async def work(model: Any) -> None:
        helper = agents.Agent(name="Helper", model=model).as_tool("helper", "Helps.")
        agent = agents.Agent(name="Boss", model=model, tools=[broken, helper], input_guardrails=[polite])
        await agents.Runner.run(agent, "hello")

    with ScriptedServer(answers) as server:
        run(server, work)
        assert counted(watched) == billed(server)
    assert sorted(tree(watched.records)) == [
        "agent Boss",
        "agent Boss > inference gpt-4o",
        "agent Boss > inference gpt-4o",
        "agent Boss > tool broken",
        "agent Boss > tool helper",
        "agent Boss > tool helper > agent Helper",
        "agent Boss > tool helper > agent Helper > inference gpt-4o",
        "agent Boss > tool polite",
    ]
    by_name = {row.name: row for row in watched.of("tool")}
    assert (by_name["broken"].status, by_name["broken"].error_type) == ("error", "tool_error")
    assert by_name["polite"].status == by_name["helper"].status == "ok"


def test_failed_run_is_an_error(watched: Watched) -> None:
    """The program's exception goes through unchanged, and the agent's row is an error."""

    async def work(model: Any) -> None:
        await agents.Runner.run(agents.Agent(name="Researcher", model=model), "hello")

    with ScriptedServer(Reply(status=400, error="no")) as server, pytest.raises(openai.BadRequestError):
        run(server, work)
    (agent,) = watched.of("agent")
    assert agent.status == "error"


def test_model_of_no_patched_sdk_is_counted(watched: Watched) -> None:
    """What the framework says of a model that nobody patches is counted, with its provider's name."""

    class Other(agents.Model):  # type: ignore[name-defined]
        """A model of somebody else's."""

        async def get_response(self, *args: Any, **kwargs: Any) -> Any:
            with agents.generation_span(model="groq/llama-3.1-8b-instant") as span:
                span.span_data.usage = {"input_tokens": 1000, "output_tokens": 100}
            message = {
                "id": "m",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "hi", "annotations": []}],
            }
            from openai.types.responses import ResponseOutputMessage

            return agents.ModelResponse(
                output=[ResponseOutputMessage.model_validate(message)], usage=agents.Usage(), response_id=None
            )

        def stream_response(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

    asyncio.run(agents.Runner.run(agents.Agent(name="Researcher", model=Other()), "hello"))
    assert counted(watched) == (1, 1000, 100)
    (row,) = watched.of("inference")
    assert (row.provider, row.request_model, row.agent_path) == (
        "groq",
        "llama-3.1-8b-instant",
        ("Researcher",),
    )


def test_disabled_tracing_and_uninstrument(watched: Watched, theirs: Theirs) -> None:
    """Without the SDK's spans, and without our processor, calls are counted and the rest is left alone."""

    async def work(model: Any) -> None:
        agent = agents.Agent(name="Researcher", model=model)
        await agents.Runner.run(agent, "plain", run_config=agents.RunConfig(tracing_disabled=True))
        assert [row.kind for row in watched.records] == ["inference"]
        spantally.OpenAIAgentsInstrumentor().uninstrument()
        await agents.Runner.run(agent, "plain")
        assert [row.kind for row in watched.records] == ["inference"] * 2
        assert "agent" in theirs.ended
        spantally.OpenAIAgentsInstrumentor().instrument()
        await agents.Runner.run(agent, "plain")
        assert [row.kind for row in watched.records] == ["inference"] * 2 + ["agent", "inference"]

    with ScriptedServer(script) as server:
        run(server, work)
        assert counted(watched) == billed(server)
