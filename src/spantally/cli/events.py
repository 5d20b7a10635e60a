"""`spantally events SESSION`: what happened in a session."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from spantally.cli.options import as_json, meant_session, newest_session, parse_moment, parsed

if TYPE_CHECKING:
    from spantally.ledger.contract import EventRow
    from spantally.queries import Ledger

    Ask: TypeAlias = Callable[[Ledger, str], Iterator[EventRow]]

FOLLOW_SECONDS: Final = 0.5
"""Between two looks into the ledger, at least."""

LOOK_SECONDS: Final = 5.0
"""How long a ledger in which nothing is written is left alone: a session may end by its process's death."""

_CHUNK: Final = 256


@click.command()
@click.argument("session", required=False)
@newest_session
@click.option(
    "--type",
    "kinds",
    metavar="TYPE",
    multiple=True,
    help="Only events of this type: decision, tool.call, agent.start, ... Repeatable.",
)
@click.option("--agent", metavar="NAME", help="Only with this agent around them, or of it.")
@click.option("--since", callback=parsed(parse_moment), metavar="TIME", help="Only those at or after TIME.")
@click.option("--told", is_flag=True, help="Only what the program told: no starts and ends.")
@click.option("--limit", type=click.IntRange(min=0), default=0, metavar="N", help="At most N; 0 for all.")
@click.option("--follow", is_flag=True, help="Go on until the session has ended, or Ctrl-C.")
@as_json
@click.pass_obj
def events(
    explicit: str | None,
    /,
    session: str | None,
    newest: bool,
    kinds: tuple[str, ...],
    agent: str | None,
    since: str | None,
    told: bool,
    limit: int,
    follow: bool,
    as_json: bool,
) -> None:
    """List what happened in a session, by time.

    That is what the program told: decisions, evaluations, messages, its own events; and what began and
    ended: agents, tools, model calls, workflows, and the steps of each agent's loop (agent.start,
    agent.finish, loop.step, call.start, call.finish, tool.call, tool.result, tool.error, workflow.start,
    workflow.finish). What was interrupted has a start and no end.

    SESSION is an id, a unique prefix of one, or last for the newest. With --follow and --json each event is
    an object on a line of its own, as soon as it is in the ledger.
    """
    from spantally.cli.exits import say
    from spantally.cli.find import one_session

    for name, values in (("--type", kinds), ("--agent", (agent,))):
        if "" in values:
            raise click.UsageError(f"{name} is empty; give a name")

    def ask(ledger: Ledger, ident: str) -> Iterator[EventRow]:
        return ledger.iter_events(ident, type=kinds or None, agent=agent, since=since, told=told)

    meant = meant_session(session, newest=newest)
    if follow:
        if limit:
            raise click.UsageError("--limit has no meaning with --follow; give one of them")
        try:
            _follow(explicit, meant, ask, as_json=as_json)
        except KeyboardInterrupt:  # that is how one ends it
            return
        return

    def print_all(ledger: Ledger, ident: str) -> int:
        found: Iterable[EventRow] = ask(ledger, ident)
        return _print_all(
            itertools.islice(found, min(limit, sys.maxsize)) if limit else found, as_json=as_json
        )

    if not one_session(explicit, meant, print_all):
        say("no event matches")


def _print_all(found: Iterable[EventRow], *, as_json: bool) -> int:
    """Print events as they are read; returns how many there were."""
    if as_json:
        from spantally.cli.jsonout import print_stream
        from spantally.cli.treejson import event_object

        return print_stream(event_object(event) for event in found)
    from spantally.cli.render.events import print_events

    count = 0
    events = iter(found)
    while some := list(itertools.islice(events, _CHUNK)):
        print_events(some, content=True)
        count += len(some)
    return count


def _follow(explicit: str | None, meant: str, ask: Ask, *, as_json: bool) -> None:
    """Print each event once, until the session has ended and all of it is printed."""
    from spantally.cli.access import ledger_to_read
    from spantally.cli.find import one_session
    from spantally.ground.records import SessionStatus

    seen: set[int] = set()  # a number for each: of a long session ids would be most of the memory

    def new(found: Iterator[EventRow]) -> Iterator[EventRow]:
        for event in found:
            mark = hash(event.event_id)
            if mark not in seen:
                seen.add(mark)
                yield event

    def look(ledger: Ledger, ident: str) -> tuple[str, bool]:
        row = ledger.session(ident)  # before its events: what was told before its end is among them then
        _print_new(new(ask(ledger, ident)), as_json=as_json)
        return ident, row is None or row.status != SessionStatus.RUNNING

    target = ledger_to_read(explicit) or ""
    while True:
        before, began = _stamp(target), time.monotonic()
        meant, ended = one_session(explicit, meant, look)
        if ended:
            return
        # A long session takes long to read: it is not to take all of a processor.
        time.sleep(max(FOLLOW_SECONDS, time.monotonic() - began))
        deadline = time.monotonic() + LOOK_SECONDS
        while _stamp(target) == before and time.monotonic() < deadline:
            time.sleep(FOLLOW_SECONDS)


def _stamp(target: str) -> list[tuple[int, int] | None]:
    """What changes when something is written to a ledger."""
    from spantally.ledger.sqlite.files import beside

    found: list[tuple[int, int] | None] = []
    for path in (target, beside(target, "-wal")):
        try:
            known = Path(path).stat()
        except OSError:
            found.append(None)
        else:
            found.append((known.st_mtime_ns, known.st_size))
    return found


def _print_new(found: Iterator[EventRow], *, as_json: bool) -> None:
    if not as_json:
        if first := list(itertools.islice(found, 1)):
            _print_all(itertools.chain(first, found), as_json=False)
    else:
        from spantally.cli.render.output import write
        from spantally.cli.treejson import event_object

        for event in found:
            write(json.dumps(event_object(event)))
    sys.stdout.flush()
