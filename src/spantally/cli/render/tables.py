"""Tables that say everything on a pipe, and on a narrow terminal leave out whole columns, never digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import click

from spantally.cli.exits import say
from spantally.cli.render.numbers import safe
from spantally.cli.render.output import can_draw_lines, plain, terminal_width, write

_T = TypeVar("_T")
_GAP: Final = 2
_LEAST: Final = 12
"""Characters that a cut text keeps at least."""
ALWAYS: Final = 9


@dataclass(frozen=True)
class Column(Generic[_T]):
    """One column: its heading, the text of a row, and when it gives way."""

    heading: str
    text: Callable[[_T], str]
    number: bool = False
    """Right-aligned."""
    keep: int = ALWAYS
    """Rank on a narrow terminal: the lowest goes first, ALWAYS stays; equal ones belong together."""
    whole: bool = False
    """Never cut: a cost, or an id to be typed again."""
    style: Callable[[_T], str | None] | None = None


STATUS_STYLE: Final = {
    "error": "red",
    "failed": "red",
    "interrupted": "yellow",
    "abandoned": "yellow",
    "cancelled": "yellow",
    "running": "cyan",
}
"""Colour of a status; what went well has none."""


def status_style(status: str) -> str | None:
    """Colour of a status, or None."""
    return STATUS_STYLE.get(status)


def print_table(columns: Sequence[Column[_T]], rows: Sequence[_T]) -> None:
    """Draw rows to stdout; columns left out for want of width are named on stderr.

    Laid out by hand: rich takes a millisecond a row, and a ledger has many.

    Args:
        columns: in order of appearance.
        rows: one line each.
    """
    cells = [[safe(column.text(row)) for column in columns] for row in rows]
    headings = [column.heading for column in columns]
    widths = [max(map(_cells, column)) for column in zip(headings, *cells, strict=True)]
    room = terminal_width()
    shown = _that_fit(columns, widths, room)
    _shrink(columns, widths, shown, room)
    coloured = not plain()
    bold: list[str | None] = ["bold"] * len(columns) if coloured else [None] * len(columns)
    unstyled: list[str | None] = [None] * len(columns)
    lines = [_line(columns, widths, shown, headings, bold)]
    for row, texts in zip(rows, cells, strict=True):
        styles = [column.style(row) if column.style else None for column in columns] if coloured else unstyled
        lines.append(_line(columns, widths, shown, texts, styles))
    write("\n".join(lines))
    left_out = [column.heading for index, column in enumerate(columns) if index not in shown]
    if left_out:
        say(f"(no room for: {', '.join(left_out)}; widen the terminal, or use --json)")


def _cells(text: str) -> int:
    """Columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _cut(text: str, width: int) -> str:
    """A text cut to a width, with an ellipsis where it is."""
    if _cells(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1) + ("…" if can_draw_lines() else "~")


def _that_fit(columns: Sequence[Column[_T]], widths: Sequence[int], room: int) -> list[int]:
    """Indexes of the columns to show: those that always stay, then by rank what there is room for.

    Columns of one rank belong together (tokens in and out): after one that does not fit come no more of it.
    """
    shown = [index for index, column in enumerate(columns) if column.keep >= ALWAYS]
    others = [index for index, column in enumerate(columns) if column.keep < ALWAYS]
    left_out: set[int] = set()
    for index in sorted(others, key=lambda index: -columns[index].keep):
        rank = columns[index].keep
        if rank not in left_out and _total(widths, [*shown, index]) <= room:
            shown.append(index)
        else:
            left_out.add(rank)
    return sorted(shown)


def _total(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[index] + _GAP for index in shown) - _GAP


def _shrink(columns: Sequence[Column[_T]], widths: list[int], shown: Sequence[int], room: int) -> None:
    """Where even the columns that stay are too wide, the widest text gives way; numbers never do."""
    excess = _total(widths, shown) - room
    texts = [index for index in shown if not columns[index].number and not columns[index].whole]
    if excess > 0 and texts:
        widest = max(texts, key=lambda index: widths[index])
        widths[widest] = max(widths[widest] - excess, min(_LEAST, widths[widest]))


def _line(
    columns: Sequence[Column[_T]],
    widths: Sequence[int],
    shown: Sequence[int],
    texts: Sequence[str],
    styles: Sequence[str | None],
) -> str:
    parts = []
    for index in shown:
        column, width = columns[index], widths[index]
        text = texts[index] if column.number or column.whole else _cut(texts[index], width)
        blank = " " * (width - _cells(text))
        text = _styled(text, styles[index])
        parts.append(blank + text if column.number else text + blank)
    return (" " * _GAP).join(parts).rstrip(" ")


def _styled(text: str, style: str | None) -> str:
    if style is None:
        return text
    return click.style(text, bold=True) if style == "bold" else click.style(text, fg=style)
