"""Merging ledgers: one new ledger with each operation of several once, whatever they have in common.

The first ledger is copied page by page, and the rows of the others are merged into the copy by the rules
by which the ledger takes in anything: field by field, counted once, totals moved by differences. The result
appears under its name only when it is whole.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from spantally.ground.errors import ArgumentError, LedgerError, shown
from spantally.ground.records import LinkRecord
from spantally.ledger.sqlite import codec, connect, schema
from spantally.ledger.sqlite.sessions import absorb_sessions
from spantally.ledger.sqlite.targets import place_waiting
from spantally.ledger.sqlite.write import Batch

BATCH: Final = 500
"""Rows of one transaction."""

_USED: Final = """\
INSERT INTO budget (account, usd, calls, tokens, unpriced, updated_ns) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (account) DO UPDATE SET
    usd = MAX(usd, excluded.usd), calls = MAX(calls, excluded.calls), tokens = MAX(tokens, excluded.tokens),
    unpriced = MAX(unpriced, excluded.unpriced), updated_ns = MAX(updated_ns, excluded.updated_ns)
"""
"""Two accounts of one budget may tell of the same calls, so neither their sum nor one of them is right: the
greater figure is one that was reached."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told how far a merge is: path of the ledger that is read, its rows taken in, its rows altogether."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge made."""

    path: str
    """The new ledger."""
    sessions: int
    calls: int
    """Model operations that count, as everywhere."""
    rows: int
    """Rows of calls, agents, tools and workflows."""
    repeated: int
    """Rows that more than one of the ledgers had, and that are there once now."""
    events: int
    quarantined: int
    """Records that a ledger had set aside; they go along."""


def merge_ledgers(
    ledgers: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
) -> Merged:
    """Merge ledgers into a new one, in which each operation, session and event is once.

    The ledgers are only read; they may lie where nothing can be written, be of an earlier release, be in use,
    or have any part in common. The new file has mode 0600 and appears when it is complete, or not at all.

    Args:
        ledgers: paths of two or more.
        output: path of the new one; nothing may be there yet.
        progress: is told how far it is: path of the ledger being read, its rows taken in, its rows.

    Returns:
        What is in the new ledger.

    Raises:
        ArgumentError: (a ValueError) for fewer than two ledgers, or an output that exists; nothing is done.
        LedgerError: a ledger that cannot be read, or an output that cannot be written.
    """
    sources = _checked_paths(ledgers)
    target = _checked_output(output)
    tell = progress if progress is not None else _silent
    with ExitStack() as stack:
        readers = [stack.enter_context(closing(_reader(source))) for source in sources]
        folder = Path(_private_folder(target))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            made = folder / "merged.db"
            merged = _merge(sources, readers, folder, made, str(target), tell)
            _publish(made, target)
        except sqlite3.Error as error:
            raise connect.explain(error, str(target)) or LedgerError(
                f"the ledgers could not be merged into {target}: {error}", slug="corrupt"
            ) from error
    return merged


def _silent(path: str, done: int, total: int) -> None:
    """Nobody wants to know."""


# -- arguments ----------------------------------------------------------------------------------------


def _checked_paths(ledgers: Sequence[str | os.PathLike[str]]) -> list[str]:
    if isinstance(ledgers, (str, bytes, os.PathLike)):
        raise ArgumentError(f"ledgers={shown(ledgers)}: pass a list of two or more paths")
    try:
        paths = [str(Path(os.fspath(one)).expanduser().absolute()) for one in ledgers]
    except TypeError:
        raise ArgumentError(f"ledgers={shown(ledgers)}: pass a list of two or more paths") from None
    if len(paths) < 2:
        raise ArgumentError(f"ledgers={shown(paths)}: there is nothing to merge; name two or more ledgers")
    return paths


def _checked_output(output: str | os.PathLike[str]) -> Path:
    try:
        target = Path(os.fspath(output)).expanduser().absolute()
    except TypeError:
        raise ArgumentError(f"output={shown(output)}: pass a path") from None
    if os.path.lexists(target):
        raise _exists(target)
    if not target.parent.is_dir():
        raise LedgerError(
            f"the directory of {target} does not exist; create it (mkdir -p {target.parent}) "
            "or name another output",
            slug="missing_directory",
        )
    return target


def _exists(target: Path) -> ArgumentError:
    return ArgumentError(f"output={str(target)!r} exists and is never overwritten; name a file that does not")


def _private_folder(target: Path) -> str:
    """A folder of this user's alone beside the output, so that the last step is one rename."""
    try:
        return tempfile.mkdtemp(prefix=".spantally-merge-", dir=target.parent)
    except OSError as error:
        raise LedgerError(
            f"{target.parent} cannot be written ({error.strerror}); name an output in another directory",
            slug="not_writable",
        ) from error


# -- reading ------------------------------------------------------------------------------------------


def _reader(source: str) -> sqlite3.Connection:
    """A connection that sees the ledger as it is at this moment, until it is closed."""
    db = connect.open_reader(source)
    try:
        db.execute("BEGIN")
        db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.Error as error:
        db.close()
        raise connect.explain(error, source) or LedgerError(
            f"the ledger {source} cannot be read: {error}", slug="corrupt"
        ) from error
    return db


@contextmanager
def _of_this_release(reader: sqlite3.Connection, source: str, folder: Path) -> Iterator[sqlite3.Connection]:
    """The same ledger in the schema of this release: itself, or a copy that was brought up to it."""
    if schema.version(reader) == schema.SCHEMA_VERSION:
        yield reader
        return
    copy = folder / "older.db"
    try:
        with closing(_copied(reader, copy)) as db:
            schema.bring_up(db, source)
            yield db
    finally:
        copy.unlink(missing_ok=True)


def _copied(reader: sqlite3.Connection, place: Path) -> sqlite3.Connection:
    """A private copy of a ledger, open for writing; losing it in a power cut costs nothing."""
    os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    db = sqlite3.connect(place, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = OFF")
        reader.backup(db)
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        db.close()
        raise
    return db


# -- merging ------------------------------------------------------------------------------------------


def _merge(
    sources: Sequence[str],
    readers: Sequence[sqlite3.Connection],
    folder: Path,
    made: Path,
    target: str,
    tell: Progress,
) -> Merged:
    with closing(_copied(readers[0], made)) as db:
        schema.bring_up(db, target)
        db.execute(
            "DELETE FROM budget_lease"
        )  # set aside by processes that write to the first ledger, not here
        first = _number(db, "call")
        tell(sources[0], first, first)
        read = first
        for source, reader in zip(sources[1:], readers[1:], strict=True):
            with _of_this_release(reader, source, folder) as other:
                read += _take_in(db, other, partial(tell, source))
        rows = _number(db, "call")
        return Merged(
            path=target,
            sessions=_number(db, "session", "declared OR rows > 0"),
            calls=_number(db, "call", "counted"),
            rows=_number(db, "call", "hidden = 0"),
            repeated=read - rows,
            events=_number(db, "event"),
            quarantined=_number(db, "quarantine"),
        )


def _number(db: sqlite3.Connection, table: str, condition: str = "1") -> int:
    return int(db.execute(f"SELECT COUNT(*) FROM {table} WHERE {condition}").fetchone()[0])  # noqa: S608


_TOLD: Final = ("session_id", "type", "time_ns", "call_id", "agent_path", "trace_id", "span_id", "attributes")
_EVENT: Final = f"""\
INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (event_id) DO UPDATE SET {", ".join(f"{column} = excluded.{column}" for column in _TOLD)}
WHERE (excluded.time_ns, COALESCE(excluded.attributes, '')) < (time_ns, COALESCE(attributes, ''))
"""  # noqa: S608 - names of columns
"""Of events by one id, which a program names, the earliest, whichever ledger comes first."""


def _take_in(db: sqlite3.Connection, other: sqlite3.Connection, tell: Callable[[int, int], None]) -> int:
    """Merge all that another ledger holds; returns how many rows it had."""
    for some in _batches(other, "SELECT session_id, facts FROM session"):
        with _transaction(db):
            absorb_sessions(db, dict(some))
    for some in _batches(other, "SELECT * FROM event"):
        with _transaction(db):
            db.executemany(_EVENT, some)
    for some in _batches(
        other, "SELECT call_id, at_ns, cost_nano_usd, cost_status, cost_source, price_id FROM rating_history"
    ):
        with _transaction(db):
            db.executemany("INSERT OR IGNORE INTO rating_history VALUES (?, ?, ?, ?, ?, ?)", some)
    for some in _batches(other, "SELECT digest, at_ns, reason, body FROM quarantine"):
        with _transaction(db):
            db.executemany("INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?, ?)", some)
    for some in _batches(other, "SELECT trace_id, span_id, parent_span_id, end_ns FROM link"):
        with _transaction(db):
            Batch(db, {}).absorb((), [LinkRecord(*values) for values in some])
    for some in _batches(other, "SELECT account, usd, calls, tokens, unpriced, updated_ns FROM budget"):
        with _transaction(db):
            db.executemany(_USED, some)
    done, total = 0, _number(other, "call")
    tell(done, total)
    for some in _batches(other, f"SELECT {codec.SELECT} FROM call"):  # noqa: S608 - names of columns
        with _transaction(db):
            Batch(db, {}).absorb([codec.decode(values) for values in some])
        done += len(some)
        tell(done, total)
    with _transaction(db):
        place_waiting(db)
    return total


def _batches(db: sqlite3.Connection, question: str) -> Iterator[list[tuple[Any, ...]]]:
    found = db.execute(question)
    while some := found.fetchmany(BATCH):
        yield some


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


# -- the end ------------------------------------------------------------------------------------------


def _publish(made: Path, target: Path) -> None:
    """Give the whole file its name, on the disk for good, unless something has come to be there meanwhile."""
    try:
        with made.open("rb") as file:
            os.fsync(file.fileno())
        try:
            os.link(made, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(target):
                raise FileExistsError from None
            made.rename(target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as error:
        raise LedgerError(
            f"{target} cannot be written ({error.strerror}); name an output in another directory",
            slug="not_writable",
        ) from error
