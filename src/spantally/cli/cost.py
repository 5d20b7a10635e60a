"""`spantally cost --by ...`: where the money went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from spantally.cli.options import CALL_STATUSES, as_json, filters, parsed
from spantally.ground.cache_use import cache_sum
from spantally.ground.money import known_text
from spantally.ledger.grouping import TIMES, allowed_groupings, check_groupings, named_zone

if TYPE_CHECKING:
    from spantally.cli.currency import Converting
    from spantally.cli.render.tables import Column
    from spantally.ledger.contract import CostRow


def parse_groupings(text: str) -> tuple[str, ...]:
    """Read one or more groupings by commas.

    Raises:
        ValueError: for one that is not known.
    """
    return check_groupings([part.strip() for part in text.split(",")])


def parse_zone(text: str) -> str:
    """Read an IANA time zone.

    Raises:
        ValueError: for a name that the time zone database lacks.
    """
    named_zone(text)
    return text


@click.command()
@click.option(
    "--by",
    callback=parsed(parse_groupings),
    default="model",
    show_default=True,
    metavar="A[,B...]",
    help=f"Groupings: {allowed_groupings()}.",
)
@click.option(
    "--tz",
    callback=parsed(parse_zone),
    metavar="ZONE",
    help="Zone of days, weeks and months. [default: the machine's]",
)
@click.option(
    "--currency",
    metavar="CODE",
    help="Also in this currency (as EUR), each day at that day's rate of [currencies] in spantally.toml.",
)
@filters(CALL_STATUSES)
@as_json
@click.pass_obj
def cost(
    explicit: str | None,
    /,
    as_json: bool,
    by: tuple[str, ...],
    tz: str | None,
    currency: str | None,
    **wanted: Any,
) -> None:
    """Sum up costs in groups. Rows are disjoint, so they add up to the total.

    \b
    spantally cost --by model,day --since 7d
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.access import reading
    from spantally.cli.exits import say
    from spantally.cli.queryargs import query_arguments

    arguments = query_arguments(wanted)
    from spantally.queries.times import local_zone

    place = tz or local_zone()
    rows: list[CostRow] = []
    amounts: Converting | None = None
    with reading(explicit) as ledger:
        if ledger is not None and currency is not None:
            from spantally.cli.currency import Converting

            amounts = Converting(currency)

            def ask(by: tuple[str, ...], **more: Any) -> list[CostRow]:
                return ledger.cost(**{"by": by, "tz": tz, **arguments, **more})

            rows = amounts.rows(ask, by, arguments.get("since"), arguments.get("until"))
        elif ledger is not None:
            rows = ledger.cost(by=by, tz=tz, **arguments)
    if as_json:
        from spantally.cli.jsonout import cost_object, print_array

        print_array(
            [cost_object(row, place) | ({} if amounts is None else amounts.fields_of(row)) for row in rows]
        )
    elif rows:
        from spantally.cli.render.caching import cache_text
        from spantally.cli.render.output import write
        from spantally.cli.render.tables import print_table

        print_table(_columns(by, rows) + ([] if amounts is None else [amounts.column()]), rows)
        write(f"\n{total_line(rows)}{f'  (days of {place})' if set(TIMES).intersection(by) else ''}")
        if amounts is not None:
            write(amounts.total_line(rows))
        cached = cache_text(cache_sum(row.cache for row in rows))
        if cached is not None:
            write(f"cache: {cached}")
    elif ledger is not None:
        say("no call matches")


def total_line(rows: Sequence[CostRow]) -> str:
    """The sum of the rows, and how many calls it does not cover.

    Args:
        rows: the groups of one query, which are disjoint.
    """
    known = [row.cost_nano_usd for row in rows if row.cost_nano_usd is not None]
    calls = sum(row.calls for row in rows)
    amount = known_text(sum(known) if known else None, *rows)
    comma = "," if " + " in amount else ""
    return f"total: {amount}{comma} of {calls:,} {'call' if calls == 1 else 'calls'}"


def _columns(by: Sequence[str], rows: Sequence[CostRow]) -> list[Column[CostRow]]:
    from spantally.cli.render.caching import cache_columns
    from spantally.cli.render.numbers import cost_text, count_text
    from spantally.cli.render.tables import Column

    def key(name: str) -> Column[CostRow]:
        return Column(name.upper() if ":" not in name else name, lambda row: row.keys.get(name) or "(none)")

    return [
        *(key(name) for name in by),
        Column("CALLS", lambda row: count_text(row.calls), number=True),
        Column("ERRORS", lambda row: count_text(row.errors), number=True, keep=1),
        Column("TOKENS IN", lambda row: count_text(row.input_tokens), number=True, keep=2),
        Column("OUT", lambda row: count_text(row.output_tokens), number=True, keep=2),
        *cache_columns(rows, keep=1),
        Column(
            "COST",
            lambda row: cost_text(row.cost_nano_usd, row),
            whole=True,
        ),
    ]
