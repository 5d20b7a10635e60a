"""Findings: what was found and where, without the thing itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

from spantally.audit.hits import Hit
from spantally.redaction import Redactor

MOST_KEPT: Final = 100_000
"""Findings that are kept one by one; further ones are only counted."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told how far a scan is: what is read, how much of it, and how much there is (0 where not known)."""


def silent(what: str, done: int, total: int) -> None:
    """Nobody wants to know."""


class Finding(NamedTuple):
    """One secret at one place."""

    source: str
    """What was read: a path as given, or ``-``."""
    place: str
    """Where in it: a line, ``table.column:row``, ``span trace/span``, or ``byte n``."""
    key: str | None
    """Name or path of the field or attribute within the place."""
    rule: str
    """Type of the tag that would replace it; ``error`` where a scan failed."""
    digits: str | None
    """The eight digits of that tag, by which equal secrets can be told to be equal."""


class Findings:
    """All that was found, with counts by rule."""

    def __init__(self, redactor: Redactor) -> None:
        """Start with nothing.

        Args:
            redactor: its rules are looked for; names of files and keys are shown through it as well.
        """
        self.redactor = redactor
        self.rows: list[Finding] = []
        self.rules: Counter[str] = Counter()
        self.skipped: list[tuple[str, str]] = []
        """(what, why) of what holds no text to read."""
        self.unread: list[tuple[str, str]] = []
        """(what, why) of what should have been read and could not be."""
        self.read = 0
        """Files and ledgers that were read."""

    def shown(self, name: str) -> str:
        """A name for people to read: file names hold secrets, too."""
        return self.redactor.text(name, "path")

    def add(self, source: str, place: str, key: str | None, hits: Iterable[Hit]) -> None:
        """Note hits at a place; the names are made safe here."""
        for hit in hits:
            self.rules[hit.rule] += 1
            if len(self.rows) < MOST_KEPT:
                safe_key = None if key is None else self.redactor.text(key)
                self.rows.append(Finding(self.shown(source), place, safe_key, hit.rule, hit.digits))

    @property
    def total(self) -> int:
        """How many, those that are only counted included."""
        return self.rules.total()


class Places(NamedTuple):
    """Findings of a place that belong together, for a table: equal but for how many there are."""

    finding: Finding
    times: int

    @staticmethod
    def of(rows: Iterable[Finding]) -> list[Places]:
        """Equal findings as one, in the order of the first."""
        return [Places(one, times) for one, times in Counter(rows).items()]
