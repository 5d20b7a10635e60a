"""`spantally prices --missing`: the calls of the ledger without a rate, and an entry to paste for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spantally.cli.exits import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spantally.queries.missing import MissingRate


def print_missing(explicit: str | None, since: str | None, *, as_json: bool) -> None:
    """Print what is missing.

    Args:
        explicit: value of ``--ledger``, or None.
        since: the calls that began then or later.
        as_json: one array of objects instead of a table and entries.
    """
    from spantally.cli.access import reading
    from spantally.queries.missing import missing_rates

    found: list[MissingRate] = []
    with reading(explicit) as ledger:
        if ledger is not None:
            found = missing_rates(ledger.store, since)
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([missing_object(one) for one in found])
    elif found:
        _print(found)
    elif ledger is not None:
        say("every call has a rate")


def missing_object(one: MissingRate) -> dict[str, Any]:
    """A missing rate for JSON."""
    from spantally.cli.moments import rfc3339

    return {
        "provider": one.provider,
        "host": one.host,
        "model": one.model,
        "status": one.status,
        "calls": one.calls,
        "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens,
        "last_at": rfc3339(one.last_ns),
        "advice": one.advice,
        "snippet": one.snippet,
    }


def _print(found: Sequence[MissingRate]) -> None:
    from spantally.cli.render.numbers import NONE, count_text, safe
    from spantally.cli.render.output import write
    from spantally.cli.render.tables import Column, print_table
    from spantally.ground.places import config_path

    columns: list[Column[MissingRate]] = [
        Column("PROVIDER", lambda one: one.provider or NONE),
        Column("HOST", lambda one: one.host or NONE),
        Column("MODEL", lambda one: one.model or NONE, whole=True),
        Column("WHY", lambda one: one.status),
        Column("CALLS", lambda one: count_text(one.calls), number=True),
        Column("TOKENS IN", lambda one: count_text(one.input_tokens), number=True),
        Column("OUT", lambda one: count_text(one.output_tokens), number=True),
    ]
    print_table(columns, found)
    say(f"\nentries for {config_path()}, to be filled in; then: spantally prices --check")
    for one in found:
        write(f"\n# {safe(one.advice)}\n{safe(one.snippet, lines=True)}")
