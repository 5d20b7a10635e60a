"""What spantally would do in a program started here: patches and their owners, taps, redaction net."""

from __future__ import annotations

from typing import Final

from spantally.cli.checks.finding import Finding, Level

SECTION: Final = "in a program"


def check() -> list[Finding]:
    """The report of the api room, as findings."""
    from spantally.api.report import report

    return [
        Finding(SECTION, line.name, line.value, Level.PROBLEM if line.problem else Level.OK, line.advice)
        for line in report()
    ]
