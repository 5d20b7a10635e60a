"""Budgets that several processes share: what each has used, and what it has set aside for its calls.

A process does not ask for every call. It sets a little aside (a *lease*) in one short transaction, spends
from that in memory, and comes back when it is used up; what others have set aside counts as used.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from spantally.ground import process
from spantally.ground.errors import LedgerError
from spantally.ground.event_loop import in_event_loop
from spantally.ledger.sqlite import connect

WAIT_MS: Final = 250
"""How long a call may wait for another writer."""

SPARE_SHARE: Final = 16
"""One part in so many of what is left is set aside beyond what is asked for."""

SETTLED_NS: Final = 2_000_000_000
"""After that time a process has told of the calls that it has written."""

_T = TypeVar("_T")

Triple = tuple[int, int, int]
"""Nano-USD, calls, tokens."""


_inherited: Final[list[sqlite3.Connection | None]] = []
"""Connections of the parent of a fork."""


class Standing(NamedTuple):
    """How an account stands after a visit."""

    granted: bool
    used: Triple
    """By all processes, so far as they have told."""
    unpriced: int
    others: Triple
    """Set aside by other processes."""
    lease: Triple
    """Set aside by this one."""


class BudgetLedger:
    """The accounts of one ledger; safe in threads and after a fork."""

    def __init__(self, target: str, synchronous: str) -> None:
        self.target = target
        self._synchronous = synchronous
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._process = process.identity()
        self._lock = threading.RLock()
        self._visited = False
        self._db: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None

    def _connection(self) -> sqlite3.Connection:
        if self._db is not None and self._file() != self._opened:
            self.close()  # somebody moved or deleted the file
        if self._db is None:
            self._db = connect.open_writer(self.target, self._synchronous)
            self._db.execute(f"PRAGMA busy_timeout = {WAIT_MS:d}")
            self._opened = self._file()
        return self._db

    def _file(self) -> tuple[int, int] | None:
        try:
            found = Path(self.target).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def visit(
        self,
        account: str,
        told: tuple[int, int, int, int],
        held: Triple,
        ask: Triple | None,
        limits: Sequence[int | None],
        opening: Callable[[], tuple[int, int, int, int]],
        *,
        again: bool = False,
    ) -> Standing:
        """Tell what was used, and set aside what is wanted, in one transaction.

        Args:
            account: which one; it is opened where it is new.
            told: nano-USD, calls, tokens and unpriced calls used since the last visit.
            held: what calls in flight have reserved; it stays set aside.
            ask: what a further call may use; None gives back all but ``held``.
            limits: by unit; None where there is none.
            opening: what was used before the account was opened.
            again: where it was opened before, too, see that nothing of that is missing in it.

        Raises:
            LedgerError: the ledger cannot be used; nothing has changed.
        """
        if self._pid != os.getpid():
            _inherited.append(self._db)  # the parent's: closing it here could harm its file
            self._fresh()
        with self._lock:
            if self._visited:
                # A signal handler of the program makes a call in the midst of a visit of its thread.
                raise LedgerError(f"the ledger {self.target} is in use by this very thread", slug="locked")
            self._visited = True
            try:
                db = self._connection()
                known = db.execute("SELECT 1 FROM budget WHERE account = ?", (account,)).fetchone()
                first = (0, 0, 0, 0) if known and not again else opening()
                db.execute("BEGIN IMMEDIATE")
                try:
                    standing = self._visit(db, account, told, held, ask, limits, first)
                    db.execute("COMMIT")
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
                return standing
            except sqlite3.Error as error:
                self.close()
                raise connect.explain(error, self.target) or LedgerError(
                    f"the ledger {self.target} cannot be used for budgets: {error}", slug="corrupt"
                ) from error
            finally:
                self._visited = False

    def has(self, call_id: str) -> bool:
        """Whether the ledger has a row: one of an earlier process, or one that is told again.

        Args:
            call_id: of the row.
        """
        return bool(
            self._read(lambda db: db.execute("SELECT 1 FROM call WHERE call_id = ?", (call_id,)).fetchone())
        )

    def standing(self, account: str) -> Standing | None:
        """How an account stands, read only; None where it is not there, or nobody can say now.

        Args:
            account: which one.
        """

        def read(db: sqlite3.Connection) -> Standing | None:
            others = self._others(db, account, drop=False)  # before: what is told meanwhile is not missing
            found = db.execute(
                "SELECT usd, calls, tokens, unpriced FROM budget WHERE account = ?", (account,)
            ).fetchone()
            return None if found is None else Standing(True, found[:3], found[3], others, (0, 0, 0))

        return self._read(read)

    def _read(self, question: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Read something; None where that cannot be done now.

        Whoever holds the connection is not waited for, so that no event loop is held up.
        """
        if self._pid != os.getpid() or not self._lock.acquire(
            timeout=0 if in_event_loop() else WAIT_MS / 1000
        ):
            return None
        try:
            return question(self._connection())
        except (sqlite3.Error, LedgerError):
            return None
        finally:
            self._lock.release()

    def _visit(
        self,
        db: sqlite3.Connection,
        account: str,
        told: tuple[int, int, int, int],
        held: Triple,
        ask: Triple | None,
        limits: Sequence[int | None],
        first: tuple[int, int, int, int],
    ) -> Standing:
        db.execute(
            "INSERT OR IGNORE INTO budget (account, usd, calls, tokens, unpriced, updated_ns) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (account, *first, time.time_ns()),
        )
        others = self._others(db, account)
        if any(first) and not any(others):
            # Calls of programs that had no such budget. What is told just now may be of calls counted here.
            db.execute(
                "UPDATE budget SET usd = max(usd, ?), calls = max(calls, ?), tokens = max(tokens, ?), "
                "unpriced = max(unpriced, ?) WHERE account = ? AND updated_ns < ?",
                (*first, account, time.time_ns() - SETTLED_NS),
            )
        if any(told):
            db.execute(
                "UPDATE budget SET usd = usd + ?, calls = calls + ?, tokens = tokens + ?, "
                "unpriced = unpriced + ?, updated_ns = ? WHERE account = ?",
                (*told, time.time_ns(), account),
            )
        usd, calls, tokens, unpriced = db.execute(
            "SELECT usd, calls, tokens, unpriced FROM budget WHERE account = ?", (account,)
        ).fetchone()
        used = (usd, calls, tokens)
        granted, lease = _lease(used, others, held, ask, limits)
        if any(lease):
            db.execute(
                "INSERT OR REPLACE INTO budget_lease (account, process, usd, calls, tokens) "
                "VALUES (?, ?, ?, ?, ?)",
                (account, self._process, *lease),
            )
        else:
            self._drop(db, account, self._process)
        return Standing(granted, used, unpriced, others, lease)

    def _others(self, db: sqlite3.Connection, account: str, *, drop: bool = True) -> Triple:
        """What other processes have set aside; one that is gone needs nothing any more."""
        found = db.execute(
            "SELECT process, usd, calls, tokens FROM budget_lease WHERE account = ? AND process <> ?",
            (account, self._process),
        ).fetchall()
        sums = [0, 0, 0]
        for other, *lease in found:
            if process.is_alive(other):
                sums = [one + more for one, more in zip(sums, lease, strict=True)]
            elif drop:
                self._drop(db, account, other)
        return sums[0], sums[1], sums[2]

    @staticmethod
    def _drop(db: sqlite3.Connection, account: str, whose: str) -> None:
        db.execute("DELETE FROM budget_lease WHERE account = ? AND process = ?", (account, whose))

    def close(self) -> None:
        """Let go of the connection; it is opened again when it is needed."""
        with self._lock:
            db, self._db = self._db, None
            if db is not None and self._pid == os.getpid():
                db.close()

    def __del__(self) -> None:
        try:
            db, mine = self._db, self._pid == os.getpid()
        except AttributeError:
            return  # never begun, or the interpreter is going
        if db is not None and mine:
            db.close()


def _lease(
    used: Triple, others: Triple, held: Triple, ask: Triple | None, limits: Sequence[int | None]
) -> tuple[bool, Triple]:
    """Whether a further call is let through, and what is set aside then."""
    rooms = [
        None if limit is None else limit - one - other - own
        for limit, one, other, own in zip(limits, used, others, held, strict=True)
    ]
    if ask is not None and any(room is not None and room <= 0 for room in rooms):
        return False, held
    wanted: list[int] = []
    for room, own, more in zip(rooms, held, ask or (0, 0, 0), strict=True):
        spare = 0 if room is None or ask is None else max(0, (room - more) // SPARE_SHARE)
        wanted.append(own + more + spare)
    return True, (wanted[0], wanted[1], wanted[2])
