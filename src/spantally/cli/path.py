"""`spantally path`: where the ledger is."""

from __future__ import annotations

import click

from spantally.cli import exits
from spantally.cli.options import as_json


@click.command()
@as_json
@click.pass_obj
def path(explicit: str | None, /, as_json: bool) -> None:
    """Print the path of the ledger in force, and nothing else."""
    from spantally.cli.access import ledger_in_force

    target = ledger_in_force(explicit)
    if target is None:
        raise exits.NotFoundError("the ledger is switched off (SPANTALLY_LEDGER=false)")
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([{"path": target}])
        return
    click.echo(target)
