"""The `spantally` command: the group, its global options, and how a process of it ends."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Final

import click

from spantally.cli import exits
from spantally.cli.audit import audit
from spantally.cli.calls import calls
from spantally.cli.check import check
from spantally.cli.conformance import conformance
from spantally.cli.cost import cost
from spantally.cli.demo import demo
from spantally.cli.diff import diff
from spantally.cli.doctor import doctor
from spantally.cli.events import events
from spantally.cli.export import export
from spantally.cli.feedback import feedback
from spantally.cli.graph import graph
from spantally.cli.ingest import ingest
from spantally.cli.ledger import ledger as ledger_group
from spantally.cli.messages import messages
from spantally.cli.outcomes import outcomes
from spantally.cli.path import path
from spantally.cli.prices import prices
from spantally.cli.reconcile import reconcile
from spantally.cli.redact import redact
from spantally.cli.render.output import forget_stdout
from spantally.cli.replay import replay
from spantally.cli.reprice import reprice
from spantally.cli.run import run
from spantally.cli.search import search
from spantally.cli.sessions import sessions
from spantally.cli.show import show
from spantally.cli.summary import summary

UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EBADF})
"""Why stdout takes nothing, but for a reader that has left."""


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"spantally {version('spantally')}")
    ctx.exit()


@click.group(epilog=exits.HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--ledger",
    metavar="PATH",
    help="The ledger to read (or, for run, to write). Default: SPANTALLY_LEDGER, else this user's own.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context, ledger: str | None) -> None:
    """What the LLM, tool and agent calls of your programs did, and what they cost.

    Data goes to stdout, talk to stderr; --json gives one array of objects.
    """
    if ledger is not None and not ledger.strip():
        raise click.BadParameter("is empty; give the path of a ledger file", param_hint="'--ledger'")
    ctx.obj = ledger


for _command in (
    sessions,
    show,
    events,
    feedback,
    summary,
    outcomes,
    graph,
    replay,
    messages,
    search,
    diff,
    cost,
    calls,
    prices,
    reprice,
    reconcile,
    run,
    ingest,
    export,
    doctor,
    check,
    conformance,
    audit,
    redact,
    demo,
    ledger_group,
    path,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the `spantally` script."""
    # Closed by whoever started us: nobody reads it, and what is written is no reason to fail.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - until the end
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and (
            "utf" not in (stream.encoding or "").lower() or stream.errors == "strict"
        ):
            # A name outside the terminal's alphabet is no error, nor is half of a surrogate pair.
            reconfigure(errors="backslashreplace")
    try:
        code = cli.main(prog_name="spantally", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = 130
    except BrokenPipeError:
        forget_stdout()
        code = exits.BROKEN_PIPE
    except OSError as error:
        if error.errno not in UNWRITABLE or error.filename is not None:
            raise
        forget_stdout()  # Python writes what is left once more at its end
        exits.say(f"Error: the output cannot be written: {error.strerror}")
        code = exits.USAGE
    sys.exit(code if isinstance(code, int) else exits.OK)
