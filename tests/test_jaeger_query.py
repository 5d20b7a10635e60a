"""What real programs send is what the real Jaeger's query API gives back, and what `spantally show` says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jaeger_kit import ROOT, Jaeger, Span, collecting, nearest, nodes, running, shown, until
from program_kit import environment, ok
from spantally.testing.demo import PLANTED

pytestmark = [pytest.mark.collector, pytest.mark.timeout(180)]
EXAMPLES = ROOT / "examples"

# The price data is there from the first call on, so that each span tells its cost.
PRICED = """
import runpy, sys
import spantally
spantally.price({"model": "gpt-4o", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}, provider="openai")
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """One Jaeger for all tests of this file; each has its own names of services."""
    with running(tmp_path_factory.mktemp("jaeger")) as made:
        yield made


def run(jaeger: Jaeger, ledger: Path, service: str, *words: str, **values: str) -> str:
    """Run a program under `spantally run`; what it printed."""
    values = {"SPANTALLY_LEDGER": str(ledger), **jaeger.exporting(service), **values}
    done = subprocess.run(
        [sys.executable, "-m", "spantally.cli", "run", "--", sys.executable, *words],
        env=environment(**values),
        cwd=ledger.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ok(done).stdout


def newest(ledger: Path) -> dict[str, Any]:
    """What `spantally show last --json` says."""
    return shown(ledger, "last")


def same_nesting(spans: list[Span], tree: dict[str, Any]) -> None:
    """Each row of the tree is a span, beneath that of the same row."""
    by_id = {span.span_id: span for span in spans}
    rows = nodes(tree)
    for span_id, (_, around) in rows.items():
        assert nearest(by_id, by_id[span_id], rows) == around, by_id[span_id]


def same_tree(spans: list[Span], tree: dict[str, Any]) -> None:
    """Each row of the tree is a span, beneath the same one, with the same tokens, cost, model and outcome."""
    by_id = {span.span_id: span for span in spans}
    rows = nodes(tree)
    ours = {span.span_id for span in spans if "spantally.call.id" in span.tags}
    assert ours == set(rows)
    same_nesting(spans, tree)
    for span_id, (row, _) in rows.items():
        span = by_id[span_id]
        tags = span.tags
        assert tags["session.id"] == tree["session_id"]
        assert tags.get("user.id") == row["user_id"]
        assert tags["gen_ai.operation.name"] == row["operation"]
        assert tags["spantally.call.id"] == row["call_id"]
        assert span.failed is (row["status"] == "error")
        assert tags.get("error.type") == row["error_type"]
        assert abs(span.duration_us / 1000 - row["duration_ms"]) < 2
        if row["kind"] not in ("inference", "embeddings"):
            continue
        assert tags["gen_ai.request.model"] == row["request_model"]
        assert (tags.get("gen_ai.usage.input_tokens") or 0) == (row["own_input_tokens"] or 0)
        assert (tags.get("gen_ai.usage.output_tokens") or 0) == (row["own_output_tokens"] or 0)
        assert tags.get("spantally.cost.nano_usd") == row["own_cost_nano_usd"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_research_team(jaeger: Jaeger, tmp_path: Path, protocol: str) -> None:
    """Agents in threads, tools, streams, embeddings and a refused call come back as `spantally show` says."""
    service = f"team-{protocol[:4]}"
    ledger = tmp_path / "team.db"
    run(
        jaeger,
        ledger,
        service,
        "-c",
        PRICED,
        str(EXAMPLES / "research_team.py"),
        **jaeger.exporting(service, protocol),
    )
    tree = newest(ledger)
    spans = jaeger.session(service, tree["session_id"], spans=15)
    same_tree(spans, tree)
    assert {"invoke_agent planner", "invoke_agent researcher", "execute_tool search", "GET"} < {
        name for name, _ in jaeger.operations(service)
    }
    assert sum(span.tags.get("spantally.cost.nano_usd", 0) for span in spans) == tree["cost_nano_usd"]
    assert tree["cost_nano_usd"] == 7_861_320


def test_the_planted_secrets_are_not_in_jaeger(jaeger: Jaeger, tmp_path: Path) -> None:
    """With content on, prompts are on the spans and none of the planted secrets is, nor in the events."""
    ledger = tmp_path / "secrets.db"
    content = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only"}
    run(jaeger, ledger, "secrets", str(EXAMPLES / "research_team.py"), **content)
    jaeger.session("secrets", newest(ledger)["session_id"], spans=15)
    found = json.dumps(jaeger.ask("traces", service="secrets", limit=100, lookback="1h"))
    assert "You research motors" in found
    assert [name for name, secret in PLANTED.items() if secret in found] == []


def test_two_services_are_one_trace_and_an_edge(jaeger: Jaeger, tmp_path: Path) -> None:
    """Agent, tool and HTTP call here, agent, database and model there: one trace, one session, one edge."""
    ledger = tmp_path / "two.db"
    run(jaeger, ledger, "buyer", str(EXAMPLES / "two_services.py"))
    tree = newest(ledger)
    spans = jaeger.session("buyer", tree["session_id"], spans=9)
    same_tree(spans, tree)
    by_name = {(span.service, span.name): span for span in spans}
    path = [
        ("buyer", "invoke_agent buyer"),
        ("buyer", "execute_tool fetch_quote"),
        ("buyer", "GET"),
        ("supplier", "GET /quote/{item}"),
        ("supplier", "invoke_agent supplier"),
        ("supplier", "chat gpt-4o-mini"),
    ]
    for outer, inner in pairwise(path):
        assert by_name[inner].parent_id == by_name[outer].span_id
    assert {span.trace_id for span in spans} == {spans[0].trace_id}
    assert {span.tags["session.id"] for span in spans} == {tree["session_id"]}
    assert {span.tags["user.id"] for span in spans} == {"alice"}
    assert tree["cost_nano_usd"] == 124_500
    assert jaeger.session("supplier", tree["session_id"])
    assert ("buyer", "supplier") in jaeger.dependencies()
    assert ("supplier", "buyer") not in jaeger.dependencies()


def test_a_session_is_found_over_several_traces(jaeger: Jaeger, tmp_path: Path) -> None:
    """Three turns without a span around them are three traces; one search finds them and no others."""
    ledger = tmp_path / "turns.db"
    program = tmp_path / "turns.py"
    program.write_text(
        """
import openai, spantally
from spantally.testing import ScriptedServer

with ScriptedServer() as server, openai.OpenAI(base_url=server.base_url, api_key="unused") as client:
    spantally.price({"model": "gpt-4o", "usage": {"prompt_tokens": 1}}, provider="openai")
    for name, turns in (("chat-1", 3), ("chat-2", 1)):
        for turn in range(turns):
            with spantally.session(name, user="bob", tags={"feature": "search"}, entity=("customer", "acme")):
                client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""
    )
    run(jaeger, ledger, "turns", str(program))
    spans = jaeger.session("turns", "chat-1", spans=3)
    ours = [span for span in spans if "spantally.call.id" in span.tags]  # httpx may be instrumented, too
    assert len({span.trace_id for span in ours}) == len(ours) == 3
    same_tree(spans, shown(ledger, "chat-1"))
    for tags in (
        {"user__id": "bob"},
        {"spantally__tag__feature": "search"},
        {"spantally__entity__type": "customer", "spantally__entity__id": "acme"},
    ):
        assert len(jaeger.traces("turns", **tags)) == 4
    assert len(jaeger.traces("turns", session__id="chat-2")) == 1
    assert jaeger.traces("turns", session__id="chat-3") == []


def test_errors_and_failed_attempts_are_seen(jaeger: Jaeger, tmp_path: Path) -> None:
    """A refused call is an error with its type, up to the agent; a failed attempt is an event of its call."""
    ledger = tmp_path / "errors.db"
    program = tmp_path / "errors.py"
    program.write_text(
        """
import openai, spantally
from spantally.testing import Reply, Rule, ScriptedServer

script = [
    Reply(status=503, headers={"retry-after-ms": "1"}),
    Reply(text="at last"),
    Reply(status=400, error="bad request"),
]
with ScriptedServer(script) as server:
    client = openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=1)

    def ask():
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])

    @spantally.tool
    def look():
        raise LookupError("nothing there")

    @spantally.agent
    def worker():
        ask()
        try:
            look()
        except LookupError:
            pass
        ask()

    with spantally.session("wrong"):
        try:
            worker()
        except openai.BadRequestError:
            pass
"""
    )
    run(jaeger, ledger, "errors", str(program))
    spans = jaeger.session("errors", "wrong", spans=4)
    first, second = sorted((one for one in spans if one.name == "chat gpt-4o"), key=lambda one: one.start_us)
    (tool,) = (one for one in spans if one.name == "execute_tool look")
    (agent,) = (one for one in spans if one.name == "invoke_agent worker")
    assert [one.failed for one in (first, tool, second, agent)] == [False, True, True, True]
    assert tool.tags["error.type"] == "LookupError"
    assert second.tags["error.type"] == "invalid_request_error"
    assert agent.tags["error.type"] == "openai.BadRequestError"
    (event,) = first.logs
    assert event["event"] == "spantally.attempt.failed"
    assert event["spantally.attempt"] == 1
    assert len(jaeger.traces("errors", error__type="LookupError")) == 1


def test_an_mcp_server_is_an_edge(jaeger: Jaeger, tmp_path: Path) -> None:
    """The tool of an MCP server over stdio and its model call hang beneath the agent that asks for it."""
    pytest.importorskip("mcp.shared._otel")  # of 2.3 and newer
    ledger = tmp_path / "mcp.db"
    program = tmp_path / "asks.py"
    program.write_text(
        """
import asyncio, os, sys
import spantally
from mcp import Client, StdioServerParameters
from spantally.testing import ScriptedServer

with ScriptedServer() as model:
    values = {**os.environ, "OTEL_SERVICE_NAME": "mcp-server", "BASE_URL": model.base_url}
    server = StdioServerParameters(command=sys.executable, args=[sys.argv[1], "stdio"], env=values)

    async def main():
        async with Client(server) as client:
            with spantally.session("with-mcp", user="alice"), spantally.agent("planner"):
                print(await client.call_tool("ask", {"text": "hello"}))

    asyncio.run(main())
"""
    )
    server = Path(__file__).with_name("boundary_mcp_server.py")
    run(jaeger, ledger, "mcp-client", str(program), str(server), PYTHONPATH=str(server.parent))
    spans = jaeger.session("mcp-client", "with-mcp", spans=4)
    by_id = {span.span_id: span for span in spans}
    (asked,) = (span for span in spans if span.name.startswith("chat "))
    above, services = asked, [asked.service]
    while above.parent_id in by_id:
        above = by_id[above.parent_id]
        services.append(above.service)
    assert above.name == "invoke_agent planner"
    assert services[0] == "mcp-server"
    assert services[-1] == "mcp-client"
    assert {span.tags["session.id"] for span in spans} == {"with-mcp"}
    same_nesting(spans, shown(ledger, "with-mcp"))  # the tool's span is the SDK's own
    assert ("mcp-client", "mcp-server") in jaeger.dependencies()


def test_services_with_the_standard_instrumentations_are_an_edge(jaeger: Jaeger, tmp_path: Path) -> None:
    """FastAPI there, requests here, and nothing of ours between them: one trace over both services."""
    for module in ("fastapi", "uvicorn", "requests", "opentelemetry.instrumentation.fastapi"):
        pytest.importorskip(module)
    from spantally.testing import ScriptedServer
    from test_propagation_services import get, service

    ledger = tmp_path / "services.db"
    with ScriptedServer() as model:
        values = {"BASE_URL": model.base_url, "SPANTALLY_LEDGER": str(ledger)}
        with (
            service(**values, **jaeger.exporting("back")) as back,
            service(back, **values, **jaeger.exporting("front")) as front,
        ):
            get(front + "/front")
            # Two agents with a call each, and the request with its two ends, at least.
            spans = until(
                lambda: jaeger.session("front", "two-services", spans=7),
                lambda found: {"front", "back"} <= {span.service for span in found if span.kind == "server"},
            )
    same_nesting(spans, shown(ledger, "two-services"))
    assert {span.service for span in spans} == {"front", "back"}
    assert {(one.name, one.kind) for one in spans} >= {
        ("GET", "client"),
        ("GET /back", "server"),
        ("invoke_agent researcher", "internal"),
        ("chat gpt-4o", "client"),
    }
    assert ("front", "back") in jaeger.dependencies()


def test_through_the_collector(jaeger: Jaeger, tmp_path: Path) -> None:
    """Program, collector, Jaeger: the shipped configurations in a row give the tree that the ledger has."""
    ledger = tmp_path / "collected.db"
    with collecting(jaeger, tmp_path) as endpoint:
        values = {**jaeger.exporting("collected"), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        run(jaeger, ledger, "collected", "-c", PRICED, str(EXAMPLES / "research_team.py"), **values)
        tree = newest(ledger)
        same_tree(jaeger.session("collected", tree["session_id"], spans=15), tree)
