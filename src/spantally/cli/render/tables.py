"""Tables that say everything on a pipe, and on a narrow terminal leave out whole columns, never digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from spantally.cli.exits import say
from spantally.cli.render.numbers import safe
from spantally.cli.render.output import console, draw

_T = TypeVar("_T")
_GAP: Final = 2
ALWAYS: Final = 9


@dataclass(frozen=True)
class Column(Generic[_T]):
    """One column: its heading, the text of a row, and when it gives way."""

    heading: str
    text: Callable[[_T], str]
    number: bool = False
    """Right-aligned."""
    keep: int = ALWAYS
    """Rank on a narrow terminal: the lowest goes first, ALWAYS stays."""
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


def print_table(
    columns: Sequence[Column[_T]], rows: Sequence[_T], *, footer: Sequence[str] | None = None
) -> None:
    """Draw rows to stdout; columns left out for want of width are named on stderr.

    Args:
        columns: in order of appearance.
        rows: one line each.
        footer: a last line, one text a column.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [[safe(column.text(row)) for column in columns] for row in rows]
    shown = _that_fit(columns, [*cells, list(footer or ())], console().width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_footer=footer is not None)
    for index in shown:
        column = columns[index]
        table.add_column(
            Text(column.heading),
            footer=Text(footer[index]) if footer else "",
            justify="right" if column.number else "left",
            no_wrap=True,
            overflow="fold" if column.number else "ellipsis",
            header_style="bold",
            footer_style="bold",
        )
    for row, texts in zip(rows, cells, strict=True):
        table.add_row(*(Text(texts[index], style=_style(columns[index], row)) for index in shown))
    draw(table)
    left_out = [column.heading for index, column in enumerate(columns) if index not in shown]
    if left_out:
        say(f"(no room for: {', '.join(left_out)}; widen the terminal, or use --json)")


def _style(column: Column[_T], row: _T) -> str:
    return (column.style(row) if column.style else None) or ""


def _that_fit(columns: Sequence[Column[_T]], lines: Sequence[Sequence[str]], width: int) -> list[int]:
    """Indexes of the columns to show: the lowest ranks give way until the rest fits."""
    from rich.cells import cell_len

    widths = [
        max([cell_len(column.heading), *(cell_len(line[index]) for line in lines if line)])
        for index, column in enumerate(columns)
    ]
    shown = list(range(len(columns)))
    while sum(widths[index] + _GAP for index in shown) - _GAP > width:
        least = min(shown, key=lambda index: (columns[index].keep, -index))
        if columns[least].keep >= ALWAYS:
            break
        shown.remove(least)
    return shown
