"""The summary of a session: one set of rows, grouped by agent, run, model and tool."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from spantally.ground.records import Kind, Status
from spantally.ledger.contract import CallRow, SessionRow
from spantally.queries.figures import Figures, Latency, figures, latency, paid_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow(Figures):
    """One group of a summary, by own figures: the groups of one list share no row and add up to the total."""

    key: str | None
    """Name of agent, model or tool, or id of the run; None is the group of what has none."""
    name: str | None
    """What to call it: the key, or the agent of a run."""
    count: int
    """Invocations of the agent or tool, or 1 for a run; for a model, and in the total, the calls."""
    p50_ms: float | None
    """Median duration of what ``count`` counts; in a group without key, of the model calls in it."""
    p95_ms: float | None
    """Its 95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a session did and cost, its child sessions included."""

    session: SessionRow
    total: SummaryRow
    by_agent: tuple[SummaryRow, ...]
    """By the innermost agent around each call. The costliest first, what has none last; so in each list."""
    by_run: tuple[SummaryRow, ...]
    """By run: one top-level agent invocation and all that is beneath."""
    by_model: tuple[SummaryRow, ...]
    """By the model that answered, or was asked for where none answered."""
    by_tool: tuple[SummaryRow, ...]
    """By the innermost tool around each call."""
    unwritten_calls: int = 0
    """Calls of a live session that the ledger does not hold yet; only inside an event loop, where asking
    does not wait."""


def build_summary(session: SessionRow, rows: Iterable[CallRow]) -> Summary:
    """Group the rows of a session.

    Args:
        session: whose they are.
        rows: its rows and those of its child sessions.
    """
    known = list(rows)
    return Summary(
        session=session,
        total=_row(None, None, known, [row for row in known if row.counted]),
        by_agent=_grouped(known, lambda row: row.agent_path[-1] if row.agent_path else None, _is_agent),
        by_run=_grouped(known, lambda row: row.run_id, _is_run),
        by_model=_grouped(known, _model_of, lambda row: row.counted),
        by_tool=_grouped(known, lambda row: row.tool, _is_tool),
    )


def _is_agent(row: CallRow) -> bool:
    return row.kind == Kind.AGENT


def _is_run(row: CallRow) -> bool:
    return row.kind == Kind.AGENT and row.call_id == row.run_id


def _is_tool(row: CallRow) -> bool:
    return row.kind == Kind.TOOL


def _model_of(row: CallRow) -> str | None:
    return row.model if row.counted else None


def _grouped(
    rows: Iterable[CallRow], key_of: Callable[[CallRow], str | None], is_subject: Callable[[CallRow], bool]
) -> tuple[SummaryRow, ...]:
    """One row for each key.

    Args:
        rows: what is summed up.
        key_of: the group of a row.
        is_subject: whether the row is what the group is named after, and is to be counted and timed.
    """
    groups: dict[str | None, list[CallRow]] = {}
    for row in rows:
        groups.setdefault(key_of(row), []).append(row)
    made = []
    for key, members in groups.items():
        subjects = [row for row in members if (is_subject(row) if key is not None else row.counted)]
        if key is None and not any(
            row.counted or row.status == Status.ERROR or paid_of(row) for row in members
        ):
            continue  # agents and workflows around it all: they bring nothing of their own
        name = next((row.name for row in subjects if row.name), key)
        made.append(_row(key, name, members, subjects))
    made.sort(key=lambda row: (row.key is None, -(row.cost_nano_usd or 0), row.key or ""))
    return tuple(made)


def _row(key: str | None, name: str | None, rows: list[CallRow], subjects: list[CallRow]) -> SummaryRow:
    sums: Figures = figures(rows)
    took: Latency = latency(subjects)
    given: dict[str, Any] = {field.name: getattr(sums, field.name) for field in fields(sums)}
    return SummaryRow(
        key=key, name=name, count=len(subjects), p50_ms=took.p50_ms, p95_ms=took.p95_ms, **given
    )
