"""A ledger beside a provider's export, by day and model: what is covered, what differs, and the likely cause.

Nothing is changed. Figures that the export does not tell (a cost report has no tokens) are not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from spantally.ground.money import uncovered
from spantally.ground.records import Kind
from spantally.ledger.contract import CostRow
from spantally.ledger.grouping import named_zone
from spantally.queries.export_values import Export, ExportLine
from spantally.queries.ledger import Ledger

MISSING: Final = "missing_calls"
EXTRA: Final = "extra_calls"
RATE: Final = "rate"
TIER: Final = "tier"
TIME_ZONE: Final = "time_zone"
MODEL_NAME: Final = "model_name"
UNPRICED: Final = "unpriced"
USAGE: Final = "usage"
NO_MODEL: Final = "no_model"

_TIERS: Final[tuple[tuple[float, str], ...]] = (
    (0.5, "batch or flex"),
    (1.1, "a region's uplift"),
    (1.75, "priority"),
    (2.0, "priority"),
    (2.5, "priority"),
    (6.0, "fast mode"),
)
"""What the provider's cost is of ours where one of us took another tier (platform.openai.com/docs/pricing,
platform.claude.com/docs/en/about-claude/pricing)."""
_NEAR: Final = 0.01


class Numbers(NamedTuple):
    """What one side counted; None is not told."""

    calls: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano_usd: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRow:
    """One day and model."""

    day: str
    """In the zone of the comparison."""
    model: str | None
    """As the provider writes it, or the ledger where the provider has none; None of what is of no model."""
    provider: Numbers
    """By the export."""
    ledger: Numbers
    """By the ledger; of what the export does not tell, None."""
    difference: Numbers
    """Ledger less provider."""
    cause: str | None = None
    """The likely cause of a difference; None where both agree."""
    note: str | None = None
    """The same in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """A comparison of a ledger with an export."""

    format: str
    """Of the export."""
    tz: str
    first_day: str | None
    """First and last day that the export tells of; days outside are not compared."""
    last_day: str | None
    rows: tuple[ReconcileRow, ...]
    """By day, then model."""
    provider: Numbers
    """Of all rows, by the export."""
    ledger: Numbers
    """... and by the ledger."""
    uncovered: tuple[tuple[int, str], ...] = ()
    """Calls of the ledger whose cost is not known, with the word for each."""
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """True if no row differs."""
        return all(row.cause is None for row in self.rows)


@dataclass(slots=True)
class _Cell:
    """What both sides have of one day and model."""

    name: str | None = None
    told: dict[str, int] = field(default_factory=dict)
    tolerance: int = 0
    lines: int = 0
    ours: dict[str, int] = field(default_factory=dict)
    unknown: list[tuple[int, str]] = field(default_factory=list)
    our_name: str | None = None


_FIGURES: Final = Numbers._fields


def reconcile(
    ledger: Ledger, export: Export, *, provider: str | None = None, tz: str = "UTC"
) -> Reconciliation:
    """Compare a ledger with an export.

    Args:
        ledger: it is only read.
        export: of :func:`~spantally.queries.exports.read_export`.
        provider: only calls of this provider; by default the export's own, where it says whose it is.
        tz: IANA name of the zone that the export's days are of.

    Raises:
        ArgumentError: (a ValueError) for a zone or a provider that is none.
    """
    place = named_zone(tz)
    lines = [(_day(line, place), line) for line in export.lines]
    days = sorted({day for day, _ in lines})
    told = {name for name in _FIGURES if any(getattr(line, name) is not None for _, line in lines)}
    by_model = any(line.model for _, line in lines)
    cells: dict[tuple[str, str | None], _Cell] = {}
    for day, line in lines:
        _take(cells, day, line, by_model=by_model)
    unknown: list[CostRow] = []
    if days:
        since = datetime.combine(date.fromisoformat(days[0]), datetime.min.time(), place)
        until = datetime.combine(date.fromisoformat(days[-1]), datetime.min.time(), place) + timedelta(days=1)
        unknown = ledger.cost(
            ("day", "model"),
            tz=tz,
            kind=export.kind,
            provider=provider or export.provider,
            since=since,
            until=until,
        )
        _take_ours(cells, unknown, told, by_model=by_model)
        if "cost_nano_usd" in told and (provider or export.provider or export.kind) is None:
            _leave_tools_out(cells, ledger.cost(("day",), tz=tz, kind=Kind.TOOL, since=since, until=until))
    rows = _caused(
        {key: cell for key, cell in cells.items() if cell.lines or cell.ours.get("calls") or cell.told}, told
    )
    return Reconciliation(
        format=export.format,
        tz=tz,
        first_day=days[0] if days else None,
        last_day=days[-1] if days else None,
        rows=tuple(rows),
        provider=_sum(row.provider for row in rows),
        ledger=_sum(row.ledger for row in rows),
        uncovered=tuple(uncovered(*unknown)),
        notes=export.notes,
    )


def model_key(model: str) -> str:
    """A model's name as both sides can be compared: without vendor, date and spelling.

    ``openai/gpt-4.1-2025-04-14``, ``gpt-4.1`` and ``GPT 4.1`` are one; so are ``Claude Sonnet 4.5`` and
    ``claude-sonnet-4-5-20250929``.
    """
    name = re.sub(r"[\s._@]+", "-", model.strip().lower().rpartition("/")[2])
    name = re.sub(r"-(20\d{2}-?\d{2}-?\d{2}|latest)(?=$|:|-v\d)", "", name)
    return name.strip("-")


def _day(line: ExportLine, place: Any) -> str:
    if line.start_ns is None:
        return line.day or ""
    return datetime.fromtimestamp(line.start_ns // 1_000_000_000, place).date().isoformat()


def _take(cells: dict[tuple[str, str | None], _Cell], day: str, line: ExportLine, *, by_model: bool) -> None:
    figures = {name: getattr(line, name) for name in _FIGURES if getattr(line, name) is not None}
    if not figures:
        return  # a day on which nothing was counted
    key = model_key(line.model) if line.model else None
    cell = cells.setdefault((day, key), _Cell())
    cell.name = max(filter(None, (cell.name, line.model)), default=None)
    cell.lines += 1
    cell.tolerance += line.tolerance
    for name, number in figures.items():
        cell.told[name] = cell.told.get(name, 0) + number


def _take_ours(
    cells: dict[tuple[str, str | None], _Cell], rows: Iterable[CostRow], told: set[str], *, by_model: bool
) -> None:
    for row in rows:
        model = row.keys["model"] if by_model else None
        cell = cells.setdefault((row.keys["day"] or "", model_key(model) if model else None), _Cell())
        cell.our_name = max(filter(None, (cell.our_name, model)), default=None)
        for name in _FIGURES:
            if name in told:
                cell.ours[name] = cell.ours.get(name, 0) + (getattr(row, name) or 0)
        cell.ours.setdefault("calls", 0)
        if "calls" not in told:
            cell.ours["calls"] += row.calls
        cell.unknown.extend(uncovered(row))


def _leave_tools_out(cells: dict[tuple[str, str | None], _Cell], tools: Iterable[CostRow]) -> None:
    """Take paid tools out of what is compared: no provider of models bills them."""
    for row in tools:
        cell = cells.get((row.keys["day"] or "", None))
        if cell is not None and row.cost_nano_usd:
            cell.ours["cost_nano_usd"] = cell.ours.get("cost_nano_usd", 0) - row.cost_nano_usd


# -- causes -------------------------------------------------------------------------------------------


def _caused(cells: Mapping[tuple[str, str | None], _Cell], told: set[str]) -> list[ReconcileRow]:
    rows = {key: _row(key[0], cell, told) for key, cell in cells.items()}
    _neighbours(rows, cells)
    _other_names(rows)
    return [rows[key] for key in sorted(rows, key=lambda key: (key[0], key[1] is None, key[1] or ""))]


def _row(day: str, cell: _Cell, told: set[str]) -> ReconcileRow:
    theirs = Numbers(**{name: cell.told.get(name, 0) for name in _FIGURES if name in told})
    ours = Numbers(**{name: cell.ours.get(name, 0) for name in _FIGURES if name in told})
    less = Numbers(*(_less(one, other) for one, other in zip(ours, theirs, strict=True)))
    cause, note = _cause(cell, theirs, ours, less)
    return ReconcileRow(
        day=day,
        model=cell.name or cell.our_name,
        provider=theirs,
        ledger=ours,
        difference=less,
        cause=cause,
        note=note,
    )


def _less(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one - other


def _is_same_cost(cell: _Cell, less: Numbers) -> bool:
    # Each of our calls is rounded once, to a nano-USD.
    slack = cell.tolerance + cell.ours.get("calls", 0)
    return less.cost_nano_usd is None or abs(less.cost_nano_usd) <= slack


def _cause(cell: _Cell, theirs: Numbers, ours: Numbers, less: Numbers) -> tuple[str | None, str | None]:
    counts = [one for one in (less.calls, less.input_tokens, less.output_tokens) if one is not None]
    if not any(counts) and _is_same_cost(cell, less):
        return None, None
    if not any(cell.ours.values()):  # a paid tool of that day may have left zeros
        if cell.name is None:
            return NO_MODEL, "the export tells this of no model: fees, or lines without one"
        return MISSING, "no call of this model is in the ledger: another program, key or host made them"
    if not cell.lines:
        return EXTRA, "the export has nothing of this model: it is filtered, or not complete yet"
    if any(one < 0 for one in counts) and not any(one > 0 for one in counts):
        if less.calls == 0:
            return (
                USAGE,
                "as many calls with fewer tokens: the usage of some is not known, such as of broken streams",
            )
        number = "" if less.calls is None else f"{-less.calls:,} "
        return MISSING, f"{number}calls are not in the ledger: another program or key made them"
    if any(one > 0 for one in counts) and not any(one < 0 for one in counts):
        return EXTRA, "more is in the ledger: the export is filtered (project, key), or not complete yet"
    if any(counts):
        return USAGE, "some figures are higher and some lower: the two count on another basis, or days differ"
    return _cost_cause(cell, theirs, ours, compared=bool(counts))


def _cost_cause(cell: _Cell, theirs: Numbers, ours: Numbers, *, compared: bool) -> tuple[str, str]:
    """Why the cost differs where the counts agree, or where there are none to compare."""
    same = "the counts agree" if compared else "the export has no counts"
    if cell.unknown:
        words = " + ".join(f"{count:,} {word}" for count, word in cell.unknown)
        return UNPRICED, f"{same}, and the cost of some calls is not known here: {words}"
    billed, known = theirs.cost_nano_usd or 0, ours.cost_nano_usd or 0
    if known and billed:
        ratio = billed / known
        for factor, word in _TIERS:
            if abs(ratio / factor - 1) <= _NEAR:
                return TIER, f"{same}, the provider's cost is {ratio:.2f} times ours: {word}"
        for factor, word in _TIERS:
            if abs(ratio * factor - 1) <= _NEAR:
                return TIER, f"{same}, the provider's cost is {ratio:.2f} times ours: rated here as {word}"
    if not compared and billed > known:
        return (
            MISSING,
            "more was billed, and the export has no counts: calls that are not in the ledger, or rates",
        )
    return RATE, f"{same}, the cost differs: another rate (a discount, a price change, fees)"


def _neighbours(
    rows: dict[tuple[str, str | None], ReconcileRow], cells: Mapping[tuple[str, str | None], _Cell]
) -> None:
    """Where what some days lack the days right beside them have too much, the days are of two zones."""
    note = "the sums of neighbouring days agree: the days are of another zone; try --tz"
    for key in {key for _, key in rows}:
        run: list[str] = []
        sums, slack = [0, 0, 0, 0], 0
        for day in sorted(at for at, one in rows if one == key):
            row = rows[(day, key)]
            if run and date.fromisoformat(day) - date.fromisoformat(run[-1]) != timedelta(days=1):
                run, sums, slack = [], [0, 0, 0, 0], 0
            if row.cause is None and not run:
                continue
            run.append(day)
            sums = [one + (more or 0) for one, more in zip(sums, row.difference, strict=True)]
            slack += cells[(day, key)].tolerance + cells[(day, key)].ours.get("calls", 0)
            if any(sums[:3]) or abs(sums[3]) > slack:
                continue
            if len(run) > 1:
                for one in run:
                    rows[(one, key)] = replace(rows[(one, key)], cause=TIME_ZONE, note=note)
            run, sums, slack = [], [0, 0, 0, 0], 0


def _other_names(rows: dict[tuple[str, str | None], ReconcileRow]) -> None:
    """Where one side has a model with just the figures that the other has of another one, it is one model."""
    lonely = [(key, row) for key, row in rows.items() if row.cause == MISSING and not any(row.ledger)]
    spare = [(key, row) for key, row in rows.items() if row.cause == EXTRA and not any(row.provider)]
    for key, row in lonely:
        for other_key, other in spare:
            counts = [one for one in row.provider[:3] if one is not None]
            if key[0] == other_key[0] and any(counts) and row.provider[:3] == other.ledger[:3]:
                note = f"the same figures stand under the name {other.model!r} in the ledger"
                rows[key] = replace(row, cause=MODEL_NAME, note=note)
                note = f"the same figures stand under the name {row.model!r} in the export"
                rows[other_key] = replace(other, cause=MODEL_NAME, note=note)
                break


def _sum(all_numbers: Iterable[Numbers]) -> Numbers:
    found = list(all_numbers)
    made: list[int | None] = []
    for place in range(len(_FIGURES)):
        known = [one[place] for one in found if one[place] is not None]
        made.append(sum(number for number in known if number is not None) if known else None)
    return Numbers(*made)
