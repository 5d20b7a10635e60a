"""`spantally show SESSION`: the tree of one session."""

from __future__ import annotations

import itertools
import shlex
from typing import TYPE_CHECKING, Final

import click

from spantally.cli.options import as_json, meant_session, newest_session

if TYPE_CHECKING:
    from spantally.ledger.contract import EventRow
    from spantally.queries import Ledger, SessionTree

MOST_EVENTS: Final = 50
"""Events that are drawn beneath a tree; --json has all."""


@click.command()
@click.argument("session", required=False)
@newest_session
@click.option("--timeline", is_flag=True, help="Draw bars against time instead of costs.")
@click.option(
    "--content", is_flag=True, help="Print what the ledger kept of prompts, answers, arguments, results."
)
@as_json
@click.pass_obj
def show(
    explicit: str | None, /, session: str | None, newest: bool, timeline: bool, content: bool, as_json: bool
) -> None:
    """Show the tree of a session, with own and inclusive cost.

    Beneath it stand the first 50 of the events that the program told; --json has all, as `events` does.

    SESSION is an id, a unique prefix of one, or last for the newest.
    """
    from spantally.cli.find import one_session

    meant = meant_session(session, newest=newest)
    tree, events, more = one_session(explicit, meant, _all_found if as_json else _found)
    if as_json:
        from spantally.cli.jsonout import print_array
        from spantally.cli.treejson import tree_object

        print_array([tree_object(tree, content=content, events=events)])
        return
    from spantally.cli.render.header import print_header
    from spantally.cli.render.numbers import safe
    from spantally.cli.render.timeline import print_timeline
    from spantally.cli.render.tree import print_tree
    from spantally.queries.messages import message_totals

    print_header(tree.session, message_totals(events))
    if timeline:
        print_timeline(tree.children)
    elif tree.children:
        print_tree(tree.children)
    if events:
        from spantally.cli.render.events import print_events
        from spantally.cli.render.output import write

        write("")
        print_events(events, content=content)
        if more:
            session_id = tree.session.session_id
            write(f"... and {more:,} more: spantally events --told {shlex.quote(safe(session_id))}")
    if content:
        from spantally.cli.render.content import print_content

        print_content(tree.children)


def _all_found(ledger: Ledger, session_id: str) -> tuple[SessionTree, list[EventRow], int] | None:
    tree = ledger.tree(session_id)
    return None if tree is None else (tree, ledger.events(session_id, told=True), 0)


def _found(ledger: Ledger, session_id: str) -> tuple[SessionTree, list[EventRow], int] | None:
    """The tree, its first events, and how many more there are."""
    tree = ledger.tree(session_id)
    if tree is None:
        return None
    events = ledger.iter_events(session_id, told=True)
    first = list(itertools.islice(events, MOST_EVENTS))
    return tree, first, sum(1 for _ in events)
