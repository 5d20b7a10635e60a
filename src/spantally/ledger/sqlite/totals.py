"""Adding differences to session totals, names seen and rollups: gathered per batch, written once."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import sqlite3
from operator import add, itemgetter, neg
from typing import Any, Final, TypeAlias

from spantally.ground.records import CallRecord
from spantally.ledger.tally import (
    QUARTER_NS,
    ROLLUP_FIELDS,
    ROLLUP_PLACES,
    Amounts,
    Dimension,
    Row,
    amounts,
    names,
    path_text,
    tags_text,
)

_Cell: TypeAlias = tuple[int, bool, tuple[Any, ...]]
"""Quarter, standing and all that a rollup, or a name seen, is of."""

_of: Final = itemgetter(
    *map(
        CallRecord._fields.index,
        (
            "session_id",
            "project",
            "provider",
            "response_model",
            "request_model",
            "agent_path",
            "user_id",
            "entity_type",
            "entity_id",
            "tool",
            "tags",
        ),
    )
)

_ROWS: Final = Amounts._fields.index("rows")

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

_FALLING: Final = tuple(ROLLUP_FIELDS.index(name) for name in ("calls", "errors", "cost"))
"""A rollup is empty only after one of these fell."""

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
        self._cells: dict[_Cell, list[tuple[int, ...]]] = {}

    def move(self, old: Row | None, new: Row | None) -> None:
        """Take out what a row added before, and put in what it adds now."""
        if old is not None:
            self._add(old, -1)
        if new is not None:
            self._add(new, 1)

    def _add(self, row: Row, sign: int) -> None:
        """Rows that differ in nothing but their numbers are added up here, and told apart nowhere."""
        if row.hidden:
            return
        record = row.facts.record
        cell = (record.start_ns // QUARTER_NS, row.counted, _of(record))
        adds: tuple[int, ...] = amounts(row)
        if sign < 0:
            adds = tuple(map(neg, adds))
        known = self._cells.get(cell)
        if known is None:
            self._cells[cell] = [adds]
        else:
            known.append(adds)

    def _spread(self) -> None:
        """From the cells to sessions, names and rollups."""
        for cell, added in self._cells.items():
            sums = tuple(map(sum, zip(*added, strict=True)))
            quarter, counted, of_record = cell
            session_id, project, provider, response, request, path, *rest = of_record
            user, entity_type, entity_id, tool, tags = rest
            total = self._sessions.get(session_id)
            self._sessions[session_id] = list(sums if total is None else map(add, total, sums))
            model = response or request
            rows = sums[_ROWS]
            for what, name in names(path, counted, model, request, provider) if rows else ():
                key = (session_id, what, name)
                self._names[key] = self._names.get(key, 0) + rows
            of = Dimension(
                session_id,
                project,
                provider,
                model,
                request,
                path_text(path),
                user,
                entity_type,
                entity_id,
                tool,
                tags_text(tags),
            )
            numbers = [sums[source] for source in ROLLUP_PLACES]
            if any(numbers):
                known = self._rollups.get((quarter, of))
                self._rollups[(quarter, of)] = numbers if known is None else list(map(add, known, numbers))
        self._cells.clear()

    def flush(self) -> None:
        """Write the differences."""
        self._spread()
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
            lowered = [
                (quarter, number)
                for quarter, number, cell in cells
                if any(cell[place] < 0 for place in _FALLING)
            ]
            if lowered:
                db.executemany(_DROP_EMPTY, lowered)
        for written in (self._sessions, self._names, self._rollups):
            written.clear()

    def _number(self, of: Dimension) -> int:
        number = self._numbers.get(of)
        if number is None:
            digest = of.digest()
            question = "SELECT dimension_id FROM dimension WHERE digest = ?"
            found = self._db.execute(question, (digest,)).fetchone()
            if found is None:
                self._db.execute(_ADD_DIMENSION, (digest, *of))
                found = self._db.execute(question, (digest,)).fetchone()
            number = int(found[0])
            if len(self._numbers) >= MOST_DIMENSIONS:
                self._numbers.clear()
            self._numbers[of] = number
        return number
