"""Limits on what was recorded, and whether each holds. What is not known is not under a limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from spantally.ground.errors import ArgumentError, shown
from spantally.ground.money import CostStatus, dollar_text, nano_of_dollars
from spantally.ground.records import SessionStatus, Status
from spantally.ledger.contract import CallRow, Filter, SessionRow, Store
from spantally.queries.figures import Figures, figures, percentile
from spantally.queries.ledger import Ledger
from spantally.queries.of_session import children_of

LARGEST: Final = 2**62
MOST_NAMED: Final = 3
"""Causes that a reason names at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What must hold. Every field that is None, empty or False asks for nothing."""

    max_nano_usd: int | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    """Input and output together."""
    max_errors: int | None = None
    """Rows of any kind that ended in error."""
    min_success: Decimal | None = None
    """Share of the sessions that succeeded, 0 to 1."""
    no_unpriced: bool = False
    max_latency: tuple[tuple[int, float], ...] = ()
    """Percentile of the durations of model calls, and milliseconds that it may be at most."""
    allow_unpriced: bool = False
    """Calls whose cost is not known do not make a dollar limit fail."""

    @property
    def given(self) -> bool:
        """Whether there is anything to check."""
        asked = (self.max_nano_usd, self.max_calls, self.max_tokens, self.max_errors, self.min_success)
        return self.no_unpriced or bool(self.max_latency) or any(one is not None for one in asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What sessions and their rows come to."""

    sessions: int
    """Those that a program opened itself: of implicit ones nobody says how they went."""
    implicit: int
    succeeded: int
    figures: Figures
    unknown_cost: tuple[str, ...]
    """Why each call whose cost is not, or not wholly, known has none: ``unknown_model (their-model)``."""
    unknown_tokens: tuple[str, ...]
    """The same of calls without usage."""
    durations: tuple[float, ...]
    """Milliseconds of model calls, ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One limit, the figure beside it, and whether it holds."""

    rule: str
    """``max_usd``, ``max_calls``, ...: the option of the command line."""
    session_id: str | None
    """Whose figure it is; None is that of all sessions together."""
    unit: str
    """``nano_usd``, ``calls``, ``tokens``, ``errors``, ``sessions``, ``share`` or ``ms``."""
    limit: int | float
    """What was asked for."""
    figure: int | float | None
    """The known part; None where nothing is known."""
    passed: bool
    """True if the limit holds."""
    reason: str | None = None
    """Why it does not hold, where the two figures do not say it."""
    unknown_calls: int = 0
    """Calls whose cost or tokens are not, or not wholly, in the figure."""


def amount_text(unit: str, value: float | None, *, known: bool = True) -> str:
    """A figure as a sentence has it: ``$0.50``, ``3 calls``, ``95 %``.

    Args:
        unit: of a :class:`Verdict`.
        value: the figure; None where nothing is known.
        known: False where the figure is only the known part.
    """
    if value is None:
        return "unknown"
    more = "" if known else " known"
    if unit == "nano_usd":
        return f"{dollar_text(int(value))}{more}"
    if unit == "share":
        return f"{100 * value:.4g} %"
    if unit == "ms":
        return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"
    return f"{value:,}{more} {unit.removesuffix('s') if value == 1 else unit}"


def nano_usd_of(name: str, value: object) -> int:
    """An amount of US dollars, exact: a number, a Decimal or a text such as ``"0.50"``.

    Raises:
        ArgumentError: naming the value and what is allowed.
    """
    nano = nano_of_dollars(value, LARGEST)
    if nano is None:
        raise ArgumentError(f"{name}={shown(value)}: use dollars from 0 up, such as 0.50")
    return nano


def count_of(name: str, value: object) -> int:
    """A whole number from 0 up.

    Raises:
        ArgumentError: naming the value and what is allowed.
    """
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ArgumentError(f"{name}={shown(value)}: use a whole number from 0 up")
    return value


def spent(sessions: Iterable[SessionRow], rows: Iterable[CallRow]) -> Spent:
    """Sum up sessions and rows.

    Args:
        sessions: those that are judged by their outcome.
        rows: of any kind; only those that count bring calls, tokens and cost.
    """
    given, known = list(sessions), list(rows)
    judged = [row for row in given if not row.implicit]
    counted = [row for row in known if row.counted]
    took = sorted(row.duration_ms for row in counted if row.duration_ms is not None)
    return Spent(
        sessions=len(judged),
        implicit=len(given) - len(judged),
        succeeded=sum(row.status == SessionStatus.SUCCEEDED for row in judged),
        figures=figures(known),
        unknown_cost=tuple(filter(None, map(_why_no_cost, counted))),
        unknown_tokens=tuple(_named(row, "no usage") for row in counted if _lacks_usage(row)),
        durations=tuple(took),
    )


def _refused(row: CallRow) -> bool:
    """The provider answered with an error and no usage: nothing was billed."""
    return row.status == Status.ERROR and row.input_tokens is None and not row.possibly_billed


def _lacks_usage(row: CallRow) -> bool:
    return row.input_tokens is None and row.output_tokens is None and not _refused(row)


def _why_no_cost(row: CallRow) -> str | None:
    """Why what a call cost is not, or not wholly, known; None where it is."""
    if row.possibly_billed:
        return _named(row, "possibly billed")
    status = row.cost_status or ""
    if row.cost_nano_usd is not None:
        return _named(row, status) if status.startswith("partial:") else None
    return None if status == CostStatus.COVERED or _refused(row) else _named(row, status or "no cost")


def _named(row: CallRow, why: str) -> str:
    return f"{why} ({row.model})" if row.model else why


def unknown_text(unknown: Sequence[str], what: str) -> str | None:
    """Calls without a figure in a sentence: ``the cost of 2 calls is not known: 2 unknown_model (x)``.

    Args:
        unknown: why each has none.
        what: what they lack, ``cost`` or ``tokens``.

    Returns:
        The sentence; None where no call lacks it.
    """
    if not unknown:
        return None
    causes = Counter(unknown).most_common()
    words = ", ".join(f"{count:,} {why}" for why, count in causes[:MOST_NAMED])
    more = ", and others" if len(causes) > MOST_NAMED else ""
    calls = "1 call" if len(unknown) == 1 else f"{len(unknown):,} calls"
    verb = "is" if what == "cost" else "are"
    return f"the {what} of {calls} {verb} not known: {words}{more}"


def judge(limits: Limits, found: Spent, session_id: str | None = None) -> list[Verdict]:
    """Each limit beside its figure.

    Args:
        limits: what must hold.
        found: what there is.
        session_id: whose figures these are; None for those of all sessions together.
    """
    made: list[Verdict] = []

    def add(
        rule: str,
        unit: str,
        limit: float,
        figure: float | None,
        *,
        passed: bool,
        reason: str | None = None,
        unknown: int = 0,
    ) -> None:
        made.append(
            Verdict(
                rule=rule,
                session_id=session_id,
                unit=unit,
                limit=limit,
                figure=figure,
                passed=passed and reason is None,
                reason=reason,
                unknown_calls=unknown,
            )
        )

    sums = found.figures
    if limits.max_nano_usd is not None:
        within = (sums.cost_nano_usd or 0) <= limits.max_nano_usd
        doubt = unknown_text(found.unknown_cost, "cost") if within and not limits.allow_unpriced else None
        lacking = len(found.unknown_cost)
        cost = sums.cost_nano_usd
        add("max_usd", "nano_usd", limits.max_nano_usd, cost, passed=within, reason=doubt, unknown=lacking)
    if limits.max_calls is not None:
        add("max_calls", "calls", limits.max_calls, sums.calls, passed=sums.calls <= limits.max_calls)
    if limits.max_tokens is not None:
        total = sums.input_tokens + sums.output_tokens
        within = total <= limits.max_tokens
        doubt = unknown_text(found.unknown_tokens, "tokens") if within else None
        lacking = len(found.unknown_tokens)
        add("max_tokens", "tokens", limits.max_tokens, total, passed=within, reason=doubt, unknown=lacking)
    if limits.max_errors is not None:
        add("max_errors", "errors", limits.max_errors, sums.errors, passed=sums.errors <= limits.max_errors)
    if limits.min_success is not None:
        share = found.succeeded / found.sessions if found.sessions else None
        reached = share is None or Decimal(found.succeeded) >= limits.min_success * found.sessions
        nobody_says = share is None and found.implicit > 0 and session_id is None
        doubt = "the program opened no session, so nothing says how it went" if nobody_says else None
        add("min_success", "share", float(limits.min_success), share, passed=reached, reason=doubt)
    if limits.no_unpriced:
        doubt = unknown_text(found.unknown_cost, "cost")
        add("no_unpriced", "calls", 0, len(found.unknown_cost), passed=True, reason=doubt)
    for percent, most in limits.max_latency:
        took = percentile(found.durations, percent)
        doubt = "no call has ended" if took is None and sums.calls else None
        quick = took is None or took <= most
        add(f"max_latency p{percent}", "ms", most, took, passed=quick, reason=doubt)
    return made


def rows_of(ledger: Ledger, session_ids: Iterable[str]) -> list[CallRow]:
    """Rows of sessions and of their child sessions, each once.

    Args:
        ledger: where they are.
        session_ids: ids, in full.
    """
    store = ledger._settled()
    return _rows(store, children_of(store), session_ids)


def _rows(store: Store, children: Mapping[str, Sequence[str]], session_ids: Iterable[str]) -> list[CallRow]:
    seen: set[str] = set()
    rows: list[CallRow] = []
    waiting = list(session_ids)
    while waiting:
        ident = waiting.pop()
        if ident not in seen:
            seen.add(ident)
            waiting.extend(children.get(ident, ()))
            rows.extend(store.calls(Filter(session_id=ident)))
    return rows


def check(ledger: Ledger, sessions: Sequence[SessionRow], limits: Limits, *, each: bool) -> list[Verdict]:
    """Judge recorded sessions.

    Args:
        ledger: that holds them.
        sessions: which; their child sessions belong to them.
        limits: what must hold.
        each: of every session by itself; False: of all together.
    """
    if not each:
        return judge(limits, spent(sessions, rows_of(ledger, [one.session_id for one in sessions])))
    store = ledger._settled()
    children = children_of(store)
    return [
        verdict
        for one in sessions
        for verdict in judge(limits, spent([one], _rows(store, children, [one.session_id])), one.session_id)
    ]
