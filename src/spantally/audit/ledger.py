"""Looking through a ledger: every text of every row, and then the bytes of its files.

The rows are read by a connection that only reads, so that what still stands in the write-ahead log is seen.
The bytes are read as well: what was deleted or overwritten is no row any more, but may lie in a file.
"""

# ruff: noqa: S608 - names of tables and columns come from the schema of the file, and are quoted.
from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from spantally.audit.findings import Findings, Progress, silent
from spantally.audit.hits import Hit, find_hits
from spantally.audit.walk import Tell, walk_json
from spantally.ground.errors import LedgerError
from spantally.ledger.sqlite import connect, files
from spantally.redaction import Redactor

SUFFIXES: Final = ("", "-wal", "-shm")
MOST_KNOWN: Final = 10_000
"""Secrets of rows that are remembered, so that the bytes of a row are not told as well."""
_LEAST: Final = 4
"""Bytes of text with which a secret begins that is found in the bytes of a file."""
_EDGE: Final = 256
"""Characters at either end of a column that may make something with the column beside it."""
BLOCK: Final = 1 << 20
EDGE: Final = 1 << 13
_CONTROLS: Final = bytes(
    0 if byte < 9 or 13 < byte < 32 or byte in (11, 12, 127) else byte for byte in range(256)
)
"""Bytes that belong to no text become zeros; offsets stay."""

_FIELDS: Final = {"entity": "entity_id"}
"""Facts of a session whose values stand in a column of another name."""


def audit_ledger(path: str, findings: Findings, *, progress: Progress = silent) -> None:
    """Look through a ledger and its side files.

    Args:
        path: of the ledger; it is only read, and may be in use.
        findings: receives what is found.
        progress: is told how many rows were read.

    Raises:
        LedgerError: it cannot be read; the text says what to do.
    """
    known: set[str] = set()
    try:
        with closing(connect.open_reader(path)) as db:
            db.text_factory = as_text
            db.execute("BEGIN")
            _rows(db, path, findings, known, progress)
    except sqlite3.Error as error:
        raise connect.explain(error, path) or LedgerError(
            f"the ledger {path} cannot be read ({type(error).__name__})", slug="corrupt"
        ) from error
    findings.read += 1
    for suffix in SUFFIXES:
        place = files.beside(path, suffix) if suffix else path
        if Path(place).is_file():
            _bytes(place, findings, known, progress)


# -- rows ---------------------------------------------------------------------------------------------


class Table:
    """One table as its file describes it."""

    def __init__(self, db: sqlite3.Connection, name: str) -> None:
        """Read the description.

        Args:
            db: where it is.
            name: of the table.
        """
        self.name = name
        self.quoted = quoted(name)
        described = db.execute(f"PRAGMA table_info({self.quoted})").fetchall()
        self.columns: list[str] = [row[1] for row in described]
        self.primary: list[str] = [row[1] for row in sorted(described, key=lambda row: row[5]) if row[5]]
        try:
            db.execute(f"SELECT rowid FROM {self.quoted} LIMIT 0")
            self.address = "rowid"
        except sqlite3.OperationalError:
            self.address = ""  # WITHOUT ROWID

    def rows(self, db: sqlite3.Connection) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Address and values of each row; where a table has no addresses, the row's number counts."""
        columns = ", ".join(map(quoted, self.columns))
        if self.address:
            for address, *values in db.execute(f"SELECT rowid, {columns} FROM {self.quoted} ORDER BY rowid"):
                yield address, tuple(values)
        else:
            yield from enumerate(db.execute(f"SELECT {columns} FROM {self.quoted}"), 1)


def as_text(data: bytes) -> str:
    """Text of a database as it is: SQLite's own error about bad UTF-8 would quote it."""
    return data.decode("utf-8", "surrogateescape")


def quoted(name: str) -> str:
    """A name as SQL wants it."""
    return '"' + name.replace('"', '""') + '"'


def tables(db: sqlite3.Connection) -> list[Table]:
    """Every table of a database."""
    names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
    return [Table(db, name) for (name,) in names]


def _rows(db: sqlite3.Connection, path: str, findings: Findings, known: set[str], progress: Progress) -> None:
    found = tables(db)
    total = sum(int(db.execute(f"SELECT COUNT(*) FROM {one.quoted}").fetchone()[0]) for one in found)
    done = 0
    clean: set[str] = set()
    for table in found:
        for address, values in table.rows(db):
            for column, value in zip(table.columns, values, strict=True):
                if isinstance(value, (str, bytes)):
                    hits = _examine(table, column, address, values, value, path, findings)
                    if len(known) < MOST_KNOWN:
                        known.update(hits)
            if len(known) < MOST_KNOWN:
                known.update(_seams(findings.redactor, values, clean))
            done += 1
            if not done & 511:
                progress(findings.shown(path), done, total)
    progress(findings.shown(path), total, total)


def _seams(redactor: Redactor, values: tuple[Any, ...], clean: set[str]) -> Iterator[str]:
    """What looks like a secret only because the columns of a row touch each other in the file.

    Args:
        redactor: the rules.
        values: of the row; NULL, 0 and 1 take no room between two texts.
        clean: runs of columns in which there is nothing; they repeat from row to row.
    """
    runs = [""]
    for value in values:
        if isinstance(value, str):
            if len(value) > 2 * _EDGE:
                runs[-1] += value[:_EDGE]
                runs.append(value[-_EDGE:])
            else:
                runs[-1] += value
        elif value not in (None, 0, 1):
            runs.append("")
    for run in runs:
        if not run or run in clean:
            continue
        text = run.encode("utf-8", "surrogateescape").decode("latin-1")  # as the bytes are read
        _, hits = find_hits(redactor, text, "id")
        if not hits and len(clean) < MOST_KNOWN:
            clean.add(run)
        yield from (text[hit.start : hit.end] for hit in hits)


def _examine(
    table: Table,
    column: str,
    address: int,
    values: tuple[Any, ...],
    value: str | bytes,
    path: str,
    findings: Findings,
) -> list[str]:
    """Look through one value; returns what was found."""
    found: list[str] = []
    text = value if isinstance(value, str) else value.decode("latin-1")
    place = f"{findings.shown(table.name)}.{findings.shown(column)}:{'' if table.address else '#'}{address}"

    def tell(inner: str, hits: list[Hit], text: str) -> None:
        findings.add(path, place, inner or None, hits)
        found.extend(text[hit.start : hit.end] for hit in hits)

    cleaned(findings.redactor, text, key_of(table, column, values), tell)
    return found


def key_of(table: Table, column: str, values: tuple[Any, ...]) -> str:
    """The name under which a value of a column stands: a name seen is an agent's, a model's, a provider's."""
    if table.name == "seen" and column == "name":
        what = str(values[table.columns.index("what")]) if "what" in table.columns else column
        return "agent_path" if what == "agent" else what
    return "account_id" if column == "account" else column


def cleaned(redactor: Redactor, text: str, key: str, tell: Tell) -> str:
    """The text of a column without its secrets; ``tell`` is told of each place."""
    return walk_json(text, redactor, key, tell, _FIELDS)


# -- bytes --------------------------------------------------------------------------------------------


def _bytes(path: str, findings: Findings, known: set[str], progress: Progress) -> None:
    """Texts in the bytes of a file, those left out that a row has shown already.

    The rule of unknown vendors does not apply: in a file of a database, columns touch each other, and what
    two of them make together looks like noise.
    """
    shown = findings.shown(path)
    total = os.stat(path).st_size  # noqa: PTH116
    data = b""
    start = 0
    with open(path, "rb") as file:  # noqa: PTH123 - a path as the user gave it
        while block := file.read(BLOCK):
            data += block
            last = start + len(data) >= total
            text = data.translate(_CONTROLS).decode("latin-1")
            _, hits = find_hits(findings.redactor, text, "id")
            # Each half of an overlap is judged where it is seen with what stands on both sides.
            low, high = (EDGE if start else 0), (len(data) if last else len(data) - EDGE)
            for hit in hits:
                if (
                    low <= hit.start < high
                    and _is_text(text[hit.start : hit.end])
                    and not _is_known(text[hit.start : hit.end], known)
                ):
                    findings.add(path, f"byte {start + hit.start}", None, [hit])
            start += max(0, len(data) - 2 * EDGE)
            data = data[-2 * EDGE :]
            progress(shown, start + len(data), total)


def _is_text(found: str) -> bool:
    """True for what begins as text of a database does: in UTF-8, without controls.

    In an index, numbers stand between the names. A ``P`` before a session ``w1-7`` makes it the name of a
    password, and the numbers behind it one.

    Args:
        found: bytes as Latin-1, with NUL for each that belongs to no text.
    """
    data = found[:_EDGE].partition("\0")[0].encode("latin-1")
    whole = data.decode("utf-8", "ignore").encode()
    return len(whole) >= _LEAST and data[:_LEAST] == whole[:_LEAST]


def _is_known(text: str, known: set[str]) -> bool:
    """Whether a row has shown it; in the file it may touch the column before or behind."""
    return text in known or any(one in text or text in one for one in known)
