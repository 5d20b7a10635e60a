"""`spantally outcomes`: how sessions went, and what programs measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from spantally.cli.cost import parse_zone
from spantally.cli.options import as_json, parsed, session_filters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spantally.cli.render.tables import Column
    from spantally.queries.outcomes import OutcomeRow


def parse_outcome_groupings(text: str) -> tuple[str, ...]:
    """Read groupings, separated by commas.

    Raises:
        ValueError: for one that is not known.
    """
    from spantally.queries.outcomes import check_outcome_groupings

    return check_outcome_groupings([part.strip() for part in text.split(",")])


@click.command()
@click.option(
    "--by",
    callback=parsed(parse_outcome_groupings),
    metavar="A[,B...]",
    help="Groupings: agent, user, entity, model, name, day, week, month. [default: all together]",
)
@click.option(
    "--tz",
    callback=parsed(parse_zone),
    metavar="ZONE",
    help="Zone of days, weeks and months. [default: the machine's]",
)
@session_filters
@as_json
@click.pass_obj
def outcomes(
    explicit: str | None, /, as_json: bool, by: tuple[str, ...] | None, tz: str | None, **wanted: Any
) -> None:
    """Say how sessions went: the share that succeeded, what each took, and metrics by mean, p50 and p95.

    Metrics are what programs told with finish(metrics={...}). The rate is of the sessions that ended, and so
    are turns and cost of each; those that nobody opened in the program are left out. A session of several
    agents is in the group of each.

    \b
    spantally outcomes --by agent --since 7d
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.access import reading
    from spantally.cli.exits import say
    from spantally.cli.queryargs import query_arguments
    from spantally.queries.times import local_zone

    arguments = query_arguments(wanted)
    place, groupings = tz or local_zone(), by or ()
    rows: list[OutcomeRow] = []
    with reading(explicit) as ledger:
        if ledger is not None:
            rows = ledger.outcomes(groupings, tz=tz, **arguments)
    if as_json:
        from dataclasses import asdict

        from spantally.cli.jsonout import print_array

        print_array([_object(row.keys, asdict(row), place) for row in rows])
    elif rows:
        from spantally.cli.render.tables import print_table

        print_table(_columns(groupings, rows), rows)
    elif ledger is not None:
        say("no session matches")


def _object(keys: Any, values: dict[str, Any], place: str) -> dict[str, Any]:
    values.pop("keys")
    return {**keys, "tz": place, **values}


def _columns(by: Sequence[str], rows: Sequence[OutcomeRow]) -> list[Column[OutcomeRow]]:
    from spantally.cli.render.numbers import NONE, count_text, money_text
    from spantally.cli.render.tables import Column

    def key(name: str) -> Column[OutcomeRow]:
        return Column(name.upper(), lambda row: row.keys.get(name) or "(none)")

    def metric(name: str) -> Column[OutcomeRow]:
        def text(row: OutcomeRow) -> str:
            found = row.metrics.get(name)
            return NONE if found is None else f"{found.mean:.4g} / {found.p50:.4g} / {found.p95:.4g}"

        return Column(f"{name} mean/p50/p95", text, number=True)

    def rate(row: OutcomeRow) -> str:
        return NONE if row.success_rate is None else f"{row.success_rate * 100:.1f} %"

    def mean(row: OutcomeRow, name: str) -> str:
        found = row.per_session.get(name)
        if found is None:
            return NONE
        return money_text(round(found.mean)) if name == "cost_nano_usd" else f"{found.mean:.4g}"

    return [
        *(key(name) for name in by),
        Column("SESSIONS", lambda row: count_text(row.sessions), number=True),
        Column("SUCCESS", rate, number=True),
        Column("FAILED", lambda row: count_text(row.failed), number=True, keep=3),
        Column("CANCELLED", lambda row: count_text(row.cancelled), number=True, keep=1),
        Column("ABANDONED", lambda row: count_text(row.abandoned), number=True, keep=1),
        Column("RUNNING", lambda row: count_text(row.running), number=True, keep=1),
        Column("TURNS EACH", lambda row: mean(row, "turns"), number=True, keep=4),
        Column("COST EACH", lambda row: mean(row, "cost_nano_usd"), number=True, keep=5),
        *(metric(name) for name in sorted({name for row in rows for name in row.metrics})),
    ]
