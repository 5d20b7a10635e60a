"""MCP: an execution of a tool is one row, whoever of client and server sees it, with its calls beneath."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp.shared._otel")  # of 2.3 and newer

from mcp import Client, StdioServerParameters
from mcp.shared import _otel

import boundary_mcp_server
import spantally
from frameworks_kit import billed, counted, script, tree
from spantally.ground import guard
from spantally.otel import frameworks
from spantally.testing import ScriptedServer
from watching import Watched, attributes


@pytest.fixture(autouse=True)
def _their_spans(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK asks the global provider for its tracer, once; here it is the test's own."""
    monkeypatch.setattr(_otel, "_tracer", watched.provider.get_tracer("mcp-python-sdk"))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """The model that the server's tool asks."""
    with ScriptedServer(script) as server:
        monkeypatch.setenv("BASE_URL", server.base_url)
        yield server


def elsewhere(**values: str) -> StdioServerParameters:
    """The same server in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return StdioServerParameters(
        command=sys.executable, args=[boundary_mcp_server.__file__, "stdio"], env={**kept, **values}
    )


def ask(target: Any) -> str:
    """Have the tool ask the model."""

    async def run() -> str:
        async with Client(target) as client:
            result = await client.call_tool("ask", {"text": "plain"})
            assert not result.is_error, result
            return str(result.content[0].text)

    return asyncio.run(run())


def test_server_in_the_same_process(watched: Watched, model: ScriptedServer) -> None:
    """One tool beneath the agent that asks for it, and the model's call beneath the tool."""
    with spantally.session("mine"), spantally.agent("boss"):
        assert ask(boundary_mcp_server.build()) == "the answer"
    assert counted(watched) == billed(model) == (1, 201, 15)
    assert [row.kind for row in watched.records] == ["agent", "tool", "inference"]
    assert watched.of("tool")[0].name == "ask"
    assert {row.session_id for row in watched.records} == {"mine"}


def test_tool_around_is_the_same_execution(watched: Watched, model: ScriptedServer) -> None:
    """A framework's tool that asks an MCP server is not counted as a second tool."""
    with spantally.session("mine"), spantally.agent("boss"), spantally.tool("srv_ask"):
        ask(boundary_mcp_server.build())
    assert tree(watched.records) == [
        "agent boss",
        "agent boss > tool srv_ask",
        "agent boss > tool srv_ask > inference gpt-4o",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("watched_server", [True, False])
def test_server_in_a_process_of_its_own(
    watched_server: bool, watched: Watched, model: ScriptedServer, tmp_path: Path
) -> None:
    """In one ledger there is one tool; where nobody watches the server, the client's span is the tool."""
    spantally.instrument(ledger=tmp_path / "both.db")
    with spantally.session("mine"), spantally.agent("boss"):
        ask(
            elsewhere(
                SPANTALLY_LEDGER=str(tmp_path / "both.db"),
                SPANTALLY_DISABLED="false" if watched_server else "true",
            )
        )
    spantally.flush()
    with spantally.open_ledger(tmp_path / "both.db") as ledger:
        found = ledger.graph("mine")
    assert found is not None
    kinds = {(node.kind, node.name): node for node in found.nodes}
    assert kinds["tool", "ask"].count == 1
    assert kinds["agent", "boss"].count == 1
    assert kinds["tool", "ask"].calls == (1 if watched_server else 0)
    (span,) = [span for span in watched.spans if span.name == "MCP send tools/call ask"]
    told = attributes(span)
    assert (told["gen_ai.operation.name"], told["gen_ai.tool.name"]) == ("execute_tool", "ask")
    assert told["session.id"] == "mine"


def test_failure_of_a_part_stays_ours(
    watched: Watched, model: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where recognising a span fails, the tool answers all the same, and the call is counted."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(frameworks, "scope_name_of", fail)
    assert ask(boundary_mcp_server.build()) == "the answer"
    assert counted(watched) == billed(model)
    assert ("otel.mcp", "ZeroDivisionError") in guard.failures
