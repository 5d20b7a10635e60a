"""Results of a batch: when the program downloads the file, each line's usage becomes a row of its own.

The file is read on the worker thread, line by line. A row's id is made from the line's own id, so that a file
that is downloaded twice counts once. Rows are marked as of a batch, which is billed at rates of its own.

What agents of a provider ask a model, as the events of their sessions tell it, becomes rows in the same way.
"""

from __future__ import annotations

import functools
import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from opentelemetry.context import Context

from spantally.calls import pipeline
from spantally.calls.operation import Operation
from spantally.ground.guard import swallowed
from spantally.ground.records import Status
from spantally.ground.scope import Scope, current_scope
from spantally.instrumentors.stainless.wire.encoding import Decoder

MAX_LINE: Final = 8 * 1024 * 1024
"""Longest line that is read, in bytes."""

MAX_SEEN: Final = 100_000
"""Lines that are remembered as counted; the ledger knows the others by their ids."""

MAX_AGE_NS: Final = 30 * 86_400 * 1_000_000_000
"""An answer that says it is older was dated by a clock that is wrong."""

_seen: Final[OrderedDict[str, None]] = OrderedDict()
_lock: Final = threading.Lock()


_BATCH: Final[Mapping[str, Any]] = {"batch": True}


class BatchLine(NamedTuple):
    """One answer that was billed and that another request tells of: a line of a batch, mostly."""

    key: str
    """The same at every reading of the file: 32 hex digits."""
    operation: Any
    """What kind of operation it is, by the SDK's own table."""
    facts: Any
    """Of the answer."""
    created_s: float | None
    """When it was made, in UNIX seconds."""
    ended_s: float | None = None
    """When it was complete, where its making took a time that is told."""
    context: Mapping[str, Any] = _BATCH
    """What else chooses the rate."""
    status: Status | None = None
    """How it ended; None where the facts tell it."""
    estimated: bool = False
    """True where its usage is an estimate."""


def parsed_line(line: bytes) -> Any:
    """A line of results; None where it is none or cannot be read."""
    if not line.startswith(b"{") or len(line) > MAX_LINE:
        return None
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def line_key(*ids: str) -> str:
    """The key of a line that these ids tell from all others."""
    return hashlib.sha256("\n".join(("batch", *ids)).encode()).hexdigest()[:32]


class Facts(Protocol):
    """What knows the facts of one SDK's answers."""

    def add_price_facts(self, context: dict[str, Any], facts: Any) -> None:
        """Put what chooses the rate into a price context."""


class Reader(Facts, Protocol):
    """What reads the lines of one SDK's files of results."""

    def is_line(self, line: bytes) -> bool:
        """True if a line is one of a results file; the first line tells what a file is."""

    def read_line(self, line: bytes, provider: str | None) -> BatchLine | None:
        """What a line bills; None for one that failed, bills nothing or cannot be read."""


class ResultLines:
    """Takes a downloaded file piece by piece; one that holds no results costs a look at its first line."""

    __slots__ = ("_decoder", "_operation", "_reader", "_rest", "_size", "_wanted")

    def __init__(self, operation: Operation, reader: Reader, content_encoding: str | None = None) -> None:
        self._operation = operation
        self._reader = reader
        self._decoder = Decoder(content_encoding)
        self._rest: list[bytes] = []
        self._size = 0
        self._wanted: bool | None = None

    def feed(self, data: bytes) -> None:
        """The next piece of the body as it came."""
        if self._wanted is False:
            return
        for piece in self._decoder.feed(data):
            if self._wanted is None and not self._rest and piece[:1] != b"{":
                self._wanted = False
            if self._wanted is False:
                return
            self._take(piece)

    def _take(self, piece: bytes) -> None:
        head, newline, tail = piece.rpartition(b"\n")
        if not newline:
            self._keep(tail)
            return
        whole = b"".join((*self._rest, head))
        self._rest, self._size = [], 0
        self._keep(tail)
        self._hand_over(whole)

    def _keep(self, rest: bytes) -> None:
        if rest:
            self._rest.append(rest)
            self._size += len(rest)
            if self._size > MAX_LINE:
                self._rest, self._wanted = [], False

    def _hand_over(self, whole: bytes) -> None:
        if self._wanted is None:
            self._wanted = self._reader.is_line(whole.partition(b"\n")[0])
        if self._wanted:
            hand_over(self._operation, self._reader, whole)

    def close(self) -> None:
        """The body has ended."""
        if self._wanted is not False and self._rest:
            self._hand_over(b"".join(self._rest))


def read_file(operation: Operation, reader: Reader, content: bytes) -> None:
    """Read a file that is in memory as a whole; one that is no file of results is left alone."""
    if content[:1] == b"{" and reader.is_line(content[: max(0, content.find(b"\n")) or MAX_LINE]):
        hand_over(operation, reader, content)


def hand_over(operation: Operation, reader: Reader, lines: bytes) -> None:
    """Give lines to the worker, under the scope that is in force inside the download."""
    scope = current_scope(operation.inner_context(Context()))
    if scope is not None:
        pipeline.late.put(_rows_of(operation, reader, scope, lines))


def _rows_of(operation: Operation, reader: Reader, scope: Scope, lines: bytes) -> Callable[[], None]:
    def read() -> None:
        for line in _split(lines):
            try:
                found = reader.read_line(line, operation.provider)
                if found is not None:
                    _add_new(operation, reader, scope, found)
            except Exception as error:
                swallowed("sdk.batch_line", error)

    return read


def hand_over_line(operation: Operation, reader: Facts, line: BatchLine) -> None:
    """Give one line that is read already to the worker, as :func:`hand_over` gives many."""
    scope = current_scope(operation.inner_context(Context()))
    if scope is not None:
        pipeline.late.put(functools.partial(_add_new, operation, reader, scope, line))


def _add_new(operation: Operation, reader: Facts, scope: Scope, line: BatchLine) -> None:
    if _is_new(line.key):
        _add_row(operation, reader, scope, line)


def _split(lines: bytes) -> Iterator[bytes]:
    """One line after the other, without a copy of the whole."""
    start = 0
    while start < len(lines):
        end = lines.find(b"\n", start)
        if end < 0:
            end = len(lines)
        yield lines[start:end].strip()
        start = end + 1


def _is_new(key: str) -> bool:
    with _lock:
        if key in _seen:
            return False
        _seen[key] = None
        if len(_seen) > MAX_SEEN:
            _seen.popitem(last=False)
        return True


def _add_row(download: Operation, reader: Facts, scope: Scope, line: BatchLine) -> None:
    """The row of one answer, beneath the download; it has no span: its request was made by nobody here."""
    facts, wire = line.facts, line.operation
    row = Operation(download.telemetry, wire.kind, wire.name, scope)
    row.call_id = line.key
    row.start_ns = _moment(line.created_s)
    row.parent_context = download.inner_context(Context())
    row.provider = download.provider
    row.request_model = row.response_model = facts.model
    row.response_id = facts.response_id
    row.usage = facts.usage
    row.usage_format = wire.usage_format
    row.server_address, row.server_port = download.server_address, download.server_port
    row.price_context = {**(download.price_context or {}), "api": wire.api, **line.context}
    reader.add_price_facts(row.price_context, facts)
    row.estimated = line.estimated
    status = line.status or (Status.OK if facts.error_type is None else Status.ERROR)
    end_ns = row.start_ns if line.ended_s is None else max(row.start_ns, _moment(line.ended_s))
    row.finish(status, error_type=facts.error_type, end_ns=end_ns)


def _moment(created_s: float | None) -> int:
    """When the answer was made, or now where that is not told or cannot be."""
    now = time.time_ns()
    made = int((created_s or 0) * 1_000_000_000)
    return made if now - MAX_AGE_NS < made <= now else now


def forget() -> None:
    """Forget which lines were counted (tests)."""
    with _lock:
        _seen.clear()
