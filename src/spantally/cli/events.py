"""`spantally events SESSION`: what a program told of a session."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from spantally.cli.options import as_json, meant_session, newest_session, parse_moment, parsed

if TYPE_CHECKING:
    from spantally.ledger.contract import EventRow
    from spantally.queries import Ledger

FOLLOW_SECONDS: Final = 0.5
"""Between two looks into the ledger."""


@click.command()
@click.argument("session", required=False)
@newest_session
@click.option("--type", "kind", metavar="TYPE", help="Only events of this type: decision, message, ...")
@click.option("--agent", metavar="NAME", help="Only with this agent around them.")
@click.option("--since", callback=parsed(parse_moment), metavar="TIME", help="Only those at or after TIME.")
@click.option("--follow", is_flag=True, help="Go on until the session has ended, or Ctrl-C.")
@as_json
@click.pass_obj
def events(
    explicit: str | None,
    /,
    session: str | None,
    newest: bool,
    kind: str | None,
    agent: str | None,
    since: str | None,
    follow: bool,
    as_json: bool,
) -> None:
    """List what a program told of a session: decisions, evaluations, messages, its own events.

    SESSION is an id, a unique prefix of one, or last for the newest. With --follow and --json each event is
    an object on a line of its own, as soon as it is in the ledger.
    """
    from spantally.cli.exits import say
    from spantally.cli.find import one_session

    for name, value in (("--type", kind), ("--agent", agent)):
        if value == "":
            raise click.UsageError(f"{name} is empty; give a name")

    def ask(ledger: Ledger, ident: str) -> list[EventRow]:
        return ledger.events(ident, type=kind, agent=agent, since=since)

    meant = meant_session(session, newest=newest)
    if follow:
        try:
            _follow(explicit, meant, ask, as_json=as_json)
        except KeyboardInterrupt:  # that is how one ends it
            return
        return
    found = one_session(explicit, meant, ask)
    if as_json:
        from spantally.cli.jsonout import print_array
        from spantally.cli.treejson import event_object

        print_array([event_object(event) for event in found])
    elif found:
        from spantally.cli.render.events import print_events

        print_events(found, content=True)
    else:
        say("no event matches")


def _follow(
    explicit: str | None, meant: str, ask: Callable[[Ledger, str], list[EventRow]], *, as_json: bool
) -> None:
    """Print each event once, until the session has ended and all of it is printed."""
    from spantally.cli.find import one_session
    from spantally.ground.records import SessionStatus

    def look(ledger: Ledger, ident: str) -> tuple[str, bool, list[EventRow]]:
        row = ledger.session(ident)  # before its events: what was told before its end is among them then
        return ident, row is None or row.status != SessionStatus.RUNNING, ask(ledger, ident)

    seen: set[str] = set()
    ended = False
    while not ended:
        meant, ended, found = one_session(explicit, meant, look)
        _print_new([one for one in found if one.event_id not in seen], as_json=as_json)
        seen.update(one.event_id for one in found)
        if not ended:
            time.sleep(FOLLOW_SECONDS)


def _print_new(found: list[EventRow], *, as_json: bool) -> None:
    if not found:
        return
    if not as_json:
        from spantally.cli.render.events import print_events

        print_events(found, content=True)
    else:
        from spantally.cli.render.output import write
        from spantally.cli.treejson import event_object

        for event in found:
            write(json.dumps(event_object(event)))
    sys.stdout.flush()
