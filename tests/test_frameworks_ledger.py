"""What the ledger says of each framework's run is what the server billed, to the nano-dollar."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spantally
from frameworks_kit import KEY, script
from spantally.testing import ScriptedServer

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NANO_IN, NANO_CACHED, NANO_OUT = 2500, 1250, 10_000
"""Of one token of gpt-4o, in nano-USD: $2.50, $1.25 and $10 a million (platform.openai.com/docs/pricing)."""


def langgraph(server: ScriptedServer) -> None:
    """An agent's graph inside another graph, and a chain."""
    agents = pytest.importorskip("langchain.agents")
    graphs = pytest.importorskip("langgraph.graph")
    models = pytest.importorskip("langchain_openai")
    from langchain_core.tools import tool

    @tool
    def lookup(word: str) -> str:
        """Look a word up."""
        return f"found {word}"

    model = models.ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key=KEY, max_retries=0)
    builder = graphs.StateGraph(graphs.MessagesState)
    builder.add_node("team", agents.create_agent(model, [lookup], name="team"))
    builder.add_edge(graphs.START, "team")
    builder.compile(name="house").invoke({"messages": [("user", "hello")]})
    (model | (lambda message: message.content)).batch(["plain", "plain"])


def openai_agents(server: ScriptedServer) -> None:
    """A run and a streamed one."""
    agents = pytest.importorskip("agents")
    import openai

    agents.set_trace_processors([])

    @agents.function_tool
    def lookup(word: str) -> str:
        """Look a word up."""
        return f"found {word}"

    async def work() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
            model = agents.OpenAIResponsesModel("gpt-4o", openai_client=client)
            agent = agents.Agent(name="team", model=model, tools=[lookup])
            await agents.Runner.run(agent, "hello")
            async for _ in agents.Runner.run_streamed(agent, "hello").stream_events():
                pass

    asyncio.run(work())


def pydantic_ai(server: ScriptedServer, *, native: bool = False) -> None:
    """A run and a streamed one."""
    theirs = pytest.importorskip("pydantic_ai")
    import openai
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async def work() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
            model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(openai_client=client))
            agent = theirs.Agent(model, name="team")
            agent.instrument = native

            @agent.tool_plain
            def lookup(word: str) -> str:
                """Look a word up."""
                return f"found {word}"

            await agent.run("hello")
            async with agent.run_stream("hello") as result:
                async for _ in result.stream_text():
                    pass

    asyncio.run(work())


def pydantic_ai_traced(server: ScriptedServer) -> None:
    """The same with its own instrumentation on."""
    pydantic_ai(server, native=True)


def mcp(server: ScriptedServer) -> None:
    """A tool of an MCP server that asks the model."""
    pytest.importorskip("mcp.shared._otel")
    from mcp import Client

    import boundary_mcp_server

    async def work() -> None:
        async with Client(boundary_mcp_server.build()) as client:
            await client.call_tool("ask", {"text": "plain"})

    with pytest.MonkeyPatch.context() as patch, spantally.agent("team"):
        patch.setenv("BASE_URL", server.base_url)
        asyncio.run(work())


@pytest.mark.parametrize("run", [langgraph, openai_agents, pydantic_ai, pydantic_ai_traced, mcp])
def test_ledger_says_what_the_server_billed(run: Callable[[ScriptedServer], Any], tmp_path: Path) -> None:
    """Calls, tokens and cost of the session, and all of it within the agent."""
    spantally.uninstrument()
    spantally.instrument(ledger=tmp_path / "tally.db", summary=False)
    try:
        with ScriptedServer(script) as server, spantally.session(tmp_path.name) as session:
            run(server)
            (bill,) = server.billed.values()
        assert spantally.flush(10)
        with spantally.open_ledger(tmp_path / "tally.db") as ledger:
            graph = ledger.graph(tmp_path.name)
            (found,) = list(ledger.sessions())
        assert graph is not None
    finally:
        spantally.uninstrument()
    cost = (bill.input - bill.cached) * NANO_IN + bill.cached * NANO_CACHED + bill.output * NANO_OUT
    assert (found.calls, found.input_tokens, found.output_tokens) == (bill.requests, bill.input, bill.output)
    assert found.cost_nano_usd == cost == session.totals.cost_nano_usd
    agent = next(node for node in graph.nodes if (node.kind, node.name) == ("agent", "team"))
    outside = 2 if run is langgraph else 0
    assert agent.calls == bill.requests - outside
