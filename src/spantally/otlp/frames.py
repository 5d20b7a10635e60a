"""Framed messages: each behind its length in four bytes, as JSON or protobuf, packed by zstd or not."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import IO, Any, Final, cast

from spantally.otlp.read import Unusable

ZSTD: Final = b"\x28\xb5\x2f\xfd"
"""How a frame of zstd begins."""

_LENGTH: Final = struct.Struct(">I")
_PIECE: Final = 1 << 16
_REQUESTS: Final = (
    ("opentelemetry.proto.collector.trace.v1.trace_service_pb2", "ExportTraceServiceRequest"),
    ("opentelemetry.proto.collector.logs.v1.logs_service_pb2", "ExportLogsServiceRequest"),
    ("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2", "ExportMetricsServiceRequest"),
)


class DamagedError(Exception):
    """The input is no longer what its beginning says; nothing after this place can be found."""


class TruncatedError(DamagedError):
    """The input ends within a message: somebody may still be writing it."""


class MissingError(Exception):
    """A package that reading the input takes is not installed; the text names it."""


def _zstd() -> Any:
    """The module for zstd: the standard library's from Python 3.14 on, else ``zstandard``."""
    for name in ("compression.zstd", "zstandard"):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise MissingError("the input is packed by zstd: install it with pip install zstandard, or unpack it")


def unpacked(stream: IO[bytes]) -> io.RawIOBase:
    """A stream of what a file that is packed by zstd as a whole holds.

    Raises:
        MissingError: nothing here can unpack it.
    """
    module = _zstd()
    if module.__name__ == "zstandard":
        reader = module.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
        return _Translated(reader, module.ZstdError)
    return _Translated(module.ZstdFile(stream), module.ZstdError)


def _unpack_message(data: bytes, most: int) -> bytes:
    module = _zstd()
    try:
        if module.__name__ == "zstandard":
            reader: Any = module.ZstdDecompressor().stream_reader(data, read_across_frames=True)
        else:
            reader = module.ZstdFile(io.BytesIO(data))
        return cast("bytes", reader.read(most + 1))
    except module.ZstdError as error:
        raise ValueError(f"is damaged: {error}") from error


class _Translated(io.RawIOBase):
    """A reader whose errors are those that a damaged input has."""

    def __init__(self, inner: Any, kind: type[Exception]) -> None:
        self._inner = inner
        self._kind = kind

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next."""
        try:
            data = self._inner.read(min(len(buffer), _PIECE))
        except self._kind as error:
            raise DamagedError(str(error)) from error
        buffer[: len(data)] = data
        return len(data)


def documents(stream: IO[bytes], longest: int) -> Iterator[Any]:
    """The messages as documents of OTLP JSON; an Unusable for one that cannot be read.

    Args:
        stream: stands before the first length.
        longest: bytes of one message.

    Raises:
        DamagedError: a length that cannot be one.
        TruncatedError: an end within a message.
        MissingError: a package that is needed is not there.
    """
    parse: Callable[[bytes], Any] | None = None
    while head := stream.read(4):
        if len(head) < 4:
            raise TruncatedError("it ends within the length of a message")
        (size,) = _LENGTH.unpack(head)
        if size > longest:
            raise DamagedError(f"a message would be {size:,} bytes long; at most {longest:,} are read")
        data = stream.read(size)
        if len(data) < size:
            raise TruncatedError("it ends within a message")
        try:
            if data[:4] == ZSTD:
                data = _unpack_message(data, longest)
                if len(data) > longest:
                    yield Unusable(f"is longer than {longest:,} bytes when unpacked")
                    continue
            if data.lstrip()[:1] == b"{":
                yield json.loads(data)
                continue
            parse = parse or _protobuf()
            yield parse(data)
        except (ValueError, RecursionError) as error:
            yield Unusable(f"cannot be read: {error}")


def _protobuf() -> Callable[[bytes], Any]:
    """From the bytes of a request to its JSON; which of the signals it is of, its fields tell."""
    try:
        from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

        kinds = [getattr(import_module(module), name) for module, name in _REQUESTS]
    except ImportError:
        raise MissingError(
            "the input is protobuf: install what reads it with pip install 'spantally[otlp]', "
            "or let the exporter write format: json"
        ) from None

    def parse(data: bytes) -> Any:
        best: Any = None
        for kind in kinds:
            message = kind()
            try:
                message.ParseFromString(data)
            except DecodeError:
                continue
            if best is None or _unknown(message) < _unknown(best):
                best = message
        if best is None:
            raise ValueError("is neither JSON nor an OTLP request in protobuf")
        return MessageToDict(best)

    return parse


def _unknown(message: Any) -> int:
    """How many fields the message does not know: those of another signal it does not."""
    from google.protobuf.unknown_fields import UnknownFieldSet  # type: ignore[import-untyped]

    count = 0

    def walk(one: Any, depth: int) -> None:
        nonlocal count
        count += len(UnknownFieldSet(one))
        if depth:
            for descriptor, value in one.ListFields():
                if descriptor.message_type is not None:
                    repeated = not hasattr(value, "ListFields")
                    for inner in value if repeated else (value,):
                        walk(inner, depth - 1)

    walk(message, 4)
    return count
