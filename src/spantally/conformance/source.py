"""Bytes of a file to spans and events: lines of JSON or one document, plain or gzip."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

from spantally.conformance.otlp import Batch, Unusable, empty_batch, read_document

_GZIP: Final = b"\x1f\x8b"


def read_file(stream: IO[bytes]) -> Batch:
    """Every span and event of an input, and what of it could not be read.

    One export request a line, as the Collector's file exporter writes, is read line by line; anything that
    does not begin with a whole JSON value on its first line is read as one document.

    Args:
        stream: opened for reading bytes; gzip is told by its first two bytes.
    """
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_Raw(stream))
    packed = buffered.peek(2)[:2] == _GZIP
    plain: Iterable[bytes] = gzip.GzipFile(fileobj=buffered) if packed else buffered
    found = empty_batch()
    try:
        for batch in _batches(plain):
            found.extend(batch)
    except (OSError, EOFError, zlib.error) as error:
        found.unusable.append(Unusable(f"the input ends early or is damaged: {error}"))
    return found


class _Raw(io.RawIOBase):
    """A stream that only reads, for a buffer to stand before it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _batches(stream: Iterable[bytes]) -> Iterator[Batch]:
    first = True
    for number, raw in enumerate(stream, 1):
        text = raw.strip()
        if not text:
            continue
        document = _parse(text)
        if first and isinstance(document, Unusable) and text[:1] in (b"{", b"["):
            yield from _whole(raw, stream, number)
            return
        first = False
        yield _read(document, number)


def _whole(first: bytes, stream: Iterable[bytes], number: int) -> Iterator[Batch]:
    """One document over all lines; where it is none, its lines one by one."""
    lines = [first, *stream]
    document = _parse(b"".join(lines))
    if not isinstance(document, Unusable):
        yield _read(document, None)
        return
    for index, raw in enumerate(lines):
        if raw.strip():
            yield _read(_parse(raw), number + index)


def _read(document: Any, line: int | None) -> Batch:
    if isinstance(document, Unusable):
        return Batch([], [], [document._replace(line=line)])
    return read_document(document, line)


def _parse(text: bytes) -> Any:
    """The JSON value, or Unusable."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return Unusable(f"is no JSON: {error}")
