"""What a check found: one value, how it is, and what to do about it."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple


class Level(enum.StrEnum):
    """How a finding is; only a problem makes `spantally doctor` fail."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing, nothing is wrong."""
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One line of `spantally doctor`."""

    section: str
    name: str
    value: str
    level: Level = Level.OK
    advice: str | None = None

    def as_object(self) -> dict[str, Any]:
        """The finding for JSON."""
        return {
            "section": self.section,
            "name": self.name,
            "value": self.value,
            "level": self.level.value,
            "advice": self.advice,
        }
