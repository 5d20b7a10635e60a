"""Streams of bytes through the sieve: decoded so that what is clean comes out as the same bytes."""

from __future__ import annotations

import codecs
import os
import re
import select
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from spantally.audit.findings import Findings
from spantally.audit.sieve import PIECE, Sieve, Sifted

PAUSE_SECONDS: Final = 0.02
"""A writer that is silent for so long has paused: what it wrote so far goes on."""

_SINGLE_BYTES: Final = re.compile(rb"[\t -~]{24}")
"""Hardly ever within UTF-16: a dozen characters in a row, both bytes of each a letter, digit or sign."""

_BOMS: Final = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Coder:
    """Bytes to text and back, without loss: UTF-8 unless the first bytes say UTF-16."""

    def __init__(self, first: bytes) -> None:
        """Choose the encoding.

        Args:
            first: the beginning of the input, two bytes at least where there are as many.
        """
        marked = next((name for mark, name in _BOMS if first.startswith(mark)), "utf-8")
        # The mark may be the beginning of anything: read as UTF-16, what is none has no secrets.
        self.encoding = "utf-8" if _SINGLE_BYTES.search(first) else marked
        self._errors = "surrogateescape" if self.encoding == "utf-8" else "surrogatepass"
        self._decoder = codecs.getincrementaldecoder(self.encoding)(
            self._errors if self.encoding == "utf-8" else "replace"
        )

    def decode(self, data: bytes, *, last: bool = False) -> str:
        """The next piece of text."""
        return self._decoder.decode(data, last)

    def encode(self, text: str) -> bytes:
        """Its bytes."""
        return text.encode(self.encoding, self._errors)


def pieces(read: Callable[[], bytes]) -> Iterator[bytes]:
    """What ``read`` gives until it gives nothing; the first piece has two bytes, where there are as many."""
    first = read()
    while len(first) == 1 and (further := read()):
        first += further
    while first:
        yield first
        first = read()


def redact_stream(source: int, sink: Callable[[bytes], object], findings: Findings) -> None:
    """Copy a stream without its secrets, line by line as it comes.

    Args:
        source: descriptor to read from.
        sink: takes what may pass, at once.
        findings: receives what was replaced.
    """
    sieve = Sieve(findings.redactor)
    coder: Coder | None = None

    def let_through(sifted: Sifted) -> None:
        for line, hit in sifted.hits:
            findings.add("-", f"line {line}", None, [hit])
        if sifted.text and coder is not None:
            sink(coder.encode(sifted.text))

    for data in pieces(lambda: os.read(source, PIECE)):
        if coder is None:
            coder = Coder(data)
        text = coder.decode(data)
        let_through(sieve.feed(text, more=_more(source)))
    if coder is not None:
        let_through(sieve.feed(coder.decode(b"", last=True), more=True))
    let_through(sieve.finish())


def _more(source: int) -> bool:
    """Whether more can be read without waiting long; the end counts as more, and is read next."""
    try:
        return bool(select.select([source], [], [], PAUSE_SECONDS)[0])
    except (OSError, ValueError):
        return False  # Windows asks this of sockets only


def audit_text(
    stream: BinaryIO,
    name: str,
    findings: Findings,
    *,
    first_line: int = 1,
    progress: Callable[[int], object] = lambda _size: None,
) -> None:
    """Look through text, however long its lines are.

    Args:
        stream: opened for reading bytes.
        name: what findings call it.
        findings: receives what is found.
        first_line: number of its first line.
        progress: is told the number of bytes read since it was last told.
    """
    sieve = Sieve(findings.redactor)
    coder: Coder | None = None

    def note(sifted: Sifted) -> None:
        for line, hit in sifted.hits:
            findings.add(name, f"line {first_line + line - 1}", None, [hit])

    for data in pieces(lambda: stream.read(PIECE)):
        if coder is None:
            coder = Coder(data)
        note(sieve.feed(coder.decode(data), more=True))
        progress(len(data))
    note(sieve.finish())
