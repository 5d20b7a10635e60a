"""Opening a connection, and saying in words what SQLite's errors mean."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final

from spantally.ground.errors import LedgerError
from spantally.ledger.sqlite import files, schema

BUSY_MS: Final = 5000
"""How long a writer waits for another one; only ever on the worker thread or in a reader."""

MEMORY: Final = ":memory:"

_NOT_WRITABLE: Final = frozenset({"SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH", "SQLITE_CANTOPEN"})


def explain(error: sqlite3.Error, target: str) -> LedgerError | None:
    """The ledger error that stands for an error of SQLite; None if it is about the data, not the ledger.

    Args:
        error: what SQLite raised.
        target: what the text calls the ledger.
    """
    name = str(getattr(error, "sqlite_errorname", "") or "")
    base = "_".join(name.split("_")[:2])
    text = str(error)
    if base == "SQLITE_FULL":
        return LedgerError(files.disk_full_text(target), slug="disk_full")
    if base in ("SQLITE_BUSY", "SQLITE_LOCKED"):
        return LedgerError(
            f"the ledger {target} is locked by another program; close what holds it "
            "(a database browser, a backup) and it goes on by itself",
            slug="locked",
        )
    if base == "SQLITE_NOTADB":
        return LedgerError(
            f"{target} is not a ledger (not an SQLite database); nothing in it was changed; "
            "choose another file with SPANTALLY_LEDGER, or move this one away",
            slug="not_a_database",
        )
    if base == "SQLITE_CORRUPT" or ("malformed" in text and "JSON" not in text):
        return LedgerError(
            f"the ledger {target} is damaged; move it away (a new one is made) and try "
            "`sqlite3 FILE .recover` on the copy",
            slug="corrupt",
        )
    if base in _NOT_WRITABLE:
        return files.not_writable(target, text)
    if base == "SQLITE_IOERR":
        # A file size limit reads as an I/O error in writing.
        if name in ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE", "SQLITE_IOERR_SHMSIZE"):
            return LedgerError(files.disk_full_text(target), slug="disk_full")
        return LedgerError(
            f"the disk of the ledger {target} cannot be read or written ({name}); check the disk",
            slug="corrupt",
        )
    return None


def open_writer(target: str, synchronous: str) -> sqlite3.Connection:
    """A connection that writes; creates and migrates as needed.

    Args:
        target: a path, or ``:memory:``.
        synchronous: ``normal`` or ``full``.

    Raises:
        LedgerError: with a slug and what to do.
    """
    try:
        if target == MEMORY:
            db = _connect(MEMORY, uri=False)
        else:
            files.prepare(Path(target))
            db = _connect(files.uri(target, "mode=rw"), uri=True)
        try:
            # First of all refuse what is not ours: nothing may be written into it, not even the mode.
            schema.refuse_strangers(db, target)
            schema.refuse_newer(schema.version(db), target)
            db.execute("PRAGMA secure_delete = ON")
            _use_wal(db)
            db.execute(f"PRAGMA synchronous = {'FULL' if synchronous == 'full' else 'NORMAL'}")
            schema.bring_up(db, target)
        except BaseException:
            db.close()
            raise
        return db
    except sqlite3.Error as error:
        raise _explained(error, target) from error


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; SQLite does not wait by itself where another connection does the same."""
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            name = str(getattr(error, "sqlite_errorname", ""))
            if not name.startswith("SQLITE_BUSY") or time.monotonic() >= deadline:
                raise
        time.sleep(0.01)


def open_reader(target: str) -> sqlite3.Connection:
    """A connection that only reads; works on a file and directory without write permission.

    Raises:
        LedgerError: with a slug and what to do.
    """
    try:
        taken, there = Path(target).is_dir(), Path(target).exists()
    except OSError as error:  # a name that is too long, a directory on the way that may not be searched
        raise LedgerError(
            f"the ledger {target} cannot be reached ({error.strerror}); check the path and its permissions, "
            "or choose another file with SPANTALLY_LEDGER",
            slug="not_readable",
        ) from error
    if taken:
        raise files.is_directory(Path(target))
    if not there:
        if not Path(target).parent.is_dir():
            raise LedgerError(
                f"the directory of the ledger {target} does not exist; check the path, "
                "or choose another file with SPANTALLY_LEDGER",
                slug="missing_directory",
            )
        raise LedgerError(
            f"there is no ledger at {target}; run a program with spantally (spantally run -- CMD), "
            "or choose another file with SPANTALLY_LEDGER",
            slug="missing_file",
        )
    try:
        return _read_only(files.uri(target, "mode=ro"), target)
    except sqlite3.OperationalError as error:
        # WAL needs its -shm: where it can be neither found nor made and no log waits, the file
        # cannot change under us and may be read as it is.
        log = Path(files.beside(target, "-wal"))
        if _explained(error, target).slug == "locked":
            raise _explained(error, target) from error  # whoever holds it may be about to change it
        if not log.exists() or log.stat().st_size == 0:
            try:
                return _read_only(files.uri(target, "mode=ro&immutable=1"), target)
            except sqlite3.Error as second:
                raise _explained(second, target) from second
        raise _explained(error, target) from error
    except sqlite3.Error as error:
        raise _explained(error, target) from error


def _read_only(uri: str, target: str) -> sqlite3.Connection:
    db = _connect(uri, uri=True)
    try:
        schema.refuse_strangers(db, target)
        schema.refuse_newer(schema.version(db), target)
        db.execute("PRAGMA query_only = ON")
    except BaseException:
        db.close()
        raise
    return db


def _connect(place: str, *, uri: bool) -> sqlite3.Connection:
    db = sqlite3.connect(
        place,
        uri=uri,
        timeout=BUSY_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    db.execute(f"PRAGMA busy_timeout = {BUSY_MS:d}")
    db.execute("PRAGMA temp_store = MEMORY")
    return db


def _explained(error: sqlite3.Error, target: str) -> LedgerError:
    known = explain(error, target)
    if known is not None:
        return known
    return LedgerError(f"the ledger {target} cannot be opened: {error}", slug="corrupt")
