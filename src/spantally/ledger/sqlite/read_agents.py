"""What the calls beneath an agent used, as its live span tells it: for spans that are made from rows."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

from spantally.ground.records import Kind, Status
from spantally.ledger.counting import Node, SpanKey
from spantally.ledger.sqlite.graph import Graph, node_of
from spantally.ledger.tally import Row

_USED: Final = (
    "SELECT call.call_id, call.input_tokens, call.output_tokens, call.request_model, call.finish_reasons, "
    f"call.status = '{Status.ERROR}' AND NOT call.possibly_billed, COALESCE(call.end_ns, call.start_ns) "
    "FROM json_each(?) AS w CROSS JOIN call ON call.call_id = w.value"
)


class Beneath(NamedTuple):
    """Sums of the calls beneath an agent that count, nested agents included."""

    input_tokens: int | None
    """None where no call told any."""
    output_tokens: int | None
    unknown: int
    """Calls that were answered or broken off without a usage: the sums are not the whole."""
    model: str | None
    """The one that all of them asked for."""
    finish_reasons: tuple[str, ...]
    """Of the last one."""


def beneath(db: sqlite3.Connection, rows: Iterable[Row]) -> dict[str, Beneath]:
    """Sums for those of the rows that are agents, by call id.

    Args:
        db: to read from.
        rows: of a page.
    """
    agents = [row for row in rows if row.record.kind == Kind.AGENT]
    if not agents:
        return {}
    graph = Graph(db)
    calls = {row.record.call_id: _calls_below(graph, node_of(row)) for row in agents}
    used = _used(db, set().union(*calls.values()))
    return {agent: _sum([used[one] for one in ids if one in used]) for agent, ids in calls.items()}


def _calls_below(graph: Graph, agent: Node) -> set[str]:
    agent = graph.nodes.setdefault(agent.call_id, agent)
    seen: set[str] = {agent.call_id}
    seen_links: set[SpanKey] = set()
    level, links = [agent], set[SpanKey]()
    found: set[str] = set()
    while level or links:
        graph.load_children(level, links)
        below, links_below = graph.children(level, links)
        fresh = below - seen
        seen |= fresh
        links = links_below - seen_links
        seen_links |= links
        level = [graph.nodes[one] for one in fresh]
        graph.load_twins(level)
        found.update(node.call_id for node in level if node.counted and not node.hidden)
    return found


class _Used(NamedTuple):
    input_tokens: int | None
    output_tokens: int | None
    model: str | None
    reasons: tuple[str, ...]
    refused: bool
    end_ns: int


def _used(db: sqlite3.Connection, ids: set[str]) -> dict[str, _Used]:
    found: dict[str, _Used] = {}
    for call_id, tokens_in, tokens_out, model, reasons, refused, end in db.execute(
        _USED, (json.dumps(sorted(ids)),)
    ):
        told = () if reasons is None else tuple(json.loads(reasons))
        found[call_id] = _Used(tokens_in, tokens_out, model, told, bool(refused), end)
    return found


def _sum(used: list[_Used]) -> Beneath:
    known = [one for one in used if one.input_tokens is not None]
    models = {one.model for one in used if one.model is not None}
    told = [one for one in used if one.reasons]
    return Beneath(
        sum(one.input_tokens or 0 for one in known) if known else None,
        sum(one.output_tokens or 0 for one in known) if known else None,
        sum(one.input_tokens is None and not one.refused for one in used),
        models.pop() if len(models) == 1 else None,
        max(told, key=lambda one: one.end_ns).reasons if told else (),
    )
