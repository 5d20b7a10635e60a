"""`spantally reprice`: rate calls anew, keep the earlier figures, tell the difference."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from spantally.cli.options import as_json, parse_moment, parsed
from spantally.ledger.repricing import STATUSES

if TYPE_CHECKING:
    from spantally.cli.render.tables import Column
    from spantally.ledger.repricing import RepriceRow, Repricing

_FORMS = "2026-01-31, 2026-01-31T12:00:00Z, or a time ago: 24h, 7d"


@click.command()
@click.option(
    "--since", callback=parsed(parse_moment), metavar="TIME", help=f"Begun at or after TIME: {_FORMS}."
)
@click.option("--until", callback=parsed(parse_moment), metavar="TIME", help="Begun before TIME.")
@click.option("--model", metavar="NAME", help="Only this model (requested or answering).")
@click.option("--provider", metavar="NAME", help="Only this provider.")
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    help="Only calls whose cost has this status; partial stands for each partial:PART.",
)
@click.option("--dry-run", is_flag=True, help="Tell the difference and write nothing.")
@as_json
@click.pass_obj
def reprice(explicit: str | None, /, as_json: bool, dry_run: bool, **wanted: Any) -> None:
    """Rate calls anew by the rates in force now for their time.

    Rows, sums and a history of the earlier figures are written in one transaction, or nothing is. What a
    provider itself reported as the cost stays; so does what budgets have counted.

    \b
    spantally reprice --status unknown_model --dry-run
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.access import reading
    from spantally.cli.queryargs import query_arguments

    status = wanted.pop("status")
    arguments = query_arguments(wanted)
    found: Repricing | None = None
    progress = _Progress()
    with reading(explicit) as ledger:
        if ledger is not None:
            try:
                # Counting how many there are takes time, so it is left where nobody reads it.
                told = progress if sys.stderr.isatty() else None
                found = ledger.reprice(**arguments, status=status, dry_run=dry_run, progress=told)
            finally:
                progress.end()
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([] if found is None else [row_object(row, dry_run) for row in found.rows])
    elif found is not None:
        _print(found)


def row_object(row: RepriceRow, dry_run: bool) -> dict[str, Any]:
    """The calls of one provider and model as JSON.

    Args:
        row: what changed of them.
        dry_run: nothing was written.
    """
    return {
        "provider": row.provider,
        "model": row.model,
        "calls": row.calls,
        "changed_calls": row.changed_calls,
        "before_nano_usd": row.before_nano_usd,
        "after_nano_usd": row.after_nano_usd,
        "change_nano_usd": row.change_nano_usd,
        "statuses": [
            {"before": before, "after": after, "calls": calls}
            for (before, after), calls in row.statuses.items()
        ],
        "dry_run": dry_run,
    }


def _print(found: Repricing) -> None:
    from spantally.cli.exits import say
    from spantally.cli.render.numbers import money_text
    from spantally.cli.render.output import write
    from spantally.cli.render.tables import print_table

    if not found.calls:
        say("no call matches")
        return
    changed = [row for row in found.rows if row.changed_calls]
    calls = f"{found.calls:,} {'call' if found.calls == 1 else 'calls'}"
    if not changed:
        write(f"nothing changed: {calls} cost what they did, {money_text(found.after_nano_usd)}")
        return
    print_table(_columns(), changed)
    would = "would be " if found.dry_run else ""
    before, after = money_text(found.before_nano_usd), money_text(found.after_nano_usd)
    write(
        f"\n{found.changed_calls:,} of {calls} {would}rated otherwise: "
        f"{before} before, {after} after, {change_text(found.change_nano_usd)}"
    )
    say("(dry run: nothing was written)" if found.dry_run else "(the earlier figures are kept)")


def change_text(nano_usd: int) -> str:
    """A difference of costs with its sign: ``+$0.10``, ``-$0.10``, ``$0.00``."""
    from spantally.cli.render.numbers import money_text

    return f"{'+' if nano_usd > 0 else ''}{money_text(nano_usd)}"


def _columns() -> list[Column[RepriceRow]]:
    from spantally.cli.render.numbers import NONE, count_text, money_text
    from spantally.cli.render.tables import Column

    return [
        Column("MODEL", lambda row: row.model or "(none)"),
        Column("PROVIDER", lambda row: row.provider or "(none)", keep=3),
        Column("CALLS", lambda row: count_text(row.calls), number=True, keep=4),
        Column("CHANGED", lambda row: count_text(row.changed_calls), number=True),
        Column("BEFORE", lambda row: money_text(row.before_nano_usd), number=True, whole=True),
        Column("AFTER", lambda row: money_text(row.after_nano_usd), number=True, whole=True),
        Column("CHANGE", lambda row: change_text(row.change_nano_usd), number=True, whole=True),
        Column("STATUS", lambda row: _statuses(row) or NONE, keep=2),
    ]


def _statuses(row: RepriceRow) -> str:
    return ", ".join(f"{calls:,} {old} > {new}" for (old, new), calls in row.statuses.items())


class _Progress:
    """Says on stderr how far it is."""

    def __init__(self) -> None:
        self._said = False

    def __call__(self, done: int, total: int) -> None:
        if done < total:
            share = 100 * done // total if total else 100
            click.echo(f"\r{done:,} of {total:,} rows ({share} %)", err=True, nl=False)
            self._said = True

    def end(self) -> None:
        """End the line."""
        if self._said:
            click.echo(err=True)
