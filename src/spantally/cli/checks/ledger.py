"""The ledger in force: where it is, whether it can be written, and what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from spantally.cli.access import MEMORY, by_source, ledger_in_force, obstacle_to_making
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
        advice = by_source(advice, explicit)
        return [Finding(SECTION, "path", target, Level.PROBLEM, advice)]
    if exists:
        return [Finding(SECTION, "path", target), *_health(target, explicit)]
    obstacle = obstacle_to_making(path)
    if obstacle is not None:
        return [Finding(SECTION, "path", target, Level.PROBLEM, by_source(obstacle, explicit))]
    return [Finding(SECTION, "path", f"{target} (none yet; made at the first call)", Level.NOTE)]


def _health(target: str, explicit: str | None) -> list[Finding]:
    from spantally.queries import open_ledger

    try:
        ledger = open_ledger(target)
        try:
            health = ledger.health()
        finally:
            ledger.close()
    except LedgerError as error:
        return [Finding(SECTION, "state", error.slug, Level.PROBLEM, by_source(str(error), explicit))]
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
