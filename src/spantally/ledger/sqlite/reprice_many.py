"""Rating many rows anew at once: a cost is a formula over stored parts, which the database works out itself.

Only for rows of which nothing but the rates can have changed: rated plainly before, their parts read by the
counting rules in force, by a card whose rates are whole numbers. All others are rated one by one. Two rows of
each card are, too, and where the formula says otherwise of them, so are all rows of that card.
"""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from typing import Any, Final, TypeAlias

from spantally.ground.money import Rating, UsageParts
from spantally.ground.records import CallRecord
from spantally.ledger.repricing import Comparison
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite.filters import Condition
from spantally.ledger.sqlite.schema import statements
from spantally.ledger.sqlite.totals import Totals
from spantally.ledger.tally import QUARTER_NS, Amounts
from spantally.pricing.counting import COUNTING
from spantally.pricing.linear import MOST_TOKENS, MOST_USES, Formula, formula
from spantally.pricing.rate import HOUR_NS, rate

_PARTS: Final = UsageParts._fields
_KEY: Final = (
    "call.kind, call.provider, call.response_model, call.request_model, "
    f"call.start_ns / {HOUR_NS:d}, call.precedence, call.price_context, call.server_address"
)
_KEY_WIDTH: Final = 8
_CELL: Final = (
    f"call.start_ns / {QUARTER_NS:d}, call.session_id, call.project, call.provider, call.response_model, "
    "call.request_model, call.agent_path, call.user_id, call.entity_type, call.entity_id, call.tool, "
    "call.tags"
)
_ARGUMENTS: Final = _KEY_WIDTH + 1 + 12
_ELIGIBLE: Final = (
    "call.cost_status IN ('priced', 'free', 'override') AND call.cost_nano_usd IS NOT NULL "
    "AND call.uncached_input IS NOT NULL AND call.cache_saving_nano_usd IS NOT NULL "
    f"AND call.cache_premium_nano_usd IS NOT NULL AND call.counting = {COUNTING:d} AND NOT call.estimated "
    "AND call.status <> 'interrupted' AND call.usage IS NOT NULL "
    f"AND call.input_tokens + call.output_tokens BETWEEN 1 AND {MOST_TOKENS:d} "
    f"AND call.web_searches + call.file_searches <= {MOST_USES:d}"
)
_FAR: Final = 2**62
"""More than any input."""

_TABLES: Final = f"""\
CREATE TEMP TABLE IF NOT EXISTS reprice_row (row INTEGER PRIMARY KEY, place INTEGER NOT NULL);
CREATE TEMP TABLE IF NOT EXISTS reprice_step (
    step INTEGER PRIMARY KEY, card INTEGER NOT NULL, above INTEGER NOT NULL, upto INTEGER NOT NULL,
    per_call INTEGER, long_write INTEGER, source TEXT, status TEXT, price_id TEXT,
    {", ".join(f"r_{name} INTEGER, g_{name} INTEGER" for name in _PARTS)}
);
CREATE INDEX IF NOT EXISTS temp.reprice_step_card ON reprice_step (card);
CREATE TEMP TABLE IF NOT EXISTS reprice_new (
    row INTEGER PRIMARY KEY, cell INTEGER, step INTEGER, nano INTEGER, saving INTEGER, premium INTEGER,
    status TEXT, old_nano INTEGER, old_status TEXT, more_saving INTEGER, more_premium INTEGER, figure INTEGER,
    changed INTEGER
);
"""


def _rounded(amount: str) -> str:
    """Nano-USD of an amount that is not negative, rounded half-even."""
    nano, rest = f"({amount} / 1000000)", f"({amount} % 1000000)"
    return f"({nano} + ({rest} > 500000 OR ({rest} = 500000 AND {nano} & 1)))"


_SUM: Final = " + ".join(f"call.{name} * s.r_{name}" for name in _PARTS)
_GAPS: Final = (
    " + ".join(f"call.{name} * s.g_{name}" for name in _PARTS if name != "reasoning")
    + " + (call.cache_read + call.cache_write_5m + call.cache_write_1h) * s.g_uncached_input"
    + " + call.cache_audio_read * s.g_audio_input"
)
_SAVED: Final = (
    "call.cache_read * (s.r_uncached_input - s.r_cache_read) "
    "+ call.cache_audio_read * (s.r_audio_input - s.r_cache_audio_read)"
)
_MORE: Final = (
    "call.cache_write_5m * (s.r_cache_write_5m - s.r_uncached_input) "
    "+ call.cache_write_1h * (s.r_cache_write_1h - s.r_uncached_input)"
)
_WORK_OUT: Final = f"""\
INSERT INTO temp.reprice_new
SELECT row, cell, step, nano, saving, premium, status, old_nano, old_status,
    (saving - old_saving) * reported, (premium - old_premium) * reported,
    nano <> old_nano OR status <> old_status OR price_id IS NOT old_price_id,
    nano <> old_nano OR status <> old_status OR price_id IS NOT old_price_id
    OR saving <> old_saving OR premium <> old_premium
FROM (
    SELECT row, cell, step, price_id, old_nano, old_status, old_price_id, old_saving, old_premium, reported,
        {_rounded("amount")} AS nano, {_rounded("saved")} AS saving, {_rounded("more")} AS premium,
        CASE WHEN amount = 0 THEN 'free' ELSE status END AS status
    FROM (
        SELECT r.row AS row, r.place & 4294967295 AS cell, s.step AS step, s.status AS status,
            s.price_id AS price_id, call.cost_nano_usd AS old_nano, call.cost_status AS old_status,
            call.price_id AS old_price_id, call.cache_saving_nano_usd AS old_saving,
            call.cache_premium_nano_usd AS old_premium, call.cache_reported AS reported,
            s.per_call + {_SUM} AS amount, {_SAVED} AS saved, {_MORE} AS more
        FROM temp.reprice_row AS r CROSS JOIN call ON call.rowid = r.row
        JOIN temp.reprice_step AS s ON s.card = r.place >> 32
            AND call.input_tokens > s.above AND call.input_tokens <= s.upto
        WHERE {_GAPS} = 0 AND NOT (s.long_write AND call.cache_write_5m)
    )
    WHERE amount >= 0 AND saved >= 0 AND more >= 0 AND (amount > 0 OR status = 'priced')
)
"""
_HISTORY: Final = """\
INSERT OR REPLACE INTO rating_history
SELECT call.call_id, ?, call.cost_nano_usd, call.cost_status, call.cost_source, call.price_id
FROM temp.reprice_new AS n CROSS JOIN call ON call.rowid = n.row WHERE n.figure
"""
_UPDATE: Final = """\
UPDATE call SET cost_nano_usd = n.nano, cost_status = n.status, cost_source = s.source, price_id = s.price_id,
    cache_saving_nano_usd = n.saving, cache_premium_nano_usd = n.premium
FROM temp.reprice_new AS n CROSS JOIN temp.reprice_step AS s ON s.step = n.step
WHERE call.rowid = n.row AND n.changed
"""
_SUMS: Final = """\
SELECT cell, COUNT(*), SUM(figure), SUM(old_nano), SUM(nano), SUM(more_saving), SUM(more_premium)
FROM temp.reprice_new WHERE cell > 0 GROUP BY cell
"""
_STATUSES: Final = """\
SELECT cell, old_status, status, COUNT(*) FROM temp.reprice_new
WHERE cell > 0 AND old_status <> status GROUP BY 1, 2, 3
"""

NOT_DONE: Final = "NOT EXISTS (SELECT 1 FROM temp.reprice_new AS done WHERE done.row = call.rowid)"
"""A row that is left for being rated by itself."""

_Values: TypeAlias = tuple[Any, ...]


class Many:
    """The rows of one pass that can be rated at once; the transaction is the caller's."""

    def __init__(self, db: sqlite3.Connection, totals: Totals, found: Comparison, now_ns: int) -> None:
        """Start.

        Args:
            db: in a transaction that writes.
            totals: takes the differences.
            found: takes what changed.
            now_ns: when.
        """
        self._db = db
        self._totals = totals
        self._found = found
        self._now = now_ns
        self._cards: dict[_Values, int] = {}
        self._formulas: list[Formula] = []
        self._cells: dict[_Values, int] = {}
        self._stepped = 0
        for statement in statements(_TABLES):
            db.execute(statement)
        db.create_function("reprice_place", _ARGUMENTS, self._place)

    def run(self, condition: Condition, first: int, last: int) -> None:
        """Rate the rows of a stretch that can be.

        Args:
            condition: which rows.
            first: row number of the first.
            last: ... and of the last.
        """
        db = self._db
        db.execute("DELETE FROM temp.reprice_row")
        db.execute("DELETE FROM temp.reprice_new")
        db.execute(
            "INSERT INTO temp.reprice_row SELECT * FROM (SELECT call.rowid AS row, "
            f"reprice_place({_KEY}, call.counted, {_CELL}) AS place FROM call "
            f"WHERE call.rowid BETWEEN ? AND ? AND {_ELIGIBLE} AND {condition.sql}) WHERE place >= 0",
            (first, last, *condition.values),
        )
        self._store_steps()
        db.execute(_WORK_OUT)
        self._check()
        db.execute(_HISTORY, (self._now,))
        self._add_up()
        db.execute(_UPDATE)

    def end(self) -> None:
        """Take the tables away."""
        self._db.create_function("reprice_place", _ARGUMENTS, None)
        for name in ("reprice_row", "reprice_step", "reprice_new"):
            self._db.execute(f"DROP TABLE temp.{name}")

    # -- which card, and which sum ------------------------------------------------------------------------

    def _place(self, *values: Any) -> int:
        """Card and cell of a row in one number; negative where the row must be rated by itself."""
        key = values[:_KEY_WIDTH]
        card = self._cards.get(key)
        if card is None:
            card = self._cards[key] = self._card(key)
        if card < 0:
            return -1
        if not values[_KEY_WIDTH]:
            return card << 32  # it adds to no sum
        key = values[_KEY_WIDTH + 1 :]
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = len(self._cells) + 1
        return card << 32 | cell

    def _card(self, key: _Values) -> int:
        """The number of the card for rows alike, -1 where there is no formula."""
        kind, provider, response, request, hour, precedence, context, host = key
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
            return -1
        for number, known in enumerate(self._formulas):
            if _rates(known) == _rates(found):
                return number
        self._formulas.append(found)
        return len(self._formulas) - 1

    def _store_steps(self) -> None:
        rows: list[_Values] = []
        for number in range(self._stepped, len(self._formulas)):
            card, source, status = self._formulas[number]
            upto = _FAR
            for step in card.steps:  # the largest threshold first
                rates = [
                    value for index, one in enumerate(step.vector) for value in (one, int(index in step.gaps))
                ]
                rows.append(
                    (
                        number,
                        step.above,
                        upto,
                        card.per_call,
                        card.long_write,
                        source,
                        status,
                        step.price_id,
                        *rates,
                    )
                )
                upto = step.above
        self._stepped = len(self._formulas)
        self._db.executemany(
            "INSERT INTO temp.reprice_step VALUES "
            f"(NULL, ?, ?, ?, ?, ?, ?, ?, ?, {', '.join('?' * 2 * len(_PARTS))})",
            rows,
        )

    # -- what became of them ------------------------------------------------------------------------------

    def _check(self) -> None:
        """Rate two rows of each card by themselves; a card whose formula is not right is left out."""
        samples = [
            values
            for pick in ("MIN", "MAX")
            for values in self._db.execute(
                f"SELECT {pick}(n.row), s.card, s.price_id, n.nano, n.status, n.saving, n.premium "
                "FROM temp.reprice_new AS n JOIN temp.reprice_step AS s ON s.step = n.step GROUP BY n.step"
            )
        ]
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
        """Take the differences into the totals, and what changed into the comparison."""
        statuses: dict[int, dict[tuple[str, str], int]] = {}
        for cell, before, after, number in self._db.execute(_STATUSES):
            statuses.setdefault(cell, {})[(before, after)] = number
        keys = list(self._cells)
        for cell, calls, changed, before, after, saving, premium in self._db.execute(_SUMS):
            quarter, session_id, project, provider, response, request, path, *rest, tags = keys[cell - 1]
            self._found.add_many(
                provider, response or request, calls, changed, before, after, statuses.get(cell, {})
            )
            if after == before and not saving and not premium:
                continue
            self._totals.shift(
                (
                    quarter,
                    True,
                    session_id,
                    project,
                    provider,
                    response,
                    request,
                    tuple(json.loads(path)) if path else (),
                    *rest,
                    tuple(sorted(json.loads(tags).items())) if tags else (),
                ),
                Amounts(cost=after - before, cache_saving=saving, cache_premium=premium),
            )


def _rates(one: Formula) -> _Values:
    """What two cards have in common that rate alike."""
    steps = tuple((step.above, step.price_id, step.gaps, step.vector) for step in one.card.steps)
    return steps, one.card.per_call, one.card.long_write, one.source, one.status
