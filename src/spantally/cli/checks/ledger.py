"""The ledger in force: where it is, whether it can be written, and what it holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from spantally.cli.access import MEMORY, ledger_in_force
from spantally.cli.checks.finding import Finding, Level
from spantally.ground.errors import LedgerError

SECTION: Final = "ledger"


def check(explicit: str | None) -> list[Finding]:
    """Path and health of the ledger; one that does not exist yet is not made.

    Args:
        explicit: value of ``--ledger``, or None.
    """
    target = ledger_in_force(explicit)
    if target is None:
        return [Finding(SECTION, "path", "none: SPANTALLY_LEDGER=false", Level.NOTE, "no tally is kept")]
    if target == MEMORY:
        return [Finding(SECTION, "path", target, Level.NOTE, "the tally ends with its process")]
    path = Path(target)
    try:
        exists = path.exists()
    except OSError as error:
        advice = f"it cannot be reached ({error.strerror}); check the path and its permissions"
        return [Finding(SECTION, "path", target, Level.PROBLEM, advice)]
    if not exists:
        return [_not_yet(path, given=explicit is not None or bool(os.environ.get("SPANTALLY_LEDGER")))]
    return [Finding(SECTION, "path", target), *_health(target)]


def _not_yet(path: Path, *, given: bool) -> Finding:
    """A ledger that is not there: fine where one can be made."""
    if given and not path.parent.exists():
        advice = (
            f"the directory {path.parent} does not exist; create it, or set SPANTALLY_LEDGER to another path"
        )
        return Finding(SECTION, "path", str(path), Level.PROBLEM, advice)
    nearest = next(folder for folder in path.parents if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        advice = (
            f"{nearest} cannot be written; change its permissions, or set SPANTALLY_LEDGER to another path"
        )
        return Finding(SECTION, "path", str(path), Level.PROBLEM, advice)
    return Finding(SECTION, "path", f"{path} (none yet; made at the first call)", Level.NOTE)


def _health(target: str) -> list[Finding]:
    from spantally.queries import open_ledger

    try:
        ledger = open_ledger(target)
        try:
            health = ledger.health()
        finally:
            ledger.close()
    except LedgerError as error:
        return [Finding(SECTION, "state", error.slug, Level.PROBLEM, str(error))]
    found = []
    if health.ok:
        found.append(Finding(SECTION, "state", health.detail or "ok"))
    else:
        found.append(Finding(SECTION, "state", "not usable", Level.PROBLEM, health.detail))
    counts = (
        ("schema version", health.schema_version),
        ("sessions", health.sessions),
        ("rows", health.calls),
        ("pending", health.pending),
    )
    found.extend(Finding(SECTION, name, f"{number:,}") for name, number in counts if number is not None)
    if health.quarantined:
        advice = "records that could not be stored; the totals lack them"
        found.append(Finding(SECTION, "quarantined", f"{health.quarantined:,}", Level.PROBLEM, advice))
    found.extend(Finding(SECTION, "warning", text, Level.PROBLEM) for text in health.warnings)
    return found
