"""Sessions over real HTTP and MCP: one session and one trace, each call's cost beneath who asked for it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import spantally
from boundaries_network import free_port, global_provider, mcp_over_http, mcp_over_stdio, seen_of, wait_for
from spantally.ledger.contract import CallRow
from spantally.testing import OtlpReceiver, ScriptedServer
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
def started(before: list[str], arguments: tuple[str, ...], values: dict[str, str]) -> Iterator[str]:
    """One service in its process; its end is an orderly one, so that it writes what it has."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(
        [*before, sys.executable, SERVICE, str(port), *arguments],
        env={**environment, "OTEL_TRACES_EXPORTER": "none", **values},
    )
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def service(*arguments: str, **values: str) -> contextlib.AbstractContextManager[str]:
    """One service that instruments itself, with these variables in its environment."""
    return started([], arguments, values)


def get(url: str) -> str:
    """A client that knows nothing of sessions."""
    with urllib.request.urlopen(url, timeout=60) as response:
        text: str = response.read().decode()
    return text


@pytest.mark.parametrize("apart", [False, True], ids=["one ledger", "two ledgers merged"])
def test_two_services_share_a_session(apart: bool, tmp_path: Path, server: ScriptedServer) -> None:
    """Two services with the standard instrumentations: one session, the tree whole, in whatever ledgers."""
    for module in ("fastapi", "uvicorn", "requests", "opentelemetry.instrumentation.fastapi"):
        pytest.importorskip(module)
    kept = [tmp_path / name for name in (("back.db", "front.db") if apart else ("shared.db", "shared.db"))]
    values = {"BASE_URL": server.base_url}
    with (
        service(SPANTALLY_LEDGER=str(kept[0]), **values) as back,
        service(back, SPANTALLY_LEDGER=str(kept[1]), **values) as front,
    ):
        get(front + "/front")
        get(back + "/bare")
    ledger = kept[0]
    if apart:
        ledger = tmp_path / "merged.db"
        spantally.merge_ledgers(kept, ledger)
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


def test_a_server_that_is_told_to_go_sends_its_last_spans(tmp_path: Path, server: ScriptedServer) -> None:
    """uvicorn hands SIGTERM back when it is down, which ends the process without any exit code of Python."""
    for module in ("fastapi", "uvicorn", "requests", "opentelemetry.instrumentation.fastapi"):
        pytest.importorskip(module)
    kept = tmp_path / "kept.db"
    with OtlpReceiver() as receiver:
        values = {
            "BASE_URL": server.base_url,
            "SPANTALLY_LEDGER": str(kept),
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "60000",
        }
        zero_code = str(Path(sys.executable).with_name("opentelemetry-instrument"))
        with started([zero_code], (), values) as url:
            get(url + "/bare")
            assert receiver.spans() == []
        kinds = {span.kind: span.name for span in receiver.spans() if span.kind in ("CLIENT", "SERVER")}
    assert kinds == {"CLIENT": "chat gpt-4o", "SERVER": "GET /bare"}
    with spantally.open_ledger(kept) as opened:
        assert [row.status for row in opened.calls()] == ["ok"]


SERVERS = pytest.mark.parametrize("serve", [mcp_over_stdio, mcp_over_http], ids=["stdio", "http"])
Serve = Callable[..., contextlib.AbstractContextManager[Callable[..., str]]]


@SERVERS
def test_tool_goes_on_in_the_session_that_asks(serve: Serve, watched: Watched) -> None:
    """Whoever started the server: a tool is in the session of each message, and carries it on."""
    pytest.importorskip("mcp")
    with contextlib.ExitStack() as stack:
        stack.enter_context(global_provider(watched))
        with spantally.session("starter"), spantally.agent("starting"):
            call = stack.enter_context(serve(SPANTALLY_LEDGER=":memory:"))
        with spantally.session("first", user="a"), spantally.agent("planner"):
            first, carried = seen_of(call("where")), json.loads(call("carries"))
        with spantally.session("second"):
            second = seen_of(call("where"))
        nobody = seen_of(call("where"))
    assert (first.session, first.path) == ("first", ())
    assert carried == {"session.id": "first", "gen_ai.conversation.id": "first", "user.id": "a"}
    assert second.session == "second"
    assert nobody.session == "starter"


@SERVERS
def test_server_without_tracing_keeps_the_session(serve: Serve, watched: Watched) -> None:
    """A server whose SDK is disabled makes no span, and is in the session all the same."""
    pytest.importorskip("mcp")
    with global_provider(watched), serve(SPANTALLY_LEDGER=":memory:", OTEL_SDK_DISABLED="true") as call:
        with spantally.session("s"), spantally.agent("planner"):
            assert seen_of(call("where")).session == "s"
        assert seen_of(call("where")).session != "s"


@SERVERS
def test_server_may_distrust_its_clients(serve: Serve, watched: Watched) -> None:
    """SPANTALLY_TRUST_BAGGAGE=false on the server: a client names no session there."""
    pytest.importorskip("mcp")
    values = {"SPANTALLY_LEDGER": ":memory:", "SPANTALLY_TRUST_BAGGAGE": "false"}
    with global_provider(watched), serve(**values) as call, spantally.session("s"):
        assert seen_of(call("where")).session != "s"


@SERVERS
def test_tool_of_a_server_asks_in_the_session(
    serve: Serve,
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
