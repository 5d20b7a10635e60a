"""Server-sent events in the raw bytes of a response, as they pass by.

Incremental, linear in the bytes, bounded in memory: an event longer than the limit is counted and left out.
Lines end in CR, LF or CRLF, wherever the pieces are cut.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from spantally.instrumentors.stainless.wire.encoding import Decoder

MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
"""Longest event that is read; the last one of a response repeats all of it."""

_BOM: Final = b"\xef\xbb\xbf"


class SseScanner:
    """Feeds on raw bytes and calls back with the JSON object of each event.

    Input never makes it raise; what the callback raises passes through :meth:`feed`.

    Attributes:
        dropped: events left out because they were longer than the limit.
        malformed: events whose data was neither a JSON object nor ``[DONE]``.
    """

    __slots__ = (
        "_after_cr",
        "_data",
        "_decoder",
        "_limit",
        "_name",
        "_on_event",
        "_rest",
        "_rest_size",
        "_size",
        "_start",
        "_too_long",
        "dropped",
        "malformed",
    )

    def __init__(
        self,
        on_event: Callable[[dict[str, Any]], object],
        *,
        content_encoding: str | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        """Make a scanner.

        Args:
            on_event: called with the parsed data of each event; where the data has no ``type``, the event's
                name is put there.
            content_encoding: the response's header: gzip, deflate or none.
            max_event_bytes: longest event that is read.
        """
        self._on_event = on_event
        self._decoder = Decoder(content_encoding)
        self._limit = max_event_bytes
        self._rest: list[bytes] = []
        self._rest_size = 0
        self._after_cr = False
        self._start = True
        self._data: list[bytes] = []
        self._size = 0
        self._name = b""
        self._too_long = False
        self.dropped = 0
        self.malformed = 0

    @property
    def readable(self) -> bool:
        """False once the bytes cannot be read: an unknown or broken content encoding."""
        return self._decoder.readable

    def feed(self, data: bytes) -> None:
        """Read the next piece of the body."""
        for piece in self._decoder.feed(data):
            self._scan(piece)

    def close(self) -> None:
        """The body has ended: an event without its closing blank line still counts if it is whole JSON."""
        if self._rest:
            line = b"".join(self._rest)
            self._rest = []
            self._rest_size = 0
            self._line(line)
        self._dispatch(complete=False)

    def _scan(self, data: bytes) -> None:
        if self._after_cr and data:
            self._after_cr = False
            if data[:1] == b"\n":
                data = data[1:]
        if not data:
            return
        lines = data.splitlines(keepends=True)
        last = lines[-1]
        whole = last.endswith((b"\n", b"\r"))
        self._after_cr = last.endswith(b"\r")
        if not whole:
            lines.pop()
        for line in lines:
            content = line.rstrip(b"\r\n")
            if self._rest:
                self._rest.append(content)
                content = b"".join(self._rest)
                self._rest = []
                self._rest_size = 0
            self._line(content)
        if not whole:
            self._keep(last)

    def _keep(self, piece: bytes) -> None:
        """Keep the beginning of a line until its end comes; of one that is too long only the field name."""
        if self._rest_size + self._size > self._limit:
            self._too_long = True
            if self._rest:
                self._rest = [self._rest[0][:16]]
            return
        self._rest.append(piece)
        self._rest_size += len(piece)

    def _line(self, line: bytes) -> None:
        if self._start:
            self._start = False
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(complete=True)
        elif line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._size += len(value) + 1
            if self._size > self._limit:
                self._too_long = True
            if self._too_long:
                self._data = []
            else:
                self._data.append(value)
        elif line.startswith(b"event:"):
            self._name = line[6:].strip()[:128]
        elif line == b"data":
            self._data.append(b"")
            self._size += 1

    def _dispatch(self, *, complete: bool) -> None:
        data, name, too_long = self._data, self._name, self._too_long
        self._data = []
        self._size = 0
        self._name = b""
        self._too_long = False
        if too_long:
            self.dropped += 1
            return
        if not data:
            return
        payload = data[0] if len(data) == 1 else b"\n".join(data)
        if payload.startswith(b"[DONE]"):
            return
        try:
            event = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            event = None
        if type(event) is not dict:
            self.malformed += complete
            return
        if name and "type" not in event:
            event["type"] = name.decode("utf-8", "replace")
        self._on_event(event)
