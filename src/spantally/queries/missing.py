"""Calls that no rate is known for, by where they went: what is to be filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from spantally.ground.money import CostStatus, UsageParts
from spantally.ledger.contract import CallRow, Filter, Store, Unpriced
from spantally.queries.times import moment_ns

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


def missing_rates(store: Store, since: str | None) -> list[MissingRate]:
    """What lacks a rate in a ledger, that with most tokens first.

    Args:
        store: its rows.
        since: only calls that began then or later.

    Raises:
        ArgumentError: for what is no time.
    """
    since_ns = moment_ns("since", since)
    read = getattr(store, "unpriced", None)
    groups: Iterable[Unpriced] = (
        _of_rows(store.calls(Filter(since_ns=since_ns))) if read is None else read(since_ns)
    )
    sums: dict[tuple[str | None, str | None, str | None, str], tuple[int, int, int, int]] = {}
    for one in groups:
        if _lacks_a_rate(one):
            calls, tokens_in, tokens_out, last_ns = sums.get(one[:4], (0, 0, 0, one.last_ns))
            sums[one[:4]] = (
                calls + one.calls,
                tokens_in + one.input_tokens,
                tokens_out + one.output_tokens,
                max(last_ns, one.last_ns),
            )
    found = [
        MissingRate(
            provider=provider,
            host=host,
            model=model,
            status=status,
            calls=calls,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            last_ns=last_ns,
        )
        for (provider, host, model, status), (calls, tokens_in, tokens_out, last_ns) in sums.items()
    ]
    found.sort(
        key=lambda one: (
            -one.input_tokens - one.output_tokens,
            -one.calls,
            one.model or "",
            one.provider or "",
            one.host or "",
            one.status,
        )
    )
    return found


def _of_rows(rows: Iterable[CallRow]) -> Iterable[Unpriced]:
    """Each row as a group, of a store that cannot group."""
    for row in rows:
        if row.counted and row.cost_status is not None:
            yield Unpriced(
                row.provider,
                row.server_address,
                row.model,
                row.cost_status,
                bool(row.output_tokens),
                1,
                row.input_tokens or 0,
                row.output_tokens or 0,
                row.started_ns,
            )


def _lacks_a_rate(one: Unpriced) -> bool:
    """False for a status that tells of the usage: what was cut off, or never came."""
    if one.status == CostStatus.UNKNOWN_MODEL:
        return True
    part = one.status.removeprefix(_PARTIAL) if one.status.startswith(_PARTIAL) else ""
    if part == "output":
        return one.has_output  # without a count the usage lacks it, not the rates
    return part in _CONTEXTS or part in UsageParts._fields
