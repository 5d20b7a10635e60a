"""`spantally ledger ...`: what is done with whole ledgers."""

from __future__ import annotations

import sys

import click

from spantally.cli.exits import UnusableLedgerError, say


@click.group()
def ledger() -> None:
    """What is done with whole ledgers."""


@ledger.command()
@click.argument("ledgers", nargs=-1, required=True, metavar="LEDGER LEDGER...")
@click.option("-o", "--output", required=True, metavar="PATH", help="The new ledger; it must not exist.")
def merge(ledgers: tuple[str, ...], output: str) -> None:
    """Merge ledgers into a new one, in which each call is once.

    The ledgers are only read, and may have any part in common: those of several machines, a copy and its
    original, an old one and a new one.
    """
    from spantally.cli.access import by_argument
    from spantally.cli.render.numbers import so_many
    from spantally.ground.errors import ArgumentError, LedgerError
    from spantally.ledger.merging import merge_ledgers

    try:
        merged = merge_ledgers(ledgers, output, progress=_Progress())
    except ArgumentError as error:
        raise click.UsageError(str(error)) from error
    except LedgerError as error:
        raise UnusableLedgerError(by_argument(str(error))) from error
    more = "".join(
        f", {so_many(count, noun)}{which}"
        for count, noun, which in (
            (merged.events, "event", ""),
            (merged.repeated, "row", " that stood in more than one"),
            (merged.quarantined, "record", " that had been set aside"),
        )
        if count
    )
    say(f"{merged.path}: {so_many(merged.calls, 'call')} in {so_many(merged.sessions, 'session')}{more}")


class _Progress:
    """Says on stderr how far a merge is: on a terminal on one line, else once for each ledger."""

    def __call__(self, path: str, done: int, total: int) -> None:
        if sys.stderr.isatty():
            ended = done == total
            share = 100 if not total else 100 * done // total
            click.echo(f"\r{path}: {done:,} of {total:,} rows ({share} %)", err=True, nl=ended)
        elif done == total:
            from spantally.cli.render.numbers import so_many

            say(f"{path}: {so_many(total, 'row')}")
