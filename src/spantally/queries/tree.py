"""The tree of a session: agents, tools and calls, each with its own and its inclusive figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spantally.ground.cache_use import CacheUse, cache_sum
from spantally.ground.money import CostStatus
from spantally.ledger.contract import CallRow, SessionRow
from spantally.queries.figures import cache_of, lost_of, paid_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """A row with what happened inside it. Figures are inclusive unless a name says own."""

    call: CallRow
    children: tuple[TreeNode, ...]
    """By start."""
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    own_input_tokens: int
    own_output_tokens: int
    cache: CacheUse
    """Of the providers' prompt caches."""
    cost_nano_usd: int | None
    """Known part, paid tools among it; None when calls were made and nothing has a cost."""
    own_cost_nano_usd: int | None
    """Cost of this row alone, a call or a paid tool; None where it has none or does not count."""
    unpriced_calls: int
    pending_calls: int
    possibly_billed_calls: int
    lost_attempt_calls: int
    """Those of them that have usage: an earlier attempt was sent and lost. The others are unpriced."""
    covered_calls: int = 0
    """Those of the unpriced calls that are paid otherwise, by a flat plan."""
    list_nano_usd: int = 0
    """What these would have cost by the rates of the list; no part of the cost."""

    def walk(self) -> Iterator[tuple[int, TreeNode]]:
        """This node and all below it, depth first, each with its depth (0 here)."""
        waiting: list[tuple[int, TreeNode]] = [(0, self)]
        while waiting:
            depth, node = waiting.pop()
            yield depth, node
            waiting.extend((depth + 1, child) for child in reversed(node.children))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTree:
    """A session with its rows and those of its child sessions, nested."""

    session: SessionRow
    children: tuple[TreeNode, ...]
    """Rows without a parent, and those whose parent is unknown, by start."""

    def walk(self) -> Iterator[tuple[int, TreeNode]]:
        """All nodes, depth first, each with its depth (0 at the top)."""
        for child in self.children:
            yield from child.walk()


def build_tree(session: SessionRow, rows: Iterable[CallRow]) -> SessionTree:
    """Nest rows by their parents, without recursion: a chain may be longer than Python's stack.

    Args:
        session: whose tree it is.
        rows: its rows and those of its child sessions; parents may be missing or form a circle.
    """
    by_id = {row.call_id: row for row in rows}
    parents = _parents(by_id)
    below: dict[str | None, list[CallRow]] = {}
    for row in sorted(by_id.values(), key=lambda row: (row.started_ns, row.call_id)):
        below.setdefault(parents[row.call_id], []).append(row)
    order: list[CallRow] = []
    waiting = list(below.get(None, ()))
    while waiting:
        row = waiting.pop()
        order.append(row)
        waiting.extend(below.get(row.call_id, ()))
    nodes: dict[str, TreeNode] = {}
    for row in reversed(order):
        nodes[row.call_id] = _node(row, [nodes[child.call_id] for child in below.get(row.call_id, ())])
    return SessionTree(session=session, children=tuple(nodes[row.call_id] for row in below.get(None, ())))


def _parents(by_id: dict[str, CallRow]) -> dict[str, str | None]:
    """The parent of each row within the tree; None at the top. One link of each circle is cut."""
    parents: dict[str, str | None] = {}
    for call_id, row in by_id.items():
        parent = row.parent_call_id
        parents[call_id] = parent if parent in by_id and parent != call_id else None
    safe: set[str] = set()
    for start in sorted(by_id, key=lambda one: (by_id[one].started_ns, one)):
        path: list[str] = []
        on_path: set[str] = set()
        at: str | None = start
        while at is not None and at not in safe and at not in on_path:
            path.append(at)
            on_path.add(at)
            at = parents[at]
        if at is not None and at in on_path:
            # The row that began first becomes the top of its circle.
            circle = path[path.index(at) :]
            parents[min(circle, key=lambda one: (by_id[one].started_ns, one))] = None
        safe.update(path)
    return parents


def _node(row: CallRow, children: list[TreeNode]) -> TreeNode:
    counts = row.counted
    own_cost = row.cost_nano_usd if counts else paid_of(row) or None
    own_input = (row.input_tokens or 0) if counts else 0
    own_output = (row.output_tokens or 0) if counts else 0
    pending = counts and row.cost_status == CostStatus.PENDING
    calls = int(counts) + sum(child.calls for child in children)
    costs = [child.cost_nano_usd for child in children if child.calls or child.cost_nano_usd]
    known = [nano for nano in (own_cost, *costs) if nano is not None]
    return TreeNode(
        call=row,
        children=tuple(children),
        calls=calls,
        errors=int(row.status == "error") + sum(child.errors for child in children),
        input_tokens=own_input + sum(child.input_tokens for child in children),
        output_tokens=own_output + sum(child.output_tokens for child in children),
        own_input_tokens=own_input,
        own_output_tokens=own_output,
        cache=cache_sum((cache_of(row), *(child.cache for child in children))),
        cost_nano_usd=sum(known) if known or not calls else None,
        own_cost_nano_usd=own_cost,
        unpriced_calls=int(counts and row.cost_nano_usd is None and not pending)
        + sum(child.unpriced_calls for child in children),
        pending_calls=int(pending) + sum(child.pending_calls for child in children),
        possibly_billed_calls=int(counts and row.possibly_billed)
        + sum(child.possibly_billed_calls for child in children),
        lost_attempt_calls=int(counts and lost_of(row)) + sum(child.lost_attempt_calls for child in children),
        covered_calls=int(counts and row.cost_status == CostStatus.COVERED)
        + sum(child.covered_calls for child in children),
        list_nano_usd=((row.list_nano_usd or 0) if counts else 0)
        + sum(child.list_nano_usd for child in children),
    )
