"""`spantally search`: messages that hold some words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from spantally.cli.options import as_json, limit, one_more, say_cut, session_filters

if TYPE_CHECKING:
    from spantally.queries.conversation import Message

EXCERPT = 100
"""Characters of a message that a line shows."""


@click.command()
@click.argument("text", nargs=-1, required=True)
@session_filters
@limit(20)
@as_json
@click.pass_obj
def search(explicit: str | None, /, text: tuple[str, ...], limit: int, as_json: bool, **wanted: Any) -> None:
    """Find messages that hold all words of TEXT, newest session first.

    Words are parts of words, in any order and in either case; nothing in them has a meaning of its own.
    Messages are those that `spantally messages` writes.

    \b
    spantally search double charged --user alice --since 30d
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.access import reading
    from spantally.cli.exits import say
    from spantally.cli.queryargs import query_arguments
    from spantally.ground.errors import ArgumentError
    from spantally.queries.matching import checked_words, excerpt

    arguments = query_arguments(wanted)
    try:
        words = checked_words(" ".join(text))
    except ArgumentError as error:
        raise click.UsageError(str(error)) from error
    found: list[Message] = []
    with reading(explicit) as ledger:
        if ledger is not None:
            found = ledger.search(" ".join(text), limit=one_more(limit), **arguments)
    shown = found[: limit or None]
    if as_json:
        from spantally.cli.jsonout import print_array
        from spantally.cli.messages import message_object

        print_array([message_object(one) for one in shown])
    elif found:
        from spantally.cli.moments import local_text
        from spantally.cli.render.tables import Column, print_table

        print_table(
            [
                Column("SESSION", lambda one: one.session_id, whole=True),
                Column("AT", lambda one: local_text(one.time_ns), keep=2),
                Column("ROLE", lambda one: one.role, keep=5),
                Column("MESSAGE", lambda one: excerpt(one.content, words, EXCERPT)),
            ],
            shown,
        )
    elif ledger is not None:
        say("no message matches")
    say_cut(found, limit, as_json=as_json)
