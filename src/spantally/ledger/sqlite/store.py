"""The SQLite store: connections, threads and forks around writing and reading."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from spantally.ground.errors import ArgumentError, LedgerError, shown
from spantally.ground.guard import say_once
from spantally.ground.records import CallRecord, LinkRecord, Record
from spantally.ledger.contract import (
    CallRow,
    CostRow,
    EventRow,
    Filter,
    Health,
    Rater,
    SessionRow,
    Target,
    Unpriced,
)
from spantally.ledger.counting import SpanKey
from spantally.ledger.repricing import Progress, Repricing
from spantally.ledger.sqlite import (
    connect,
    files,
    placing,
    read_calls,
    read_cost,
    read_missing,
    read_open,
    read_sessions,
    schema,
    targets,
)
from spantally.ledger.sqlite.budgets import BudgetLedger
from spantally.ledger.sqlite.codec import PoisonError
from spantally.ledger.sqlite.reprice import Reprice
from spantally.ledger.sqlite.search import sessions_holding
from spantally.ledger.sqlite.sessions import absorb_sessions, write_sessions
from spantally.ledger.sqlite.write import Batch, check
from spantally.ledger.tally import Dimension, Row

_T = TypeVar("_T")

MOST_QUARANTINED: Final = 10_000
"""Quarantined records kept; more are only counted by the log."""

MOST_BODY: Final = 4_096
"""Characters kept of a quarantined record."""

LINK_DAYS: Final = 1
"""Days that a link waits for an operation in its trace."""

LINKS_PER_PRUNE: Final = 5_000

_inherited: Final[list[sqlite3.Connection | None]] = []
"""Connections of the parent of a fork: closing one here could remove the log under the parent."""


def _no_text(error: UnicodeEncodeError) -> ArgumentError:
    """What is wrong with a question that SQLite cannot be asked: half of a surrogate pair in a text."""
    return ArgumentError(
        f"{shown(error.object)} is no text that a ledger can hold; use text of whole characters, in UTF-8"
    )


class SQLiteStore:
    """A ledger in one SQLite file (WAL), or in memory; see :class:`spantally.ledger.Store`.

    Writing and reading have a connection each, so that a long read never holds up the writer. A store is
    usable from any thread and, after a fork, in the child too, which opens connections of its own (a store
    in memory is empty there).
    """

    keeps_marks = True
    """Takes started marks, too."""

    def __init__(
        self, target: str | os.PathLike[str], *, synchronous: str = "normal", read_only: bool = False
    ) -> None:
        """Name a ledger; it is opened with the first use.

        Args:
            target: a path, or ``":memory:"``.
            synchronous: ``normal`` (a power cut may lose the tail) or ``full``.
            read_only: never writes, and works where nothing may be written.

        Raises:
            ArgumentError: for another value of ``synchronous``.
        """
        if synchronous not in ("normal", "full"):
            raise ArgumentError(f"synchronous={synchronous!r} is not allowed; use one of: normal, full")
        text = os.fspath(target)
        self.memory = text == connect.MEMORY
        self.target = text if self.memory else str(Path(text).expanduser().absolute())
        self.read_only = read_only and not self.memory
        self._synchronous = synchronous
        self._network: str | None = None
        self._links = 0
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._write_lock = threading.RLock()
        self._read_lock = self._write_lock if self.memory else threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._writer_file: tuple[int, int] | None = None
        self._reader_file: tuple[int, int] | None = None
        self._dimensions: dict[Dimension, int] = {}

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            _inherited.extend((self._writer, self._reader))
            self._fresh()

    # -- connections --------------------------------------------------------------------------------

    def _writing(self) -> sqlite3.Connection:
        """The writer's connection; the write lock is held."""
        if self.read_only:
            raise files.not_writable(self.target, "it was opened for reading only")
        if self._writer is not None and not self.memory and self._file() != self._writer_file:
            # Somebody moved or deleted the file: rows written to it now would be nobody's.
            self._close_both()
        if self._writer is None:
            self._writer = connect.open_writer(self.target, self._synchronous)
            self._writer_file = self._file()
            self._dimensions.clear()
            self._warn_of_network()
        return self._writer

    def _reading(self) -> sqlite3.Connection:
        """The reader's connection; the read lock is held."""
        if self.memory:
            return self._writing()
        if self._reader is not None and self._file() != self._reader_file:
            self._reader.close()
            self._reader = None
        if self._reader is None:
            if not self.read_only and self._is_new():
                # Made here and not by the writer: its lock may not be taken while the reader's is held.
                connect.open_writer(self.target, self._synchronous).close()
            self._reader = connect.open_reader(self.target)
            if schema.version(self._reader) < schema.SCHEMA_VERSION:
                self._reader.close()
                self._reader = None
                if self.read_only:
                    raise schema.older(self.target)
                connect.open_writer(self.target, self._synchronous).close()
                self._reader = connect.open_reader(self.target)
            self._reader_file = self._file()
        return self._reader

    def _is_new(self) -> bool:
        try:
            return Path(self.target).stat().st_size == 0
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _file(self) -> tuple[int, int] | None:
        """Device and inode of the file, None if there is none."""
        try:
            found = os.stat(self.target)  # noqa: PTH116 - asked with each batch: a Path costs ten times as much
        except OSError:
            return None
        return (found.st_dev, found.st_ino)

    def _warn_of_network(self) -> None:
        if self.memory:
            return
        self._network = files.network_file_system(Path(self.target))
        if self._network:
            say_once(f"network:{self.target}", "spantally: %s", self._network_text())

    def _network_text(self) -> str:
        return (
            f"the ledger {self.target} lies on a network file system ({self._network}), where SQLite can "
            "lose or damage it; choose a local file with SPANTALLY_LEDGER"
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """An immediate transaction on the writer's connection."""
        self._check_process()
        with self._write_lock:
            try:
                db = self._writing()
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    # Numbers of dimensions that the rollback takes back must be forgotten.
                    self._dimensions.clear()
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                self._raise_explained(error)
                raise

    def _raise_explained(self, error: sqlite3.Error) -> None:
        known = connect.explain(error, self.target)
        if known is not None:
            if known.slug in ("corrupt", "not_a_database"):
                self._close_both()
            raise known from error

    def _read(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        """Ask in one read transaction, so that all parts of an answer are of one moment."""
        self._check_process()
        with self._read_lock:
            try:
                db = self._reading()
                if self.memory:
                    return question(db)
                db.execute("BEGIN")
                try:
                    return question(db)
                finally:
                    if db.in_transaction:
                        db.execute("COMMIT")
            except sqlite3.Error as error:
                self._raise_explained(error)
                raise LedgerError(
                    f"the ledger {self.target} cannot be read: {error}", slug="corrupt"
                ) from error
            except UnicodeEncodeError as error:
                raise _no_text(error) from error

    # -- writing ------------------------------------------------------------------------------------

    def write(self, records: Sequence[Record], rate: Rater) -> None:
        """See :meth:`spantally.ledger.Store.write`."""
        self.take_in(records, rate)

    def take_in(self, records: Sequence[Record], rate: Rater) -> tuple[int, int]:
        """Write records, and tell how many rows are new, and how many are told otherwise now."""
        good: list[Record] = []
        bad: list[tuple[Record, str]] = []
        for record in records:
            try:
                good.append(check(record))
            except PoisonError as error:
                bad.append((record, str(error)))
            except Exception as error:
                bad.append((record, type(error).__name__))
        try:
            with self._transaction() as db:
                batch = Batch(db, self._dimensions)
                batch.apply(good, rate)
                self._quarantine(db, bad)
                self._prune_links(db)
            return batch.new, batch.changed
        except LedgerError:
            raise
        except Exception:
            # One of them is poison to the database: find it.
            return self._write_singly(good, rate, bad)

    def _write_singly(
        self, records: Sequence[Record], rate: Rater, bad: list[tuple[Record, str]]
    ) -> tuple[int, int]:
        new = changed = 0
        with self._transaction() as db:
            for record in records:
                db.execute("SAVEPOINT one")
                try:
                    batch = Batch(db, self._dimensions)
                    batch.apply([record], rate)
                    new, changed = new + batch.new, changed + batch.changed
                except sqlite3.OperationalError:
                    raise
                except Exception as error:
                    self._dimensions.clear()
                    db.execute("ROLLBACK TO one")
                    bad.append((record, type(error).__name__))
                db.execute("RELEASE one")
            self._quarantine(db, bad)
        return new, changed

    def absorb(
        self, rows: Sequence[Row], links: Sequence[LinkRecord] = (), sessions: Mapping[str, str] | None = None
    ) -> tuple[int, int]:
        """Take in rows as another ledger had them; see :meth:`spantally.ledger.sqlite.write.Batch.absorb`.

        Args:
            rows: with what was said of them, and what they cost there.
            links: of spans that are no operation.
            sessions: facts of sessions, by id.

        Returns:
            How many rows are new, and how many are told otherwise now.
        """
        good: list[Row] = []
        bad: list[tuple[Record, str]] = []
        for row in rows:
            try:
                checked: Any = check(row.record)
                good.append(row._replace(facts=row.facts._replace(record=checked)))
            except PoisonError as error:
                bad.append((row.record, str(error)))
        with self._transaction() as db:
            absorb_sessions(db, dict(sessions or {}))
            write_sessions(db, (), [row.record for row in good])
            batch = Batch(db, self._dimensions)
            batch.absorb(good, links)
            self._quarantine(db, bad)
        return batch.new, batch.changed

    def ancestors(self, spans: Iterable[SpanKey], call_ids: Iterable[str]) -> placing.Relatives:
        """See :func:`spantally.ledger.sqlite.placing.ancestors`."""
        return self._read(lambda db: placing.ancestors(db, spans, call_ids))

    def children(self, spans: Iterable[SpanKey], call_ids: Iterable[str]) -> list[CallRecord]:
        """See :func:`spantally.ledger.sqlite.placing.children`."""
        return self._read(lambda db: placing.children(db, spans, call_ids))

    def amend(self, changes: Mapping[str, Mapping[str, Any]]) -> int:
        """See :func:`spantally.ledger.sqlite.placing.amend`."""
        with self._transaction() as db:
            return placing.amend(db, self._dimensions, changes)

    def _quarantine(self, db: sqlite3.Connection, bad: Sequence[tuple[Record, str]]) -> None:
        for record, reason in bad:
            try:
                body = ascii(record)
            except Exception:
                body = f"<{type(record).__name__} without a text>"
            digest = hashlib.blake2b(body.encode(), digest_size=16).digest()
            db.execute(
                "INSERT OR IGNORE INTO quarantine SELECT ?, ?, ?, ? "
                "WHERE (SELECT COUNT(*) FROM quarantine) < ?",
                (digest, time.time_ns(), reason, body[:MOST_BODY], MOST_QUARANTINED),
            )
            say_once(
                f"quarantine:{reason}",
                "spantally: a record could not be stored (%s) and was set aside; see spantally doctor",
                reason,
            )

    def _prune_links(self, db: sqlite3.Connection) -> None:
        """Forget links of traces without operations, once in a while."""
        self._links += 1
        if self._links % LINKS_PER_PRUNE:
            return
        db.execute(
            "DELETE FROM link WHERE end_ns < ? AND NOT EXISTS "
            "(SELECT 1 FROM call WHERE call.trace_id = link.trace_id)",
            (time.time_ns() - LINK_DAYS * 86_400 * 1_000_000_000,),
        )

    def settle(self, rate: Rater, limit: int = 500) -> int:
        """See :meth:`spantally.ledger.Store.settle`."""
        # Where nothing waits no lock is taken, so that reading never waits for a writer.
        pending, gone = self._read(read_open.waiting)
        if not pending and not gone:
            return 0
        with self._transaction() as db:
            batch = Batch(db, self._dimensions)
            if gone:
                batch.interrupt(gone, rate)
            return batch.settle(rate, limit)

    def reprice(
        self,
        rate: Rater,
        where: Filter,
        *,
        status: str | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Repricing:
        """Rate rows anew in one transaction: all of it, or after an error or a crash nothing.

        Args:
            rate: the rates in force now.
            where: which calls.
            status: only calls whose cost stands so.
            dry_run: only tell what would change.
            progress: is told how many rows were looked at, and of how many.
        """
        if dry_run:
            return self._read(
                lambda db: Reprice(db, {}, rate).run(where, status, write=False, progress=progress)
            )
        try:
            with self._transaction() as db:
                return Reprice(db, self._dimensions, rate).run(where, status, write=True, progress=progress)
        except UnicodeEncodeError as error:
            raise _no_text(error) from error

    def budget_ledger(self) -> BudgetLedger | None:
        """Where processes share what they use under a budget; None for a ledger that only one can use."""
        return None if self.memory or self.read_only else BudgetLedger(self.target, self._synchronous)

    # -- reading ------------------------------------------------------------------------------------

    def sessions(self, where: Filter) -> list[SessionRow]:
        """See :meth:`spantally.ledger.Store.sessions`."""
        return self._read(lambda db: read_sessions.sessions(db, where))

    def calls(self, where: Filter) -> list[CallRow]:
        """See :meth:`spantally.ledger.Store.calls`."""
        return self._read(lambda db: read_calls.calls(db, where))

    def cost(self, by: Sequence[str], where: Filter, tz: str) -> list[CostRow]:
        """See :meth:`spantally.ledger.Store.cost`."""
        return self._read(lambda db: read_cost.cost(db, by, where, tz))

    def unpriced(self, since_ns: int | None) -> list[Unpriced]:
        """See :func:`spantally.ledger.sqlite.read_missing.unpriced`."""
        return self._read(lambda db: read_missing.unpriced(db, since_ns))

    def events(self, session_id: str) -> list[EventRow]:
        """Events of one session, by time."""
        return self._read(lambda db: read_calls.events(db, session_id))

    def ask(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        """Ask what has no method of its own here, in one read transaction."""
        return self._read(question)

    def events_page(self, session_id: str, after: tuple[int, str] | None, limit: int) -> list[EventRow]:
        """The next events of a session behind one of this time and id, by both."""
        return self._read(lambda db: read_calls.events(db, session_id, after, limit))

    def calls_page(self, session_id: str, after: tuple[int, str] | None, limit: int) -> list[CallRow]:
        """The next rows of a session behind one of this start and id, by both."""
        where = Filter(session_id=session_id, limit=limit)
        return self._read(lambda db: read_calls.calls(db, where, after))

    def find_target(self, call_id: str | None, response_id: str | None) -> Target | None:
        """The row of a call, else of a provider's response; None where it is not there."""
        return self._read(lambda db: targets.find(db, call_id, response_id))

    def scores(self, session_ids: Sequence[str]) -> list[tuple[str, str, float]]:
        """Session, name and score of each evaluation that has a number, of these sessions."""
        return self._read(lambda db: targets.scores(db, session_ids))

    def session_ids(self, prefix: str, limit: int = 5) -> list[str]:
        """Ids of sessions that begin with ``prefix``, in order."""
        return self._read(lambda db: read_sessions.ids_with_prefix(db, prefix, limit))

    def child_sessions(self) -> dict[str, list[str]]:
        """Ids of child sessions by the id of their parent."""
        return self._read(read_sessions.child_sessions)

    def sessions_holding(self, words: Sequence[str]) -> set[str]:
        """See :func:`spantally.ledger.sqlite.search.sessions_holding`."""
        return self._read(lambda db: sessions_holding(db, words))

    def any_pending(self) -> bool:
        """True if a row waits for its price."""
        return self._read(read_calls.any_pending)

    def any_waiting(self) -> bool:
        """True if there is something for :meth:`settle` to do."""
        return any(self._read(read_open.waiting))

    def in_memory_copy(self) -> SQLiteStore:
        """A store in memory with the same rows, for what must not be written to this one."""
        copy = SQLiteStore(connect.MEMORY)

        def fill(db: sqlite3.Connection) -> None:
            made = sqlite3.connect(connect.MEMORY, isolation_level=None, check_same_thread=False)
            db.backup(made)
            copy._writer = made

        self._check_process()
        with self._read_lock:
            try:
                fill(self._reading())
            except sqlite3.Error as error:
                self._raise_explained(error)
                raise
        return copy

    def health(self) -> Health:
        """See :meth:`spantally.ledger.Store.health`; says what is wrong instead of raising."""
        try:
            return self._read(self._examine)
        except LedgerError as error:
            return Health(target=self.target, ok=False, detail=f"{error.slug}: {error}")

    def _examine(self, db: sqlite3.Connection) -> Health:
        def number(sql: str) -> int:
            return int(db.execute(sql).fetchone()[0])

        problem = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        warnings: list[str] = []
        if not self.memory:
            self._network = files.network_file_system(Path(self.target))
            if self._network:
                warnings.append(self._network_text())
        mode = str(db.execute("PRAGMA journal_mode").fetchone()[0])
        if not self.memory and mode != "wal":
            warnings.append(f"the ledger runs in journal mode {mode}, not wal: reading waits for writing")
        quarantined = number("SELECT COUNT(*) FROM quarantine")
        if quarantined:
            warnings.append(f"{quarantined} records could not be stored and were set aside")
        late = targets.waiting(db)
        if late:
            warnings.append(f"{late} evaluations wait for a call or response that is not in the ledger")
        sound = problem == "ok"
        return Health(
            target=self.target,
            ok=sound,
            detail="ok" if sound else f"corrupt: the ledger {self.target} is damaged ({problem})",
            schema_version=schema.version(db),
            sessions=number("SELECT COUNT(*) FROM session WHERE declared OR rows > 0"),
            calls=number("SELECT COUNT(*) FROM call WHERE hidden = 0"),
            pending=number("SELECT COUNT(*) FROM call WHERE cost_status = 'pending'"),
            quarantined=quarantined,
            warnings=tuple(warnings),
        )

    def close(self) -> None:
        """See :meth:`spantally.ledger.Store.close`; a ledger in memory lives as long as the store."""
        self._check_process()
        if not self.memory:
            self._close_both()

    def __del__(self) -> None:
        try:
            mine = getattr(self, "_pid", None) == os.getpid()
        except AttributeError:
            return  # the interpreter is going and has taken the modules down
        if not mine:
            return  # a child's copy of what its parent has open
        for db in (self._reader, self._writer):
            if db is not None:
                db.close()

    def _close_both(self) -> None:
        # One lock after the other: a reader that needs the writer takes them in the other order.
        with self._read_lock:
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.close()
        with self._write_lock:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.target!r})"
