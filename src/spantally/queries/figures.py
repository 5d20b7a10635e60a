"""Sums over rows, as graph and summary need them: what counts, what it cost, how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from spantally.ground.cache_use import NO_CACHE, CacheUse, cache_sum
from spantally.ground.money import CostStatus, usd, usd_text
from spantally.ground.records import Kind, Status
from spantally.ledger.contract import CallRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a group of rows comes to. Groups that share no row add up."""

    calls: int = 0
    """Model operations that count; never agents, tools or workflows."""
    errors: int = 0
    """Rows of any kind that ended in error."""
    input_tokens: int = 0
    output_tokens: int = 0
    cache: CacheUse = NO_CACHE
    """Of the providers' prompt caches."""
    cost_nano_usd: int | None = 0
    """Known part, paid tools among it; None when calls were made and nothing has a cost."""
    unpriced_calls: int = 0
    pending_calls: int = 0
    possibly_billed_calls: int = 0
    """Calls of which something may be billed without anybody having seen its usage."""
    lost_attempt_calls: int = 0
    """Those of them that have usage: an earlier attempt was sent and lost. The others are unpriced."""
    covered_calls: int = 0
    """Those of the unpriced calls that are paid otherwise, by a flat plan."""
    list_nano_usd: int = 0
    """What these would have cost by the rates of the list; no part of the cost."""

    @property
    def total_cost(self) -> str | None:
        """Cost as a decimal string of US dollars."""
        return usd_text(self.cost_nano_usd)

    @property
    def cost_usd(self) -> Decimal | None:
        """Cost in US dollars, exact."""
        return usd(self.cost_nano_usd)


def cache_of(row: CallRow) -> CacheUse:
    """What one row adds: nothing where it does not count, or its provider reports nothing of a cache."""
    if not row.counted or not row.cache_reported or row.input_tokens is None:
        return NO_CACHE
    saving, premium = row.cache_saving_nano_usd, row.cache_premium_nano_usd
    rated = row.cost_nano_usd is not None and saving is not None and premium is not None
    return CacheUse(
        1,
        row.input_tokens,
        (row.cache_read or 0) + (row.cache_audio_read or 0),
        (row.cache_write_5m or 0) + (row.cache_write_1h or 0),
        int(rated),
        (saving or 0) if rated else 0,
        (premium or 0) if rated else 0,
    )


def lost_of(row: CallRow) -> bool:
    """Whether an earlier attempt of the call was sent and lost: it may be billed beside what has usage.

    Usage that cannot be read has no tokens, and one that tells the cost alone has none either.
    """
    if not row.possibly_billed:
        return False
    return row.input_tokens is not None or row.cost_status not in (
        None,
        CostStatus.NO_USAGE,
        CostStatus.PENDING,
    )


def paid_of(row: CallRow) -> int:
    """What a row adds to a cost without being a call: of a tool, what its program says that it cost."""
    return (row.cost_nano_usd or 0) if row.kind == Kind.TOOL else 0


def figures(rows: Iterable[CallRow]) -> Figures:
    """Sum up rows, each by itself and without what lies beneath it.

    Args:
        rows: of any kind; only those that count bring calls and tokens, those and paid tools bring cost.
    """
    known = list(rows)
    calls = errors = tokens_in = tokens_out = cost = priced = unpriced = pending = billed = lost = 0
    covered = list_value = 0
    for row in known:
        errors += row.status == Status.ERROR
        if not row.counted:
            cost += paid_of(row)
            continue
        calls += 1
        tokens_in += row.input_tokens or 0
        tokens_out += row.output_tokens or 0
        if row.cost_nano_usd is not None:
            cost += row.cost_nano_usd
            priced += 1
        elif row.cost_status == CostStatus.PENDING:
            pending += 1
        else:
            unpriced += 1
        billed += row.possibly_billed
        lost += lost_of(row)
        covered += row.cost_status == CostStatus.COVERED
        list_value += row.list_nano_usd or 0
    return Figures(
        calls=calls,
        errors=errors,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cache=cache_sum(map(cache_of, known)),
        cost_nano_usd=None if calls and not priced and not cost else cost,
        unpriced_calls=unpriced,
        pending_calls=pending,
        possibly_billed_calls=billed,
        lost_attempt_calls=lost,
        covered_calls=covered,
        list_nano_usd=list_value,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long rows took, in milliseconds: values that occurred (nearest rank), never interpolated ones."""

    measured: int = 0
    """Rows whose duration is known: those that run, and tools read from messages, have none."""
    p50_ms: float | None = None
    p95_ms: float | None = None


def latency(rows: Iterable[CallRow]) -> Latency:
    """Percentiles of the durations of rows."""
    known = sorted(row.duration_ms for row in rows if row.duration_ms is not None)
    return Latency(measured=len(known), p50_ms=percentile(known, 50), p95_ms=percentile(known, 95))


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The smallest value that at least ``percent`` of 100 values do not exceed; None of none.

    Args:
        ordered: values in ascending order.
        percent: 1 to 100.
    """
    if not ordered:
        return None
    return ordered[-(-percent * len(ordered) // 100) - 1]
