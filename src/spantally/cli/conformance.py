"""`spantally conformance FILE`: are these spans what the GenAI conventions ask for?"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import click

from spantally.cli import exits
from spantally.cli.options import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spantally.conformance import Finding
    from spantally.otlp import Batch

_FORMS = "give a FILE (- for stdin), or --live -- COMMAND"


@click.command()
@click.option(
    "--profile",
    "profile_name",
    type=click.Choice(("latest", "1.41")),
    default="latest",
    show_default=True,
    help="The state of the conventions to check against.",
)
@click.option("--live", is_flag=True, help="Run COMMAND and check what it exports by OTLP.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N GenAI spans.")
@click.option("--rules", is_flag=True, help="List the rules instead.")
@as_json
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[FILE | -- COMMAND...]")
@click.pass_context
def conformance(
    ctx: click.Context,
    profile_name: str,
    live: bool,
    last: int | None,
    rules: bool,
    as_json: bool,
    arguments: tuple[str, ...],
) -> None:
    """Check spans of any package against the GenAI conventions.

    FILE is OTLP JSON, plain or gzip: one export request a line, as the Collector's file exporter writes, or
    one document.

    \b
    spantally conformance traces.jsonl
    spantally conformance --live -- spantally run -- python agent.py
    spantally conformance --live -- opentelemetry-instrument python agent.py

    --live runs COMMAND with its OTLP exporter pointed here; it must be one that exports.

    Exit code: 0 no error; 1 errors found; 2 nothing to check, or input that cannot be read (the rest is
    checked nevertheless).
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.conformance import PROFILES, check

    if rules:
        _list_rules(as_json)
        return
    if live:
        if not arguments:
            raise click.UsageError(f"there is no command to run: {_FORMS}")
        from spantally.cli.live import exported_by

        batch = exported_by(arguments)
    else:
        if len(arguments) != 1:
            raise click.UsageError(f"{len(arguments)} files are given: {_FORMS}")
        batch = _read(arguments[0])
    chosen = _chosen(batch, last)
    findings = check(chosen, PROFILES[profile_name], batch.spans)
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([one.as_object() for one in findings])
    elif findings:
        _print(findings)
    ctx.exit(_conclude(chosen, findings))


def _read(path: str) -> Batch:
    from spantally.otlp import read_file

    if path == "-":
        return read_file(sys.stdin.buffer)
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - a path as the user gave it
            return read_file(stream)
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror or error}", param_hint="FILE") from error


def _chosen(batch: Batch, last: int | None) -> Batch:
    """What is checked: GenAI spans and events, or the last of those spans and the events on them."""
    from spantally.conformance import genai_events, genai_spans

    spans, events = genai_spans(batch), genai_events(batch)
    if last is not None:
        spans = spans[-last:]
        known = {(span.trace_id, span.span_id) for span in spans}
        events = [one for one in events if (one.trace_id, one.span_id) in known]
    return batch._replace(spans=spans, events=events)


def _conclude(batch: Batch, findings: Sequence[Finding]) -> int:
    """Say on stderr what was checked and what could not be, and give the exit code."""
    from spantally.cli.render.numbers import quoting, safe, so_many

    for piece in batch.unusable:
        place = f"line {piece.line}: " if piece.line is not None else ""
        exits.say(f"spantally conformance: {place}{safe(quoting(piece.message))}")
    if not batch.spans and not batch.events:
        exits.say("nothing to check: no GenAI span came in")
        return exits.USAGE
    counts = Counter(one.severity.value for one in findings)
    checked = f"{so_many(len(batch.spans), 'GenAI span')}, {so_many(len(batch.events), 'event')}"
    parts = ", ".join(so_many(counts[word], word) for word in ("error", "warning"))
    exits.say(f"{checked} checked: {parts}")
    if batch.unusable:
        return exits.USAGE
    return exits.NOTHING_FOUND if counts["error"] else exits.OK


class _Row(NamedTuple):
    """Findings that say the same of spans of the same name."""

    severity: str
    rule: str
    subject: str
    message: str
    times: int
    first: str
    """Span id of the first one, or its line."""


def _print(findings: Sequence[Finding]) -> None:
    from spantally.cli.render.numbers import NONE
    from spantally.cli.render.tables import Column, print_table

    grouped: dict[tuple[str, str, str, str], list[Finding]] = {}
    for one in findings:
        grouped.setdefault((one.severity.value, one.rule, one.subject, one.message), []).append(one)
    rows = [_Row(*key, len(same), same[0].span_id) for key, same in grouped.items()]
    rows.sort(key=lambda row: row.severity)  # errors first; the order of the input stays within
    columns: list[Column[_Row]] = [
        Column(
            "SEVERITY",
            lambda row: row.severity,
            style=lambda row: "red" if row.severity == "error" else "yellow",
        ),
        Column("RULE", lambda row: row.rule, keep=5),
        Column("SPANS", lambda row: str(row.times), number=True, keep=4),
        Column("FIRST", lambda row: row.first or NONE, keep=1),
        Column("NAME", lambda row: row.subject or NONE, keep=6),
        Column("FINDING", lambda row: row.message),
    ]
    print_table(columns, rows)


def _list_rules(as_json: bool) -> None:
    from spantally.conformance import RULES

    if as_json:
        from spantally.cli.jsonout import print_array

        print_array(
            [
                {"rule": one.id, "severity": one.severity.value, "text": one.text, "source": one.source}
                for one in RULES
            ]
        )
        return
    from spantally.cli.render.tables import Column, print_table

    print_table(
        [
            Column("RULE", lambda one: one.id),
            Column("SEVERITY", lambda one: one.severity.value, keep=2),
            Column("TEXT", lambda one: one.text),
            Column("SOURCE", lambda one: one.source, keep=1),
        ],
        RULES,
    )
