"""Undoing the content encoding of a body that is read piece by piece, in bounded memory."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

_PIECE: Final = 1 << 16
"""Bytes that are given out at once, however well they were compressed."""

_SLICE: Final = 128
"""Bytes of zstd that are decoded at once: each may become tens of thousands."""

_PLAIN: Final = frozenset({"", "identity"})
_GZIP: Final = frozenset({"gzip", "x-gzip"})


class Decoder:
    """Decodes gzip (of any number of members), deflate (with and without a zlib header), brotli and zstd.

    Brotli and zstd where one of the packages is there that HTTP libraries ask servers for them with.
    """

    __slots__ = ("_encoding", "_inflate", "_zstd", "readable")

    def __init__(self, content_encoding: str | None = None) -> None:
        self._encoding = (content_encoding or "").strip().lower()
        self._inflate: Any = None
        self._zstd: Any = None
        self.readable = self._encoding in _PLAIN | _GZIP | {"deflate"}
        """False for an encoding that is not known, and from the first byte on that does not decode."""
        if self._encoding == "br":
            brotli = _first("brotli", "brotlicffi")
            if brotli is not None:
                self._inflate = brotli.Decompressor()
                self.readable = True
        elif self._encoding == "zstd":
            self._zstd = _first("zstandard")
            self.readable = self._zstd is not None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded bytes of the next piece, in pieces of at most 64 KiB where they were compressed."""
        if not self.readable:
            return
        if self._encoding in _PLAIN:
            yield data
            return
        if self._encoding == "br":
            yield from self._unbrotli(data)
            return
        if self._encoding == "zstd":
            yield from self._unzstd(data)
            return
        while data:
            inflate = self._inflate
            if inflate is None:
                inflate = self._inflate = zlib.decompressobj(self._window(data))
            try:
                piece = inflate.decompress(data, _PIECE)
            except zlib.error:
                self.readable = False
                return
            if piece:
                yield piece
            if inflate.eof:
                data = inflate.unused_data if self._encoding in _GZIP else b""
                self._inflate = None
                # What follows the end of a deflate stream, and padding after gzip, is not data.
                if self._encoding not in _GZIP or data[:1] == b"\0":
                    self.readable = False
                    return
            else:
                data = inflate.unconsumed_tail

    def _unbrotli(self, data: bytes) -> Iterator[bytes]:
        process = getattr(self._inflate, "process", None) or self._inflate.decompress
        try:
            piece = process(data, output_buffer_limit=_PIECE)
            while piece:
                yield piece
                piece = process(b"", output_buffer_limit=_PIECE)
        except Exception:  # of two packages, and a version of one that knows no limit
            self.readable = False

    def _unzstd(self, data: bytes) -> Iterator[bytes]:
        """Of any number of frames; a little goes in at once, since no limit can be set to what comes out."""
        try:
            for start in range(0, len(data), _SLICE):
                rest = data[start : start + _SLICE]
                while rest:
                    if self._inflate is None:
                        self._inflate = self._zstd.ZstdDecompressor().decompressobj()
                    made = self._inflate.decompress(rest)
                    for at in range(0, len(made), _PIECE):
                        yield made[at : at + _PIECE]
                    rest = b""
                    if self._inflate.eof:
                        rest, self._inflate = self._inflate.unused_data, None
        except Exception:
            self.readable = False

    def _window(self, data: bytes) -> int:
        if self._encoding in _GZIP:
            return 31
        # A zlib header begins with method 8; servers that send raw deflate under this name are common.
        return 15 if data[0] & 0x0F == 8 else -15


def _first(*names: str) -> ModuleType | None:
    """The first of these modules that is there."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            pass
    return None
