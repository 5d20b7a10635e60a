"""Calls that no rate is known for, by where they went: what is to be filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from spantally.ground.money import CostStatus, UsageParts
from spantally.ledger.contract import CallRow

_CONTEXTS: Final = frozenset({"batch", "currency", "multiplier", "service_tier", "speed"})
_PARTIAL: Final = "partial:"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingRate:
    """Calls of one model at one place that lack the same rate."""

    provider: str | None
    host: str | None
    model: str | None
    status: str
    """``unknown_model``, or ``partial:<part>`` of the part or tier without a rate."""
    calls: int
    input_tokens: int
    output_tokens: int
    last_ns: int
    """When the latest of them began, UNIX nanoseconds."""

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.status != CostStatus.UNKNOWN_MODEL:
            return f"no rate for {self.status.removeprefix(_PARTIAL)}: give one in an entry of your own"
        if self.provider is None:
            return "nobody knows what this host asks: give its rates"
        return "the price data has no rate: update it (spantally prices update), or give one"

    @property
    def snippet(self) -> str:
        """An entry for the settings file, to be filled in; as it is it names no rate."""
        lines = ["[[rate]]"]
        for key, value in (("provider", self.provider), ("host", self.host), ("model", self.model)):
            if value is not None:
                lines.append(f"{key} = {json.dumps(value)}")
        part = self.status.removeprefix(_PARTIAL)
        if self.status != CostStatus.UNKNOWN_MODEL and part in ("service_tier", "speed", "batch"):
            lines.append(f"{part} = {'true' if part == 'batch' else '...'}".replace("...", '"..."'))
        lines.append("# input = ...   # US dollars for a million tokens")
        lines.append("# output = ...")
        if self.status != CostStatus.UNKNOWN_MODEL and part in UsageParts._fields and part != "output":
            lines.append(f"# {part} = ...")
        lines.append("# or one of: per_second = ..., multiplier = 0.8, free = true, covered = true")
        if self.model is not None:
            lines.append("# or, where it is another name of a model that has a rate:")
            lines.append(f'# [aliases]\n# {json.dumps(self.model)} = {{ provider = "...", model = "..." }}')
        return "\n".join(lines)


def missing_rates(rows: Iterable[CallRow]) -> list[MissingRate]:
    """Group the calls that lack a rate, those with most tokens first.

    Args:
        rows: of any kind; only those that count, and whose cost lacks a rate, are taken.
    """
    groups: dict[tuple[str | None, str | None, str | None, str], list[CallRow]] = {}
    for row in rows:
        if row.counted and _lacks_a_rate(row):
            key = (row.provider, row.server_address, row.model, str(row.cost_status))
            groups.setdefault(key, []).append(row)
    found = [
        MissingRate(
            provider=provider,
            host=host,
            model=model,
            status=status,
            calls=len(members),
            input_tokens=sum(row.input_tokens or 0 for row in members),
            output_tokens=sum(row.output_tokens or 0 for row in members),
            last_ns=max(row.started_ns for row in members),
        )
        for (provider, host, model, status), members in groups.items()
    ]
    found.sort(key=lambda one: (-one.input_tokens - one.output_tokens, -one.calls, one.model or ""))
    return found


def _lacks_a_rate(row: CallRow) -> bool:
    """False for a status that tells of the usage: what was cut off, or never came."""
    status = row.cost_status or ""
    if status == CostStatus.UNKNOWN_MODEL:
        return True
    part = status.removeprefix(_PARTIAL) if status.startswith(_PARTIAL) else ""
    if part == "output":
        return bool(row.output_tokens)  # without a count the usage lacks it, not the rates
    return part in _CONTEXTS or part in UsageParts._fields
