"""`spantally diff A B`: two sessions beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from spantally.cli.options import as_json

if TYPE_CHECKING:
    from spantally.cli.render.tables import Column
    from spantally.queries.compare import Comparison, RowPair


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@as_json
@click.pass_obj
def diff(explicit: str | None, /, a: str, b: str, as_json: bool) -> None:
    """Compare two sessions: agents, tools and calls, models, tokens, costs and statuses.

    Rows are matched by agent path, kind, name and order; times are not compared. Exit code 0 where the
    sessions are equal, 1 where something differs, 2 for wrong arguments or a session that is not there.

    A and B are ids, unique prefixes of one, or last for the newest.
    """
    from spantally.cli.access import reading
    from spantally.cli.exits import NOTHING_FOUND, UnusableLedgerError, say

    with reading(explicit) as ledger:
        if ledger is None:
            raise UnusableLedgerError(f"no session {a!r}: there is no ledger yet")
        found = _compared(ledger, a, b)
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([comparison_object(found)])
    elif found.equal:
        say(f"no difference in {len(found.rows)} rows")
    else:
        _draw(found)
    if not found.equal:
        raise click.exceptions.Exit(NOTHING_FOUND)


def _compared(ledger: Any, a: str, b: str) -> Comparison:
    from spantally.cli.exits import NotFoundError, UnusableLedgerError
    from spantally.cli.find import find_session

    try:
        first, second = (find_session(ledger, meant) for meant in (a, b))
    except NotFoundError as error:  # its exit code is that of a difference here
        raise UnusableLedgerError(error.message) from error
    found: Comparison = ledger.diff(first, second)
    return found


def comparison_object(found: Comparison) -> dict[str, Any]:
    """The comparison as JSON; rows that are the same are counted and not listed."""
    from spantally.queries.compare import SESSION_FIELDS

    return {
        "a": found.a.session_id,
        "b": found.b.session_id,
        "equal": found.equal,
        "differs": {
            name: {"a": _plain(getattr(found.a, name)), "b": _plain(getattr(found.b, name))}
            for name in SESSION_FIELDS
            if name in found.differs
        },
        "same_rows": sum(pair.change == "same" for pair in found.rows),
        "rows": [_pair_object(pair) for pair in found.rows if pair.change != "same"],
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _pair_object(pair: RowPair) -> dict[str, Any]:
    from spantally.queries.compare import ROW_FIELDS

    row = pair.either
    return {
        "change": pair.change,
        "agent_path": list(row.agent_path),
        "kind": row.kind,
        "name": row.name,
        "operation": row.operation,
        "differs": list(pair.differs),
        **{
            side: None if one is None else {name: getattr(one, name) for name in ("call_id", *ROW_FIELDS)}
            for side, one in (("a", pair.a), ("b", pair.b))
        },
    }


_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _draw(found: Comparison) -> None:
    from spantally.cli.render.numbers import money_text
    from spantally.cli.render.output import write
    from spantally.cli.render.tables import print_table

    rows = [pair for pair in found.rows if pair.change != "same"]
    if rows:
        print_table(_columns(), rows)
    lines = [""] if rows else []
    for name in found.differs:
        a, b = getattr(found.a, name), getattr(found.b, name)
        if name == "cost_nano_usd":
            a, b = money_text(a), money_text(b)
        lines.append(f"{name.removesuffix('_nano_usd').replace('_', ' ')}: {_text(a)} -> {_text(b)}")
    if any(lines):
        write("\n".join(lines))


def _text(value: Any) -> str:
    from spantally.cli.render.numbers import NONE, safe

    if isinstance(value, tuple):
        return safe(", ".join(value)) or NONE
    return NONE if value is None else safe(f"{value:,}" if isinstance(value, int) else str(value))


def _columns() -> list[Column[RowPair]]:
    from spantally.cli.render.rows import own_cost_text, status_text
    from spantally.cli.render.tables import Column
    from spantally.cli.render.tree import describe

    def both(text: Any) -> Any:
        """Both values where they differ."""

        def told(pair: RowPair) -> str:
            a, b = (None if one is None else text(one) for one in (pair.a, pair.b))
            known = [one for one in (a, b) if one is not None]
            return known[0] if len(known) == 1 or a == b else f"{a} -> {b}"

        return told

    return [
        Column(" ", lambda pair: _SIGNS[pair.change]),
        Column("AGENT", lambda pair: " > ".join(pair.either.agent_path) or "-", keep=6),
        Column("WHAT", both(describe)),
        Column("TOKENS IN", both(lambda row: _text(row.input_tokens)), number=True, keep=5),
        Column("OUT", both(lambda row: _text(row.output_tokens)), number=True, keep=5),
        Column("COST", both(own_cost_text), whole=True),
        Column("STATUS", both(status_text), keep=7),
    ]
