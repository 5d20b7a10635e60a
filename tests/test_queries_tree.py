"""The tree of a session: nesting, inclusive sums, unknown parents, circles and depth."""

from __future__ import annotations

from typing import Any

import pytest

from ledger_kit import SECOND, T0, TRACE, agent, chat, foreign, link, not_loaded, rate, session, span_id, tool
from spantally.ground.records import Record
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import Ledger, SessionTree, TreeNode


def tree_of(records: list[Record], session_id: str = "s1", rater: Any = rate) -> SessionTree:
    """The tree after writing records."""
    store = SQLiteStore(":memory:")
    store.write(records, rater)
    found = Ledger(store, rate=rater).tree(session_id)
    assert found is not None
    return found


def shape(nodes: tuple[TreeNode, ...]) -> list[Any]:
    """Ids, nested."""
    return [[node.call.call_id, *shape(node.children)] for node in nodes]


def test_nesting_and_sums() -> None:
    """Agents and tools show what happened inside them; children come by start; the top equals the session."""
    tree = tree_of(
        [
            session(),
            agent("top"),
            agent("worker", parent_call_id="top", start_ns=T0 + 5),
            tool("search", parent_call_id="worker", start_ns=T0 + 7),
            chat("c1", parent_call_id="worker", start_ns=T0 + 6),
            chat("c2", parent_call_id="search", start_ns=T0 + 8),
            chat("c3", parent_call_id="top", start_ns=T0 + 1),
            chat("c4", parent_call_id="top", start_ns=T0 + 9, usage=None),
        ]
    )
    assert shape(tree.children) == [["top", ["c3"], ["worker", ["c1"], ["search", ["c2"]]], ["c4"]]]
    top = tree.children[0]
    worker = top.children[1]
    assert (top.cost_nano_usd, top.own_cost_nano_usd, top.calls, top.unpriced_calls) == (48_000, None, 4, 1)
    assert (worker.cost_nano_usd, worker.input_tokens, worker.output_tokens) == (32_000, 20, 4)
    assert (worker.own_input_tokens, worker.children[0].own_input_tokens) == (0, 10)
    assert worker.children[0].own_cost_nano_usd == 16_000
    assert top.children[2].cost_nano_usd is None
    assert tree.session.cost_nano_usd == top.cost_nano_usd
    assert [depth for depth, _ in tree.walk()] == [0, 1, 1, 2, 2, 3, 1]


def test_a_covered_row_adds_nothing() -> None:
    """A model row that a child covers stands in the tree and is not summed."""
    tree = tree_of([chat("outer"), chat("inner", parent_call_id="outer")])
    assert shape(tree.children) == [["outer", ["inner"]]]
    assert (tree.children[0].cost_nano_usd, tree.children[0].calls) == (16_000, 1)
    assert tree.children[0].own_cost_nano_usd is None


def test_unknown_parents_hang_at_the_top() -> None:
    """Rows whose parent never came are shown, not lost."""
    assert shape(tree_of([chat("c1", parent_call_id="never")]).children) == [["c1"]]


def test_spans_lead_to_parents() -> None:
    """Foreign rows nest by their spans, through spans that are no operation."""
    tree = tree_of(
        [
            foreign(1, kind="agent", operation="invoke_agent", usage=None),
            link(2, 1),
            foreign(3, parent_span_id=span_id(2)),
            chat("own", trace_id=TRACE, span_id=span_id(4), parent_span_id=span_id(1), start_ns=T0 + SECOND),
        ]
    )
    one, three = f"{TRACE}-{span_id(1)}", f"{TRACE}-{span_id(3)}"
    assert shape(tree.children) == [[one, [three], ["own"]]]


def test_child_sessions_nest() -> None:
    """Rows of a child session hang where it was opened, or at the top; sums agree with the session."""
    tree = tree_of(
        [
            session(),
            session("kid", parent_id="s1"),
            agent("a1"),
            chat("c1", "kid", parent_call_id="a1"),
            chat("c2", "kid", start_ns=T0 + 1),
        ]
    )
    assert shape(tree.children) == [["a1", ["c1"]], ["c2"]]
    assert sum(node.cost_nano_usd or 0 for node in tree.children) == tree.session.cost_nano_usd == 32_000


@pytest.mark.timeout(20)
def test_circles_end() -> None:
    """Rows that are each other's parents are all shown once."""
    tree = tree_of(
        [
            agent("x", parent_call_id="z"),
            agent("y", parent_call_id="x", start_ns=T0 + 1),
            agent("z", parent_call_id="y", start_ns=T0 + 2),
            chat("c", parent_call_id="z"),
            agent("self", parent_call_id="self"),
        ]
    )
    assert sorted(node.call.call_id for _, node in tree.walk()) == ["c", "self", "x", "y", "z"]
    assert shape(tree.children) == [["self"], ["x", ["y", ["z", ["c"]]]]]


@pytest.mark.timeout(60)
def test_a_chain_longer_than_the_stack() -> None:
    """Three thousand agents inside each other give a tree and true sums."""
    chain: list[Record] = [
        agent(f"a{n}", parent_call_id=f"a{n - 1}" if n else None, start_ns=T0 + n) for n in range(3000)
    ]
    tree = tree_of([*chain, chat("c", parent_call_id="a2999")])
    assert tree.children[0].cost_nano_usd == 16_000
    assert max(depth for depth, _ in tree.walk()) == 3000


def test_pending_is_told() -> None:
    """Calls whose price is not known yet are counted as pending up to the top."""
    tree = tree_of([agent(), chat("c1", parent_call_id="a1")], rater=not_loaded)
    top = tree.children[0]
    assert (top.pending_calls, top.unpriced_calls, top.cost_nano_usd) == (1, 0, None)
