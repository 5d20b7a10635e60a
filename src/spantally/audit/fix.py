"""Taking secrets out of a ledger in place: all of it or nothing, and out of the bytes of its files too.

What belongs together stays together. Each text is a function of the text it was, so rows that name the same
session, call, agent or user still do. Ids, too, may hold a secret: they go the same way, and one that would
meet another row's gets a number. What is derived follows: the names seen in a session, the dimensions of the
rollups with their digests, the columns of a session that its facts add up to. No number changes.

The ledger is taken for this process alone meanwhile. Whoever has it open holds texts and numbers of rows in
memory, and the old bytes cannot leave a file that others read.
"""

# ruff: noqa: S608 - names of tables and columns come from the schema, and are quoted; values are bound.
from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from spantally.audit.findings import Progress, silent
from spantally.audit.hits import Hit
from spantally.audit.ledger import Table, as_text, cleaned, key_of, quoted, tables
from spantally.ground.errors import LedgerError
from spantally.ledger.session_merge import SessionFacts, SessionView
from spantally.ledger.sqlite import connect, files, schema
from spantally.ledger.tally import ROLLUP_FIELDS, Dimension
from spantally.redaction import Redactor

WAIT_SECONDS: Final = 5.0
"""How long is waited for other processes to close the ledger."""

_IDS: Final = (("session", "session_id"), ("call", "call_id"), ("event", "event_id"), ("budget", "account"))
_KEYS: Final = frozenset(
    {
        "account",
        "call_id",
        "event_id",
        "parent_call_id",
        "parent_id",
        "previous_id",
        "run_id",
        "session_id",
    }
)
"""Columns that name a row, here or elsewhere."""

_ON_CONFLICT: Final = {"seen": " ON CONFLICT (session_id, what, name) DO UPDATE SET n = n + excluded.n"}
_MERGED: Final = ", ".join(f"{name} = {name} + excluded.{name}" for name in ROLLUP_FIELDS)


class Fixed(NamedTuple):
    """What a fix did."""

    rows: int
    """Rows that were rewritten."""
    replaced: int
    """Secrets that were replaced in them."""


def fix_ledger(
    path: str, redactor: Redactor, *, progress: Progress = silent, wait_seconds: float | None = None
) -> Fixed:
    """Take the secrets out of a ledger, in one transaction, and out of its files' bytes.

    Args:
        path: of the ledger.
        redactor: whose rules decide.
        progress: is told how many rows were looked at.
        wait_seconds: how long to wait for other processes that have the ledger open; by default 5 s.

    Raises:
        LedgerError: it is no ledger, is in use (slug ``in_use``), or cannot be written; nothing is changed
            then, unless only the clearing of the files failed, which the text says.
    """
    try:
        with closing(_alone(path, WAIT_SECONDS if wait_seconds is None else wait_seconds)) as db:
            fixed = _Fix(db, redactor, path, progress).run()
            _clear(db, path)
    except sqlite3.Error as error:
        raise _explained(error, path) from error
    return fixed


def _explained(error: sqlite3.Error, path: str) -> LedgerError:
    return connect.explain(error, path) or LedgerError(
        f"the ledger {path} could not be rewritten ({type(error).__name__}); nothing was changed",
        slug="corrupt",
    )


def _alone(path: str, wait_seconds: float) -> sqlite3.Connection:
    """A connection that nobody else has beside it, brought up to this release."""
    if not Path(path).exists():
        raise LedgerError(f"there is no ledger at {path}", slug="missing_file")
    if not os.access(path, os.W_OK) or not os.access(Path(path).absolute().parent, os.W_OK):
        raise files.not_writable(path, "no permission")
    deadline = time.monotonic() + wait_seconds
    while True:
        db = _open(path)
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")  # before anything is read: nobody is beside us then
            db.execute("BEGIN EXCLUSIVE")
            schema.refuse_strangers(db, path)
            schema.refuse_newer(schema.version(db), path)
            db.execute("COMMIT")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA journal_mode = WAL")
            schema.bring_up(db, path)
            return db
        except BaseException as error:
            db.close()
            name = str(getattr(error, "sqlite_errorname", ""))
            if not name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise
            if time.monotonic() >= deadline:
                raise LedgerError(
                    f"the ledger {path} is in use by another process, and was for {wait_seconds:g} s; "
                    "nothing was changed; end the programs that write to it, close what reads it, and "
                    "try again",
                    slug="in_use",
                ) from error
        time.sleep(0.05)


def _open(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(files.uri(path, "mode=rw"), uri=True, timeout=0.1, isolation_level=None)
    db.execute("PRAGMA temp_store = MEMORY")
    db.text_factory = as_text
    return db


def _clear(db: sqlite3.Connection, path: str) -> None:
    """Write the file anew and empty the log, so that nothing of what was there is left in them."""
    try:
        db.execute("VACUUM")
        busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as error:
        known = connect.explain(error, path)
        raise LedgerError(
            f"the rows of {path} are free of secrets now, but the old bytes could not be cleared from the "
            f"file: {known or type(error).__name__}; see to that and try again",
            slug=known.slug if known is not None else "corrupt",
        ) from error
    if busy:
        raise LedgerError(
            f"the rows of {path} are free of secrets now, but the old bytes could not be cleared from the "
            "file, which another process holds; close it and try again",
            slug="in_use",
        )


def _storable(value: Any) -> Any:
    """A value that SQLite takes: bytes that were no UTF-8 become signs that say so."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _Fix:
    """One transaction over a whole ledger."""

    def __init__(self, db: sqlite3.Connection, redactor: Redactor, path: str, progress: Progress) -> None:
        self._db = db
        self._redactor = redactor
        self._path = redactor.text(path, "path")
        self._progress = progress
        self._renamed: dict[str, str] = {}
        self._rows = 0
        self._replaced = 0

    def run(self) -> Fixed:
        """Do it."""
        db = self._db
        db.execute("BEGIN EXCLUSIVE")
        try:
            found = tables(db)
            total = sum(int(db.execute(f"SELECT COUNT(*) FROM {one.quoted}").fetchone()[0]) for one in found)
            done = 0
            for table in found:
                done = self._table(table, done, total)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._progress(self._path, total, total)
        return Fixed(self._rows, self._replaced)

    # -- a table ------------------------------------------------------------------------------------------

    def _table(self, table: Table, done: int, total: int) -> int:
        changed: list[tuple[Any, ...]] = []
        for address, values in table.rows(self._db):
            if self._cleaned(table, values) != values:
                # Of a large row only the address is kept.
                changed.append((address,) if table.address else values)
            done += 1
            if not done & 511:
                self._progress(self._path, done, total)
        columns = ", ".join(map(quoted, table.columns))
        for key in changed:
            if table.address:
                question = f"SELECT {columns} FROM {table.quoted} WHERE rowid = ?"
                values = self._db.execute(question, key).fetchone()
                self._rewrite(table, key[0], values, self._cleaned(table, values, count=True))
            else:
                self._exchange(table, key, self._cleaned(table, key, count=True))
        self._rows += len(changed)
        return done

    def _rewrite(self, table: Table, address: int, values: tuple[Any, ...], new: tuple[Any, ...]) -> None:
        if table.name == "dimension":
            new = self._dimension(table, address, new)
            if not new:
                return
        elif table.name == "quarantine":
            body = str(new[table.columns.index("body")])
            # The digest of the old body would be a bare hash of what it held.
            digest = hashlib.blake2b(body.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            new = tuple(
                digest if name == "digest" else one for name, one in zip(table.columns, new, strict=True)
            )
            if self._db.execute(
                "SELECT 1 FROM quarantine WHERE digest = ? AND rowid <> ?", (digest, address)
            ).fetchone():
                self._db.execute("DELETE FROM quarantine WHERE rowid = ?", (address,))
                return
        changed = [
            (quoted(name), _storable(one))
            for name, one, old in zip(table.columns, new, values, strict=True)
            if one != old
        ]
        assigned = ", ".join(f"{name} = ?" for name, _ in changed)
        self._db.execute(
            f"UPDATE {table.quoted} SET {assigned} WHERE rowid = ?", (*(one for _, one in changed), address)
        )

    def _exchange(self, table: Table, values: tuple[Any, ...], new: tuple[Any, ...]) -> None:
        """Put a row of a table without addresses in the place of another; what meets is one."""
        keys = [table.columns.index(name) for name in table.primary]
        where = " AND ".join(f"{quoted(name)} = ?" for name in table.primary)
        self._db.execute(f"DELETE FROM {table.quoted} WHERE {where}", [values[place] for place in keys])
        end = _ON_CONFLICT.get(table.name, " ON CONFLICT DO NOTHING")
        self._db.execute(
            f"INSERT INTO {table.quoted} VALUES ({', '.join('?' * len(new))}){end}",
            [_storable(one) for one in new],
        )

    def _dimension(self, table: Table, address: int, new: tuple[Any, ...]) -> tuple[Any, ...]:
        """A dimension with the digest of what it is now; empty where it went into another one like it."""
        row = dict(zip(table.columns, new, strict=True))
        digest = Dimension(*(row[name] for name in Dimension._fields)).digest()
        twin = self._db.execute(
            "SELECT dimension_id FROM dimension WHERE digest = ? AND dimension_id <> ?", (digest, address)
        ).fetchone()
        if twin is None:
            return tuple(digest if name == "digest" else row[name] for name in table.columns)
        fields = ", ".join(ROLLUP_FIELDS)
        self._db.execute(
            f"INSERT INTO rollup (quarter, dimension_id, {fields}) SELECT quarter, ?, {fields} FROM rollup "
            f"WHERE dimension_id = ? ON CONFLICT (quarter, dimension_id) DO UPDATE SET {_MERGED}",
            (twin[0], address),
        )
        self._db.execute("DELETE FROM rollup WHERE dimension_id = ?", (address,))
        self._db.execute("DELETE FROM dimension WHERE dimension_id = ?", (address,))
        return ()

    # -- a row --------------------------------------------------------------------------------------------

    def _cleaned(self, table: Table, values: tuple[Any, ...], *, count: bool = False) -> tuple[Any, ...]:
        """The values of a row without secrets."""

        def tell(_path: str, hits: list[Hit], _text: str) -> None:
            if count:
                self._replaced += len(hits)

        new: list[Any] = []
        for column, value in zip(table.columns, values, strict=True):
            if isinstance(value, str):
                safe = cleaned(self._redactor, value, key_of(table, column, values), tell)
                new.append(self._renaming(value, safe) if column in _KEYS else safe)
            else:
                new.append(value)
        return self._session(table, values, new) if table.name == "session" else tuple(new)

    def _session(self, table: Table, values: tuple[Any, ...], new: list[Any]) -> tuple[Any, ...]:
        """A session's columns are what its facts add up to."""
        if tuple(new) == values:
            return values
        row = dict(zip(table.columns, new, strict=True))
        facts = SessionFacts(row["facts"])
        for name in ("parent_id", "previous_id"):
            if name in facts.facts and row[name] is not None:
                facts.put(name, row[name])
        row["facts"] = facts.dump()
        row.update(zip(SessionView._fields, facts.view(), strict=True))
        return tuple(row[name] for name in table.columns)

    def _renaming(self, old: str, safe: str) -> str:
        """The id that stands for another one everywhere; two never become one."""
        if safe == old:
            return old
        known = self._renamed.get(old)
        if known is None:
            known, number = safe, 1
            while known in self._renamed.values() or self._is_taken(known):
                number += 1
                known = f"{safe}~{number}"
            self._renamed[old] = known
        return known

    def _is_taken(self, name: str) -> bool:
        return any(
            self._db.execute(f"SELECT 1 FROM {table} WHERE {column} = ?", (name,)).fetchone()
            for table, column in _IDS
        )
