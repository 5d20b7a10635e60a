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
from typing import Any, Final, TypeAlias

from spantally.ground.money import Rating, UsageParts
from spantally.ground.records import CallRecord
from spantally.ledger.repricing import Comparison
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite.filters import Condition
from spantally.ledger.sqlite.schema import statements
from spantally.ledger.tally import QUARTER_NS, Dimension
from spantally.pricing.linear import MOST_TOKENS, MOST_USES, Formula, formula
from spantally.pricing.rate import HOUR_NS, rate

_PARTS: Final = UsageParts._fields
_KEY: Final = (
    "call.kind, call.provider, call.response_model, call.request_model, "
    f"call.start_ns / {HOUR_NS:d}, call.precedence, call.price_context, call.server_address"
)
_ARGUMENTS: Final = 8
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
_FAR: Final = 2**62
"""More than any input."""

_TABLES: Final = f"""\
CREATE TEMP TABLE IF NOT EXISTS reprice_row (row INTEGER PRIMARY KEY, card INTEGER NOT NULL);
CREATE TEMP TABLE IF NOT EXISTS reprice_step (
    step INTEGER PRIMARY KEY, card INTEGER NOT NULL, above INTEGER NOT NULL, upto INTEGER NOT NULL,
    per_call INTEGER, long_write INTEGER, source TEXT, status TEXT, price_id TEXT,
    {", ".join(f"r_{name} INTEGER, g_{name} INTEGER" for name in _PARTS)}
);
CREATE INDEX IF NOT EXISTS temp.reprice_step_card ON reprice_step (card);
CREATE TEMP TABLE IF NOT EXISTS reprice_new (
    row INTEGER PRIMARY KEY, step INTEGER, nano INTEGER, saving INTEGER, premium INTEGER, status TEXT,
    old_nano INTEGER, old_status TEXT, more_saving INTEGER, more_premium INTEGER, figure INTEGER,
    changed INTEGER
);
CREATE TEMP TABLE IF NOT EXISTS reprice_sum (
    quarter INTEGER, dimension_id INTEGER, calls INTEGER, figures INTEGER, old_nano INTEGER, nano INTEGER,
    saving INTEGER, premium INTEGER, PRIMARY KEY (quarter, dimension_id)
) WITHOUT ROWID;
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
SELECT row, step, nano, saving, premium, status, old_nano, old_status,
    (saving - old_saving) * reported, (premium - old_premium) * reported,
    nano <> old_nano OR status <> old_status OR price_id IS NOT old_price_id,
    nano <> old_nano OR status <> old_status OR price_id IS NOT old_price_id
    OR saving <> old_saving OR premium <> old_premium
FROM (
    SELECT row, step, price_id, old_nano, old_status, old_price_id, old_saving, old_premium, reported,
        {_rounded("amount")} AS nano, {_rounded("saved")} AS saving, {_rounded("more")} AS premium,
        CASE WHEN amount = 0 THEN 'free' ELSE status END AS status
    FROM (
        SELECT r.row AS row, s.step AS step, s.status AS status,
            s.price_id AS price_id, call.cost_nano_usd AS old_nano, call.cost_status AS old_status,
            call.price_id AS old_price_id, call.cache_saving_nano_usd AS old_saving,
            call.cache_premium_nano_usd AS old_premium, call.cache_reported AS reported,
            s.per_call + {_SUM} AS amount, {_SAVED} AS saved, {_MORE} AS more
        FROM temp.reprice_row AS r CROSS JOIN call ON call.rowid = r.row
        JOIN temp.reprice_step AS s ON s.card = r.card
            AND call.input_tokens > s.above AND call.input_tokens <= s.upto
        WHERE {_GAPS} = 0 AND NOT (s.long_write AND call.cache_write_5m)
        LIMIT -1
    )
    WHERE amount >= 0 AND saved >= 0 AND more >= 0 AND (amount > 0 OR status = 'priced')
    LIMIT -1
)
"""
"""Without its limits SQLite would put the inner questions into the outer one: each sum many times."""
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
_SUMS: Final = f"""\
INSERT INTO temp.reprice_sum
SELECT call.start_ns / {QUARTER_NS:d}, d.dimension_id, COUNT(*), SUM(n.figure), SUM(n.old_nano), SUM(n.nano),
    SUM(n.more_saving), SUM(n.more_premium)
FROM temp.reprice_new AS n CROSS JOIN call ON call.rowid = n.row CROSS JOIN dimension AS d ON {_ALIKE}
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
_STATUSES: Final = """\
SELECT call.provider, COALESCE(NULLIF(call.response_model, ''), call.request_model), n.old_status, n.status,
    COUNT(*)
FROM temp.reprice_new AS n CROSS JOIN call ON call.rowid = n.row
WHERE n.old_status <> n.status AND call.counted AND NOT call.hidden GROUP BY 1, 2, 3, 4
"""

NOT_DONE: Final = "NOT EXISTS (SELECT 1 FROM temp.reprice_new AS done WHERE done.row = call.rowid)"
"""A row that is left for being rated by itself."""

_Values: TypeAlias = tuple[Any, ...]


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
        self._cards: dict[_Values, int] = {}
        self._formulas: list[Formula] = []
        self._stepped = 0
        for statement in statements(_TABLES):
            db.execute(statement)
        db.create_function("reprice_card", _ARGUMENTS, self._card_of)

    def run(self, condition: Condition, first: int, last: int) -> None:
        """Rate the rows of a stretch that can be.

        Args:
            condition: which rows.
            first: row number of the first.
            last: ... and of the last.
        """
        db = self._db
        for name in ("reprice_row", "reprice_new", "reprice_sum"):
            db.execute(f"DELETE FROM temp.{name}")
        db.execute(
            f"INSERT INTO temp.reprice_row SELECT * FROM (SELECT call.rowid, reprice_card({_KEY}) AS card "
            f"FROM call WHERE call.rowid BETWEEN ? AND ? AND {_ELIGIBLE} AND {condition.sql} LIMIT -1) "
            "WHERE card >= 0",
            (first, last, *condition.values),
        )
        self._store_steps()
        db.execute(_WORK_OUT)
        self._check()
        self._add_up()
        db.execute(_HISTORY, (self._now,))
        db.execute(_UPDATE)

    def end(self) -> None:
        """Take the tables away."""
        self._db.create_function("reprice_card", _ARGUMENTS, None)
        for name in ("reprice_row", "reprice_step", "reprice_new", "reprice_sum"):
            self._db.execute(f"DROP TABLE temp.{name}")

    # -- which card ---------------------------------------------------------------------------------------

    def _card_of(self, *key: Any) -> int:
        """The number of a row's card; negative where it must be rated by itself."""
        card = self._cards.get(key)
        if card is None:
            card = self._cards[key] = self._card(key)
        return card

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
        ends = self._db.execute("SELECT MIN(row), MAX(row) FROM temp.reprice_new GROUP BY step").fetchall()
        samples = [
            self._db.execute(
                "SELECT n.row, s.card, s.price_id, n.nano, n.status, n.saving, n.premium "
                "FROM temp.reprice_new AS n JOIN temp.reprice_step AS s ON s.step = n.step WHERE n.row = ?",
                (row,),
            ).fetchone()
            for row in {row for pair in ends for row in pair}
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
        """Take the differences into rollups and sessions, and what changed into the comparison."""
        db = self._db
        db.execute(_SUMS)
        ((summed,),) = db.execute("SELECT COALESCE(SUM(calls), 0) FROM temp.reprice_sum").fetchall()
        ((counted,),) = db.execute(
            "SELECT COUNT(*) FROM temp.reprice_new AS n CROSS JOIN call ON call.rowid = n.row "
            "WHERE call.counted AND NOT call.hidden"
        ).fetchall()
        if summed != counted:
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
