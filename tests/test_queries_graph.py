"""The graph of a session: one node a name, figures that count each row once, drawings no name can break."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from ledger_kit import SECOND, T0, agent, chat, rate, session, tool, usage
from spantally.ground.records import Kind, Record
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import Ledger, SessionGraph, open_ledger
from spantally.queries.drawing import dot_text, mermaid_text


def ledger_of(records: Sequence[Record]) -> Ledger:
    """A ledger in memory of these records."""
    store = SQLiteStore(":memory:")
    store.write(records, rate)
    return open_ledger(store)


def graph_of(*records: Record) -> SessionGraph:
    """The graph of the session s1 with these rows in it."""
    made = ledger_of([session(), *records]).graph("s1")
    assert made is not None
    return made


def team() -> list[Record]:
    """A planner that asks a researcher twice; each time the researcher calls a model and a tool."""
    rows: list[Record] = [agent("p"), chat("pc", parent_call_id="p", agent_path=("planner",))]
    for number in (1, 2):
        path = ("planner", "researcher")
        start = T0 + number * SECOND
        rows += [
            agent(
                f"r{number}",
                parent_call_id="p",
                name="researcher",
                agent_path=path,
                start_ns=start,
                end_ns=start + number * SECOND,
            ),
            chat(f"c{number}", parent_call_id=f"r{number}", agent_path=path, start_ns=start),
            tool(
                f"t{number}",
                parent_call_id=f"r{number}",
                agent_path=path,
                status="error" if number == 1 else "ok",
            ),
        ]
    return rows


def test_rows_of_one_name_are_one_node() -> None:
    """Nodes are session, agents, tools and models by name; edges say how often, for how much, how long."""
    graph = graph_of(*team())
    nodes = {node.id: node for node in graph.nodes}
    assert list(nodes) == [
        "session",
        "agent:planner",
        "inference:openai/gpt-5-2026",
        "agent:researcher",
        "tool:search",
    ]
    assert {(edge.source, edge.target): edge.count for edge in graph.edges} == {
        ("session", "agent:planner"): 1,
        ("agent:planner", "inference:openai/gpt-5-2026"): 1,
        ("agent:planner", "agent:researcher"): 2,
        ("agent:researcher", "inference:openai/gpt-5-2026"): 2,
        ("agent:researcher", "tool:search"): 2,
    }
    researcher = nodes["agent:researcher"]
    assert (researcher.count, researcher.failed, researcher.calls, researcher.errors) == (2, 0, 2, 1)
    assert (researcher.p50_ms, researcher.p95_ms) == (1000.0, 2000.0)
    assert (researcher.models, researcher.providers, researcher.tools) == (
        ("gpt-5-2026",),
        ("openai",),
        ("search",),
    )
    assert (nodes["tool:search"].failed, nodes["tool:search"].calls) == (1, 0)
    assert (nodes["agent:planner"].calls, nodes["agent:planner"].own.calls) == (3, 1)
    assert (nodes["session"].calls, nodes["session"].cost_nano_usd) == (3, 48_000)
    (asked,) = [edge for edge in graph.edges if edge.target == "agent:researcher"]
    assert (asked.calls, asked.cost_nano_usd, asked.errors) == (2, 32_000, 1)


def test_own_figures_add_up_twice() -> None:
    """Own costs of agents, tools and the session sum to the total, and so do those of the models."""
    graph = graph_of(
        *team(),
        chat("top", response_model="other"),
        chat("odd", response_model="unknown", parent_call_id="t1", tool="search"),
    )
    models = {"inference", "embeddings"}
    (top,) = [node for node in graph.nodes if node.kind == "session"]
    for those in (
        [node for node in graph.nodes if node.kind in models],
        [node for node in graph.nodes if node.kind not in models],
    ):
        assert sum(node.own.cost_nano_usd or 0 for node in those) == top.cost_nano_usd
        assert sum(node.own.calls for node in those) == top.calls == 5
        assert sum(node.own.unpriced_calls for node in those) == top.unpriced_calls == 1


def test_an_agent_inside_itself_is_counted_once() -> None:
    """An agent that invokes itself is a node with a circle; its inclusive figures hold each call once."""
    rows: list[Record] = []
    for depth in range(4):
        above = f"a{depth - 1}" if depth else None
        path = ("planner",) * (depth + 1)
        rows.append(agent(f"a{depth}", parent_call_id=above, agent_path=path))
        rows.append(chat(f"c{depth}", parent_call_id=f"a{depth}", agent_path=path))
    graph = graph_of(*rows)
    (planner,) = [node for node in graph.nodes if node.kind == "agent"]
    assert (planner.count, planner.calls, planner.own.calls) == (4, 4, 4)
    assert planner.cost_nano_usd == planner.own.cost_nano_usd == 64_000
    (circle,) = [edge for edge in graph.edges if edge.source == edge.target]
    assert (circle.count, circle.calls) == (3, 3)


def test_a_second_view_is_no_node() -> None:
    """A call that is covered by the one beneath it gives no node; that one hangs on what is above."""
    graph = graph_of(
        agent("a"),
        chat("wrapper", parent_call_id="a", response_model="proxy", status="error"),
        chat("real", parent_call_id="wrapper"),
    )
    session_node, planner, _ = graph.nodes
    assert (session_node.errors, planner.errors, planner.own.errors) == (1, 1, 1)
    assert [node.id for node in graph.nodes] == ["session", "agent:planner", "inference:openai/gpt-5-2026"]
    assert [(edge.source, edge.target) for edge in graph.edges] == [
        ("session", "agent:planner"),
        ("agent:planner", "inference:openai/gpt-5-2026"),
    ]


def test_child_sessions_and_workflows_are_within() -> None:
    """The graph covers child sessions, as the session's totals do; a workflow is a node of its own."""
    ledger = ledger_of(
        [
            session(),
            session("s2", parent_id="s1"),
            agent("w", kind=Kind.WORKFLOW, operation="invoke_workflow", name="nightly", agent_path=()),
            chat("c1", parent_call_id="w"),
            chat("c2", "s2"),
        ]
    )
    graph = ledger.graph("s1")
    assert graph is not None
    nodes = {node.id: node for node in graph.nodes}
    assert (nodes["session"].calls, nodes["session"].own.calls) == (2, 1)
    assert nodes["workflow:nightly"].own.cost_nano_usd == 16_000
    assert ledger.graph("nothing") is None


def test_ids_keep_providers_and_models_apart() -> None:
    """Two providers, or two names, never share an id, whatever characters they have."""
    graph = graph_of(
        chat("c1", provider="a/b", response_model="c"),
        chat("c2", provider="a", response_model="b/c"),
        chat("c3", kind=Kind.EMBEDDINGS, operation="embeddings", provider="a", response_model="b/c"),
    )
    assert len({node.id for node in graph.nodes}) == len(graph.nodes) == 4


def test_unknown_costs_stay_unknown() -> None:
    """Where calls were made and none has a cost, node and edge have none, never 0."""
    graph = graph_of(agent("a"), chat("c", parent_call_id="a", response_model="unknown"))
    assert [node.cost_nano_usd for node in graph.nodes] == [None, None, None]
    assert [edge.cost_nano_usd for edge in graph.edges] == [None, None]
    assert "cost unknown" in graph.to_dot()


def test_a_deep_chain_needs_no_stack() -> None:
    """Five thousand nested agents are folded without recursion."""
    rows = [
        agent(f"a{depth}", parent_call_id=f"a{depth - 1}" if depth else None, name=f"n{depth % 2}")
        for depth in range(5000)
    ]
    graph = graph_of(*rows)
    assert [node.count for node in graph.nodes] == [1, 2500, 2500]


# -- drawings -----------------------------------------------------------------------------------------

HOSTILE = [
    'a"]; evil --> n0["b',
    "x\n  n9 --> n0",
    "x\r%%{init: {'securityLevel': 'loose'}}%%",
    "end",
    "<script>alert(1)</script><img src=x onerror=y>",
    "click n0 call evil()",
    "`markdown`",
    "style: #35; classDef: #quot;",
    "back\\slash\\",
    '\\"; n0 -> n9; "',
    "\\N\\G\\l &quot; &#34; &lt;",
    "\u202egnip\u2028\x00\x1b[2J",
    "$$\\text{x}$$",
    "] ) } | > -->|x| n1",
    "very " * 100,
    "naïve 模型",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_labels(name: str) -> None:
    """Whatever an agent, tool, model, provider or session is called, each drawing has just its own lines."""
    graph = graph_of(
        agent("a", name=name, agent_path=(name,)),
        tool("t", parent_call_id="a", name=name, tool=name),
        chat("c", parent_call_id="t", provider=name, response_model=name, usage=usage(1, 1)),
    )
    for line in graph.to_mermaid().splitlines()[1:]:
        assert re.fullmatch(
            r"    n\d(?:\(\[|\[|\{\{|\()\"[^\"`<>{}\[\]|%;\\\n:$=@]*\"(?:\]\)|\]|\}\}|\))"
            r"|    n\d -->\|\"[^\"`<>{}\[\]|%;\\\n:$=@]*\"\| n\d",
            re.sub(r"#\d+;|<br/>", "", line),
        ), line
    assert len(graph.to_mermaid().splitlines()) == 1 + 4 + 3
    lines = graph.to_dot().splitlines()
    assert len(lines) == 2 + 4 + 3 + 1
    for line in lines[2:-1]:
        # A quoted string of Graphviz ends at the first quote that has no backslash before it.
        assert re.fullmatch(r'    n\d (?:-> n\d )?\[(?:shape=\w+, )?label="(?:[^"\\]|\\["\\n])*"\];', line), (
            line
        )
    for text in (graph.to_mermaid(), graph.to_dot()):
        assert all(character == "\n" or character.isprintable() for character in text)
        text.encode()


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.isprintable() and len(name) < 80])
def test_labels_read_as_the_names_do(name: str) -> None:
    """What the viewer shows is the name: the escapes of both languages lead back to it."""
    shown = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), mermaid_text(name))
    assert shown == name
    assert html.unescape(re.sub(r"\\(.)", r"\1", dot_text(name))) == name


def test_a_ledger_file_gives_the_same_graph(tmp_path: Path) -> None:
    """From a file, by the beginning of the id."""
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write([session("chat-1"), *[row._replace(session_id="chat-1") for row in team()]], rate)  # type: ignore[call-arg]
    store.close()
    with open_ledger(tmp_path / "ledger.db") as ledger:
        made = ledger.graph("chat")
    assert made is not None
    assert made.session_id == "chat-1"
    assert (len(made.nodes), len(made.edges)) == (5, 5)
