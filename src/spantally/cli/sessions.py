"""`spantally sessions`: what each session did and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from spantally.cli.options import as_json, limit, one_more, order, say_cut, session_filters
from spantally.ledger.ordering import SESSION_ORDERS

if TYPE_CHECKING:
    from spantally.cli.render.tables import Column
    from spantally.ledger.contract import SessionRow
    from spantally.queries import Ledger

MOST_ASKED = 200
"""Sessions up to which short ids are looked up one by one."""


@click.command()
@session_filters
@order(SESSION_ORDERS, "-started")
@limit(50)
@as_json
@click.pass_obj
def sessions(explicit: str | None, /, as_json: bool, order: str, limit: int, **wanted: Any) -> None:
    """List sessions: what each did and cost.

    \b
    spantally sessions --entity customer:acme --since 7d --order -cost
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.access import reading
    from spantally.cli.exits import say
    from spantally.cli.queryargs import query_arguments
    from spantally.cli.render.output import on_terminal

    arguments = query_arguments(wanted)
    rows: list[SessionRow] = []
    shown: list[SessionRow] = []
    names: Mapping[str, str] = {}
    with reading(explicit) as ledger:
        if ledger is not None:
            rows = ledger.sessions(**arguments, order_by=order, limit=one_more(limit))
            shown = rows[: limit or None]
            if on_terminal() and not as_json:
                whole = not arguments and len(rows) == len(shown)
                names = _short_names(ledger, shown, whole=whole)
    if as_json:
        from spantally.cli.jsonout import print_array, session_object

        print_array([session_object(row) for row in shown])
    elif rows:
        from spantally.cli.render.tables import print_table

        print_table([*_columns(names), *_running(shown)], shown)
    elif ledger is not None:
        say("no session matches")
    say_cut(rows, limit, as_json=as_json)


def _short_names(ledger: Ledger, rows: Sequence[SessionRow], *, whole: bool) -> dict[str, str]:
    """Unique beginnings of the ids by id; ids that are not in it are shown as they are.

    Args:
        ledger: asked where the rows are not all that it holds.
        rows: the sessions to show.
        whole: the rows are all sessions of the ledger.
    """
    from spantally.cli.render.ids import unique_prefixes
    from spantally.ground.errors import ArgumentError

    ids = [row.session_id for row in rows]
    names = unique_prefixes(ids, ids)
    if whole:
        return names
    if len(rows) > MOST_ASKED:
        return {}
    for ident, name in names.items():
        try:
            ledger.session(name)
        except ArgumentError:  # a session that is not shown begins so too
            names[ident] = ident
    return names


def _running(rows: Sequence[SessionRow]) -> list[Column[SessionRow]]:
    """The column of what runs and for how long, where anything does."""
    from spantally.cli.render.numbers import NONE
    from spantally.cli.render.rows import open_text
    from spantally.cli.render.tables import Column, status_style

    if not any(row.running for row in rows):
        return []
    return [
        Column(
            "RUNNING",
            lambda row: open_text(row.running, most=1) or NONE,
            keep=8,
            style=lambda row: status_style("running") if row.running else None,
        )
    ]


def _columns(names: Mapping[str, str]) -> list[Column[SessionRow]]:
    """The columns of the table.

    Args:
        names: short id by session id; ids without one are shown whole.
    """
    from spantally.cli.moments import local_text, span_text
    from spantally.cli.render.numbers import NONE, cost_text, count_text
    from spantally.cli.render.tables import Column, status_style

    return [
        Column("SESSION", lambda row: names.get(row.session_id, row.session_id), whole=True),
        Column("NAME", lambda row: (row.name or NONE) + (" (implicit)" if row.implicit else ""), keep=8),
        Column("USER", lambda row: row.user_id or NONE, keep=4),
        Column(
            "ENTITY", lambda row: f"{row.entity_type}:{row.entity_id}" if row.entity_type else NONE, keep=4
        ),
        Column("AGENTS", lambda row: ", ".join(row.agents) or NONE, keep=0),
        Column("CALLS", lambda row: count_text(row.calls), number=True),
        Column("TURNS", lambda row: count_text(row.turn_count), number=True, keep=1),
        Column("ERRORS", lambda row: count_text(row.errors), number=True, keep=5),
        Column("TOKENS IN", lambda row: count_text(row.input_tokens), number=True, keep=6),
        Column("OUT", lambda row: count_text(row.output_tokens), number=True, keep=6),
        Column(
            "COST",
            lambda row: cost_text(row.cost_nano_usd, row),
            whole=True,
        ),
        Column("STATUS", lambda row: row.status, keep=7, style=lambda row: status_style(row.status)),
        Column("STARTED", lambda row: local_text(row.started_ns), keep=2),
        Column("DURATION", lambda row: span_text(row.duration_ms), number=True, keep=3),
    ]
