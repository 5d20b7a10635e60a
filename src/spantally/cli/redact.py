"""`spantally redact < text`: a filter that lets everything pass but secrets."""

from __future__ import annotations

import os
import sys

import click

from spantally.cli import exits


@click.command()
@click.option("--check", is_flag=True, help="Exit with 1 if anything was replaced.")
@click.pass_context
def redact(ctx: click.Context, check: bool) -> None:
    """Copy stdin to stdout without its secrets.

    Each secret becomes [REDACTED:type:hmac8]; all else passes byte for byte, line by line as it comes. What
    spans lines (a PEM block, a value on the line after its name, a table) is found as well, and memory stays
    bounded however long the input is. Text whose scan fails is replaced by [REDACTED:error].

    \b
    python agent.py 2>&1 | spantally redact | tee agent.log
    spantally redact < old.log > clean.log

    Exit code: 0; with --check 1 if anything was replaced; 2 if it cannot be read or written.
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from spantally.audit import Findings, redact_stream
    from spantally.cli.render.output import forget_stdout
    from spantally.redaction import default_redactor

    # Python has None in place of a stream that the shell closed (`<&-`).
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("there is nothing to read; pipe a text into it: spantally redact < in > out")
    # In place of such a stdout the entry point puts one that takes everything, by this name.
    if sys.stdout is None or getattr(sys.stdout, "name", None) == os.devnull:
        raise click.UsageError("stdout is closed; say where the text goes: spantally redact < in > out")
    findings = Findings(default_redactor())
    sink = sys.stdout.buffer

    def write(data: bytes) -> None:
        sink.write(data)
        sink.flush()

    try:
        redact_stream(sys.stdin.fileno(), write, findings)
    except BrokenPipeError:
        forget_stdout()
        raise click.exceptions.Exit(exits.BROKEN_PIPE) from None
    except OSError as error:  # the disk is full, stdin is a folder
        forget_stdout()
        exits.say(f"spantally redact: {error.strerror or type(error).__name__}; the text is not complete")
        raise click.exceptions.Exit(exits.USAGE) from None
    failed = findings.rules["error"]
    if failed:
        exits.say(
            f"spantally redact: {failed:,} {'piece' if failed == 1 else 'pieces'} of the text could not be "
            "scanned and went whole"
        )
    ctx.exit(exits.NOTHING_FOUND if check and findings.total else exits.OK)
