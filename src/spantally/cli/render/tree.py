"""The tree of a session: one line an agent, tool or call, its parents drawn as guides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spantally.cli.moments import span_text
from spantally.cli.render.caching import cache_columns
from spantally.cli.render.numbers import NONE, cost_text, count_text
from spantally.cli.render.output import can_draw_lines
from spantally.cli.render.rows import own_cost_text, status_text
from spantally.cli.render.tables import Column, print_table, status_style
from spantally.ground.cache_use import CacheUse
from spantally.ground.records import COUNTED_KINDS, Kind

if TYPE_CHECKING:
    from spantally.ledger.contract import CallRow
    from spantally.queries import TreeNode

_GUIDES = ("│  ", "   ", "├─ ", "└─ ")
_PLAIN_GUIDES = ("|  ", "   ", "|- ", "`- ")


@dataclass(frozen=True, slots=True)
class Line:
    """One node of a tree with the guides that lead to it."""

    guide: str
    node: TreeNode

    @property
    def cache(self) -> CacheUse:
        """Prompt caching of the node and all beneath."""
        return self.node.cache

    @property
    def label(self) -> str:
        """Guides and what the node is."""
        return self.guide + describe(self.node.call)


def describe(row: CallRow) -> str:
    """What a row is, in two or three words: ``agent planner``, ``chat gpt-4o``."""
    if row.kind in (Kind.AGENT, Kind.TOOL, Kind.WORKFLOW):
        return f"{row.kind} {row.name or '(unnamed)'}"
    text = f"{row.operation} {row.model or row.name or ''}".rstrip()
    elsewhere = row.kind in COUNTED_KINDS and not row.counted and row.running_ms is None
    return f"{text} (counted elsewhere)" if elsewhere else text


def outline(roots: Sequence[TreeNode]) -> list[Line]:
    """Every node beneath the roots, parents before children, in their order.

    Args:
        roots: the nodes right beneath the session.
    """
    through, blank, branch, last = _GUIDES if can_draw_lines() else _PLAIN_GUIDES
    lines: list[Line] = []
    # A stack and not recursion: a program that recurses may be deeper than Python's own limit.
    waiting = [("", root, index == len(roots) - 1) for index, root in enumerate(roots)][::-1]
    while waiting:
        before, node, ends = waiting.pop()
        lines.append(Line(before + (last if ends else branch), node))
        below = before + (blank if ends else through)
        children = node.children
        waiting.extend(
            (below, child, index == len(children) - 1) for index, child in reversed(list(enumerate(children)))
        )
    return lines


def print_tree(roots: Sequence[TreeNode]) -> None:
    """Draw the tree with own and inclusive cost, tokens, latency and status.

    Args:
        roots: the nodes right beneath the session.
    """
    lines = outline(roots)
    columns = [
        Column[Line]("WHAT", lambda line: line.label),
        Column[Line]("OWN", lambda line: own_cost_text(line.node.call), keep=6, whole=True),
        Column[Line]("INCLUSIVE", _inclusive_text, keep=8, whole=True),
        Column[Line]("TOKENS IN", lambda line: _counted(line, line.node.input_tokens), number=True, keep=4),
        Column[Line]("OUT", lambda line: _counted(line, line.node.output_tokens), number=True, keep=4),
        *cache_columns(lines, keep=2, money=False),
        Column[Line]("LATENCY", lambda line: span_text(line.node.call.duration_ms), number=True, keep=5),
        Column[Line](
            "FIRST CHUNK",
            lambda line: span_text(line.node.call.time_to_first_chunk_ms),
            number=True,
            keep=1,
        ),
        Column[Line](
            "STATUS",
            lambda line: status_text(line.node.call),
            keep=7,
            style=lambda line: status_style(line.node.call.status),
        ),
    ]
    print_table(columns, lines)


def _counted(line: Line, tokens: int) -> str:
    """Tokens of a row and all beneath; a dash where no call was made, which is not a call of 0."""
    return count_text(tokens) if line.node.calls else NONE


def _inclusive_text(line: Line) -> str:
    node = line.node
    if not node.calls and not node.cost_nano_usd:  # what a paid tool cost is no call's
        return NONE
    return cost_text(node.cost_nano_usd, node)
