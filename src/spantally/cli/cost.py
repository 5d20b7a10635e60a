"""`spantally cost --by ...`: where the money went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from spantally.cli.options import CALL_STATUSES, as_json, filters, parsed

if TYPE_CHECKING:
    from spantally.cli.render.tables import Column
    from spantally.ledger.contract import CostRow

GROUPINGS: Final = (
    "session",
    "run",
    "agent",
    "model",
    "provider",
    "user",
    "entity",
    "tool",
    "project",
    "trace",
    "day",
    "week",
    "month",
)
_CALENDAR: Final = frozenset({"day", "week", "month"})


def parse_groupings(text: str) -> tuple[str, ...]:
    """Read one or more groupings by commas.

    Raises:
        ValueError: for one that is not known or named twice.
    """
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in GROUPINGS and not (name.startswith("tag:") and len(name) > len("tag:")):
            allowed = ", ".join((*GROUPINGS, "tag:KEY"))
            raise ValueError(f"{name!r} is not a grouping; use one or more of: {allowed}")
    if len(set(names)) < len(names):
        raise ValueError(f"{text!r} names a grouping twice")
    return names


def parse_zone(text: str) -> str:
    """Read an IANA time zone.

    Raises:
        ValueError: for a name that the time zone database lacks.
    """
    from spantally.cli.zone import known

    if not known(text):
        raise ValueError(f"{text!r} is not a time zone; use an IANA name such as Europe/Berlin or UTC")
    return text


@click.command()
@click.option(
    "--by",
    callback=parsed(parse_groupings),
    default="model",
    show_default=True,
    metavar="A[,B...]",
    help=f"Groupings: {', '.join(GROUPINGS)}, tag:KEY.",
)
@click.option(
    "--tz",
    callback=parsed(parse_zone),
    metavar="ZONE",
    help="Zone of days, weeks and months. [default: the machine's]",
)
@filters(CALL_STATUSES)
@as_json
@click.pass_obj
def cost(explicit: str | None, /, as_json: bool, by: tuple[str, ...], tz: str | None, **wanted: Any) -> None:
    r"""Sum up costs in groups. Rows are disjoint, so they add up to the total.

    \b
    spantally cost --by model,day --since 7d
    """
    from spantally.cli.access import reading
    from spantally.cli.exits import say
    from spantally.cli.queryargs import query_arguments

    arguments = query_arguments(wanted)
    zone = tz or _default_zone(by)
    rows: list[CostRow] = []
    with reading(explicit) as ledger:
        if ledger is not None:
            rows = ledger.cost(by=by, tz=zone, **arguments)
    if as_json:
        from spantally.cli.jsonout import cost_object, print_array

        print_array([cost_object(row, zone) for row in rows])
    elif rows:
        from spantally.cli.render.output import write
        from spantally.cli.render.tables import print_table

        print_table(_columns(by), rows)
        write(f"\n{total_line(rows)}{f'  (days of {zone})' if _CALENDAR.intersection(by) else ''}")
    elif ledger is not None:
        say("no call matches")


def _default_zone(by: Sequence[str]) -> str:
    from spantally.cli.exits import say
    from spantally.cli.zone import machine_zone

    zone = machine_zone()
    if zone is None and _CALENDAR.intersection(by):
        say("the name of this machine's time zone cannot be told; days are those of UTC (--tz ZONE)")
    return zone or "UTC"


def total_line(rows: Sequence[CostRow]) -> str:
    """The sum of the rows, and how many calls it does not cover.

    Args:
        rows: the groups of one query, which are disjoint.
    """
    from spantally.cli.render.numbers import gaps, money_text

    known = [row.cost_nano_usd for row in rows if row.cost_nano_usd is not None]
    calls = sum(row.calls for row in rows)
    missing = gaps(
        sum(row.unpriced_calls for row in rows),
        sum(row.pending_calls for row in rows),
        sum(row.possibly_billed_calls for row in rows),
    )
    amount = money_text(sum(known)) if known else "unknown"
    if not missing:
        return f"total: {amount} of {calls:,} {'call' if calls == 1 else 'calls'}"
    first, _, word = missing[0].partition(" ")
    noun = "call" if first == "1" else "calls"
    known_text = f"{amount} known" if known else "cost unknown"
    return f"total: {' + '.join([known_text, f'{first} {noun} {word}', *missing[1:]])} (of {calls:,})"


def _columns(by: Sequence[str]) -> list[Column[CostRow]]:
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
        Column(
            "COST",
            lambda row: cost_text(
                row.cost_nano_usd, row.unpriced_calls, row.pending_calls, row.possibly_billed_calls
            ),
        ),
    ]
