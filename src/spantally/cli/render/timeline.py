"""The tree of a session against time: a bar from start to end of each line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spantally.cli.moments import span_text
from spantally.cli.render.output import can_draw_lines, on_terminal, terminal_width
from spantally.cli.render.rows import state_text
from spantally.cli.render.tables import Column, print_table, status_style
from spantally.cli.render.tree import Line, outline

if TYPE_CHECKING:
    from spantally.queries import TreeNode

_PIPED_BAR = 60
_LEAST_BAR = 20
_MILLION = 1_000_000


def bar(start: int, end: int, first: int, last: int, width: int, mark: str) -> str:
    """A bar of at least one mark in a field of ``width`` characters that stands for ``first`` to ``last``.

    Args:
        start: of the bar, in any unit of time that the others share.
        end: of the bar.
        first: start of the field.
        last: end of the field.
        width: of the field, in characters.
        mark: the character to draw with.
    """
    whole = max(last - first, 1)
    left = min(max((start - first) * width // whole, 0), width - 1)
    right = min(max(left + 1, ((end - first) * width + whole - 1) // whole), width)
    return " " * left + mark * (right - left) + " " * (width - right)


def print_timeline(roots: Sequence[TreeNode]) -> None:
    """Draw the tree with bars.

    Args:
        roots: the nodes right beneath the session.
    """
    lines = outline(roots)
    if not lines:
        return
    now = time.time_ns()
    first = min(line.node.call.started_ns for line in lines)
    last = max(_end(line, now) for line in lines)
    mark = "━" if can_draw_lines() else "="
    labels = max(len(line.label) for line in lines)
    width = max(terminal_width() - labels - 30, _LEAST_BAR) if on_terminal() else _PIPED_BAR

    def draw_bar(line: Line) -> str:
        if line.node.call.inferred:  # seen in a later request only: when it ran is not known
            return " " * width
        return bar(line.node.call.started_ns, _end(line, now), first, last, width, mark)

    columns = [
        Column[Line]("WHAT", lambda line: line.label),
        Column[Line](
            f"0 to {span_text((last - first) / _MILLION)}",
            draw_bar,
            style=lambda line: status_style(line.node.call.status) or "green",
        ),
        Column[Line](
            "START",
            lambda line: span_text((line.node.call.started_ns - first) / _MILLION),
            number=True,
            keep=2,
        ),
        Column[Line]("LATENCY", lambda line: span_text(line.node.call.duration_ms), number=True, keep=3),
        Column[Line](
            "STATUS",
            lambda line: state_text(line.node.call),
            keep=1,
            style=lambda line: status_style(line.node.call.status),
        ),
    ]
    print_table(columns, lines)


def _end(line: Line, now: int) -> int:
    row = line.node.call
    if row.ended_ns is not None:
        return max(row.ended_ns, row.started_ns)
    return now if row.status == "running" else row.started_ns
