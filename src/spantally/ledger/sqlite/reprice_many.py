"""Rating many rows anew at once: a cost is a formula over stored parts, which the database works out itself.

Only for rows of which nothing but the rates can have changed: rated plainly before, by a card whose rates are
whole numbers, and read by the counting rules in force, which such a row shows in that its cache figures are
known (releases before these were kept counted otherwise; one that comes and changes the rules has to tell the
rows before it apart). All others are rated one by one. Two rows of each card are, too, and where the formula
says otherwise of them, so are all rows of that card.
"""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from spantally.ground.money import Rating, UsageParts
from spantally.ground.records import CallRecord
from spantally.ledger.repricing import Comparison
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite.filters import Condition
from spantally.ledger.sqlite.schema import statements
from spantally.ledger.tally import QUARTER_NS, Dimension
from spantally.pricing.linear import MOST_TOKENS, MOST_USES, Formula, formula, period
from spantally.pricing.rate import HOUR_NS, rate

_PARTS: Final = UsageParts._fields
_KEY: Final = (
    "call.kind, call.provider, call.response_model, call.request_model, "
    f"call.start_ns / {HOUR_NS:d}, call.precedence, call.price_context, call.server_address, "
    "call.input_tokens"
)
_ARGUMENTS: Final = 9
_ALIKE: Final = " AND ".join(
    [
        "d.session_id = call.session_id",
        "d.model IS COALESCE(NULLIF(call.response_model, ''), call.request_model)",
        *(f"d.{name} IS call.{name}" for name in Dimension._fields if name not in ("session_id", "model")),
    ]
)
"""A row and the dimension of its rollups."""
_ELIGIBLE: Final = (
    "call.cost_status IN ('priced', 'free', 'override') AND call.cost_nano_usd IS NOT NULL "
    "AND call.uncached_input IS NOT NULL AND call.cache_saving_nano_usd IS NOT NULL "
    "AND call.cache_premium_nano_usd IS NOT NULL AND NOT call.estimated "
    "AND call.status <> 'interrupted' AND call.usage IS NOT NULL "
    # Other usage objects choose the rate as well, by a tier, passes or a place of their own.
    "AND call.usage_format IN ('openai.chat', 'openai.responses', 'semconv', 'parts') "
    "AND COALESCE(call.provider, '') NOT IN ('mistral_ai', 'perplexity', 'x_ai', 'xai') "
    "AND instr(call.usage, '\"cost') = 0 "
    f"AND call.input_tokens + call.output_tokens BETWEEN 1 AND {MOST_TOKENS:d} "
    f"AND call.web_searches + call.file_searches <= {MOST_USES:d}"
)
FIGURE: Final = 1
"""Of what becomes of a row: its cost, status or entry of the price data is another one."""
CACHE: Final = 2
"""... Only what its cache saved or cost is."""
FREE: Final = 4
"""... It costs nothing."""
STATUS: Final = 8
"""... Its status is another one."""
SAMPLE: Final = 97
"""Of so many rows one is looked at first, for the cards that are needed."""

_TABLES: Final = f"""\
CREATE TEMP TABLE IF NOT EXISTS reprice_step (
    step INTEGER PRIMARY KEY, card INTEGER NOT NULL, per_call INTEGER, long_write INTEGER, source TEXT,
    status TEXT, price_id TEXT, {", ".join(f"r_{name} INTEGER" for name in _PARTS)},
    {", ".join(f"g_{name} INTEGER" for name in _PARTS)}
);
CREATE TEMP TABLE IF NOT EXISTS reprice_new (
    row INTEGER PRIMARY KEY, step INTEGER, nano INTEGER, saving INTEGER, premium INTEGER, what INTEGER
);
CREATE TEMP TABLE IF NOT EXISTS reprice_sum (
    quarter INTEGER, dimension_id INTEGER, calls INTEGER, figures INTEGER, old_nano INTEGER, nano INTEGER,
    saving INTEGER, premium INTEGER, PRIMARY KEY (quarter, dimension_id)
) WITHOUT ROWID;
"""


def _rounded(amount: str) -> str:
    """Nano-USD of an amount that is not negative, rounded half-even."""
    # Rounded up where it ends in a half, and back where that was from an even number.
    return f"(({amount} + 500000) / 1000000 - ({amount} % 2000000 = 500000))"


_SAVED: Final = {
    "cache_read": "(s.r_uncached_input - s.r_cache_read)",
    "cache_audio_read": "(s.r_audio_input - s.r_cache_audio_read)",
}
_MORE: Final = {
    "cache_write_5m": "(s.r_cache_write_5m - s.r_uncached_input)",
    "cache_write_1h": "(s.r_cache_write_1h - s.r_uncached_input)",
}
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "uncached_input": ("cache_read", "cache_write_5m", "cache_write_1h"),
    "audio_input": ("cache_audio_read",),
}
"""Parts whose cache figures need the rate of another part."""


def _work_out(formulas: Sequence[Formula], condition: str) -> str:
    """The statement that works the rows of a stretch out.

    Only parts on which some formula has a say are multiplied: reading a column costs as much as a sum.

    Args:
        formulas: of which there are steps.
        condition: which rows.
    """
    steps = [step for one in formulas for step in one.card.steps]
    amount = ["s.per_call"]
    never: set[str] = set()
    sometimes: list[str] = []
    for index, name in enumerate(_PARTS):
        if any(step.vector[index] for step in steps):
            amount.append(f"call.{name} * s.r_{name}")
        gaps = 0 if name == "reasoning" else sum(index in step.gaps for step in steps)
        if gaps == len(steps):
            never.update((name, *_BESIDE.get(name, ())))
        elif gaps:
            sometimes += (f"call.{one} * s.g_{name}" for one in (name, *_BESIDE.get(name, ())))
    without = [f"({' | '.join(f'call.{name}' for name in sorted(never))}) = 0"] if never else []
    without += [f"{' + '.join(sometimes)} = 0"] if sometimes else []
    saved, more = (
        " + ".join(f"call.{part} * {rate}" for part, rate in each.items() if part not in never) or "0"
        for each in (_SAVED, _MORE)
    )
    return f"""\
INSERT INTO temp.reprice_new
SELECT row, step, nano, saving, premium, CASE
    WHEN IIF(amount, status, 'free') <> old_status THEN {FIGURE | STATUS}
    WHEN nano <> old_nano OR old_price_id IS NOT price_id THEN {FIGURE}
    WHEN saving <> old_saving OR premium <> old_premium THEN {CACHE}
    ELSE 0 END | (amount = 0) * {FREE}
FROM (
    SELECT row, step, status, price_id, amount, old_nano, old_status, old_price_id, old_saving, old_premium,
        {_rounded("amount")} AS nano, {_rounded("saved") if saved != "0" else 0} AS saving,
        {_rounded("more") if more != "0" else 0} AS premium
    FROM (
        SELECT call.rowid AS row, s.step AS step, s.status AS status,
            s.price_id AS price_id, call.cost_nano_usd AS old_nano, call.cost_status AS old_status,
            call.price_id AS old_price_id, call.cache_saving_nano_usd AS old_saving,
            call.cache_premium_nano_usd AS old_premium,
            {" + ".join(amount)} AS amount, {saved} AS saved, {more} AS more
        FROM call CROSS JOIN temp.reprice_step AS s ON s.step = reprice_step({_KEY})
        WHERE {condition} AND NOT (s.long_write AND call.cache_write_5m)
            AND {" AND ".join(without) or "TRUE"}
        LIMIT -1
    )
    WHERE amount >= 0 AND saved >= 0 AND more >= 0 AND (amount > 0 OR status = 'priced')
    LIMIT -1
)
"""  # Without its limits SQLite would put the inner questions into the outer one: each sum many times.


_HISTORY: Final = f"""\
INSERT OR REPLACE INTO rating_history
SELECT call.call_id, ?, call.cost_nano_usd, call.cost_status, call.cost_source, call.price_id
FROM temp.reprice_new AS n CROSS JOIN call ON call.rowid = n.row WHERE n.what & {FIGURE:d}
"""
_UPDATE: Final = f"""\
UPDATE call SET cost_nano_usd = n.nano, cost_status = IIF(n.what & {FREE:d}, 'free', s.status),
    cost_source = s.source, price_id = s.price_id,
    cache_saving_nano_usd = n.saving, cache_premium_nano_usd = n.premium
FROM temp.reprice_new AS n CROSS JOIN temp.reprice_step AS s ON s.step = n.step
WHERE call.rowid = n.row AND n.what & {FIGURE | CACHE:d}
"""
_SUMS: Final = f"""\
INSERT INTO temp.reprice_sum
SELECT call.start_ns / {QUARTER_NS:d}, COALESCE(d.dimension_id, 0), COUNT(*), SUM(n.what & {FIGURE:d}),
    SUM(call.cost_nano_usd), SUM(n.nano),
    SUM((n.saving - call.cache_saving_nano_usd) * call.cache_reported),
    SUM((n.premium - call.cache_premium_nano_usd) * call.cache_reported)
FROM temp.reprice_new AS n CROSS JOIN call ON call.rowid = n.row LEFT JOIN dimension AS d ON {_ALIKE}
WHERE call.counted AND NOT call.hidden GROUP BY 1, 2
"""
_ADD_ROLLUPS: Final = """\
UPDATE rollup SET cost = rollup.cost + s.nano - s.old_nano, cache_saving = rollup.cache_saving + s.saving,
    cache_premium = rollup.cache_premium + s.premium
FROM temp.reprice_sum AS s WHERE s.quarter = rollup.quarter AND s.dimension_id = rollup.dimension_id
"""
_ADD_SESSIONS: Final = """\
UPDATE session SET cost = session.cost + s.more, cache_saving = session.cache_saving + s.saving,
    cache_premium = session.cache_premium + s.premium
FROM (
    SELECT d.session_id AS session_id, SUM(r.nano - r.old_nano) AS more, SUM(r.saving) AS saving,
        SUM(r.premium) AS premium
    FROM temp.reprice_sum AS r CROSS JOIN dimension AS d ON d.dimension_id = r.dimension_id GROUP BY 1
) AS s WHERE s.session_id = session.session_id
"""
_BY_MODEL: Final = """\
SELECT d.provider, d.model, SUM(r.calls), SUM(r.figures), SUM(r.old_nano), SUM(r.nano)
FROM temp.reprice_sum AS r CROSS JOIN dimension AS d ON d.dimension_id = r.dimension_id GROUP BY 1, 2
"""
_STATUSES: Final = f"""\
SELECT call.provider, COALESCE(NULLIF(call.response_model, ''), call.request_model), call.cost_status,
    IIF(n.what & {FREE:d}, 'free', s.status), COUNT(*)
FROM temp.reprice_new AS n CROSS JOIN call ON call.rowid = n.row
    CROSS JOIN temp.reprice_step AS s ON s.step = n.step
WHERE n.what & {STATUS:d} AND call.counted AND NOT call.hidden
GROUP BY 1, 2, 3, 4
"""

NOT_DONE: Final = "NOT EXISTS (SELECT 1 FROM temp.reprice_new AS done WHERE done.row = call.rowid)"
"""A row that is left for being rated by itself."""

_Values: TypeAlias = tuple[Any, ...]
_Steps: TypeAlias = tuple[tuple[int, int], ...]
"""Thresholds, the largest first, with the numbers of the steps above them."""
_NONE: Final[_Steps] = ((-1, -1),)
"""No formula."""


class Many:
    """The rows of one pass that can be rated at once; the transaction is the caller's."""

    def __init__(self, db: sqlite3.Connection, found: Comparison, now_ns: int) -> None:
        """Start.

        Args:
            db: in a transaction that writes.
            found: takes what changed.
            now_ns: when.
        """
        self._db = db
        self._found = found
        self._now = now_ns
        self._keys: dict[_Values, _Steps] = {}
        self._periods: dict[_Values, _Steps] = {}
        self._formulas: list[tuple[Formula, _Steps]] = []
        self._stored = 0
        for statement in statements(_TABLES):
            db.execute(statement)
        db.create_function("reprice_step", _ARGUMENTS, self._step_of)

    def run(self, condition: Condition, first: int, last: int) -> None:
        """Rate the rows of a stretch that can be.

        Args:
            condition: which rows.
            first: row number of the first.
            last: ... and of the last.
        """
        db = self._db
        for name in ("reprice_new", "reprice_sum"):
            db.execute(f"DELETE FROM temp.{name}")
        which = f"call.rowid BETWEEN ? AND ? AND {_ELIGIBLE} AND {condition.sql}"
        values = (first, last, *condition.values)
        # The statement finds only cards that are stored. A few rows tell most of them beforehand; if it meets
        # others, it runs once more for the rows of these.
        meet = f"SELECT SUM(reprice_step({_KEY})) FROM call WHERE"
        db.execute(f"{meet} call.rowid % {SAMPLE:d} = 0 AND {which}", values).fetchall()
        if not self._formulas:
            db.execute(f"{meet} {which}", values).fetchall()
        rest = ""
        while self._formulas:
            self._store_steps()
            db.execute(_work_out([one for one, _ in self._formulas], which + rest), values)
            if self._stored == len(self._formulas):
                break
            rest = f" AND {NOT_DONE}"
        self._check()
        self._add_up()
        db.execute(_HISTORY, (self._now,))
        db.execute(_UPDATE)

    def end(self) -> None:
        """Take the tables away."""
        self._db.create_function("reprice_step", _ARGUMENTS, None)
        for name in ("reprice_step", "reprice_new", "reprice_sum"):
            self._db.execute(f"DROP TABLE temp.{name}")

    # -- which rates --------------------------------------------------------------------------------------

    def _step_of(self, *values: Any) -> int:
        """The number of the step by which a row is rated; negative where it must be rated by itself."""
        key = values[:-1]
        steps = self._keys.get(key)
        if steps is None:
            steps = self._keys[key] = self._steps_for(key)
        if len(steps) == 1:
            return steps[0][1]
        size = values[-1]
        return next(number for above, number in steps if size > above)

    def _steps_for(self, key: _Values) -> _Steps:
        """The steps of rows alike, :data:`_NONE` where there is no formula."""
        kind, provider, response, request, hour, precedence, context, host = key
        alike = (*key[:4], period(hour), *key[5:])
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
        for known, steps in self._formulas:
            if _rates(known) == _rates(found):
                return steps
        first = sum(len(steps) for _, steps in self._formulas)
        steps = tuple((step.above, first + place) for place, step in enumerate(found.card.steps))
        self._formulas.append((found, steps))
        return steps

    def _store_steps(self) -> None:
        rows: list[_Values] = []
        for number, (found, steps) in enumerate(self._formulas[self._stored :], self._stored):
            card = found.card
            for (_, place), step in zip(steps, card.steps, strict=True):
                gaps = [int(index in step.gaps) for index in range(len(_PARTS))]
                about = (place, number, card.per_call, card.long_write, found.source, found.status)
                rows.append((*about, step.price_id, *step.vector, *gaps))
        self._stored = len(self._formulas)
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT INTO temp.reprice_step VALUES ({places})", rows)

    # -- what became of them ------------------------------------------------------------------------------

    def _check(self) -> None:
        """Rate two rows of each card by themselves; a card whose formula is not right is left out."""
        seen: dict[int, int] = {}

        def first_two(step: int) -> bool:
            """Whether fewer than two rows of a step came by before."""
            seen[step] = number = seen.get(step, 0) + 1
            return number <= 2

        db = self._db
        db.create_function("reprice_first_two", 1, first_two)
        samples = db.execute(
            f"SELECT n.row, s.card, s.price_id, n.nano, IIF(n.what & {FREE:d}, 'free', s.status), n.saving, "
            "n.premium FROM temp.reprice_new AS n CROSS JOIN temp.reprice_step AS s ON s.step = n.step "
            "WHERE reprice_first_two(n.step)"
        ).fetchall()
        db.create_function("reprice_first_two", 1, None)
        for row, card, price_id, *figures in samples:
            values = self._db.execute(f"SELECT {codec.SELECT} FROM call WHERE rowid = ?", (row,)).fetchone()
            real: Rating = rate(codec.decode(values).record)
            told = [real.nano_usd, str(real.status), real.cache_saving_nano_usd, real.cache_premium_nano_usd]
            if told != figures or real.price_id != price_id:
                self._db.execute(
                    "DELETE FROM temp.reprice_new WHERE step IN "
                    "(SELECT step FROM temp.reprice_step WHERE card = ?)",
                    (card,),
                )

    def _add_up(self) -> None:
        """Take the differences into rollups and sessions, and what changed into the comparison."""
        db = self._db
        db.execute(_SUMS)
        if db.execute("SELECT 1 FROM temp.reprice_sum WHERE dimension_id = 0 LIMIT 1").fetchone():
            # A row without its rollup: nothing is known of why, and adding differences would not mend it.
            db.execute("DELETE FROM temp.reprice_new")
            db.execute("DELETE FROM temp.reprice_sum")
            return
        statuses: dict[tuple[str | None, str | None], dict[tuple[str, str], int]] = {}
        for provider, model, before, after, number in db.execute(_STATUSES):
            statuses.setdefault((provider, model), {})[(before, after)] = number
        for provider, model, calls, changed, old, new in db.execute(_BY_MODEL):
            known = statuses.get((provider, model), {})
            self._found.add_many(provider, model, calls, changed, old, new, known)
        db.execute(_ADD_ROLLUPS)
        db.execute(_ADD_SESSIONS)


def _rates(one: Formula) -> _Values:
    """What two cards have in common that rate alike."""
    steps = tuple((step.above, step.price_id, step.gaps, step.vector) for step in one.card.steps)
    return steps, one.card.per_call, one.card.long_write, one.source, one.status
