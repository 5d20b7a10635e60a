"""The tally and the tree are complete whatever OpenTelemetry does, and sum to the nano-dollar."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import openai
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

import spantally
from spantally.api.hook import pre_instrument
from spantally.calls import implicit
from spantally.ground.session_state import forget_sessions
from spantally.queries.tree import SessionTree, TreeNode
from spantally.testing import Reply, Request, Rule, ScriptedServer, Usage

RATES = {"gpt-4o": (2_500, 10_000), "gpt-4o-mini": (150, 600), "text-embedding-3-small": (20, 0)}
"""List prices in nano-USD per token, input and output: $2.50 and $10, $0.15 and $0.60, $0.02 a million."""


def _usage(request: Request) -> Reply:
    number = request.number
    output = 0 if request.path.endswith("/embeddings") else 31 + number
    return Reply(text="fine", usage=Usage(input=101 + 7 * number, output=output))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Bills each request a figure of its own, so that a call left out or counted twice shows."""
    with ScriptedServer([Rule(reply=_usage)]) as running:
        yield running


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    spantally.uninstrument()
    forget_sessions()
    implicit.forget_process_session()
    yield
    spantally.uninstrument()
    implicit.forget_process_session()


def by_hand(server: ScriptedServer) -> int:
    """What the server billed, at list prices."""
    total = 0
    for model, billed in server.billed.items():
        of_input, of_output = RATES[model]
        total += billed.input * of_input + billed.output * of_output
    return total


class Team:
    """Three levels of agents, over a chain or a fan-out."""

    def __init__(self, server: ScriptedServer) -> None:
        self.client = openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-1", max_retries=0)
        self.async_client = openai.AsyncOpenAI(
            base_url=server.base_url, api_key="sk-made-up-1", max_retries=0
        )

    def ask(self, model: str = "gpt-4o") -> None:
        self.client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])

    @spantally.tool
    def search(self) -> None:
        """A tool that spends."""
        self.client.embeddings.create(model="text-embedding-3-small", input="hi")

    @spantally.agent
    def reader(self, number: int) -> None:
        self.ask("gpt-4o-mini")
        self.search()

    @spantally.agent
    def researcher(self, number: int) -> None:
        self.ask()
        self.reader(number)
        stream: Any = self.client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        for _ in stream:
            pass

    @spantally.agent
    def chain(self) -> None:
        self.ask()
        for number in range(3):
            self.researcher(number)

    @spantally.agent
    def pool(self) -> None:
        self.ask()
        with ThreadPoolExecutor(3) as workers:
            list(workers.map(self.researcher, range(3)))

    @spantally.agent
    def threads(self) -> None:
        self.ask()
        running = [threading.Thread(target=self.researcher, args=(number,)) for number in range(3)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    @spantally.agent
    async def reader_async(self, number: int) -> None:
        await self.async_client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}]
        )
        await asyncio.to_thread(self.search)

    @spantally.agent
    async def researcher_async(self, number: int) -> None:
        await self.async_client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "hi"}]
        )
        await self.reader_async(number)
        stream = await self.async_client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        async for _ in stream:
            pass

    @spantally.agent
    async def gather(self) -> None:
        await asyncio.to_thread(self.ask)
        await asyncio.gather(*(self.researcher_async(number) for number in range(3)))
        await self.async_client.close()


SHAPES: dict[str, Callable[[Team], Any]] = {
    "chain": lambda team: team.chain(),
    "pool": lambda team: team.pool(),
    "threads": lambda team: team.threads(),
    "gather": lambda team: asyncio.run(team.gather()),
}


def shape_of(node: TreeNode) -> Any:
    """Kinds and names, nested, without the order in which parallel work began."""
    return (node.call.kind, node.call.name, *sorted((shape_of(child) for child in node.children), key=repr))


def expected_tree(top: str, suffix: str = "") -> Any:
    call, embedding = ("inference", None), ("embeddings", None)
    reader = ("agent", f"reader{suffix}", call, ("tool", "search", embedding))
    researcher = ("agent", f"researcher{suffix}", *sorted((call, call, reader), key=repr))
    return ("agent", top, *sorted((call, researcher, researcher, researcher), key=repr))


def tree_of(session_id: str) -> SessionTree:
    spantally.flush(10)
    found = spantally.open_ledger().tree(session_id)
    assert found is not None
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_inclusive_cost_at_the_top_is_the_sum_of_all_calls(
    shape: str, server: ScriptedServer, tmp_path: Path
) -> None:
    """Three levels of agents: the top's inclusive cost is what the server billed, to the nano-dollar."""
    spantally.instrument(ledger=tmp_path / "sum.db", tracer_provider=TracerProvider(shutdown_on_exit=False))
    team = Team(server)
    with spantally.session("summed") as session:
        SHAPES[shape](team)
    tree = tree_of("summed")
    (top,) = tree.children
    expected = by_hand(server)
    assert len(server.bills) == 1 + 3 * 4
    assert top.cost_nano_usd == expected
    assert top.own_cost_nano_usd is None
    assert tree.session.cost_nano_usd == session.totals.cost_nano_usd == expected
    assert (top.calls, tree.session.calls, session.totals.calls) == (13, 13, 13)
    assert shape_of(top) == expected_tree(shape, "_async" if shape == "gather" else "")
    rows = [node.call for _, node in tree.walk()]
    assert sum(row.cost_nano_usd or 0 for row in rows) == expected
    assert {row.run_id for row in rows} == {top.call.call_id}


# -- whatever OpenTelemetry does ---------------------------------------------------------------------


def _always_off(patch: pytest.MonkeyPatch, ledger: Path) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    spantally.instrument(ledger=ledger, tracer_provider=provider)


def _ratio(patch: pytest.MonkeyPatch, ledger: Path) -> None:
    provider = TracerProvider(sampler=TraceIdRatioBased(0.3), shutdown_on_exit=False)
    spantally.instrument(ledger=ledger, tracer_provider=provider)


def _sdk_disabled(patch: pytest.MonkeyPatch, ledger: Path) -> None:
    patch.setenv("OTEL_SDK_DISABLED", "true")
    spantally.instrument(ledger=ledger, tracer_provider=TracerProvider(shutdown_on_exit=False))


def _sdk_disabled_global(patch: pytest.MonkeyPatch, ledger: Path) -> None:
    patch.setenv("OTEL_SDK_DISABLED", "true")
    spantally.instrument(ledger=ledger)


def _no_provider(patch: pytest.MonkeyPatch, ledger: Path) -> None:
    """What the hook does in a program that sets no provider: none is built."""
    patch.setenv("SPANTALLY_LEDGER", str(ledger))
    pre_instrument()
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    for instrumentor in (spantally.OpenAIInstrumentor(), spantally.ThreadingInstrumentor()):
        instrumentor.instrument()


def _span_limits(patch: pytest.MonkeyPatch, ledger: Path) -> None:
    patch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")
    spantally.instrument(ledger=ledger, tracer_provider=TracerProvider(shutdown_on_exit=False))


WORLDS = {
    "always_off": _always_off,
    "ratio": _ratio,
    "sdk disabled": _sdk_disabled,
    "sdk disabled, global": _sdk_disabled_global,
    "no provider": _no_provider,
    "three attributes": _span_limits,
}


@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote parent"])
@pytest.mark.parametrize("world", WORLDS)
def test_tally_and_tree_are_complete(
    world: str, remote: bool, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, tree and totals do not depend on sampling, on an SDK or on who is the parent; ids are unique."""
    WORLDS[world](monkeypatch, tmp_path / "world.db")
    token = None
    if remote:
        parent = SpanContext(0xABCD << 64 | 1, 0x1234, is_remote=True, trace_flags=TraceFlags(1))
        token = otel_context.attach(trace.set_span_in_context(NonRecordingSpan(parent)))
    try:
        with spantally.session("complete") as session:
            Team(server).pool()
    finally:
        if token is not None:
            otel_context.detach(token)
    tree = tree_of("complete")
    (top,) = tree.children
    assert shape_of(top) == expected_tree("pool")
    assert top.cost_nano_usd == tree.session.cost_nano_usd == session.totals.cost_nano_usd == by_hand(server)
    rows = [node.call for _, node in tree.walk()]
    assert len({row.call_id for row in rows}) == len(rows) == 1 + 13 + 6 + 3
    spans = [row.span_id for row in rows if row.span_id is not None]
    assert len(set(spans)) == len(spans)
    if remote:
        assert {row.trace_id for row in rows} == {f"{0xABCD << 64 | 1:032x}"}
        assert all(row.counted for row in rows if row.kind in ("inference", "embeddings"))


def test_two_calls_under_one_remote_parent_are_two(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the SDK disabled both calls carry the remote parent's ids; they stay two rows with two costs."""
    _sdk_disabled(monkeypatch, tmp_path / "two.db")
    parent = SpanContext(0xFEED, 0xF00D, is_remote=True)
    token = otel_context.attach(trace.set_span_in_context(NonRecordingSpan(parent)))
    try:
        for _ in range(2):
            Team(server).ask()
    finally:
        otel_context.detach(token)
    assert spantally.flush(10)
    rows = spantally.open_ledger().calls()
    assert len(rows) == 2
    assert sum(row.cost_nano_usd or 0 for row in rows) == by_hand(server)


@pytest.mark.parametrize("span", [None, object(), mock.MagicMock()], ids=["none", "object", "mock"])
def test_a_mock_in_the_place_of_a_provider(span: Any, tmp_path: Path) -> None:
    """Whatever its tracer gives for a span, the program and the tally are whole."""
    provider = mock.MagicMock()
    provider.get_tracer.return_value.start_span.return_value = span
    ledger = str(tmp_path / "mocked.db")
    spantally.uninstrument()
    spantally.instrument(ledger=ledger, tracer_provider=provider)
    try:
        with (
            ScriptedServer(Reply(text="fine")) as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-0001", max_retries=0) as client,
            spantally.agent("mocked"),
        ):
            asked: Any = [{"role": "user", "content": "hello"}]
            client.chat.completions.create(model="gpt-4o", messages=asked)
            list(client.chat.completions.create(model="gpt-4o", messages=asked, stream=True))
        spantally.flush(10)
    finally:
        spantally.uninstrument()
    with spantally.open_ledger(ledger) as read:
        assert sorted(row.kind for row in read.calls(kind="inference")) == ["inference", "inference"]
        assert [row.kind for row in read.calls(kind="agent")] == ["agent"]
