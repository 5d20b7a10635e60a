"""`spantally export`: recorded sessions as OTLP spans, into a file or to a collector."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from spantally.cli import exits
from spantally.cli.options import SESSION_STATUSES, as_json, filters
from spantally.cli.otlp_target import bare_address, parse_target

if TYPE_CHECKING:
    from spantally.exchange.export import Exported
    from spantally.exchange.targets import Delivery, Target
    from spantally.queries import Ledger

_EVERY_SECONDS = 1.0
_PAGE = 500
"""Sessions that are looked up at once."""


@click.command()
@click.argument("sessions", nargs=-1, metavar="[SESSION]...")
@click.option(
    "--otlp",
    "target",
    required=True,
    metavar="FILE|ENDPOINT",
    help="A file of OTLP JSON lines (.gz: packed; - is stdout), or http://HOST:4318 or grpc://HOST:4317.",
)
@click.option("--all", "everything", is_flag=True, help="All sessions.")
@filters(SESSION_STATUSES)
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
@as_json
@click.pass_context
def export(
    ctx: click.Context,
    /,
    sessions: tuple[str, ...],
    target: str,
    everything: bool,
    quiet: bool,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Turn recorded sessions back into OTLP spans.

    SESSION is an id, a unique prefix of one, or last for the newest; its child sessions go along. Instead of
    SESSION: filters, or --all. Trace and span ids, parents and times are those of the live spans; what had no
    span gets ids that are the same at each export. Messages and results go along if the ledger kept them.
    Reading the export with `spantally ingest` gives the same rows again.

    \b
    spantally export last --otlp http://localhost:4318
    spantally export --since 7d --project shop --otlp shop.jsonl.gz
    spantally export --all --otlp - | spantally --ledger copy.db ingest -

    A file appears when it is whole, in the place of one that is there. Calls that have not ended are left out
    and counted.

    Exit code: 0 all of it is in the file or was taken; 1 no such session, none that matches, or a collector
    that does not answer or did not take all of it; 2 wrong arguments, a file that cannot be written, or a
    ledger that cannot be read.
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.access import reading
    from spantally.cli.queryargs import query_arguments

    arguments = query_arguments(wanted)
    _check(sessions, arguments, everything=everything)
    if target == "-" and as_json:
        raise click.UsageError("--json and --otlp - both want stdout; give --otlp a file or an endpoint")
    if bare_address(target):
        raise click.UsageError(
            f"--otlp {target!r} lacks its scheme; write http://{target} or grpc://{target}, or for a file of "
            f"that name ./{target}"
        )
    with reading(ctx.obj) as ledger:
        if ledger is None:
            raise exits.NotFoundError("there is no ledger yet, so there is nothing to export")
        chosen = _of_names(ledger, sessions) if sessions else _matching(ledger, arguments)
        exported, name = _run(ledger, chosen, target, quiet=quiet)
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([_as_object(exported, name)])
    exits.say(_line(exported, name))
    if exported.logs_refused:
        exits.say(
            f"{name} takes spans and no log records: events are on the spans, and what was said of the "
            "sessions themselves (title, outcome) was not sent"
        )


def _check(sessions: tuple[str, ...], arguments: dict[str, Any], *, everything: bool) -> None:
    given = [word for word, there in (("SESSION", sessions), ("--all", everything)) if there]
    if arguments:
        given.append("filters")
    if not given:
        raise click.UsageError(
            "nothing is named: give SESSION (an id, or last), filters such as --since, or --all"
        )
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} are given; use one of them")


def _of_names(ledger: Ledger, names: tuple[str, ...]) -> Iterator[str]:
    """Ids of the sessions meant and of those below; all names are looked up before anything is done."""
    from spantally.cli.find import find_session

    ids = [find_session(ledger, name) for name in names]
    return iter(dict.fromkeys(one for ident in ids for one in ledger.family(ident)))


def _matching(ledger: Ledger, arguments: dict[str, Any]) -> Iterator[str]:
    """Ids of the sessions that match, oldest first, so that new ones do not shift the pages."""
    offset = 0
    while rows := ledger.sessions(**arguments, order_by="started", limit=_PAGE, offset=offset):
        yield from (row.session_id for row in rows)
        offset += len(rows)


def _run(ledger: Ledger, chosen: Iterator[str], target: str, *, quiet: bool) -> tuple[Exported, str]:
    from spantally.exchange.export import Export
    from spantally.exchange.targets import DeliveryError, TargetError
    from spantally.ledger.sqlite.store import SQLiteStore

    first = next(chosen, None)
    if first is None:
        raise exits.NotFoundError("no session matches; `spantally sessions` lists them")
    store = ledger.store
    assert isinstance(store, SQLiteStore)
    endpoint = parse_target(target) if "://" in target else None
    work: Export | None = None
    try:
        opened = _opened(target, endpoint)
        progress = _Progress(quiet=quiet or target == "-")
        try:
            with _delivery(opened) as delivery:
                work = Export(store, delivery, lambda: progress.tell(work))
                for session_id in chain((first,), chosen):
                    work.add(session_id)
                work.flush()
        finally:
            progress.end()
    except TargetError as error:
        kind = exits.UnusableLedgerError if endpoint is None else exits.FailedError
        raise kind(str(error)) from error
    except DeliveryError as error:
        raise _undelivered(error, opened.name, endpoint is not None) from error
    return work.exported, opened.name


def _opened(target: str, endpoint: tuple[str, str] | None) -> Target:
    from spantally.cli.otlp_probe import mismatch
    from spantally.exchange.targets import CollectorTarget, FileTarget, TargetError

    if endpoint is not None:
        made = CollectorTarget(*endpoint)  # says itself where nothing answers
        wrong = mismatch(endpoint)
        if wrong is not None:
            made.close(whole=False)
            raise TargetError(f"nothing was exported: {wrong}")
        return made
    return FileTarget(target, sys.stdout.buffer)


def _delivery(target: Target) -> Delivery:
    """What the spans go through: the last net against secrets, as where live spans leave a process."""
    from spantally.exchange.targets import Delivery
    from spantally.ground.settings import from_environment
    from spantally.otel.exporters import RedactingSpanExporter
    from spantally.otel.log_exporter import RedactingLogExporter
    from spantally.redaction import default_redactor

    redact: Any = default_redactor() if from_environment("redact") else False
    return Delivery(
        target,
        lambda spans, logs: (RedactingSpanExporter(spans, redact), RedactingLogExporter(logs, redact)),
    )


def _undelivered(error: Exception, name: str, remote: bool) -> click.ClickException:
    if not remote:
        return exits.UnusableLedgerError(f"{name} cannot be written: {error}")
    return exits.FailedError(
        f"{name} did not take all of it: {error}; what it took stays there. Export again once it does: the "
        "spans have the same ids"
    )


class _Progress:
    """Says on stderr how far it is, on a terminal on one line."""

    def __init__(self, *, quiet: bool) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._started = time.monotonic()
        self._next = self._started + _EVERY_SECONDS
        self._said = False

    def tell(self, work: Any) -> None:
        """Perhaps say something."""
        now = time.monotonic()
        if not self._shown or now < self._next or work is None:
            return
        self._next = now + _EVERY_SECONDS
        done = work.exported
        rate = round(done.spans / (now - self._started))
        click.echo(
            f"\r{done.sessions:,} sessions, {done.spans:,} spans, {rate:,} a second ", err=True, nl=False
        )
        self._said = True

    def end(self) -> None:
        """End the line."""
        if self._said:
            click.echo(err=True)


def _line(exported: Exported, name: str) -> str:
    from spantally.cli.render.numbers import so_many

    parts = [so_many(exported.sessions, "session"), so_many(exported.spans, "span")]
    if exported.events:
        parts.append(so_many(exported.events, "event"))
    if exported.running:
        parts.append(f"{exported.running:,} still running and left out")
    return f"{name}: {', '.join(parts)}"


def _as_object(exported: Exported, name: str) -> dict[str, Any]:
    return {
        "target": name,
        "sessions": exported.sessions,
        "spans": exported.spans,
        "events": exported.events,
        "running": exported.running,
        "logs_refused": exported.logs_refused,
    }
