"""Sessions over real HTTP and MCP: one session and one trace, each call's cost beneath who asked for it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import spantally
from boundaries_network import free_port, global_provider, mcp_over_http, mcp_over_stdio, wait_for
from spantally.ledger.contract import CallRow
from spantally.testing import ScriptedServer
from watching import Watched

SERVICE = Path(__file__).with_name("propagation_service.py")


def ancestors(rows: list[CallRow], row: CallRow) -> list[str]:
    """Names of the operations around a row, innermost first."""
    by_id = {one.call_id: one for one in rows}
    found = []
    while row.parent_call_id in by_id:
        row = by_id[row.parent_call_id]
        found.append(row.name or row.operation)
    return found


@contextlib.contextmanager
def service(*arguments: str, **values: str) -> Iterator[str]:
    """One service in its process; its end is an orderly one, so that it writes what it has."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(
        [sys.executable, SERVICE, str(port), *arguments],
        env={**environment, "OTEL_TRACES_EXPORTER": "none", **values},
    )
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def get(url: str) -> str:
    """A client that knows nothing of sessions."""
    with urllib.request.urlopen(url, timeout=60) as response:
        text: str = response.read().decode()
    return text


def test_two_services_share_a_session(tmp_path: Path, server: ScriptedServer) -> None:
    """Two services with the standard instrumentations: one session in one ledger, the tree whole."""
    for module in ("fastapi", "uvicorn", "requests", "opentelemetry.instrumentation.fastapi"):
        pytest.importorskip(module)
    ledger = tmp_path / "shared.db"
    values = {"BASE_URL": server.base_url, "SPANTALLY_LEDGER": str(ledger)}
    with service(**values) as back, service(back, **values) as front:
        get(front + "/front")
        get(back + "/bare")
    with spantally.open_ledger(ledger) as opened:
        sessions = {one.session_id: one for one in opened.sessions()}
        rows = list(opened.calls(session="two-services"))
    one = sessions["two-services"]
    billed = server.billed["gpt-4o"]
    total = billed.input * 2500 + billed.output * 10_000
    assert (one.calls, one.user_id, dict(one.tags)) == (2, "alice", {"feature": "search"})
    assert sum(each.own_cost_nano_usd or 0 for each in sessions.values()) == total
    assert len({row.trace_id for row in rows}) == 1
    asked = {row.agent_path: ancestors(rows, row) for row in rows if row.kind == "inference"}
    assert asked == {("planner",): ["planner"], ("researcher",): ["researcher", "planner"]}
    assert one.status == "succeeded"
    assert not one.implicit
    (other,) = (each for name, each in sessions.items() if name != "two-services")
    assert other.calls == 1


@pytest.mark.parametrize("serve", [mcp_over_stdio, mcp_over_http], ids=["stdio", "http"])
def test_tool_of_a_server_asks_in_the_session(
    serve: Callable[..., contextlib.AbstractContextManager[Callable[..., str]]],
    tmp_path: Path,
    server: ScriptedServer,
) -> None:
    """The model call of an MCP server's tool: the client's session and trace, its cost under the agent."""
    pytest.importorskip("mcp")
    ledger = tmp_path / "shared.db"
    watched = Watched(ledger=str(ledger))
    try:
        with (
            global_provider(watched),
            serve(
                BASE_URL=server.base_url, SPANTALLY_LEDGER=str(ledger), OTEL_TRACES_EXPORTER="none"
            ) as call,
            spantally.session("chat-1", user="alice"),
            spantally.agent("planner"),
        ):
            call("ask", text="hello")
        assert spantally.flush()
    finally:
        watched.close()
    with spantally.open_ledger(ledger) as opened:
        (session,) = opened.sessions()
        rows = list(opened.calls(session="chat-1"))
    billed = server.billed["gpt-4o"]
    assert (session.session_id, session.calls, session.user_id) == ("chat-1", 1, "alice")
    assert session.cost_nano_usd == billed.input * 2500 + billed.output * 10_000
    assert len({row.trace_id for row in rows}) == 1
    (asked,) = (row for row in rows if row.kind == "inference")
    assert ancestors(rows, asked)[-1] == "planner"
    assert "ask" in ancestors(rows, asked)
