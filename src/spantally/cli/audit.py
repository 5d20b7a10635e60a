"""`spantally audit`: are there secrets in what is stored already? And `--fix`: out with them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from spantally.cli import exits
from spantally.cli.options import as_json, limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spantally.audit import Finding, Findings, Places
    from spantally.redaction import Redactor

_FIXABLE = "--fix rewrites ledgers only; for text, OTLP JSON too, use `spantally redact < in > out`"

_MOST_SKIPPED = 20
"""Skipped files that are named; of more only the number."""


@click.command()
@click.option("--fix", is_flag=True, help="Rewrite ledgers in place without the secrets, rows and bytes.")
@as_json
@limit(1000)
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.pass_context
def audit(ctx: click.Context, paths: tuple[str, ...], fix: bool, as_json: bool, limit: int) -> None:
    """Look for secrets in a ledger, OTLP JSON, logs or stdin.

    PATH is a ledger, a file of OTLP JSON or of text, plain or gzip, a folder of such files, or - for stdin.
    Without one it is the ledger in use. What is found is told by type, place and the eight digits of its tag,
    and never printed.

    \b
    spantally audit
    spantally audit traces.jsonl logs/
    kubectl logs my-pod | spantally audit -

    --fix takes the ledger for itself meanwhile: end the programs that write to it.

    Exit code: 0 nothing found, or all that was found is fixed; 1 secrets found; 2 wrong arguments, or input
    that cannot be read (the rest is looked through nevertheless).
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.audit import Findings
    from spantally.cli.access import by_argument, by_source
    from spantally.redaction import default_redactor

    def told(text: str) -> str:
        return by_argument(text) if paths else by_source(text, ctx.obj)

    redactor = default_redactor()
    meant = paths or _ledger_in_use(ctx)
    if fix:
        _fix(meant, redactor, told)
    findings = Findings(redactor)
    progress = _Progress()
    for path in meant:
        _audit(path, findings, progress, told)
    progress.end()
    shown = findings.rows[:limit] if limit else findings.rows
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([one._asdict() for one in shown])
    elif shown:
        _print(shown)
    ctx.exit(_conclude(findings, len(shown), fixed=fix))


def _ledger_in_use(ctx: click.Context) -> tuple[str, ...]:
    from spantally.cli.access import ledger_to_read

    target = ledger_to_read(ctx.obj)
    return () if target is None else (target,)


def _audit(path: str, findings: Findings, progress: _Progress, told: Callable[[str], str]) -> None:
    from spantally.audit import InputError, audit_path, audit_stream

    try:
        if path == "-":
            if sys.stdin is None:  # the shell closed it (`<&-`)
                raise InputError("-: stdin is closed")
            audit_stream(sys.stdin.buffer, findings, progress=progress)
        else:
            audit_path(path, findings, progress=progress)
    except InputError as error:
        findings.unread.append(("", told(str(error))))


def _fix(paths: Sequence[str], redactor: Redactor, told: Callable[[str], str]) -> None:
    """Fix every ledger named, once it is known that all of them are ledgers."""
    from pathlib import Path

    from spantally.audit import fix_ledger
    from spantally.audit.inputs import is_ledger
    from spantally.ground.errors import LedgerError

    for path in paths:
        shown = redactor.text(path, "path")
        if path != "-" and not Path(path).exists():
            raise click.UsageError(told(f"there is nothing at {shown}; {_FIXABLE}"))
        if path == "-" or not Path(path).is_file():
            raise click.UsageError(told(f"{'stdin' if path == '-' else shown} is no ledger; {_FIXABLE}"))
        try:
            known = is_ledger(path)
        except OSError as error:
            raise exits.UnusableLedgerError(told(f"{shown}: {error.strerror or error}")) from error
        if not known:
            raise click.UsageError(told(f"{shown} is no ledger; {_FIXABLE}"))
    for path in paths:
        shown = redactor.text(path, "path")
        progress = _Progress()
        try:
            fixed = fix_ledger(path, redactor, progress=progress)
        except LedgerError as error:
            raise exits.UnusableLedgerError(redactor.text(told(str(error)))) from error
        finally:
            progress.end()
        exits.say(
            f"{shown}: {fixed.replaced:,} {_secrets(fixed.replaced)} replaced in {fixed.rows:,} "
            f"{'row' if fixed.rows == 1 else 'rows'}, and the file written anew"
        )


def _secrets(count: int) -> str:
    return "secret" if count == 1 else "secrets"


def _conclude(findings: Findings, shown: int, *, fixed: bool) -> int:
    """Say on stderr what was read and found, and give the exit code."""
    from spantally.cli.render.numbers import safe

    for what, why in findings.skipped[:_MOST_SKIPPED]:
        exits.say(f"skipped: {safe(what)} {safe(why)}")
    if len(findings.skipped) > _MOST_SKIPPED:
        exits.say(f"skipped: {len(findings.skipped) - _MOST_SKIPPED:,} more")
    for what, why in findings.unread:
        exits.say(f"spantally audit: {safe(f'{what}: {why}' if what else why)}")
    if shown < len(findings.rows):
        exits.say(f"({len(findings.rows) - shown:,} more are not listed; --limit 0 lists all)")
    rules = ", ".join(f"{count:,} {rule}" for rule, count in findings.rules.most_common())
    read = f"{findings.read:,} {'file' if findings.read == 1 else 'files'} read"
    left = "still " if fixed else ""
    total = findings.total
    exits.say(
        f"{read}: {total:,} {_secrets(total)} {left}found ({rules})" if total else f"{read}: no secret found"
    )
    if findings.unread:
        return exits.USAGE
    return exits.NOTHING_FOUND if total else exits.OK


def _print(rows: Sequence[Finding]) -> None:
    from spantally.audit import Places
    from spantally.cli.render.numbers import NONE
    from spantally.cli.render.tables import Column, print_table

    columns: list[Column[Places]] = [
        Column("RULE", lambda one: one.finding.rule, style=lambda _one: "red"),
        Column("DIGITS", lambda one: one.finding.digits or NONE, keep=2),
        Column("TIMES", lambda one: str(one.times), number=True, keep=1),
        Column("PLACE", lambda one: _place(one.finding), whole=True),
        Column("KEY", lambda one: one.finding.key or NONE, keep=3),
    ]
    print_table(columns, Places.of(rows))


def _place(finding: Finding) -> str:
    return f"{finding.source}:{finding.place.removeprefix('line ')}"


class _Progress:
    """Says on a terminal's stderr how far a scan is, on one line that is wiped at the end."""

    def __init__(self) -> None:
        self._width = 0
        self._told = 0.0
        try:
            self._on = sys.stderr.isatty()
        except (AttributeError, ValueError):
            self._on = False

    def __call__(self, what: str, done: int, total: int) -> None:
        if not self._on:
            return
        import time

        from spantally.cli.render.numbers import safe

        now = time.monotonic()
        if now - self._told < 0.2:
            return
        self._told = now
        share = f" ({min(100, 100 * done // total)} %)" if total else f" ({done:,})"
        text = (safe(what)[-60:] + share).ljust(self._width)
        self._width = len(text)
        click.echo(f"\r{text}", err=True, nl=False)

    def end(self) -> None:
        """Wipe the line."""
        if self._width:
            click.echo(f"\r{' ' * self._width}\r", err=True, nl=False)
            self._width = 0
