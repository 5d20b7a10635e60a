"""`spantally path`: where the ledger is."""

from __future__ import annotations

import click

from spantally.cli import exits


@click.command()
@click.pass_obj
def path(explicit: str | None, /) -> None:
    """Print the path of the ledger in force, and nothing else."""
    from spantally.cli.access import ledger_in_force

    target = ledger_in_force(explicit)
    if target is None:
        raise exits.NotFoundError("the ledger is switched off (SPANTALLY_LEDGER=false)")
    click.echo(target)
