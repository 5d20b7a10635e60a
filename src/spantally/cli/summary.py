"""`spantally summary SESSION`: what a session did and cost, by agent, run, model and tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from spantally.cli.options import SESSION_HELP, as_json, meant_session, newest_session
from spantally.ground.money import known_text

if TYPE_CHECKING:
    from spantally.cli.render.tables import Column
    from spantally.queries import Summary, SummaryRow


@click.command(epilog=SESSION_HELP)
@click.argument("session", required=False)
@newest_session
@as_json
@click.pass_obj
def summary(explicit: str | None, /, session: str | None, newest: bool, as_json: bool) -> None:
    """Sum up a session by agent, run, model and tool.

    Costs are own costs: the rows of each list share no call and add up to the total.
    """
    from spantally.cli.find import one_session

    meant = meant_session(session, newest=newest)
    made = one_session(explicit, meant, lambda ledger, session_id: ledger.summary(session_id))
    if as_json:
        from spantally.cli.jsonout import print_array
        from spantally.cli.overviewjson import summary_object

        print_array([summary_object(made)])
        return
    _print(made)


def _print(made: Summary) -> None:
    from spantally.cli.moments import span_text
    from spantally.cli.render.header import print_header
    from spantally.cli.render.output import write
    from spantally.cli.render.tables import print_table

    print_header(made.session)
    total = made.total
    calls = f"{total.calls:,} {'call' if total.calls == 1 else 'calls'}"
    took = "" if total.p50_ms is None else f", p50 {span_text(total.p50_ms)}"
    took += "" if total.p95_ms is None else f", p95 {span_text(total.p95_ms)}"
    amount = known_text(total.cost_nano_usd, total)
    write(f"total: {amount}{',' if ' + ' in amount else ''} of {calls}{took}")
    for word, rows in (
        ("AGENT", made.by_agent),
        ("RUN", made.by_run),
        ("MODEL", made.by_model),
        ("TOOL", made.by_tool),
    ):
        if any(row.key is not None for row in rows):
            write("")
            print_table(_columns(word, rows), rows)


def _columns(word: str, rows: Sequence[SummaryRow]) -> list[Column[SummaryRow]]:
    from spantally.cli.moments import span_text
    from spantally.cli.render.caching import cache_columns
    from spantally.cli.render.numbers import cost_text, count_text
    from spantally.cli.render.tables import Column

    def count(text: str, value: Callable[[SummaryRow], int], keep: int) -> Column[SummaryRow]:
        return Column(text, lambda row: count_text(value(row)), number=True, keep=keep)

    def took(text: str, value: Callable[[SummaryRow], float | None]) -> Column[SummaryRow]:
        return Column(text, lambda row: span_text(value(row)), number=True, keep=4)

    first: Column[SummaryRow] = Column(word, lambda row: row.key or "(none)")
    agent: Column[SummaryRow] = Column("AGENT", lambda row: row.name or "")
    named = [agent] if word == "RUN" else []
    times = [] if word in ("RUN", "MODEL") else [count("TIMES", lambda row: row.count, 3)]
    return [
        first,
        *named,
        *times,
        count("CALLS", lambda row: row.calls, 9),
        count("ERRORS", lambda row: row.errors, 5),
        count("TOKENS IN", lambda row: row.input_tokens, 2),
        count("OUT", lambda row: row.output_tokens, 2),
        *cache_columns(rows, keep=1),
        took("P50", lambda row: row.p50_ms),
        took("P95", lambda row: row.p95_ms),
        Column("COST", lambda row: cost_text(row.cost_nano_usd, row), whole=True),
    ]
