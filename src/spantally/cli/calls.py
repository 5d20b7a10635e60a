"""`spantally calls`: the rows behind the totals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from spantally.cli.options import CALL_STATUSES, as_json, filters, limit, one_more, order, say_cut
from spantally.ground.records import Kind
from spantally.ledger.ordering import CALL_ORDERS

if TYPE_CHECKING:
    from spantally.cli.render.tables import Column
    from spantally.ledger.contract import CallRow


@click.command()
@filters(CALL_STATUSES)
@click.option("--session", metavar="SESSION", help="Only this session: its id, a prefix of it, or last.")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="Only rows of this kind.")
@click.option("--provider", metavar="NAME", help="Only this provider.")
@click.option(
    "--finish-reason",
    metavar="REASON",
    help="Only calls with a choice that stopped for it: stop, length, tool_call, content_filter, error, ...",
)
@order(CALL_ORDERS, "started")
@limit(50)
@as_json
@click.pass_obj
def calls(
    explicit: str | None, /, as_json: bool, order: str, limit: int, session: str | None, **wanted: Any
) -> None:
    """List calls, with the agents and tools around them.

    \b
    spantally calls --status error --since 24h
    spantally calls --finish-reason length
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.access import reading
    from spantally.cli.exits import say
    from spantally.cli.find import find_session
    from spantally.cli.queryargs import query_arguments

    arguments = query_arguments(wanted)
    rows: list[CallRow] = []
    shown: list[CallRow] = []
    with reading(explicit) as ledger:
        if ledger is not None:
            if session is not None:
                arguments["session"] = find_session(ledger, session)
            rows = ledger.calls(**arguments, order_by=order, limit=one_more(limit))
            shown = rows[: limit or None]
    if as_json:
        from spantally.cli.jsonout import call_object, print_array

        print_array([call_object(row) for row in shown])
    elif rows:
        from spantally.cli.render.tables import print_table

        print_table(_columns(), shown)
    elif ledger is not None:
        say("no call matches")
    say_cut(rows, limit, as_json=as_json, oldest=CALL_ORDERS.get(order) == CALL_ORDERS["started"])


def _columns() -> list[Column[CallRow]]:
    from spantally.cli.moments import local_text, span_text
    from spantally.cli.render.numbers import NONE, count_text
    from spantally.cli.render.rows import own_cost_text, status_text
    from spantally.cli.render.tables import Column, status_style

    return [
        Column("STARTED", lambda row: local_text(row.started_ns), keep=6),
        Column("CALL", lambda row: row.call_id, keep=0),
        Column("SESSION", lambda row: row.session_id, keep=1),
        Column("AGENT", lambda row: " > ".join(row.agent_path) or NONE, keep=4),
        Column("KIND", lambda row: row.kind, keep=3),
        Column("OPERATION", lambda row: row.operation + (f" {row.name}" if row.name else "")),
        Column("PROVIDER", lambda row: row.provider or NONE, keep=2),
        Column("MODEL", lambda row: row.model or NONE, keep=8),
        Column("TOKENS IN", lambda row: count_text(row.input_tokens), number=True, keep=7),
        Column("OUT", lambda row: count_text(row.output_tokens), number=True, keep=7),
        Column("COST", own_cost_text, whole=True),
        Column("DURATION", lambda row: span_text(row.duration_ms), number=True, keep=5),
        Column("FIRST CHUNK", lambda row: span_text(row.time_to_first_chunk_ms), number=True, keep=2),
        Column("FINISH", lambda row: ", ".join(dict.fromkeys(row.finish_reasons)) or NONE, keep=1),
        Column("STATUS", status_text, style=lambda row: status_style(row.status)),
    ]
