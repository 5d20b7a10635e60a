"""Adding differences to session totals, names seen and rollups: gathered per batch, written once."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import sqlite3
from typing import Final

from spantally.ledger.tally import (
    QUARTER_NS,
    ROLLUP_FIELDS,
    ROLLUP_PLACES,
    ZERO,
    Amounts,
    Dimension,
    Row,
    amounts,
    dimension,
    names,
)

_ADD_SESSION: Final = (
    "UPDATE session SET "
    + ", ".join(f"{name} = {name} + ?" for name in Amounts._fields)
    + " WHERE session_id = ?"
)
_ADD_ROLLUP: Final = (
    f"INSERT INTO rollup (quarter, dimension_id, {', '.join(ROLLUP_FIELDS)}) "
    f"VALUES (?, ?, {', '.join('?' * len(ROLLUP_FIELDS))}) ON CONFLICT (quarter, dimension_id) DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in ROLLUP_FIELDS)
)
_DROP_EMPTY: Final = "DELETE FROM rollup WHERE quarter = ? AND dimension_id = ? AND " + " AND ".join(
    f"{name} = 0" for name in ROLLUP_FIELDS
)
_ADD_DIMENSION: Final = (
    f"INSERT OR IGNORE INTO dimension (digest, {', '.join(Dimension._fields)}) "
    f"VALUES (?, {', '.join('?' * len(Dimension._fields))})"
)

MOST_DIMENSIONS: Final = 20_000
"""Dimensions whose number is remembered between batches."""


class Totals:
    """Differences of one transaction."""

    def __init__(self, db: sqlite3.Connection, dimensions: dict[Dimension, int]) -> None:
        """Start empty.

        Args:
            db: the connection with the open transaction.
            dimensions: numbers of dimensions, kept by the store until a transaction fails.
        """
        self._db = db
        self._numbers = dimensions
        self._sessions: dict[str, list[int]] = {}
        self._names: dict[tuple[str, str, str], int] = {}
        self._rollups: dict[tuple[int, Dimension], list[int]] = {}

    def move(self, old: Row | None, new: Row | None) -> None:
        """Take out what a row added before, and put in what it adds now."""
        if old is not None:
            self._add(old, -1)
        if new is not None:
            self._add(new, 1)

    def _add(self, row: Row, sign: int) -> None:
        adds = amounts(row)
        if adds == ZERO:
            return
        record = row.record
        total = self._sessions.setdefault(record.session_id, [0] * len(adds))
        for place, number in enumerate(adds):
            total[place] += sign * number
        for what, name in names(row):
            key = (record.session_id, what, name)
            self._names[key] = self._names.get(key, 0) + sign
        if adds.calls or adds.errors:
            cell = self._rollups.setdefault(
                (record.start_ns // QUARTER_NS, dimension(record)), [0] * len(ROLLUP_PLACES)
            )
            for place, source in enumerate(ROLLUP_PLACES):
                cell[place] += sign * adds[source]

    def flush(self) -> None:
        """Write the differences."""
        db = self._db
        db.executemany(
            _ADD_SESSION,
            [(*total, session_id) for session_id, total in self._sessions.items() if any(total)],
        )
        seen = [(*key, n) for key, n in self._names.items() if n]
        if seen:
            db.executemany(
                "INSERT INTO seen VALUES (?, ?, ?, ?) "
                "ON CONFLICT (session_id, what, name) DO UPDATE SET n = n + excluded.n",
                seen,
            )
            gone = [row[:3] for row in seen if row[3] < 0]
            if gone:
                db.executemany(
                    "DELETE FROM seen WHERE session_id = ? AND what = ? AND name = ? AND n = 0", gone
                )
        cells = [
            (quarter, self._number(of), cell) for (quarter, of), cell in self._rollups.items() if any(cell)
        ]
        if cells:
            db.executemany(_ADD_ROLLUP, [(quarter, number, *cell) for quarter, number, cell in cells])
            lowered = [(quarter, number) for quarter, number, cell in cells if min(cell) < 0]
            if lowered:
                db.executemany(_DROP_EMPTY, lowered)

    def _number(self, of: Dimension) -> int:
        number = self._numbers.get(of)
        if number is None:
            digest = of.digest()
            self._db.execute(_ADD_DIMENSION, (digest, *of))
            found = self._db.execute("SELECT dimension_id FROM dimension WHERE digest = ?", (digest,))
            number = int(found.fetchone()[0])
            if len(self._numbers) >= MOST_DIMENSIONS:
                self._numbers.clear()
            self._numbers[of] = number
        return number
