"""`spantally doctor`: versions, settings, ledger, exporters, instrumentors, and what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from spantally.cli import exits
from spantally.cli.options import as_json

if TYPE_CHECKING:
    from spantally.cli.checks.finding import Finding


def examine(explicit: str | None) -> list[Finding]:
    """Run every check; one that fails is itself a problem found.

    Args:
        explicit: value of ``--ledger``, or None.
    """
    from spantally.cli.checks import exporters, instrumentors, ledger, process, settings, versions
    from spantally.cli.checks.finding import Finding, Level

    checks: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
        (versions.SECTION, versions.check),
        (ledger.SECTION, lambda: ledger.check(explicit)),
        (settings.SECTION, lambda: settings.check(os.environ)),
        (exporters.SECTION, lambda: exporters.check(os.environ)),
        (instrumentors.SECTION, instrumentors.check),
        (process.SECTION, lambda: process.check(os.environ)),
    )
    found: list[Finding] = []
    for section, check in checks:
        try:
            found.extend(check())
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            found.append(Finding(section, "check", "failed", Level.PROBLEM, text))
    return [_without_secrets(one) for one in found]


def _without_secrets(one: Finding) -> Finding:
    """What doctor says is shown to others; a setting may hold a password, and a wrong one anything."""
    value = exits.cleaned(one.value)
    return one._replace(value=value, advice=exits.cleaned(one.advice) if one.advice else one.advice)


@click.command()
@as_json
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check the installation: what is patched, missing or wrong.

    Ends with exit code 1 when there is a problem.
    """
    from spantally.cli.checks.finding import Level

    found = examine(ctx.obj)
    problems = sum(one.level is Level.PROBLEM for one in found)
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([one.as_object() for one in found])
    else:
        _print(found)
        if problems:
            exits.say(f"{problems} problem{'s' if problems > 1 else ''} found")
        else:
            exits.say("no problem found")
    ctx.exit(exits.NOTHING_FOUND if problems else exits.OK)


def _print(found: Sequence[Finding]) -> None:
    from rich.text import Text

    from spantally.cli.checks.finding import Level
    from spantally.cli.render.numbers import safe
    from spantally.cli.render.output import draw

    mark = {Level.OK: ("  ", ""), Level.NOTE: ("- ", "cyan"), Level.PROBLEM: ("! ", "bold red")}
    width = max(len(one.name) for one in found)
    lines: list[Text] = []
    section = None
    for one in found:
        if one.section != section:
            section = one.section
            lines.append(Text(section, style="bold"))
        sign, style = mark[one.level]
        line = Text()
        line.append(f"{sign}{safe(one.name):<{width}}  ", style=style)
        line.append(safe(one.value), style="" if one.level is Level.OK else style)
        lines.append(line)
        if one.advice:
            lines.append(Text(f"{' ' * (width + 4)}{safe(one.advice)}", style=style))
    draw(*lines)
