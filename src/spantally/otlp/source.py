"""Bytes of a file to documents of OTLP: lines of JSON, one document, or framed messages, plain or packed.

The Collector's file exporter writes one request a line as JSON; told to compress or to write protobuf, it
puts the length of each message in four bytes before it. Whoever rotates files packs them whole. All of it is
told by the first bytes, and read with no more in memory than one line or message.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final, cast

from spantally.otlp import frames
from spantally.otlp.read import Batch, Unusable, empty_batch, read_document

LONGEST_LINE: Final = 64 << 20
"""Bytes of one line, or of one document over several: what is longer is told and left out."""

_BEGUN: Final = re.compile(r"\s*(?:t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?|[-+.eE\d]{0,9}|\\?u?[\da-fA-F]{0,4})")
"""What may be left where a text ends within JSON: nothing, or the beginning of a number, word or escape."""

_HALF: Final = re.compile(
    rb"\\u[dD][89abAB][\da-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][\da-fA-F]{2})\\u[dD][c-fC-F]|\xed[\xa0-\xbf]"
)
"""Half of a surrogate pair, escaped or not: what is left where somebody cut a text in the middle of one."""

_NEXT: Final = re.compile(r"\s*(?=[{\[])")
"""Between two documents that stand one behind the other."""

_AGAIN: Final = re.compile(r"\n(?=[{\[])")
"""Where documents may go on after something that is none."""

_MOST_PACKED: Final = 4
"""How often an input may be packed: whoever rotates files may pack what the Collector packed already."""
_GZIP: Final = b"\x1f\x8b"
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BUFFER: Final = 1 << 18


class Input:
    """One input, read document by document.

    Attributes:
        lines: lines (or framed messages) read so far, blank ones left out.
    """

    def __init__(self, stream: IO[bytes], *, longest: int = LONGEST_LINE) -> None:
        """Stand before a stream.

        Args:
            stream: opened for reading bytes.
            longest: bytes of one line or document.
        """
        self.lines = 0
        self._longest = longest
        self._stream: io.BufferedReader[Any] = (
            stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_Raw(stream), _BUFFER)
        )

    def batches(self) -> Iterator[Batch]:
        """What each document holds, in order; what cannot be read is told in the place where it stands."""
        try:
            yield from self._batches()
        except (EOFError, frames.TruncatedError) as error:
            yield _only(Unusable(f"the input ends early or is damaged: {error}", unfinished=True))
        except (OSError, zlib.error, frames.DamagedError) as error:
            yield _only(Unusable(f"the input is damaged, nothing after that can be read: {error}"))
        except frames.MissingError as error:
            yield _only(Unusable(str(error)))

    def _batches(self) -> Iterator[Batch]:
        stream = self._stream
        for _ in range(_MOST_PACKED):
            head = stream.peek(4)[:4]
            if head[:2] == _GZIP:
                stream = io.BufferedReader(cast("Any", gzip.GzipFile(fileobj=stream, mode="rb")), _BUFFER)
            elif head == frames.ZSTD:
                stream = io.BufferedReader(frames.unpacked(stream), _BUFFER)
            else:
                break
        head = stream.peek(3)[:3]
        if head == codecs.BOM_UTF8:
            stream.read(3)
        elif head[:2] in _UTF16:  # what a shell on Windows makes of an output
            stream = io.BufferedReader(_Recoded(stream), _BUFFER)
        if stream.peek(1)[:1] == b"\0":  # no JSON begins so, and any message of less than 16 MB does
            yield from self._framed(stream)
        else:
            yield from self._by_line(stream)

    def _framed(self, stream: io.BufferedReader[Any]) -> Iterator[Batch]:
        for number, document in enumerate(frames.documents(stream, self._longest), 1):
            self.lines += 1
            yield _read(document, number)

    def _by_line(self, stream: io.BufferedReader[Any]) -> Iterator[Batch]:
        first = True
        number = 0
        for raw in self._lines(stream):
            number += 1
            if isinstance(raw, Unusable):
                self.lines += 1
                first = False
                yield _only(raw._replace(line=number))
                continue
            text = raw.strip()
            if not text:
                continue
            self.lines += 1
            documents = _parse(text)
            if first and isinstance(documents[0], Unusable) and text[:1] in (b"{", b"["):
                yield from self._whole(raw, stream, number)
                return
            first = False
            for document in documents:
                yield _read(_at_end(document, raw), number)

    def _lines(self, stream: io.BufferedReader[Any]) -> Iterator[bytes | Unusable]:
        while raw := stream.readline(self._longest + 1):
            if len(raw) <= self._longest:
                yield raw
                continue
            size = len(raw)
            while raw and not raw.endswith(b"\n"):
                raw = stream.readline(_BUFFER)
                size += len(raw)
            yield Unusable(f"is {size:,} bytes long; at most {self._longest:,} are read")

    def _whole(self, first: bytes, stream: io.BufferedReader[Any], number: int) -> Iterator[Batch]:
        """Documents over several lines; where the first is none, the lines one by one."""
        lines = [first]
        size = len(first)
        for raw in self._lines(stream):
            if isinstance(raw, Unusable) or size + len(raw) > self._longest:
                yield _only(
                    Unusable(
                        f"begins a document of more than {self._longest:,} bytes; write one request a line",
                        number,
                    )
                )
                return
            lines.append(raw)
            size += len(raw)
        documents = _parse(b"".join(lines))
        if not isinstance(documents[0], Unusable):
            self.lines += len(documents) - 1
            for document in documents:
                yield _read(_at_end(document, lines[-1]), None)
            return
        for index, raw in enumerate(lines):
            if raw.strip():
                self.lines += index > 0
                for document in _parse(raw):
                    yield _read(_at_end(document, raw), number + index)


def read_batches(stream: IO[bytes]) -> Iterator[Batch]:
    """What each document of an input holds, in order.

    Args:
        stream: opened for reading bytes.
    """
    return Input(stream).batches()


def read_file(stream: IO[bytes]) -> Batch:
    """Every span and event of an input, and what of it could not be read.

    Args:
        stream: opened for reading bytes.
    """
    found = empty_batch()
    for batch in read_batches(stream):
        found.extend(batch)
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


class _Recoded(io.RawIOBase):
    """A stream of UTF-16 as UTF-8."""

    def __init__(self, stream: io.BufferedReader[Any]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self._waiting = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next."""
        while not self._waiting:
            data = self._stream.read1(_BUFFER)
            self._waiting = self._decoder.decode(data, not data).encode("utf-8", "replace")
            if not data:
                break
        count = min(len(buffer), len(self._waiting))
        buffer[:count], self._waiting = self._waiting[:count], self._waiting[count:]
        return count


def _only(piece: Unusable) -> Batch:
    return Batch([], [], [piece])


def _read(document: Any, line: int | None) -> Batch:
    if isinstance(document, Unusable):
        return _only(document._replace(line=line))
    return read_document(document, line)


def _parse(text: bytes) -> list[Any]:
    """The JSON values, hardly ever more than one; Unusable for what is none."""
    try:
        return [_characters(json.loads(text), text)]
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            return [_unusable(error)]
        return _values(error.doc, text)
    except UnicodeDecodeError as error:
        return [Unusable(f"is no JSON: {error}", unfinished=error.reason == "unexpected end of data")]
    except (ValueError, RecursionError) as error:
        return [_unusable(error)]


def _values(text: str, raw: bytes) -> list[Any]:
    """Values that stand one behind the other, as files do that somebody joined."""
    found: list[Any] = []
    decoder = json.JSONDecoder()
    place, end = 0, len(text.rstrip())
    while place < end:
        begun = _NEXT.match(text, place)
        try:
            if begun is None and found:
                raise json.JSONDecodeError("Extra data", text, place)
            value, place = decoder.raw_decode(text, place if begun is None else begun.end())
            found.append(_characters(value, raw))
        except (ValueError, RecursionError) as error:
            found.append(_unusable(error))
            again = _AGAIN.search(text, place + 1)
            if again is None:
                break
            place = again.end()
    return found


def _unusable(error: Exception) -> Unusable:
    """Unfinished where what is there could go on as JSON."""
    if not isinstance(error, json.JSONDecodeError):
        return Unusable(f"is no JSON: {error}")
    begun = error.msg.startswith("Unterminated string") or _BEGUN.fullmatch(error.doc, error.pos)
    return Unusable(f"is no JSON: {error}", unfinished=bool(begun) and error.msg != "Extra data")


def _characters(value: Any, text: bytes) -> Any:
    return _whole_characters(value) if _HALF.search(text) else value


def _whole_characters(value: Any) -> Any:
    """The value with a question mark for each half of a character, which no file and no terminal takes."""
    if type(value) is str:
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if type(value) is dict:
        return {_whole_characters(name): _whole_characters(one) for name, one in value.items()}
    return [_whole_characters(one) for one in value] if type(value) is list else value


def _at_end(document: Any, raw: bytes) -> Any:
    """What was parsed; of a last line that nobody ended, that the input ends within it where it does."""
    if not isinstance(document, Unusable):
        return document
    if document.unfinished and not raw.endswith(b"\n"):
        return Unusable("the input ends in the middle of this line", unfinished=True)
    return document._replace(unfinished=False)
