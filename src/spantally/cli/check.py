"""`spantally check`: recorded sessions against limits; the exit code gates a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from spantally.cli.options import SESSION_HELP, SESSION_STATUSES, as_json, filters, parsed

if TYPE_CHECKING:
    from spantally.cli.render.tables import Column
    from spantally.ledger.contract import SessionRow
    from spantally.queries import Ledger
    from spantally.queries.checking import Limits, Verdict


def parse_usd(text: str) -> int:
    """Read an amount of US dollars as nano-USD.

    Raises:
        ValueError: for anything else.
    """
    from spantally.queries.checking import nano_usd_of

    return nano_usd_of("--max-usd", text)


def parse_share(text: str) -> Any:
    """Read a share.

    Raises:
        ValueError: for anything else.
    """
    from spantally.cli.check_limits import share_of

    return share_of("--min-success", text)


def parse_latency(text: str) -> tuple[int, float]:
    """Read a percentile and its limit.

    Raises:
        ValueError: for anything else.
    """
    from spantally.cli.check_limits import latency_of

    return latency_of("--max-latency", text)


_count = click.IntRange(min=0)


@click.command(
    epilog=f"{SESSION_HELP} Without one the filters choose. The limits of [check] in spantally.toml "
    "hold where no option gives another. Exit codes: 0 every limit holds, 1 one does not, or no session "
    "matches, 2 wrong arguments or a ledger that cannot be read."
)
@click.argument("sessions", metavar="[SESSION]...", nargs=-1)
@click.option("--max-usd", callback=parsed(parse_usd), metavar="USD", help="At most this cost.")
@click.option("--max-calls", type=_count, metavar="N", help="At most so many model calls.")
@click.option("--max-tokens", type=_count, metavar="N", help="At most so many tokens, input and output.")
@click.option(
    "--max-errors",
    type=_count,
    metavar="N",
    help="At most so many calls, tools and agents that ended in error.",
)
@click.option(
    "--min-success",
    callback=parsed(parse_share),
    metavar="SHARE",
    help="At least this share of the sessions succeeded: 0.95 or 95%.",
)
@click.option(
    "--max-latency",
    callback=parsed(parse_latency),
    multiple=True,
    metavar="PNN=TIME",
    help="A percentile of the model calls' durations: p95=2s, p50=800ms; may be repeated.",
)
@click.option("--no-unpriced", is_flag=True, help="The cost of every call is known.")
@click.option(
    "--allow-unpriced",
    is_flag=True,
    help="--max-usd is about the known cost alone. Without: a call whose cost is not known fails it.",
)
@click.option("--each", is_flag=True, help="Every session by itself, not all of them together.")
@click.option("--allow-empty", is_flag=True, help="No session is no failure.")
@filters(SESSION_STATUSES)
@as_json
@click.pass_obj
def check(
    explicit: str | None,
    /,
    sessions: tuple[str, ...],
    each: bool,
    allow_empty: bool,
    as_json: bool,
    max_usd: int | None,
    max_calls: int | None,
    max_tokens: int | None,
    max_errors: int | None,
    min_success: Any,
    max_latency: tuple[tuple[int, float], ...],
    no_unpriced: bool,
    allow_unpriced: bool,
    **wanted: Any,
) -> None:
    """Hold recorded sessions against limits: a gate for CI.

    A limit that cannot be decided, since a call's cost or tokens are not known, does not hold.

    \b
    spantally check --since 1h --tag suite=ci --max-usd 0.50 --max-errors 0
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.access import reading
    from spantally.cli.check_limits import limits_in_force
    from spantally.cli.exits import NOTHING_FOUND
    from spantally.cli.queryargs import query_arguments
    from spantally.ground.errors import ArgumentError
    from spantally.queries.checking import check as judge_sessions

    arguments = query_arguments(wanted)
    if sessions and arguments:
        raise click.UsageError("give either SESSION or filters, not both")
    try:
        limits = limits_in_force(
            {
                "max_usd": max_usd,
                "max_calls": max_calls,
                "max_tokens": max_tokens,
                "max_errors": max_errors,
                "min_success": min_success,
                "max_latency": max_latency,
                "no_unpriced": no_unpriced,
                "allow_unpriced": allow_unpriced,
            }
        )
    except ArgumentError as error:
        raise click.UsageError(str(error)) from error
    if not limits.given:
        raise click.UsageError("nothing to check; give a limit, such as --max-usd 0.50 or --max-errors 0")
    chosen: list[SessionRow] = []
    verdicts: list[Verdict] = []
    with reading(explicit) as ledger:
        if ledger is not None:
            chosen = _chosen(ledger, sessions, arguments)
            verdicts = judge_sessions(ledger, chosen, limits, each=each) if chosen else []
    empty = not chosen and not allow_empty
    _tell(chosen, verdicts, limits, as_json=as_json)
    if empty or not all(one.passed for one in verdicts):
        raise click.exceptions.Exit(NOTHING_FOUND)


def _chosen(ledger: Ledger, meant: Sequence[str], arguments: dict[str, Any]) -> list[SessionRow]:
    """The sessions to judge, each once.

    Raises:
        NotFoundError: for a session that is named and not there.
    """
    if not meant:
        return ledger.sessions(**arguments, order_by="started")
    from spantally.cli.find import find_session

    ids = dict.fromkeys(find_session(ledger, one) for one in meant)
    return [row for row in map(ledger.session, ids) if row is not None]


def verdict_object(verdict: Verdict) -> dict[str, Any]:
    """A limit and its figure as JSON; US dollars are decimal strings."""
    from spantally.ground.money import usd_text

    usd = verdict.unit == "nano_usd"
    limit: Any = usd_text(int(verdict.limit)) if usd else verdict.limit
    figure: Any = verdict.figure
    if usd:
        figure = usd_text(None if figure is None else int(figure))
    return {
        "rule": verdict.rule,
        "session_id": verdict.session_id,
        "unit": "usd" if usd else verdict.unit,
        "limit": limit,
        "figure": figure,
        "unknown_calls": verdict.unknown_calls,
        "passed": verdict.passed,
        "reason": verdict.reason,
    }


def _tell(
    chosen: Sequence[SessionRow], verdicts: Sequence[Verdict], limits: Limits, *, as_json: bool
) -> None:
    from spantally.cli.exits import say
    from spantally.cli.render.output import write

    if not chosen:
        say("no session matches")
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([verdict_object(one) for one in verdicts])
        return
    if not verdicts:
        return
    from spantally.cli.render.numbers import safe
    from spantally.cli.render.tables import print_table

    print_table(_columns(verdicts), verdicts)
    for one in verdicts:
        if one.reason is not None:
            whose = "" if one.session_id is None else f" of {one.session_id}"
            write(safe(f"{one.rule}{whose}: {one.reason}"))
    failed = sum(not one.passed for one in verdicts)
    what = "1 session" if len(chosen) == 1 else f"{len(chosen):,} sessions"
    held = "every limit holds" if not failed else f"{failed:,} of {len(verdicts):,} limits broken"
    write(f"\n{what}: {held}")


def _columns(verdicts: Sequence[Verdict]) -> list[Column[Verdict]]:
    from spantally.cli.render.tables import Column
    from spantally.queries.checking import amount_text

    whose: Column[Verdict] = Column("SESSION", lambda one: one.session_id or "", whole=True)
    return [
        Column(
            "CHECK",
            lambda one: "ok" if one.passed else "FAILED",
            style=lambda one: None if one.passed else "red",
        ),
        *([whose] if any(one.session_id for one in verdicts) else []),
        Column("RULE", lambda one: one.rule),
        Column(
            "FIGURE",
            lambda one: amount_text(one.unit, one.figure, known=not one.unknown_calls),
            number=True,
            whole=True,
        ),
        Column("LIMIT", lambda one: amount_text(one.unit, one.limit), number=True, whole=True),
    ]
