"""`spantally messages`: what was said in sessions, to be read, exported, or trained with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from spantally.cli.options import as_json, newest_session, session_filters

if TYPE_CHECKING:
    from spantally.ledger.contract import SessionRow
    from spantally.queries import Ledger
    from spantally.queries.conversation import Message

FORMATS = ("text", "markdown", "csv", "chat")

HINT = (
    "no message: none was recorded, and no content kept; SPANTALLY_LEDGER_CONTENT=all keeps what model calls "
    "send and get (redacted, in this ledger only) of the runs that come"
)


@click.command()
@click.argument("session", required=False)
@newest_session
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="text (a line each, the default), markdown, csv, or chat (JSON lines to train a model with).",
)
@session_filters
@as_json
@click.pass_obj
def messages(
    explicit: str | None,
    /,
    session: str | None,
    newest: bool,
    form: str | None,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Write the conversations of a session, or of all that the filters leave, oldest first.

    Each message stands once: what the program recorded, and what model calls sent and got, without the
    history that each call sends again. SESSION is an id, a unique prefix of one, or last for the newest; its
    child sessions are in it.

    \b
    spantally messages last --format markdown > talk.md
    spantally messages --label billing --format csv > billing.csv
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.exits import say
    from spantally.cli.queryargs import query_arguments

    if form is not None and as_json:
        raise click.UsageError("give either --format or --json, not both")
    arguments = query_arguments(wanted)
    found: list[tuple[SessionRow, list[Message]]] | None
    if newest or session is not None:
        if arguments:
            raise click.UsageError("give either SESSION or filters, not both")
        found = [_one(explicit, session, newest=newest)]
    else:
        found = _all(explicit, arguments)
    said = [message for _, messages in found or () for message in messages]
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([message_object(one) for one in said])
    elif found is not None and said:
        _print(form or "text", found, said)
    elif found is not None:
        say(HINT)


def _one(explicit: str | None, session: str | None, *, newest: bool) -> tuple[SessionRow, list[Message]]:
    from spantally.cli.find import one_session
    from spantally.cli.options import meant_session

    def ask(ledger: Ledger, ident: str) -> tuple[SessionRow, list[Message]] | None:
        row = ledger.session(ident)
        return None if row is None else (row, ledger.conversation(ident))

    return one_session(explicit, meant_session(session, newest=newest), ask)


def _all(explicit: str | None, arguments: dict[str, Any]) -> list[tuple[SessionRow, list[Message]]] | None:
    """Each session by itself: a child session that the filters leave is one. None without a ledger."""
    from spantally.cli.access import reading

    with reading(explicit) as ledger:
        if ledger is None:
            return None
        rows = ledger.sessions(**arguments, order_by="started")
        return [(row, ledger.conversation(row.session_id, children=False)) for row in rows]


def _print(form: str, found: list[tuple[SessionRow, list[Message]]], said: list[Message]) -> None:
    from spantally.cli.render.numbers import safe
    from spantally.cli.render.output import on_terminal, write
    from spantally.queries import transcripts

    if form == "csv":
        write(transcripts.table(said))
    elif form == "chat":
        write("\n".join(json.dumps(one, ensure_ascii=False) for one in transcripts.chats(said)))
    else:
        if form == "markdown":
            text = "\n\n".join(transcripts.markdown(row, messages) for row, messages in found if messages)
        else:
            text = transcripts.plain_text(said)
        write(safe(text, lines=True) if on_terminal() else text)


def message_object(message: Message) -> dict[str, Any]:
    """A message as the command line gives it."""
    from spantally.cli.moments import rfc3339
    from spantally.ground.money import usd_text

    return {
        "session_id": message.session_id,
        "at": rfc3339(message.time_ns),
        "role": message.role,
        "content": message.content,
        "agent_path": list(message.agent_path),
        "model": message.model,
        "tokens": message.tokens,
        "latency_ms": message.latency_ms,
        "status": message.status,
        "cost_nano_usd": message.cost_nano_usd,
        "total_cost": usd_text(message.cost_nano_usd),
        "call_id": message.call_id,
        "event_id": message.event_id,
        "message_id": message.message_id,
        "metadata": dict(message.metadata),
    }
