"""`spantally ingest`: spans of files, of any language and instrumentor, into the ledger."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from spantally.cli import exits
from spantally.cli.options import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spantally.exchange import Ingest, Summary

_EVERY_SECONDS = 1.0
_MOST_SAID = 20
"""Pieces that cannot be read and are said on stderr; --json has more of them."""


@click.command()
@click.option("--follow", is_flag=True, help="Go on reading one FILE as it grows, until Ctrl-C.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
@as_json
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.pass_context
def ingest(ctx: click.Context, paths: tuple[str, ...], follow: bool, quiet: bool, as_json: bool) -> None:
    """Take spans of OTLP files into the ledger, each once.

    FILE is what the Collector's file exporter writes: OTLP JSON, one request a line, plain or gzip or zstd,
    or its framed forms; a folder or pattern of such files, rotated ones among them; or - for stdin. Spans of
    any language count, in every dialect that spantally reads, and so do the events of log records. Taking
    in the same again changes nothing. A call that the ledger has by itself is not counted again, nor is an
    event that a spantally of this release or a later one sent.

    \b
    spantally ingest traces.jsonl
    spantally --ledger team.db ingest /var/otel/
    kubectl logs -f collector | spantally ingest -

    What is kept passes redaction; messages are kept with SPANTALLY_LEDGER_CONTENT=all only. What the calls
    cost is what their spans say, else it is rated by the rates in force here.

    Exit code: 0 all of it was read (a last line that is still being written is left for the next time); 1
    some of it could not be read, and the rest is in the ledger; 2 wrong arguments, an input that cannot be
    opened, or a ledger that cannot be written.
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.cli.access import by_source
    from spantally.exchange import InputError, files_of
    from spantally.ground.errors import LedgerError

    try:
        files = files_of(paths)
    except InputError as error:
        raise click.UsageError(str(error)) from error
    if follow and (len(files) != 1 or files[0] == "-"):
        raise click.UsageError("--follow takes one FILE")
    try:
        with _opened(ctx.obj) as (work, target):
            progress = _Progress(work.summary, quiet=quiet)
            try:
                with _until_interrupted():
                    for path in files:
                        _read(path, work, progress, follow=follow)
            finally:
                work.flush()
                progress.end()
    except LedgerError as error:
        raise exits.UnusableLedgerError(by_source(str(error), ctx.obj)) from error
    summary = work.summary
    _say_problems(summary)
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([_as_object(summary, target, files)])
    exits.say(_line(summary, target))
    ctx.exit(exits.NOTHING_FOUND if summary.bad else exits.OK)


@contextlib.contextmanager
def _opened(explicit: str | None) -> Iterator[tuple[Ingest, str]]:
    """What takes the spans in, on the ledger in force, which is made where there is none."""
    from pathlib import Path

    from spantally.cli.access import by_source, ledger_in_force, obstacle_to_making
    from spantally.exchange import Ingest
    from spantally.ground.settings import from_environment
    from spantally.ledger.opening import open_store
    from spantally.ledger.sqlite.store import SQLiteStore
    from spantally.pricing import load
    from spantally.pricing.rate import rate
    from spantally.redaction import default_redactor

    target = ledger_in_force(explicit)
    if target is None or target == ":memory:":
        raise exits.UnusableLedgerError(
            "there is no ledger to write to (SPANTALLY_LEDGER is false or :memory:); give --ledger PATH"
        )
    if not Path(target).exists() and (obstacle := obstacle_to_making(Path(target))) is not None:
        raise exits.UnusableLedgerError(by_source(f"no ledger can be made at {target}: {obstacle}", explicit))
    load()  # else the first rows would wait for their price
    store = open_store(target)
    assert isinstance(store, SQLiteStore)
    try:
        yield (
            Ingest(
                store,
                rate,
                default_redactor() if from_environment("redact") else None,
                content=from_environment("ledger_content"),
                limit=from_environment("ledger_content_limit"),
            ),
            target,
        )
    finally:
        store.close()


@contextlib.contextmanager
def _until_interrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the reading, and what was read is kept."""

    def stop(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def _read(path: str, work: Ingest, progress: _Progress, *, follow: bool) -> None:
    from spantally.exchange.inputs import Waiting
    from spantally.otlp import Input

    try:
        place: Any = sys.stdin.fileno() if path == "-" else path
        stream: Any = open(place, "rb", buffering=0, closefd=path != "-")  # noqa: SIM115
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror or error}") from error
    with stream:
        raw = Waiting(stream, work.flush, path if follow else None) if follow or path == "-" else stream
        reader = Input(io.BufferedReader(raw, 1 << 18))
        progress.begin(path, stream)
        before = 0
        for batch in reader.batches():
            work.summary.lines += reader.lines - before
            before = reader.lines
            work.add(batch, path)
            progress.tell()


class _Progress:
    """Says on stderr how far it is: on a terminal on one line."""

    def __init__(self, summary: Summary, *, quiet: bool) -> None:
        self._summary = summary
        self._shown = not quiet and sys.stderr.isatty()
        self._said = False
        self._next = time.monotonic() + _EVERY_SECONDS
        self._started = time.monotonic()
        self._path = ""
        self._stream: Any = None
        self._size = 0

    def begin(self, path: str, stream: Any) -> None:
        """A new input."""
        self._path, self._stream = path, stream
        try:
            self._size = os.fstat(stream.fileno()).st_size
        except OSError:
            self._size = 0

    def tell(self) -> None:
        """Perhaps say something."""
        if not self._shown or time.monotonic() < self._next:
            return
        now = time.monotonic()
        self._next = now + _EVERY_SECONDS
        share = ""
        if self._size:
            with contextlib.suppress(OSError, ValueError):
                share = f" ({min(100, 100 * self._stream.tell() // self._size)} %)"
        spans = self._summary.spans
        rate = round(spans / (now - self._started))
        click.echo(f"\r{self._path}{share}: {spans:,} spans, {rate:,} a second ", err=True, nl=False)
        self._said = True

    def end(self) -> None:
        """End the line."""
        if self._said:
            click.echo(err=True)


def _say_problems(summary: Summary) -> None:
    from spantally.cli.render.numbers import quoting, safe

    for source, piece in summary.problems[:_MOST_SAID]:
        place = f" line {piece.line}" if piece.line is not None else ""
        exits.say(f"{source}{place}: {safe(quoting(piece.message))}")
    rest = summary.bad + summary.unfinished - min(len(summary.problems), _MOST_SAID)
    if rest > 0:
        exits.say(f"... and {rest:,} more that cannot be read")


def _line(summary: Summary, target: str) -> str:
    from spantally.cli.render.numbers import so_many

    parts = [
        so_many(summary.lines, "line"),
        so_many(summary.spans, "span"),
        f"{so_many(summary.rows, 'row')} ({summary.new:,} new, {summary.changed:,} changed)",
    ]
    if summary.events:
        parts.append(so_many(summary.events, "event"))
    if summary.bad:
        parts.append(f"{summary.bad:,} bad")
    return f"{target}: {', '.join(parts)}"


def _as_object(summary: Summary, target: str, files: Sequence[str]) -> dict[str, Any]:
    from spantally.cli.render.numbers import quoting

    return {
        "ledger": target,
        "files": list(files),
        "lines": summary.lines,
        "spans": summary.spans,
        "events": summary.events,
        "rows": summary.rows,
        "new": summary.new,
        "changed": summary.changed,
        "skipped": summary.skipped,
        "bad": summary.bad,
        "unfinished": summary.unfinished,
        "problems": [
            {"file": source, "line": piece.line, "message": quoting(piece.message)}
            for source, piece in summary.problems
        ],
    }
