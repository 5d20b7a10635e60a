"""`spantally feedback TARGET`: what somebody thought of an answer, kept with it afterwards."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click

from spantally.cli.options import as_json

if TYPE_CHECKING:
    from spantally.api.recorded_events import About
    from spantally.ground.records import EventRecord
    from spantally.ledger.contract import Target
    from spantally.queries import Ledger

WAIT_SECONDS: Final = 3.0
"""How long what another process is just writing is waited for."""

_AGAIN_SECONDS: Final = 0.2


@click.command()
@click.argument("target", metavar="TARGET")
@click.option("--score", type=float, metavar="NUMBER", help="A finite number: 1 or 0, stars, ...")
@click.option("--label", metavar="TEXT", help="In a few words: helpful.")
@click.option("--comment", metavar="TEXT", help="In their own words; content.")
@click.option("--name", default="feedback", show_default=True, metavar="TEXT", help="Name of the metric.")
@click.option("--id", "ident", metavar="ID", help="A name of its own: told again, it is stored once.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0, max=3600),
    default=WAIT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a TARGET that is not in the ledger yet.",
)
@as_json
@click.pass_obj
def feedback(
    explicit: str | None, /, target: str, wait: float, ident: str | None, as_json: bool, **told: Any
) -> None:
    """Keep feedback or the result of an evaluation with a session, call or answer.

    TARGET is the id of a call (agents and tools among them), a provider's id of a response, or a session: its
    id, a unique prefix of one, or last for the newest. It is an event gen_ai.evaluation.result of that
    session, in `events`, `show` and, with a number, in `outcomes`.

    Exit code: 0 it is in the ledger; 1 there is no such target, and nothing was kept; 2 wrong arguments, or a
    ledger that cannot be written.

    \b
    spantally feedback chatcmpl-123 --score 1 --comment "Just what I needed"
    spantally feedback last --name relevance --score 0.8 --label good
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.api.evaluation import checked
    from spantally.cli.exits import say
    from spantally.ground.setting_values import parse_id

    if all(told[one] is None for one in ("score", "label", "comment")):
        raise click.UsageError("there is nothing to keep; give --score, --label or --comment")
    try:
        name = told["name"]
        attributes, content = checked("feedback", name, told["score"], told["label"], told["comment"], None)
        named = None if ident is None else parse_id("feedback id", ident)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    about, found = _awaited(explicit, target, wait)
    record = _record(about, found, attributes, content, name, named)
    _write(explicit, record)
    of = "" if found.call_id is None else f", call {found.call_id}"
    say(f"kept as {record.event_id} of session {found.session_id}{of}")
    if as_json:
        from spantally.cli.jsonout import print_array
        from spantally.cli.treejson import event_object
        from spantally.ledger.contract import EventRow

        values = {**record._asdict(), "attributes": record.attributes or {}}
        print_array([event_object(EventRow(**values))])


def _awaited(explicit: str | None, target: str, wait: float) -> tuple[About, Target]:
    """What is meant; waits for a row that is just being written."""
    from spantally.cli.access import reading
    from spantally.cli.exits import NotFoundError

    if not target:
        raise click.UsageError("TARGET is empty; give the id of a session, call or response")
    deadline = time.monotonic() + wait
    while True:
        with reading(explicit) as ledger:
            if ledger is None:
                raise NotFoundError(f"no {target!r}: there is no ledger yet; nothing was kept")
            found = _found(ledger, target)
        if found is not None:
            return found
        if time.monotonic() >= deadline:
            raise NotFoundError(
                f"no call, response or session {target!r} in the ledger after {wait:g} s; nothing was kept; "
                "`spantally calls` and `spantally sessions` list what is there, --wait waits longer"
            )
        time.sleep(_AGAIN_SECONDS)


def _found(ledger: Ledger, target: str) -> tuple[About, Target] | None:
    from spantally.api.recorded_events import About
    from spantally.cli.exits import NotFoundError
    from spantally.cli.find import find_session
    from spantally.ledger.contract import Target

    call = ledger.target(call=target)
    if call is not None:
        return About(None, target, None), call
    answer = ledger.target(response_id=target)
    if answer is not None:
        return About(None, None, target), answer
    try:
        session_id = find_session(ledger, target)
    except NotFoundError:
        return None
    return About(session_id, None, None), Target(None, session_id, None, None, ())


def _record(
    about: About,
    found: Target,
    attributes: dict[str, Any],
    content: dict[str, Any],
    name: str,
    ident: str | None,
) -> EventRecord:
    """The event as the ledger is to keep it: redacted, by its policy of content."""
    from spantally.api.evaluation import event_id_of
    from spantally.api.recorded_events import governed, redacted
    from spantally.calls.telemetry import PlainRedactor
    from spantally.ground import ids, semconv
    from spantally.ground.records import EventRecord
    from spantally.ground.settings import from_environment
    from spantally.redaction import default_redactor

    redactor: Any = default_redactor() if from_environment("redact") else PlainRedactor()
    if about.response_id is not None:
        attributes[semconv.RESPONSE_ID] = about.response_id
    kept = redacted(attributes, redactor)
    if from_environment("ledger_content") != "never":
        kept.update(governed(content, redactor, from_environment("ledger_content_limit")))
    return EventRecord(
        event_id=ids.new_call_id() if ident is None else event_id_of(about, "", name, ident),
        type=semconv.EVENT_EVALUATION_RESULT,
        time_ns=time.time_ns(),
        attributes=kept,
        **found._asdict(),
    )


def _write(explicit: str | None, record: EventRecord) -> None:
    from spantally.cli.access import by_source, ledger_to_read
    from spantally.cli.exits import UnusableLedgerError
    from spantally.ground.errors import LedgerError
    from spantally.ledger.opening import open_store
    from spantally.pricing import rate_if_loaded

    target = ledger_to_read(explicit)
    assert target is not None  # it was read just now
    store = open_store(target)
    try:
        store.write([record], rate_if_loaded)
    except LedgerError as error:
        raise UnusableLedgerError(by_source(f"{error}; nothing was kept", explicit)) from error
    finally:
        store.close()
