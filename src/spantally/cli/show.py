"""`spantally show SESSION`: the tree of one session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from spantally.cli.options import as_json

if TYPE_CHECKING:
    from spantally.queries import SessionTree


@click.command()
@click.argument("session", required=False)
@click.option("--last", "-1", "newest", is_flag=True, help="The newest session (as does SESSION = last).")
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

    SESSION is an id, a unique prefix of one, or last for the newest.
    """
    tree = _load(explicit, _meant(session, newest=newest))
    if as_json:
        from spantally.cli.jsonout import print_array
        from spantally.cli.treejson import tree_object

        print_array([tree_object(tree, content=content)])
        return
    from spantally.cli.render.header import print_header
    from spantally.cli.render.timeline import print_timeline
    from spantally.cli.render.tree import print_tree

    print_header(tree.session)
    if timeline:
        print_timeline(tree.children)
    elif tree.children:
        print_tree(tree.children)
    if content:
        from spantally.cli.render.content import print_content

        print_content(tree.children)


def _meant(session: str | None, *, newest: bool) -> str:
    if newest and session is not None:
        raise click.UsageError(f"give either SESSION ({session!r}) or --last, not both")
    if newest:
        return "last"
    if session is None:
        raise click.UsageError("missing SESSION: an id, a unique prefix of one, or last")
    return session


def _load(explicit: str | None, meant: str) -> SessionTree:
    from spantally.cli.access import reading
    from spantally.cli.exits import NotFoundError
    from spantally.cli.find import find_session

    with reading(explicit) as ledger:
        if ledger is None:
            raise NotFoundError(f"no session {meant!r}: there is no ledger yet")
        tree = ledger.tree(find_session(ledger, meant))
    if tree is None:
        raise NotFoundError(f"no session {meant!r} in the ledger any more")
    return tree
