"""Rating many rows anew at once: a cost is a formula over stored parts, which the database works out itself.

Only for rows of which nothing but the rates can have changed: rated plainly before, by a card whose rates are
whole numbers, and read by the counting rules in force, which such a row shows in that its cache figures are
known (releases before these were kept counted otherwise; one that comes and changes the rules has to tell the
rows before it apart). All others are rated one by one. Two rows of each card are, too, and where the formula
says otherwise of them, so are all rows of that card.
"""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import sqlite3

from spantally.ground.money import Rating
from spantally.ledger.repricing import Comparison
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite import reprice_sql as sql
from spantally.ledger.sqlite.filters import Condition
from spantally.ledger.sqlite.reprice_steps import Steps
from spantally.ledger.sqlite.schema import statements
from spantally.pricing.rate import rate


class Many:
    """The rows of one pass that can be rated at once; the transaction is the caller's."""

    def __init__(self, db: sqlite3.Connection, found: Comparison, now_ns: int, *, write: bool) -> None:
        """Start.

        Args:
            db: in a transaction; temporary tables are made in it, whether it writes or not.
            found: takes what changed.
            now_ns: when.
            write: store what is another rating.
        """
        self._write = write
        self._db = db
        self._found = found
        self._now = now_ns
        for statement in statements(sql.TABLES):
            db.execute(statement)
        self._steps = Steps(db)
        self._alike = sql.ALIKE if db.execute(sql.NOT_ENOUGH).fetchone() else sql.ALIKE_ENOUGH

    def run(self, condition: Condition, first: int, last: int) -> None:
        """Rate the rows of a stretch that can be.

        Args:
            condition: which rows.
            first: row number of the first.
            last: ... and of the last.
        """
        db, steps = self._db, self._steps
        for name in ("reprice_new", "reprice_sum"):
            db.execute(f"DELETE FROM temp.{name}")
        which = f"call.rowid BETWEEN ? AND ? AND {sql.ELIGIBLE} AND {condition.sql}"
        values = (first, last, *condition.values)
        # The statement finds only cards that are stored. A few rows tell most of them beforehand; if it meets
        # others, it runs once more for the rows of these.
        steps.meet(which, values)
        steps.store()
        rest = ""
        while steps.formulas:
            step, bound = steps.expression()
            db.execute(sql.work_out(steps.formulas, step, self._alike, which + rest), (*bound, *values))
            if not steps.store():
                break
            rest = f" AND {sql.NOT_DONE}"
        self._check()
        self._add_up()
        if self._write:
            db.execute(sql.HISTORY, (self._now,))
            db.execute(sql.UPDATE)

    def end(self) -> None:
        """Take the tables away."""
        self._steps.end()
        for name in ("reprice_new", "reprice_sum"):
            self._db.execute(f"DROP TABLE temp.{name}")

    # -- what became of them ------------------------------------------------------------------------------

    def _check(self) -> None:
        """Rate two rows of each card by themselves; a card whose formula is not right is left out."""
        db = self._db
        wrong: set[int] = set()
        for row in self._two_of_each():
            values = db.execute(f"SELECT {codec.SELECT} FROM call WHERE rowid = ?", (row,)).fetchone()
            real: Rating = rate(codec.decode(values).record)
            figures = real.nano_usd, str(real.status), real.cache_saving_nano_usd, real.cache_premium_nano_usd
            card, *told = db.execute(sql.TOLD, (row,)).fetchone()
            if told != [*figures, real.price_id]:
                wrong.add(card)
        for card in wrong:
            db.execute(sql.LEAVE_OUT, (card,))

    def _two_of_each(self) -> list[int]:
        """Two rows of each step, as far as there are so many."""
        found: dict[int, list[int]] = {}
        question = "SELECT row, step FROM temp.reprice_new"
        for first in (True, False):  # most of them are among the first
            enough = [str(step) for step, rows in found.items() if len(rows) > 1]
            if len(enough) == self._steps.number:
                break
            some = "LIMIT 2000" if first else f"WHERE step NOT IN ({', '.join(enough)})"
            for row, step in self._db.execute(f"{question} {some}").fetchall():
                rows = found.setdefault(step, [])
                if len(rows) < 2 and row not in rows:
                    rows.append(row)
        return [row for rows in found.values() for row in rows]

    def _add_up(self) -> None:
        """Take the differences into rollups and sessions, and what changed into the comparison."""
        db = self._db
        db.execute(sql.SUMS)
        (cells,) = db.execute(sql.CELLS).fetchone()
        if self._write:
            rollups = db.execute(sql.ADD_ROLLUPS).rowcount
        else:
            (rollups,) = db.execute(sql.ROLLUPS).fetchone()
        if rollups != cells:
            # A row without its rollup: nothing is known of why, and adding differences would not mend it.
            if self._write:
                db.execute(sql.TAKE_ROLLUPS)
            db.execute("DELETE FROM temp.reprice_new")
            db.execute("DELETE FROM temp.reprice_sum")
            return
        statuses: dict[tuple[str | None, str | None], dict[tuple[str, str], int]] = {}
        for provider, model, before, after, number in db.execute(sql.STATUSES):
            statuses.setdefault((provider, model), {})[(before, after)] = number
        for provider, model, calls, changed, old, new in db.execute(sql.BY_MODEL):
            known = statuses.get((provider, model), {})
            self._found.add_many(provider, model, calls, changed, old, new, known)
        if self._write:
            db.execute(sql.ADD_SESSIONS)
