"""Rating rows anew from their stored usage, with their totals, inside one transaction.

A row is read without its content, rated by the current rates, and written only where its rating is another
one. The earlier figure goes to ``rating_history``; sessions and rollups move by the differences.
"""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from spantally.ground.money import CostStatus, Rating
from spantally.ground.records import UsageFormat
from spantally.ledger.contract import Filter, Rater
from spantally.ledger.repricing import PARTIAL, Comparison, Progress, Repricing, is_changed
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite.filters import Condition, of_calls
from spantally.ledger.sqlite.reprice_many import Many
from spantally.ledger.sqlite.reprice_sql import NOT_DONE
from spantally.ledger.sqlite.totals import Totals
from spantally.ledger.sqlite.write import rated
from spantally.ledger.tally import Dimension, Row
from spantally.pricing.rate import rate

CHUNK: Final = 1000
"""Rows read and written at a time."""

STRETCH: Final = 250_000
"""Row numbers of which all that can be is rated at once."""

CACHE_KIB: Final = 32_000
"""Memory for pages meanwhile: kept figures of calls whose ids are in no order go all over a tree."""

_UNREAD: Final = frozenset({"content", "attributes", "ranks"})
"""Large, or of no consequence to a price."""
_SELECT: Final = ", ".join("NULL" if name in _UNREAD else f"call.{name}" for name in codec.COLUMNS)
_FIRST: Final = codec.COLUMNS.index("cost_nano_usd")
"""All that a rating says stands from here on."""
_UPDATE: Final = (
    f"UPDATE call SET {', '.join(f'{name} = ?' for name in codec.COLUMNS[_FIRST:])} WHERE rowid = ?"
)
_KEEP: Final = "INSERT OR REPLACE INTO rating_history VALUES (?, ?, ?, ?, ?, ?)"


class Reprice:
    """One pass over a ledger; the transaction is the caller's."""

    def __init__(self, db: sqlite3.Connection, dimensions: dict[Dimension, int], rate: Rater) -> None:
        """Start.

        Args:
            db: in a transaction.
            dimensions: numbers of dimensions, kept by the store.
            rate: the rates in force now.
        """
        self._db = db
        self._totals = Totals(db, dimensions)
        self._rate = rate
        self._found = Comparison()
        self._now = time.time_ns()

    def run(
        self, where: Filter, status: str | None, *, write: bool, progress: Progress | None = None
    ) -> Repricing:
        """Rate the rows that match.

        Args:
            where: which calls.
            status: only calls whose cost stands so.
            write: store what is another rating.
            progress: is told how far it is.
        """
        with self._set(cache_size=-CACHE_KIB, query_only=0):
            return self._run(_condition(where, status), write=write, progress=progress)

    @contextmanager
    def _set(self, **wanted: int) -> Iterator[None]:
        """Other settings of the connection for a while; where it only reads, temporary tables are allowed."""
        before = {name: self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}
        try:
            for name, value in wanted.items():
                self._db.execute(f"PRAGMA {name} = {value:d}")
            yield
        finally:
            for name, value in before.items():
                self._db.execute(f"PRAGMA {name} = {value:d}")

    def _run(self, condition: Condition, *, write: bool, progress: Progress | None) -> Repricing:
        stretches = list(self._stretches())
        # How many there are takes a reading of all, so it is asked only once, and only where it matters.
        numbers = {} if progress is None else {one: self._number(condition, *one) for one in stretches}
        total = sum(numbers.values())
        # Another rater knows no formula.
        many = Many(self._db, self._found, self._now, write=write) if self._rate is rate else None
        rest = condition if many is None else Condition(f"{condition.sql} AND {NOT_DONE}", condition.values)
        done = 0
        for first, last in stretches:
            if many is not None:
                many.run(condition, first, last)
                at_once = self._db.execute("SELECT COUNT(*) FROM temp.reprice_new").fetchone()[0]
                done += at_once
                if progress is not None and done:
                    progress(done, total)
                if at_once == last - first + 1:
                    continue  # each number is that of a row which is done
                number = numbers.get((first, last))
                if at_once == (self._number(condition, first, last) if number is None else number):
                    continue
            for some in self._chunks(rest, first, last):
                self._chunk(some, write=write)
                done += len(some)
                if progress is not None:
                    progress(done, total)
        if many is not None:
            many.end()
        if write:
            self._totals.flush()
        return self._found.result(dry_run=not write)

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """First and last row numbers of stretches, so that what is gathered of one stays small."""
        # Each asked by itself is one step down the tree; both at once read the whole of it.
        low, high = self._db.execute(
            "SELECT (SELECT MIN(rowid) FROM call), (SELECT MAX(rowid) FROM call)"
        ).fetchone()
        if low is None:
            return
        for first in range(low, high + 1, STRETCH):
            yield first, min(first + STRETCH - 1, high)

    def _number(self, condition: Condition, first: int, last: int) -> int:
        """How many rows of a stretch match."""
        sql = f"SELECT COUNT(*) FROM call WHERE call.rowid BETWEEN ? AND ? AND {condition.sql}"
        return int(self._db.execute(sql, (first, last, *condition.values)).fetchone()[0])

    def _chunks(self, condition: Condition, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
        """Rows in the order in which they lie; none is open while others are written."""
        at = first - 1
        while True:
            some = self._db.execute(
                f"SELECT call.rowid, {_SELECT} FROM call WHERE call.rowid > ? AND call.rowid <= ? "
                f"AND {condition.sql} ORDER BY call.rowid LIMIT ?",
                (at, last, *condition.values, CHUNK),
            ).fetchall()
            if not some:
                return
            at = some[-1][0]
            yield some

    def _chunk(self, some: list[tuple[Any, ...]], *, write: bool) -> None:
        updates: list[tuple[Any, ...]] = []
        kept: list[tuple[Any, ...]] = []
        for number, *values in some:
            old = codec.decode(tuple(values))
            before = old.rating
            if before is None:
                continue
            after = self._again(old, before)
            record = old.record
            if old.counted and not old.hidden:
                self._found.add(record.provider, record.response_model or record.request_model, before, after)
            if after == before or not write:
                continue
            if after._replace(source=before.source) == before:
                continue  # the same by another version: what was said of it stays true
            new = old._replace(rating=after)
            self._totals.move(old, new)
            updates.append((*codec.encode(new)[_FIRST:], number))
            if is_changed(before, after) and before.status != CostStatus.PENDING:
                kept.append(
                    (
                        record.call_id,
                        self._now,
                        before.nano_usd,
                        str(before.status),
                        before.source,
                        before.price_id,
                    )
                )
        self._db.executemany(_UPDATE, updates)
        self._db.executemany(_KEEP, kept)

    def _again(self, row: Row, before: Rating) -> Rating:
        """The rating of a row by the current rates; as it was where there are none."""
        record = row.record
        by_parts = record.usage is None and before.parts is not None
        if by_parts and before.parts is not None:
            record = record._replace(usage=before.parts._asdict(), usage_format=UsageFormat.PARTS)
        after = rated(record, self._rate) or before
        if after.status == CostStatus.PENDING:
            return before
        if before.status == CostStatus.PROVIDER_REPORTED:
            # The bill itself: nothing that is worked out here can be truer.
            parts = before.parts if after.parts is None else after.parts
            return before._replace(parts=parts, cache_reported=after.cache_reported)
        return after._replace(cache_reported=before.cache_reported) if by_parts else after


def _condition(where: Filter, status: str | None) -> Condition:
    found = of_calls(where)
    sql, values = f"call.cost_status IS NOT NULL AND {found.sql}", list(found.values)
    if status == PARTIAL:
        sql += " AND call.cost_status LIKE 'partial:%'"
    elif status is not None:
        sql += " AND call.cost_status = ?"
        values.append(status)
    return Condition(sql, values)
