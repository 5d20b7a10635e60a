"""`spantally events SESSION`: what a program told of a session."""

from __future__ import annotations

import click

from spantally.cli.options import as_json, meant_session, newest_session, parse_moment, parsed


@click.command()
@click.argument("session", required=False)
@newest_session
@click.option("--type", "kind", metavar="TYPE", help="Only events of this type: decision, message, ...")
@click.option("--agent", metavar="NAME", help="Only with this agent around them.")
@click.option("--since", callback=parsed(parse_moment), metavar="TIME", help="Only those at or after TIME.")
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
    as_json: bool,
) -> None:
    """List what a program told of a session: decisions, evaluations, messages, its own events.

    SESSION is an id, a unique prefix of one, or last for the newest.
    """
    from spantally.cli.exits import say
    from spantally.cli.find import one_session

    for name, value in (("--type", kind), ("--agent", agent)):
        if value == "":
            raise click.UsageError(f"{name} is empty; give a name")
    found = one_session(
        explicit,
        meant_session(session, newest=newest),
        lambda ledger, ident: ledger.events(ident, type=kind, agent=agent, since=since),
    )
    if as_json:
        from spantally.cli.jsonout import print_array
        from spantally.cli.treejson import event_object

        print_array([event_object(event) for event in found])
    elif found:
        from spantally.cli.render.events import print_events

        print_events(found, content=True)
    else:
        say("no event matches")
