"""`spantally replay SESSION`: what a session did, step by step, with what was kept of its content."""

from __future__ import annotations

import json
import math
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from spantally.cli.options import meant_session, newest_session

if TYPE_CHECKING:
    from spantally.queries import Ledger
    from spantally.queries.replay import Step

_MOST_SECONDS = 3600.0
"""Longest single wait."""


@click.command()
@click.argument("session", required=False)
@newest_session
@click.option(
    "--speed",
    type=float,
    metavar="N",
    help="As fast as it went, divided by N: 1 for real time, 10 for a tenth.",
)
@click.option("--step", is_flag=True, help="Wait for Enter before each step (on a terminal).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.pass_obj
def replay(
    explicit: str | None, /, session: str | None, newest: bool, speed: float | None, step: bool, as_json: bool
) -> None:
    """Walk through a session: agents, calls, tools and decisions as they began and ended.

    With neither --speed nor --step all at once. Inputs and outputs are those that the ledger kept.

    SESSION is an id, a unique prefix of one, or last for the newest.
    """
    from spantally.cli.find import one_session
    from spantally.cli.render.output import write
    from spantally.cli.render.steps import step_object, step_text

    meant = meant_session(session, newest=newest)
    if speed is not None and not (math.isfinite(speed) and speed > 0):
        raise click.BadParameter(f"{speed} is no speed; use a number above 0", param_hint="'--speed'")
    if speed is not None and step:
        raise click.UsageError("give either --speed or --step, not both")
    if step and not sys.stdin.isatty():
        raise click.UsageError("--step waits for Enter and stdin is no terminal; use --speed N, or neither")
    steps = one_session(explicit, meant, _found)
    before: int | None = None
    for one in steps:
        if step and before is not None and not _next():
            return
        if speed is not None and before is not None:
            time.sleep(min(max(0.0, (one.at_ns - before) / 1e9 / speed), _MOST_SECONDS))
        before = one.at_ns
        if as_json:
            made: dict[str, Any] = step_object(one, steps[0].at_ns)
            write(json.dumps(made, allow_nan=False, default=str))
        else:
            write(step_text(one, steps[0].at_ns))


def _found(ledger: Ledger, session_id: str) -> list[Step] | None:
    return ledger.replay(session_id)


def _next() -> bool:
    """Wait for Enter; False at the end of the input, or for a line that says q."""
    click.echo("-- Enter: next, q: end -- ", err=True, nl=False)
    line = sys.stdin.readline()
    return bool(line) and line.strip().lower() not in ("q", "quit")
