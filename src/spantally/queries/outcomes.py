"""How sessions went: the share that succeeded, and what programs measured, by groups."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from spantally.ground.errors import ArgumentError, shown
from spantally.ground.records import SessionStatus
from spantally.ledger.contract import SessionRow
from spantally.ledger.grouping import label_of, zone
from spantally.queries.figures import percentile

PLAIN: Final = ("agent", "user", "entity", "model", "name")
PERIODS: Final = ("day", "week", "month")
MOST_REASONS: Final = 5
"""Reasons that a row names, the most frequent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFigures:
    """One metric of the sessions of a group."""

    count: int
    """Sessions that told it; of an evaluation its results."""
    mean: float
    p50: float
    """The smallest value that half of them do not exceed; ``p95`` likewise."""
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """The sessions of one group; one with several agents or models is in the group of each."""

    keys: Mapping[str, str | None]
    """What the group is of, by grouping; empty for all sessions together."""
    sessions: int
    succeeded: int
    failed: int
    cancelled: int
    abandoned: int
    """Whose process ended without finishing them."""
    running: int
    success_rate: float | None
    """Of the sessions that ended, 0 to 1; None where none has."""
    per_session: Mapping[str, MetricFigures] = field(default_factory=dict)
    """What sessions took: ``turns``, ``calls``, ``input_tokens``, ``output_tokens``, ``cost_nano_usd`` and
    ``duration_ms``, child sessions included. What is not wholly known is left out: the cost of a session
    with a call that has no price (``count`` tells of how many a figure is), and a running session."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Why sessions failed, as programs said, the most frequent first."""
    metrics: Mapping[str, MetricFigures] = field(default_factory=dict)
    """What programs measured, by name; scores of evaluations and feedback as ``evaluation.NAME``."""


def check_outcome_groupings(by: Sequence[str]) -> tuple[str, ...]:
    """The groupings, each once; none means all sessions together.

    Raises:
        ArgumentError: naming the value and what is allowed.
    """
    if isinstance(by, str):
        raise ArgumentError(f"by={shown(by)} is a text; use a list such as [{shown(by)}]")
    for name in by:
        if name not in PLAIN and name not in PERIODS:
            raise ArgumentError(
                f"by={shown(name)} is not allowed; use any of: {', '.join((*PLAIN, *PERIODS))}"
            )
    return tuple(dict.fromkeys(by))


def outcome_rows(
    sessions: Iterable[SessionRow],
    by: Sequence[str],
    tz: str,
    scores: Mapping[str, Sequence[tuple[str, float]]] | None = None,
) -> list[OutcomeRow]:
    """Sum sessions up.

    Sessions that the program did not open itself are left out: nobody says how these went.

    Args:
        sessions: any.
        by: groupings, checked.
        tz: zone of days, weeks and months.
        scores: name and number of each evaluation, by session.

    Raises:
        ArgumentError: for a zone that is not known.
    """
    labels = {unit: label_of(unit, zone(tz)) for unit in PERIODS if unit in by}
    groups: dict[tuple[str | None, ...], list[SessionRow]] = {}
    for row in sessions:
        if row.implicit:
            continue
        keys: list[tuple[str | None, ...]] = [()]
        for name in by:
            if name in labels:
                values: Sequence[str | None] = (labels[name](row.started_ns // 1_000_000_000),)
            else:
                values = _values(row, name)
            keys = [(*key, value) for key in keys for value in values]
        for key in keys:
            groups.setdefault(key, []).append(row)
    made = [_row(dict(zip(by, key, strict=True)), rows, scores or {}) for key, rows in groups.items()]
    made.sort(key=lambda one: tuple((value is None, value or "") for value in one.keys.values()))
    return made


def _values(row: SessionRow, name: str) -> Sequence[str | None]:
    if name == "agent":
        return row.agents or (None,)
    if name == "model":
        return row.models or (None,)
    if name == "entity":
        return (None if row.entity_type is None else f"{row.entity_type}:{row.entity_id}",)
    return (row.user_id if name == "user" else row.name,)


def _row(
    keys: Mapping[str, str | None],
    rows: Sequence[SessionRow],
    scores: Mapping[str, Sequence[tuple[str, float]]],
) -> OutcomeRow:
    counts = Counter(str(row.status) for row in rows)
    ended = len(rows) - counts[SessionStatus.RUNNING]
    told: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.metrics.items():
            told.setdefault(name, []).append(float(value))
        for name, value in scores.get(row.session_id, ()):
            told.setdefault(f"evaluation.{name}", []).append(value)
    reasons = Counter(row.reason for row in rows if row.status == SessionStatus.FAILED and row.reason)
    return OutcomeRow(
        keys=keys,
        sessions=len(rows),
        succeeded=counts[SessionStatus.SUCCEEDED],
        failed=counts[SessionStatus.FAILED],
        cancelled=counts[SessionStatus.CANCELLED],
        abandoned=counts[SessionStatus.ABANDONED],
        running=counts[SessionStatus.RUNNING],
        success_rate=counts[SessionStatus.SUCCEEDED] / ended if ended else None,
        reasons=dict(reasons.most_common(MOST_REASONS)),
        metrics={name: _figures(sorted(values)) for name, values in sorted(told.items())},
        per_session=_per_session(rows),
    )


def _per_session(rows: Sequence[SessionRow]) -> dict[str, MetricFigures]:
    """What those took that have ended, by name."""
    took: dict[str, list[float]] = {}
    for row in rows:
        if row.status == SessionStatus.RUNNING:
            continue
        known: dict[str, float | None] = {
            "turns": row.turn_count,
            "calls": row.calls,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "cost_nano_usd": None if _is_partly_known(row) else row.cost_nano_usd,
            "duration_ms": row.duration_ms,
        }
        for name, value in known.items():
            if value is not None:
                took.setdefault(name, []).append(value)
    return {name: _figures(sorted(values)) for name, values in took.items()}


def _is_partly_known(row: SessionRow) -> bool:
    """True where a call of the session has no cost that counts, or may have been billed unseen."""
    return bool(row.unpriced_calls or row.pending_calls or row.possibly_billed_calls)


def _figures(values: Sequence[float]) -> MetricFigures:
    return MetricFigures(
        count=len(values),
        mean=_mean(values),
        p50=percentile(values, 50) or 0.0,
        p95=percentile(values, 95) or 0.0,
    )


def _mean(values: Sequence[float]) -> float:
    """The mean, whatever the order of the values, and where their sum is larger than a float."""
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return float(sum(map(Fraction, values)) / len(values))
