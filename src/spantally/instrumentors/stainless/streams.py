"""Watching streams: the SDK's iterator for chunks and usage, the response's bytes for every other end.

A stream ends in one of seven ways. Its iterator sees only exhaustion and errors, so the byte stream beneath
is watched too: its ``close`` is reached by ``break`` and ``close()``, by the end of a ``with`` block and by
collection. Whatever may run in a finaliser only notes the end in a deque.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, Final

from spantally.calls.beside import scan_beside
from spantally.ground.guard import counted, guard, swallowed
from spantally.instrumentors.stainless.call import SdkCall, parsed
from spantally.instrumentors.stainless.wire.encoding import Decoder
from spantally.instrumentors.stainless.wire.sse import SseScanner

MAX_RAW_BODY: Final = 8 * 1024 * 1024
"""Largest JSON body, in bytes, that is gathered when the program reads a response itself."""

_EVENTS: Final = (b"data:", b"event:", b"retry:", b"id: ", b": ")
"""What a body of events begins with."""

_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
"""What may stand before it: the mark of UTF-8, empty lines."""

_HEAD: Final = 6
"""Characters that tell events from JSON, and from all else."""

_MAX_HEAD: Final = 4096
"""Most bytes that are kept until they tell."""


def watch(call: SdkCall, inner: Iterator[Any]) -> Generator[Any, None, None]:
    """The SDK's iterator again, with its chunks noted; no context token is held over a yield."""
    call.watched = True
    observe, look = _observer(call)
    try:
        for chunk in inner:
            if not observe(chunk):
                yield chunk
            if look is not None:
                break
        # All but the first, where nothing is to be hidden: not a step beside the look itself.
        for chunk in inner:
            try:
                if look is not None:
                    look(chunk)
            except Exception as error:
                swallowed("sdk.chunk", error)
                look = _ignore
            yield chunk
    except GeneratorExit:
        _leave_early(call)
        raise
    except BaseException as error:
        _failed(call, error)
        raise
    _exhausted(call)


async def watch_async(call: SdkCall, inner: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """The same for an asynchronous iterator."""
    call.watched = True
    observe, look = _observer(call)
    try:
        async for chunk in inner:
            if not observe(chunk):
                yield chunk
            if look is not None:
                break
        # All but the first, where nothing is to be hidden: not a step beside the look itself.
        async for chunk in inner:
            try:
                if look is not None:
                    look(chunk)
            except Exception as error:
                swallowed("sdk.chunk", error)
                look = _ignore
            yield chunk
    except GeneratorExit:
        _leave_early(call)
        raise
    except BaseException as error:
        _failed(call, error)
        raise
    try:
        if call.collects:
            await scan_beside(call.operation.telemetry, _collected(call))
    finally:
        _exhausted(call)


def _collected(call: SdkCall) -> Any:
    try:
        return call.output_messages(call.stream_facts)
    except Exception as error:
        swallowed("sdk.collected", error)
        return None


def _exhausted(call: SdkCall) -> None:
    try:
        call.exhausted()
    except Exception as error:
        swallowed("sdk.stream_end", error)
        with guard("sdk.end"):
            call.operation.finish()


def _failed(call: SdkCall, error: BaseException) -> None:
    try:
        call.failed(error)
    except Exception as failure:
        swallowed("sdk.stream_end", failure)
        with guard("sdk.end"):
            call.operation.finish("error", error=error)


def _leave_early(call: SdkCall) -> None:
    """Note that a stream was left early; perhaps in a finaliser, so nothing is logged."""
    try:
        call.left_early()
    except Exception as error:
        counted("sdk.left", error)


def _observer(call: SdkCall) -> tuple[Callable[[Any], bool | None], Callable[[Any], None] | None]:
    """What looks at each chunk: the first gives the time; a failure ends the looking, not the stream.

    Returns:
        What to give the first chunk, and every one where the second is None; it answers True for the one
        that came because we asked for it, which the program is not to see. And what to give all others.
    """
    look: Callable[[Any], None] = _ignore
    try:
        facts = call.stream_facts
        if facts is None:
            facts = call.new_stream_facts()
            call.stream_facts = facts
        look = facts.observe
    except Exception as error:
        swallowed("sdk.chunk", error)
    first = True

    def observe(chunk: Any) -> None:
        nonlocal first, look
        try:
            if first:
                first = False
                call.operation.mark_first_chunk()
            look(chunk)
        except Exception as error:
            swallowed("sdk.chunk", error)
            look = _ignore

    if not call.hides_usage:
        return observe, look

    def observe_and_hide(chunk: Any) -> bool:
        observe(chunk)
        try:
            return call.is_extra(chunk)
        except Exception as error:
            swallowed("sdk.hide", error)
            return False

    return observe_and_hide, None


def _ignore(chunk: Any) -> None:
    return None


class _Bytes:
    """What the synchronous and the asynchronous byte stream share."""

    spantally_call: SdkCall
    _inner: Any
    _scan: Callable[[bytes], None] | None
    _scanner: SseScanner | None
    _lines: Any
    _gathered: list[bytes]
    _size: int
    _keeps: bool
    _head: bytes
    """What came of a body of which it is not known yet what it is."""

    def _begin(self, call: SdkCall, inner: Any, headers: Any) -> None:
        self.spantally_call = call
        self._inner = inner
        self._gathered = []
        self._size = 0
        self._keeps = False
        self._headers = headers
        self._scan = None
        self._scanner = None
        self._lines = None
        self._head = b""

    def _first(self) -> None:
        """Choose how to read the bytes, once it is known whether a Stream object of the SDK watches them."""
        call = self.spantally_call
        try:
            kind = self._headers.get("content-type", "").lower()
            encoding = self._headers.get("content-encoding")
            if call.watched:
                self._keeps = not encoding
                # Who asks for a stream may get a whole answer, of which the Stream object tells nothing.
                untold = encoding and "text/event-stream" not in kind
                self._scan = functools.partial(self._feed_whole, encoding if untold else None)
            elif call.wire.api == call.file_api:
                self._lines = call.file_lines(encoding)
                self._scan = self._lines.feed
            elif "text/event-stream" in kind:
                self._scan_events(encoding)
            else:
                self._scan = functools.partial(self._feed_untold, encoding, "json" in kind)
        except Exception as error:
            swallowed("sdk.bytes", error)

    def _scan_events(self, encoding: str | None) -> None:
        call = self.spantally_call
        facts = call.new_stream_facts()
        call.stream_facts = facts
        self._scanner = SseScanner(facts.observe, content_encoding=encoding)
        self._scan = functools.partial(self._feed_events, self._scanner.feed)

    def _feed_untold(self, encoding: str | None, is_json: bool, chunk: bytes) -> None:
        """The first pieces of a body whose type does not say events: some servers say nothing, or JSON."""
        self._head += chunk
        decoder = Decoder(encoding)
        head = b"".join(itertools.islice(decoder.feed(self._head), 1)) if self._head else b""
        start = head.lstrip(_BLANK)
        if len(start) < _HEAD and len(self._head) < _MAX_HEAD and decoder.readable:
            return  # cut within what tells
        seen, self._head, self._scan = self._head, b"", None
        if start.startswith(_EVENTS):
            self._scan_events(encoding)
        elif is_json or start[:1] == b"{":
            self._scan = functools.partial(self._gather, encoding)
        if self._scan is not None:
            self._scan(seen)

    def _feed_whole(self, encoding: str | None, chunk: bytes) -> None:
        """The first piece where a Stream object reads: a whole answer is gathered, chunks are left to it."""
        if not (chunk if encoding else chunk.strip()):
            return
        self._scan = None
        if encoding or chunk.lstrip()[:1] == b"{":
            self.spantally_call.operation.mark_first_chunk()
            self._scan = functools.partial(self._gather, encoding)
            self._scan(chunk)

    def _feed_events(self, scan: Callable[[bytes], None], chunk: bytes) -> None:
        self.spantally_call.operation.mark_first_chunk()
        scan(chunk)

    def _gather(self, encoding: str | None, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > MAX_RAW_BODY:
            self._gathered.clear()
            self._scan = None
        else:
            self._gathered.append(chunk)

    def _feed(self, chunk: bytes) -> None:
        if self._keeps:
            self.spantally_call.newest_piece = chunk
        if self._scan is not None:
            try:
                self._scan(chunk)
            except Exception as error:
                swallowed("sdk.bytes", error)
                self._scan = None

    def _ended(self) -> None:
        """All bytes were read."""
        call = self.spantally_call
        if call.operation.ended:
            return
        if call.watched:
            if self._gathered:
                self._read_whole(call)
            return
        try:
            if self._head.lstrip()[:1] == b"{":
                self._gathered.append(self._head)  # too short to tell
            if self._scanner is not None:
                self._scanner.close()  # the last event may lack its blank line
            if self._lines is not None:
                self._lines.close()
            if self._gathered:
                whole = _decoded(b"".join(self._gathered), self._headers.get("content-encoding"))
                if whole is not None:
                    call.read_body(parsed(whole))
            elif not self._size and self._scanner is None and self._lines is None:
                call.read_body(None)  # that sound came to its end is all that can be told of it
            call.exhausted()
        except Exception as error:
            swallowed("sdk.bytes_end", error)
            _leave_early(call)

    def _read_whole(self, call: SdkCall) -> None:
        """Read the answer that came instead of a stream; what came as one is told by its chunks."""
        try:
            whole = _decoded(b"".join(self._gathered), self._headers.get("content-encoding"))
            body = None if whole is None else parsed(whole)
            if isinstance(body, dict):
                call.read_body(body)
                call.tell_first_chunk()
        except Exception as error:
            swallowed("sdk.bytes_end", error)

    def _failed(self, error: BaseException) -> None:
        call = self.spantally_call
        if not call.watched:
            _failed(call, error)

    def _closed(self) -> None:
        """The response is closed: inside a running iterator no news, else the stream was left early."""
        try:
            call = self.spantally_call
            if not call.operation.ended and not self._is_running():
                call.left_early()
        except Exception as error:
            counted("sdk.left", error)

    def _is_running(self) -> bool:
        """True while the watched iterator is inside its next item: it then tells the end itself."""
        reference = self.spantally_call.watcher
        iterator = None if reference is None else reference()
        return bool(getattr(iterator, "gi_running", False) or getattr(iterator, "ag_running", False))

    def __del__(self) -> None:
        try:
            if not self.spantally_call.operation.ended:
                self.spantally_call.left_early()
        except AttributeError:
            pass  # never begun
        except Exception as error:
            counted("sdk.left", error)


def _inner_attribute(stream: Any, name: str) -> Any:
    inner = stream.__dict__.get("_inner")
    if inner is None:
        raise AttributeError(name)
    return getattr(inner, name)


def _decoded(content: bytes, encoding: str | None) -> bytes | None:
    """A body without its encoding, None where that cannot be."""
    decoder = Decoder(encoding)
    if not decoder.readable:
        return None
    whole: list[bytes] = []
    left = MAX_RAW_BODY
    for piece in decoder.feed(content):
        whole.append(piece)
        left -= len(piece)
        if left < 0:  # a little that blows up to a lot
            return None
    return b"".join(whole)


@functools.cache
def _sync_class(base: type) -> type:
    """A byte stream class beneath the HTTP library's own, so that its ``isinstance`` checks hold."""

    class WatchedByteStream(_Bytes, base):  # type: ignore[misc]
        """The response's byte stream with its ends watched."""

        def __init__(self, call: SdkCall, inner: Any, headers: Any) -> None:
            self._begin(call, inner, headers)

        def __iter__(self) -> Iterator[bytes]:
            self._first()
            chunks = iter(self._inner)
            try:
                for chunk in chunks:
                    self._feed(chunk)
                    yield chunk
            except GeneratorExit:
                if isinstance(chunks, Generator):
                    chunks.close()  # whoever closes us means it, and gets what it raises
                raise
            except BaseException as error:
                self._failed(error)
                raise
            self._ended()

        def close(self) -> None:
            self._closed()
            self._inner.close()

        def __getattr__(self, name: str) -> Any:
            return _inner_attribute(self, name)

    return WatchedByteStream


class _Chunks:
    """The chunks of an asynchronous byte stream, watched.

    No generator: the event loop would know it beside the one within, and close both at once when it ends; and
    the one within would be left to the loop where somebody closes the outer one.
    """

    __slots__ = ("_begun", "_chunks", "_stream")

    def __init__(self, stream: _Bytes, chunks: Any) -> None:
        self._stream = stream
        self._chunks = chunks
        self._begun = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        stream = self._stream
        if not self._begun:
            self._begun = True
            stream._first()
        try:
            chunk: bytes = await self._chunks.__anext__()
        except GeneratorExit:
            raise
        except StopAsyncIteration:
            stream._ended()
            raise
        except BaseException as error:
            stream._failed(error)
            raise
        stream._feed(chunk)
        return chunk


class _GeneratorChunks(_Chunks):
    """Those of a generator, which can be closed."""

    __slots__ = ()

    async def asend(self, value: Any) -> Any:
        return await (self.__anext__() if value is None else self._chunks.asend(value))

    async def athrow(self, *error: Any) -> Any:
        return await self._chunks.athrow(*error)

    async def aclose(self) -> None:
        await self._chunks.aclose()


@functools.cache
def _async_class(base: type) -> type:
    class WatchedAsyncByteStream(_Bytes, base):  # type: ignore[misc]
        """The response's asynchronous byte stream with its ends watched."""

        def __init__(self, call: SdkCall, inner: Any, headers: Any) -> None:
            self._begin(call, inner, headers)

        def __aiter__(self) -> AsyncIterator[bytes]:
            chunks = self._inner.__aiter__()
            return (_GeneratorChunks if isinstance(chunks, AsyncGenerator) else _Chunks)(self, chunks)

        async def aclose(self) -> None:
            self._closed()
            await self._inner.aclose()

        def __getattr__(self, name: str) -> Any:
            return _inner_attribute(self, name)

    return WatchedAsyncByteStream


def watch_bytes(call: SdkCall, response: Any) -> None:
    """Put a watched byte stream in the response's place for it.

    ``response.stream`` is left out of a response's pickled state, and httpx itself replaces it on the way.
    """
    inner = response.stream
    names = {base.__name__: base for base in type(inner).__mro__}
    if "AsyncByteStream" in names and hasattr(inner, "__aiter__"):
        response.stream = _async_class(names["AsyncByteStream"])(call, inner, response.headers)
    elif "SyncByteStream" in names:
        response.stream = _sync_class(names["SyncByteStream"])(call, inner, response.headers)
