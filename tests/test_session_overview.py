"""`session.graph()` and `session.summary()`: live, from the ledger, without holding up an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

import spantally
from spantally.ground.errors import LedgerError
from spantally.ground.worker import worker
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Watched]:
    """Everything on, with a ledger."""
    made = Watched(ledger=tmp_path / "ledger.db")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def client() -> Iterator[openai.OpenAI]:
    """A client of a server that always answers the same."""
    with (
        ScriptedServer(Reply(text="ok", usage=Usage(100, 10))) as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as made,
    ):
        yield made


def ask(client: openai.OpenAI) -> None:
    """One call."""
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])


def test_live_overviews_hold_every_ended_call(kept: Watched, client: openai.OpenAI) -> None:
    """Inside the block both know each call that has ended, child sessions too, and agree with the totals."""

    @spantally.tool
    def look() -> None:
        ask(client)

    with spantally.session("s1") as session:
        with spantally.workflow("nightly"), spantally.agent("planner"):
            ask(client)
            look()
            with spantally.session("s2"):
                ask(client)
        summary, graph = session.summary(), session.graph()
        assert summary.total.calls == session.totals.calls == 3
        assert summary.total.cost_nano_usd == session.totals.cost_nano_usd
        assert summary.unwritten_calls == 0
        assert {row.key: row.calls for row in summary.by_agent} == {"planner": 3}
        assert {row.key: row.calls for row in summary.by_tool} == {"look": 1, None: 2}
        edges = {(edge.source, edge.target) for edge in graph.edges}
        assert ("workflow:nightly", "agent:planner") in edges
        assert ("agent:planner", "tool:look") in edges
    assert graph.nodes[0].calls == 3
    assert "flowchart" in graph.to_mermaid()


def test_before_and_after(kept: Watched, client: openai.OpenAI) -> None:
    """A session that was not entered has nothing in it; one that has ended still answers."""
    session = spantally.session("later")
    assert session.summary().total.calls == 0
    assert [node.kind for node in session.graph().nodes] == ["session"]
    with session:
        ask(client)
    assert session.summary().session.status == "succeeded"
    assert session.summary().total.calls == 1


def test_an_event_loop_is_not_held_up(
    kept: Watched, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a loop nothing waits for the writer; what is not written yet is said, a thread waits for it."""
    waited: list[float] = []
    flush = worker.flush

    def noted(timeout: float = 5.0) -> bool:
        waited.append(timeout)
        return flush(timeout)

    monkeypatch.setattr(worker, "flush", noted)

    async def main() -> None:
        async with spantally.session("s1") as session:
            monkeypatch.setattr(worker, "gather_seconds", 60.0)
            await asyncio.to_thread(ask, client)
            waited.clear()
            hasty = session.summary()
            assert waited == []
            assert hasty.total.calls + hasty.unwritten_calls == session.totals.calls == 1
            session.graph()
            assert waited == []
            whole = await asyncio.to_thread(session.summary)
            assert (whole.total.calls, whole.unwritten_calls) == (1, 0)

    asyncio.run(main())


def test_without_a_ledger(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to read, and the error says what there is instead; disabled, all is empty."""
    with spantally.session("s1") as session:
        for ask_for in (session.graph, session.summary):
            with pytest.raises(LedgerError, match=r"session\.totals") as caught:
                ask_for()
            assert caught.value.slug == "switched_off"
    monkeypatch.setenv("SPANTALLY_DISABLED", "true")
    with spantally.session("s2") as session:
        assert session.summary().total.calls == 0
        assert len(session.graph().nodes) == 1
