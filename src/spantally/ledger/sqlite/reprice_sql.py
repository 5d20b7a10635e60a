"""The statements by which the database itself rates many rows anew."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from spantally.ground.money import UsageParts
from spantally.ledger.tally import QUARTER_NS, Dimension
from spantally.pricing.linear import MOST_TOKENS, MOST_USES, Formula
from spantally.pricing.rate import HOUR_NS

PARTS: Final = UsageParts._fields
KEY: Final = (
    "call.kind, call.provider, call.response_model, call.request_model, "
    f"call.start_ns / {HOUR_NS:d}, call.precedence, call.price_context, call.server_address, "
    "call.input_tokens"
)
ARGUMENTS: Final = 9

# Alternatives stand as comparisons: of a list SQLite makes a table, and looks each row up in it.
ELIGIBLE: Final = (
    "(call.cost_status = 'priced' OR call.cost_status = 'free' OR call.cost_status = 'override') "
    "AND call.cost_nano_usd IS NOT NULL AND call.uncached_input IS NOT NULL "
    "AND call.cache_saving_nano_usd IS NOT NULL "
    "AND call.cache_premium_nano_usd IS NOT NULL AND NOT call.estimated "
    "AND call.status <> 'interrupted' AND call.start_ns >= 0 "
    # Other usage objects choose the rate as well, by a tier, passes or a place of their own.
    "AND (call.usage_format = 'openai.chat' OR call.usage_format = 'openai.responses' "
    "OR call.usage_format = 'semconv' OR call.usage_format = 'parts') "
    "AND (call.provider IS NULL OR (call.provider <> 'mistral_ai' AND call.provider <> 'perplexity' "
    "AND call.provider <> 'x_ai' AND call.provider <> 'xai')) "
    # Neither none at all, nor one that tells a cost.
    "AND call.usage NOT GLOB '*cost*' "
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

TABLES: Final = """\
CREATE TEMP TABLE IF NOT EXISTS reprice_new (
    row INTEGER PRIMARY KEY, step INTEGER, nano INTEGER, saving INTEGER, premium INTEGER, what INTEGER,
    cell INTEGER, old_nano INTEGER, more_saving INTEGER, more_premium INTEGER
);
CREATE TEMP TABLE IF NOT EXISTS reprice_sum (
    cell INTEGER PRIMARY KEY, calls INTEGER, figures INTEGER, old_nano INTEGER, nano INTEGER,
    saving INTEGER, premium INTEGER
);
"""
STEPS: Final = (
    f"CREATE TEMP TABLE reprice_step (step INTEGER PRIMARY KEY, {', '.join(f'r_{name}' for name in PARTS)}, "
    f"per_call, long_write, status, price_id, {', '.join(f'g_{name}' for name in PARTS)}, source, card)"
)

# Quarter and dimension as one number, by which rows are added up in their order.
_QUARTER: Final = "(r.cell >> 32)"
_DIMENSION: Final = "(r.cell & 4294967295)"
_FOUND_BY: Final = {
    "session_id": "d.session_id = call.session_id",
    "model": "d.model IS COALESCE(NULLIF(call.response_model, ''), call.request_model)",
    "agent_path": "d.agent_path IS call.agent_path",
}
"""What the index of dimensions is of."""
ALIKE: Final = " AND ".join(
    (
        *_FOUND_BY.values(),
        *(f"d.{name} IS call.{name}" for name in Dimension._fields if name not in _FOUND_BY),
    )
)
"""A row and the dimension of its rollups."""
ALIKE_ENOUGH: Final = " AND ".join(_FOUND_BY.values())
"""... Where no two dimensions have these alike: the index tells then, and no dimension is read."""
NOT_ENOUGH: Final = f"SELECT 1 FROM dimension GROUP BY {', '.join(_FOUND_BY)} HAVING COUNT(*) > 1 LIMIT 1"


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


def work_out(formulas: Sequence[Formula], step: str, alike: str, condition: str) -> str:
    """The statement that works the rows of a stretch out.

    Only parts on which some formula has a say are multiplied: reading a column costs as much as a sum.

    Args:
        formulas: of which there are steps.
        step: the expression that tells the step of a row.
        alike: what tells its dimension, :data:`ALIKE` or :data:`ALIKE_ENOUGH`.
        condition: which rows.
    """
    steps = [one for formula in formulas for one in formula.card.steps]
    amount = ["s.per_call"]
    never: set[str] = set()
    sometimes: list[str] = []
    for index, name in enumerate(PARTS):
        if any(one.vector[index] for one in steps):
            amount.append(f"call.{name} * s.r_{name}")
        gaps = 0 if name == "reasoning" else sum(index in one.gaps for one in steps)
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
    cell = (
        f"IIF(call.counted AND NOT call.hidden, ((call.start_ns / {QUARTER_NS:d}) << 32) "
        f"+ COALESCE((SELECT d.dimension_id FROM dimension AS d WHERE {alike}), 0), NULL)"
    )
    return f"""\
INSERT INTO temp.reprice_new
SELECT row, step, nano, saving, premium, CASE
    WHEN IIF(amount, status, 'free') <> old_status THEN {FIGURE | STATUS}
    WHEN nano <> old_nano OR old_price_id IS NOT price_id THEN {FIGURE}
    WHEN saving <> old_saving OR premium <> old_premium THEN {CACHE}
    ELSE 0 END | (amount = 0) * {FREE}, cell, old_nano,
    (saving - old_saving) * reported, (premium - old_premium) * reported
FROM (
    SELECT row, step, status, price_id, amount, old_nano, old_status, old_price_id, old_saving, old_premium,
        reported, cell, {_rounded("amount")} AS nano,
        {_rounded("saved") if saved != "0" else 0} AS saving,
        {_rounded("more") if more != "0" else 0} AS premium
    FROM (
        SELECT call.rowid AS row, s.step AS step, s.status AS status,
            s.price_id AS price_id, call.cost_nano_usd AS old_nano, call.cost_status AS old_status,
            call.price_id AS old_price_id, call.cache_saving_nano_usd AS old_saving,
            call.cache_premium_nano_usd AS old_premium, call.cache_reported AS reported, {cell} AS cell,
            {" + ".join(amount)} AS amount, {saved} AS saved, {more} AS more
        FROM call CROSS JOIN temp.reprice_step AS s ON s.step = {step}
        WHERE {condition} AND NOT (s.long_write AND call.cache_write_5m)
            AND {" AND ".join(without) or "TRUE"}
        LIMIT -1
    )
    WHERE amount >= 0 AND saved >= 0 AND more >= 0 AND (amount > 0 OR status = 'priced')
    LIMIT -1
)
"""  # Without its limits SQLite would put the inner questions into the outer one: each sum many times.


TOLD: Final = f"""\
SELECT s.card, n.nano, IIF(n.what & {FREE:d}, 'free', s.status), n.saving, n.premium, s.price_id
FROM temp.reprice_new AS n CROSS JOIN temp.reprice_step AS s ON s.step = n.step WHERE n.row = ?
"""
LEAVE_OUT: Final = """\
DELETE FROM temp.reprice_new
WHERE step IN (SELECT step FROM temp.reprice_step WHERE card = ?)
"""
HISTORY: Final = f"""\
INSERT OR REPLACE INTO rating_history
SELECT call.call_id, ?, call.cost_nano_usd, call.cost_status, call.cost_source, call.price_id
FROM temp.reprice_new AS n CROSS JOIN call ON call.rowid = n.row WHERE n.what & {FIGURE:d}
"""
UPDATE: Final = f"""\
UPDATE call SET cost_nano_usd = n.nano, cost_status = IIF(n.what & {FREE:d}, 'free', s.status),
    cost_source = s.source, price_id = s.price_id,
    cache_saving_nano_usd = n.saving, cache_premium_nano_usd = n.premium
FROM temp.reprice_new AS n CROSS JOIN temp.reprice_step AS s ON s.step = n.step
WHERE call.rowid = n.row AND n.what & {FIGURE | CACHE:d}
"""
SUMS: Final = f"""\
INSERT INTO temp.reprice_sum
SELECT cell, COUNT(*), SUM(what & {FIGURE:d}), SUM(old_nano), SUM(nano), SUM(more_saving), SUM(more_premium)
FROM temp.reprice_new WHERE cell IS NOT NULL GROUP BY cell
"""
_ROLLUP: Final = (
    f"rollup.quarter = {_QUARTER} AND rollup.dimension_id = {_DIMENSION} AND rollup.calls >= r.calls"
)
ADD_ROLLUPS, TAKE_ROLLUPS = (
    f"""\
UPDATE rollup SET cost = rollup.cost {sign} (r.nano - r.old_nano),
    cache_saving = rollup.cache_saving {sign} r.saving, cache_premium = rollup.cache_premium {sign} r.premium
FROM temp.reprice_sum AS r WHERE {_ROLLUP}
"""
    for sign in "+-"
)
"""Differences into the rollups that have the rows, and out of them again."""
CELLS: Final = "SELECT COUNT(*) FROM temp.reprice_sum"
ROLLUPS: Final = f"SELECT COUNT(*) FROM temp.reprice_sum AS r CROSS JOIN rollup ON {_ROLLUP}"
ADD_SESSIONS: Final = f"""\
UPDATE session SET cost = session.cost + s.more, cache_saving = session.cache_saving + s.saving,
    cache_premium = session.cache_premium + s.premium
FROM (
    SELECT d.session_id AS session_id, SUM(r.nano - r.old_nano) AS more, SUM(r.saving) AS saving,
        SUM(r.premium) AS premium
    FROM temp.reprice_sum AS r CROSS JOIN dimension AS d ON d.dimension_id = {_DIMENSION} GROUP BY 1
) AS s WHERE s.session_id = session.session_id
"""
BY_MODEL: Final = f"""\
SELECT d.provider, d.model, SUM(r.calls), SUM(r.figures), SUM(r.old_nano), SUM(r.nano)
FROM temp.reprice_sum AS r CROSS JOIN dimension AS d ON d.dimension_id = {_DIMENSION} GROUP BY 1, 2
"""
STATUSES: Final = f"""\
SELECT call.provider, COALESCE(NULLIF(call.response_model, ''), call.request_model), call.cost_status,
    IIF(n.what & {FREE:d}, 'free', s.status), COUNT(*)
FROM temp.reprice_new AS n CROSS JOIN call ON call.rowid = n.row
    CROSS JOIN temp.reprice_step AS s ON s.step = n.step
WHERE n.what & {STATUS:d} AND call.counted AND NOT call.hidden
GROUP BY 1, 2, 3, 4
"""

NOT_DONE: Final = "NOT EXISTS (SELECT 1 FROM temp.reprice_new AS done WHERE done.row = call.rowid)"
"""A row that is left for being rated by itself."""
