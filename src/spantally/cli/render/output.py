"""The one way out: text to stdout, coloured only on a terminal, as wide as its data on a pipe."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from spantally.cli.exits import BROKEN_PIPE

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPED_WIDTH = 100_000
"""Columns where no terminal limits them: nothing is cut or folded."""


def on_terminal() -> bool:
    """True where stdout is a terminal."""
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


def plain() -> bool:
    """True where no escape sequence may be written: a pipe, a dumb terminal or NO_COLOR."""
    return not on_terminal() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def console() -> Console:
    """A console for stdout as it is."""
    from rich.console import Console

    return Console(
        file=sys.stdout,
        width=None if on_terminal() else PIPED_WIDTH,
        color_system=None if plain() else "auto",
        force_terminal=on_terminal(),
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )


def terminal_width() -> int:
    """Columns of the terminal, or of what is written where there is none."""
    return console().width if on_terminal() else PIPED_WIDTH


def can_draw_lines() -> bool:
    """True where the encoding of stdout has line-drawing characters."""
    return "utf" in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()


def draw(*parts: RenderableType) -> None:
    """Draw parts below each other."""
    screen = console()
    with screen.capture() as caught:
        for part in parts:
            screen.print(part)
    lines = caught.get().split("\n")
    write("\n".join(line.rstrip(" ") for line in lines))


def write(text: str, end: str = "\n") -> None:
    """Write text that ends its last line, as it is.

    Args:
        text: to write.
        end: what it ends with; nothing where more of the same line comes.
    """
    whole = text if text.endswith(end) else f"{text}{end}"
    colour = None if plain() else True
    try:
        try:
            click.echo(whole, nl=False, color=colour)
        except UnicodeEncodeError:  # half of a surrogate pair, where stdout keeps undecodable bytes of names
            click.echo(whole.encode("utf-8", "backslashreplace").decode("utf-8"), nl=False, color=colour)
    except BrokenPipeError:
        forget_stdout()
        raise click.exceptions.Exit(BROKEN_PIPE) from None


def forget_stdout() -> None:
    """Let stdout go nowhere: its reader left (`| head`), and Python flushes it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
