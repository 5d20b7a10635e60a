"""What a path holds: a ledger, OTLP JSON, text, any of these packed, or a folder of them."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from spantally.audit.findings import Findings, Progress, silent
from spantally.audit.ledger import audit_ledger
from spantally.audit.otlp import MARKS, audit_document
from spantally.audit.stream import audit_text
from spantally.ground.errors import LedgerError
from spantally.ledger.sqlite.files import beside
from spantally.ledger.sqlite.schema import APPLICATION_ID

_SQLITE: Final = b"SQLite format 3\0"
_WALS: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_GZIP: Final = b"\x1f\x8b"
_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_MOST_FRAMES: Final = 10_000
_SIDES: Final = ("-wal", "-shm", "-journal")
BUFFER: Final = 1 << 16
LONGEST_LINE: Final = 64 << 20
"""Bytes of one line of OTLP JSON; a longer one is read as text, in pieces."""
LARGEST_DOCUMENT: Final = 256 << 20
"""Bytes of one OTLP JSON document; a larger one is read as text, in pieces."""
MOST_PACKED: Final = 4
"""How often a file may be packed: once as a rule, twice where logs were rotated that were packed already."""
MOST_WITHIN: Final = 4 << 30
"""Bytes that come out of what was packed within a packed file: a few kilobytes can hold any number there."""


class InputError(Exception):
    """An input that cannot be read; the text names it and what is allowed."""


class _TooLargeError(ValueError):
    """More comes out of an input than is read; the text says how much, and what to do."""


def audit_path(path: str, findings: Findings, *, progress: Progress = silent) -> None:
    """Look through a file, or all files beneath a folder.

    Args:
        path: of a ledger, OTLP JSON or text, plain or gzip, or of a folder.
        findings: receives what is found, and of a folder what was skipped or could not be read.
        progress: is told how far it is.

    Raises:
        InputError: there is nothing at the path, or nothing that can be read.
    """
    shown = findings.shown(path)
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a path as the user gave it
        if stat.S_ISDIR(mode):
            _folder(path, findings, progress)
            return
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            raise InputError(f"{shown} is neither a file nor a folder")
        why = _file(path, findings, progress)
    except LedgerError as error:
        raise InputError(findings.redactor.text(str(error))) from error
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise InputError(f"{shown}: {_cause(error)}") from error
    if why is not None:
        raise InputError(f"{shown} {why}; give a ledger, OTLP JSON or text (plain or gzipped), or a folder")


def audit_stream(stream: BinaryIO, findings: Findings, *, progress: Progress = silent) -> None:
    """Look through a stream, OTLP JSON or text, plain or gzip.

    Args:
        stream: opened for reading bytes.
        findings: receives what is found, under the name ``-``.
        progress: is told how far it is.

    Raises:
        InputError: what comes is no text, or is damaged.
    """
    try:
        why = _unpacked(_buffered(stream), "-", findings, progress, 0)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"-: {_cause(error)}") from error
    if why is not None:
        raise InputError(f"what comes from stdin {why}; give OTLP JSON or text, plain or gzipped")


def is_ledger(path: str) -> bool:
    """Whether a file is a ledger of ours."""
    with open(path, "rb") as file:  # noqa: PTH123 - a path as the user gave it
        head = file.read(100)
    if head and not head.startswith(_SQLITE):
        return False
    return _is_ours(head) or _log_is_ours(beside(path, "-wal"))


def _is_ours(page: bytes) -> bool:
    """Whether the first page of a database says that it is a ledger."""
    return len(page) >= 72 and int.from_bytes(page[68:72], "big") == APPLICATION_ID


def _log_is_ours(path: str) -> bool:
    """The same by the write-ahead log: of a new ledger in use, its first page may be only there."""
    try:
        with open(path, "rb") as log:  # noqa: PTH123 - beside a path as the user gave it
            head = log.read(32)
            size = int.from_bytes(head[8:12], "big")
            if not head.startswith(_WALS) or not 512 <= size <= 65_536:
                return False
            for frame in range(_MOST_FRAMES):
                log.seek(32 + frame * (24 + size))
                if int.from_bytes(log.read(24)[:4], "big") == 1 and _is_ours(log.read(100)):
                    return True
    except OSError:
        pass
    return False


def _cause(error: BaseException) -> str:
    if isinstance(error, _TooLargeError):
        return str(error)
    if isinstance(error, (EOFError, zlib.error, gzip.BadGzipFile)):
        return f"ends early or is damaged ({type(error).__name__})"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _folder(folder: str, findings: Findings, progress: Progress) -> None:
    def unreadable(error: OSError) -> None:
        findings.unread.append((findings.shown(str(error.filename)), _cause(error)))

    for base, inner, names in os.walk(folder, onerror=unreadable):
        inner.sort()
        for name in inner:
            _name(os.path.join(base, name), name, findings)  # noqa: PTH118 - as os.walk gives it
        for name in sorted(names):
            path = os.path.join(base, name)  # noqa: PTH118 - as os.walk gives it
            _name(path, name, findings)
            try:
                if not stat.S_ISREG(os.lstat(path).st_mode):
                    why: str | None = "is no regular file"
                elif _is_side_file(path):
                    continue  # read with the ledger that it belongs to
                else:
                    why = _file(path, findings, progress)
            except LedgerError as error:
                findings.unread.append((findings.shown(path), findings.redactor.text(str(error))))
                continue
            except (OSError, ValueError, EOFError, zlib.error) as error:
                findings.unread.append((findings.shown(path), _cause(error)))
                continue
            if why is not None:
                findings.skipped.append((findings.shown(path), why))


def _name(path: str, name: str, findings: Findings) -> None:
    """File names hold secrets, too."""
    from spantally.audit.hits import find_hits

    findings.add(path, "file name", None, find_hits(findings.redactor, name, "path")[1])


def _is_side_file(path: str) -> bool:
    base = next((path.removesuffix(end) for end in _SIDES if path.endswith(end)), None)
    return base is not None and Path(base).is_file() and is_ledger(base)


def _file(path: str, findings: Findings, progress: Progress) -> str | None:
    """Look through one file; returns why there is nothing to look through."""
    if stat.S_ISREG(os.stat(path).st_mode) and is_ledger(path):  # noqa: PTH116
        audit_ledger(path, findings, progress=progress)
        return None
    size = os.stat(path).st_size  # noqa: PTH116
    with io.BufferedReader(io.FileIO(path), BUFFER) as stream:
        return _unpacked(stream, path, findings, progress, size)


def _buffered(stream: BinaryIO) -> io.BufferedReader[Any]:
    if isinstance(stream, io.BufferedReader):
        return stream
    return io.BufferedReader(cast("io.RawIOBase", stream), BUFFER)


def _unpacked(
    stream: io.BufferedReader[Any],
    name: str,
    findings: Findings,
    progress: Progress,
    size: int,
    depth: int = 0,
) -> str | None:
    if depth and stream.peek(16).startswith(_SQLITE):
        return "is a packed database; if it is a ledger, unpack it and audit what comes out"
    if stream.peek(2)[:2] != _GZIP:
        return _plain(stream, name, findings, progress, size)
    if depth == MOST_PACKED:
        return f"is packed more than {MOST_PACKED} times"
    packed = _Packed(stream, MOST_WITHIN if depth else None)
    with io.BufferedReader(packed, BUFFER) as plain:
        damaged = packed.is_damaged(plain)
        why = None if damaged else _unpacked(plain, name, findings, progress, 0, depth + 1)
    if packed.error is not None:
        raise packed.error
    return why


class _Packed(io.RawIOBase):
    """What a gzip file holds, up to where it is damaged: a log that is being written ends early."""

    def __init__(self, stream: io.BufferedReader[Any], most: int | None) -> None:
        self._file = gzip.GzipFile(fileobj=stream)
        self._left = most
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        filled = 0
        try:
            while filled < len(buffer) and (data := self._file.read1(len(buffer) - filled)):
                buffer[filled : filled + len(data)] = data
                filled += len(data)
        except (OSError, EOFError, zlib.error) as error:
            self.error = error
        return filled if self._left is None else self._counted(filled)

    def _counted(self, filled: int) -> int:
        assert self._left is not None
        if filled > self._left:
            self.error = _TooLargeError(
                f"holds more than {MOST_WITHIN >> 30} GiB, packed twice; unpack it and audit what comes out"
            )
            filled = self._left
        self._left -= filled
        return filled

    def is_damaged(self, plain: io.BufferedReader[Any]) -> bool:
        """Whether nothing can be read at all."""
        return not plain.peek(1) and self.error is not None


def _plain(
    stream: io.BufferedReader[Any], name: str, findings: Findings, progress: Progress, size: int
) -> str | None:
    first = stream.peek(BUFFER)
    if first.startswith(_SQLITE):
        return "is a database, and no ledger"
    if first.startswith(_WALS) or (b"\0" in first and not first.startswith(_BOMS)):
        return "is binary"
    findings.read += 1
    shown = findings.shown(name)
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress(shown, done, size)

    bare = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if bare[:1] in (b"{", b"[") and any(mark in first for mark in MARKS):
        _otlp(stream, name, findings, tell)
    else:
        audit_text(stream, name, findings, progress=tell)
    progress(shown, done, done)
    return None


def _otlp(stream: io.BufferedReader[Any], name: str, findings: Findings, tell: Any) -> None:
    """OTLP JSON, one export request a line or one document; what is neither is read as text."""
    held = b""
    number = 0
    by_line = False
    for line in _lines(stream):
        number += 1
        tell(len(line))
        if not line.strip():
            continue
        document = _parsed(line)
        if document is not None:
            by_line = True
            audit_document(document, _text(line), name, f"line {number}", findings)
            continue
        if by_line and line.endswith(b"\n"):
            audit_text(io.BytesIO(line), name, findings, first_line=number)
            continue
        held = line + stream.read(LARGEST_DOCUMENT - len(line))
        tell(len(held) - len(line))
        break
    if not held:
        return
    document = None if len(held) >= LARGEST_DOCUMENT else _parsed(held)
    if document is not None:
        audit_document(document, _text(held), name, f"line {number}", findings)
        return
    both = io.BufferedReader(_Chained(held, stream), BUFFER)
    audit_text(both, name, findings, first_line=number, progress=tell)


def _lines(stream: io.BufferedReader[Any]) -> Iterator[bytes]:
    while line := stream.readline(LONGEST_LINE):
        yield line


def _parsed(line: bytes) -> Any:
    """The object or array of a JSON text; None for any other text."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if type(value) in (dict, list) else None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


class _Chained(io.RawIOBase):
    """Bytes, and then a stream."""

    def __init__(self, first: bytes, stream: io.BufferedReader[Any]) -> None:
        self._first = io.BytesIO(first)
        self._stream = stream

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next."""
        data = self._first.read(len(buffer)) or self._stream.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)
