"""By which rates rows are rated at once: formulas, found row by row and told to the database.

A formula is looked up once for rows alike, and each of its steps (rates above a number of input tokens) is a
row of a table, by which the database rates. Which step is a row's, the statement says itself for the kinds of
rows that are met most; for others it asks :meth:`Steps.step_of`, and a question takes as long as all sums.
"""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections import Counter
from typing import Any, Final, TypeAlias

from spantally.ground.records import CallRecord
from spantally.ledger.sqlite.reprice_sql import ARGUMENTS, KEY, PARTS, STEPS
from spantally.pricing.linear import Formula, formula, period, period_bounds
from spantally.pricing.rate import HOUR_NS

SAMPLE: Final = 97
"""Of so many rows one is looked at first, for the cards that are needed."""

MOST_TOLD: Final = 32
"""Kinds of rows whose step the statement itself tells."""

_Values: TypeAlias = tuple[Any, ...]
_Steps: TypeAlias = tuple[tuple[int, int], ...]
"""Thresholds, the largest first, with the numbers of the steps above them."""
_NONE: Final[_Steps] = ((-1, -1),)
"""No formula."""
_ASK: Final = f"reprice_step({KEY})"


class Steps:
    """The formulas of one pass, in the table ``reprice_step`` of its connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Start without any.

        Args:
            db: the connection that rates.
        """
        self._db = db
        self._keys: dict[_Values, _Steps] = {}
        self._periods: dict[_Values, _Steps] = {}
        self._met: Counter[_Values] = Counter()
        self.formulas: list[Formula] = []
        self._steps: list[_Steps] = []
        self._stored = 0
        db.execute("DROP TABLE IF EXISTS temp.reprice_step")
        db.execute(STEPS)
        db.create_function("reprice_step", ARGUMENTS, self.step_of)
        db.create_function("reprice_meet", ARGUMENTS, self._meet)

    @property
    def number(self) -> int:
        """How many steps there are."""
        return sum(map(len, self._steps))

    def meet(self, which: str, values: _Values) -> None:
        """Find the formulas of some of the rows, and of all where these have none.

        Args:
            which: the condition for the rows.
            values: bound to it.
        """
        meet = f"SELECT SUM(reprice_meet({KEY})) FROM call WHERE"
        self._db.execute(f"{meet} call.rowid % {SAMPLE:d} = 0 AND {which}", values).fetchall()
        if not self.formulas:
            self._db.execute(f"{meet} {which}", values).fetchall()
        self._met = Counter(dict(self._met.most_common(MOST_TOLD)))

    def store(self) -> bool:
        """Write the steps that were found since; returns False if there are none."""
        rows: list[_Values] = []
        for number in range(self._stored, len(self.formulas)):
            card, source, status, _ = self.formulas[number]
            for (_, place), step in zip(self._steps[number], card.steps, strict=True):
                gaps = [int(index in step.gaps) for index in range(len(PARTS))]
                about = (card.per_call, card.long_write, status, step.price_id)
                rows.append((place, *step.vector, *about, *gaps, source, number))
        self._stored = len(self.formulas)
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT INTO temp.reprice_step VALUES ({places})", rows)
        return bool(rows)

    def expression(self) -> tuple[str, _Values]:
        """SQL that tells the step of a row, and what is bound to it."""
        groups: dict[_Values, dict[_Values, list[int]]] = {}
        for kind, provider, response, request, time, *rest in self._met:
            models = groups.setdefault((kind, provider, *rest), {})
            models.setdefault((response, request), []).append(time)
        sql = ""
        values: list[Any] = []
        for common, models in groups.items():
            sql += (
                " WHEN call.kind IS ? AND call.provider IS ? AND call.precedence IS ? "
                "AND call.price_context IS ? AND call.server_address IS ? THEN CASE"
            )
            values += common
            for model, times in models.items():
                for first, after, steps in self._spans(common, model, times):
                    sql += " WHEN call.response_model IS ? AND call.request_model IS ?"
                    values += model
                    for compared, hour in ((">=", first), ("<", after)):
                        if hour is not None:
                            sql += f" AND call.start_ns {compared} ?"
                            values.append(hour * HOUR_NS)
                    sql += f" THEN {_by_size(steps)}"
            sql += f" ELSE {_ASK} END"
        return (f"CASE{sql} ELSE {_ASK} END", tuple(values)) if sql else (_ASK, ())

    def _spans(
        self, common: _Values, model: _Values, times: list[int]
    ) -> list[tuple[int | None, int | None, _Steps]]:
        """The stretches of time of the same steps, as first hour, the first after it, and the steps."""
        found: list[tuple[int | None, int | None, _Steps]] = []
        low, high = min(times), max(times)
        for time in range(low, high + 1) if high - low < MOST_TOLD else sorted(times):
            first, after = period_bounds(time)
            if time not in times and first is not None:
                self._steps_for((*common[:2], *model, first, *common[2:]))
            steps = self._periods.get((*common[:2], *model, time, *common[2:]))
            if steps is None:
                continue
            if found and found[-1][1:] == (first, steps):
                found[-1] = (found[-1][0], after, steps)
            else:
                found.append((first, after, steps))
        return found

    def end(self) -> None:
        """Take the table and the functions away."""
        for name in ("reprice_step", "reprice_meet"):
            self._db.create_function(name, ARGUMENTS, None)
        self._db.execute("DROP TABLE temp.reprice_step")

    def step_of(self, *values: Any) -> int:
        """The number of the step by which a row is rated; negative where it must be rated by itself."""
        key = values[:-1]
        steps = self._keys.get(key)
        if steps is None:
            steps = self._keys[key] = self._steps_for(key)
        if len(steps) == 1:
            return steps[0][1]
        size = values[-1]
        return next(number for above, number in steps if size > above)

    def _meet(self, *values: Any) -> int:
        number = self.step_of(*values)
        alike = _alike(values[:-1])
        if alike in self._periods:
            self._met[alike] += 1
        return number

    def _steps_for(self, key: _Values) -> _Steps:
        """The steps of rows alike, :data:`_NONE` where there is no formula."""
        kind, provider, response, request, hour, precedence, context, host = key
        alike = _alike(key)
        known = self._periods.get(alike)
        if known is not None:
            return known
        found = formula(
            CallRecord(
                call_id="-",
                session_id="-",
                kind=kind,
                operation="-",
                start_ns=hour * HOUR_NS,
                precedence=precedence,
                provider=provider,
                request_model=request,
                response_model=response,
                price_context=json.loads(context) if context else None,
                server_address=host,
            )
        )
        if found is None:
            return _NONE
        steps = self._steps_of(found)
        if found.steady:
            self._periods[alike] = steps
        return steps

    def _steps_of(self, found: Formula) -> _Steps:
        """The steps of a formula, which are numbered when it is first seen."""
        for known, steps in zip(self.formulas, self._steps, strict=True):
            if _rates(known) == _rates(found):
                return steps
        first = self.number
        steps = tuple((step.above, first + place) for place, step in enumerate(found.card.steps))
        self.formulas.append(found)
        self._steps.append(steps)
        return steps


def _alike(key: _Values) -> _Values:
    """A key with the period instead of the hour."""
    return (*key[:4], period(key[4]), *key[5:])


def _by_size(steps: _Steps) -> str:
    """SQL for the step of a row, by its input tokens where there are several."""
    if len(steps) == 1:
        return str(steps[0][1])
    cases = "".join(f" WHEN call.input_tokens > {above:d} THEN {number:d}" for above, number in steps)
    return f"CASE{cases} END"


def _rates(one: Formula) -> _Values:
    """What two cards have in common that rate alike."""
    steps = tuple((step.above, step.price_id, step.gaps, step.vector) for step in one.card.steps)
    return steps, one.card.per_call, one.card.long_write, one.source, one.status
