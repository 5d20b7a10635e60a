"""How a command ends: exit codes, and errors that name the value, the cause and what to do."""

from __future__ import annotations

from typing import Final

import click

OK: Final = 0
NOTHING_FOUND: Final = 1
"""Nothing of that name was found, or a check failed."""
USAGE: Final = 2
"""Wrong arguments, or a ledger that cannot be opened."""
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
BROKEN_PIPE: Final = 141
"""What a shell reports of a program that ended by SIGPIPE."""

HELP: Final = (
    "Exit codes: 0 success; 1 nothing of that name, or a check failed (`check` a limit, `audit` found "
    "secrets, `reconcile` or `diff` a difference, `prices` a wrong entry in the settings file, or no newer "
    "data); 2 wrong arguments, or a ledger or input that cannot be read. `run` ends with the code of its "
    "command (127: not found, 126: not executable)."
)


class NotFoundError(click.ClickException):
    """Something that was asked for by name is not there; exit code 1."""

    exit_code = NOTHING_FOUND


class FailedError(click.ClickException):
    """What was asked for could not be done, and nothing was changed; exit code 1."""

    exit_code = NOTHING_FOUND


class UnusableLedgerError(click.ClickException):
    """The ledger cannot be opened or read; exit code 2."""

    exit_code = USAGE


def cleaned(text: str) -> str:
    """A text without the secrets that a setting or an error brought into it, by the built-in rules."""
    from spantally.redaction import redact

    return redact(text)


def say(text: str) -> None:
    """Write a line of talk: to stderr, since stdout is data."""
    click.echo(text, err=True)
