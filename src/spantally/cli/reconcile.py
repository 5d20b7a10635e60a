"""`spantally reconcile FILE`: the ledger beside a provider's export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from spantally.cli.cost import parse_zone
from spantally.cli.options import as_json, parsed

if TYPE_CHECKING:
    from spantally.cli.render.tables import Column
    from spantally.queries.reconcile import Numbers, ReconcileRow, Reconciliation


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--provider", metavar="NAME", help="Only calls of this provider. [default: the export's]")
@click.option(
    "--tz",
    callback=parsed(parse_zone),
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="Zone that the days of the export are of.",
)
@as_json
@click.pass_obj
def reconcile(explicit: str | None, /, file: str, provider: str | None, tz: str, as_json: bool) -> None:
    """Compare the ledger with a provider's usage or cost export, by day and model.

    FILE is JSON of the usage or cost API of OpenAI, Anthropic or OpenRouter, a CSV export of their
    dashboards, or a table of one's own; which one is seen by its shape. Nothing is changed: the ledger is
    opened for reading only. Exit code 0 where all agrees, 1 where something differs, 2 for a file or ledger
    that cannot be read.

    \b
    spantally reconcile completions_usage.csv
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.access import by_source, ledger_to_read
    from spantally.cli.exits import NOTHING_FOUND, UnusableLedgerError
    from spantally.ground.errors import ArgumentError, LedgerError
    from spantally.ledger.sqlite.store import SQLiteStore
    from spantally.queries.exports import read_export
    from spantally.queries.ledger import Ledger
    from spantally.queries.reconcile import reconcile as compare

    try:
        export = read_export(file)
        target = ledger_to_read(explicit)
        if target is None:
            raise UnusableLedgerError("there is no ledger yet to compare with")
        with Ledger(SQLiteStore(target, read_only=True)) as ledger:
            found = compare(ledger, export, provider=provider, tz=tz)
    except ArgumentError as error:
        raise click.UsageError(str(error)) from error
    except LedgerError as error:
        raise UnusableLedgerError(by_source(str(error), explicit)) from error
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([reconciliation_object(found)])
    else:
        _print(found)
    if not found.agrees:
        raise click.exceptions.Exit(NOTHING_FOUND)


def reconciliation_object(found: Reconciliation) -> dict[str, Any]:
    """A comparison as JSON."""
    return {
        "format": found.format,
        "tz": found.tz,
        "first_day": found.first_day,
        "last_day": found.last_day,
        "agrees": found.agrees,
        "provider": found.provider._asdict(),
        "ledger": found.ledger._asdict(),
        "uncovered": [{"calls": calls, "what": what} for calls, what in found.uncovered],
        "notes": list(found.notes),
        "rows": [row_object(row) for row in found.rows],
    }


def row_object(row: ReconcileRow) -> dict[str, Any]:
    """One day and model as JSON; null is what the export does not tell."""
    return {
        "day": row.day,
        "model": row.model,
        "provider": row.provider._asdict(),
        "ledger": row.ledger._asdict(),
        "difference": row.difference._asdict(),
        "cause": row.cause,
        "note": row.note,
    }


def _print(found: Reconciliation) -> None:
    from spantally.cli.exits import say
    from spantally.cli.render.output import write
    from spantally.cli.render.tables import print_table

    for note in found.notes:
        say(note)
    if not found.rows:
        write(f"{found.format}: nothing to compare from {found.first_day or '-'} to {found.last_day or '-'}")
        return
    print_table(_columns(found), found.rows)
    differing = sum(row.cause is not None for row in found.rows)
    verdict = "all agrees" if found.agrees else f"{differing:,} of {len(found.rows):,} rows differ"
    write(f"\n{found.format}, {found.first_day} to {found.last_day} (days of {found.tz}): {verdict}")
    write(f"in the ledger: {coverage_text(found)}")
    for row in found.rows:
        if row.note is not None:
            write(f"{row.day} {row.model or '(no model)'}: {row.note}")


def coverage_text(found: Reconciliation) -> str:
    """How much of what the provider counted is in the ledger: ``calls 98.20 %, 491 of 500; cost ...``."""
    from spantally.cli.render.numbers import count_text, money_text

    words = []
    for name in found.provider._fields:
        theirs, ours = getattr(found.provider, name), getattr(found.ledger, name)
        if theirs is None or ours is None:
            continue
        text = money_text if name == "cost_nano_usd" else count_text
        share = f"{100 * ours / theirs:.2f} %, " if theirs else ""
        label = name.removesuffix("_nano_usd").replace("_", " ")
        words.append(f"{label} {share}{text(ours)} of {text(theirs)}")
    return "; ".join([*words, *(f"{calls:,} {what}" for calls, what in found.uncovered)])


def _columns(found: Reconciliation) -> list[Column[ReconcileRow]]:
    from spantally.cli.render.numbers import NONE, count_text, money_text
    from spantally.cli.render.tables import Column

    def numbers(heading: str, name: str, keep: int) -> list[Column[ReconcileRow]]:
        if getattr(found.provider, name) is None:
            return []
        text = money_text if name == "cost_nano_usd" else count_text

        def value(pick: str) -> Column[ReconcileRow]:
            word = {"provider": heading, "ledger": "LEDGER", "difference": "DIFF"}[pick]

            def shown(row: ReconcileRow) -> str:
                side: Numbers = getattr(row, pick)
                return text(getattr(side, name))

            return Column(word, shown, number=True, keep=keep)

        return [value("provider"), value("ledger"), value("difference")]

    return [
        Column("DAY", lambda row: row.day),
        Column("MODEL", lambda row: row.model or "(none)"),
        *numbers("CALLS", "calls", 6),
        *numbers("TOKENS IN", "input_tokens", 4),
        *numbers("OUT", "output_tokens", 3),
        *numbers("COST", "cost_nano_usd", 8),
        Column("CAUSE", lambda row: row.cause or NONE, style=lambda row: "yellow" if row.cause else None),
    ]
