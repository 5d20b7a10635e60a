"""Our baggage keys stay inside: they are taken out of requests to hosts that may not be told.

Whoever writes the ``baggage`` header (an instrumentation of an HTTP client, an SDK that traces itself, the
program), it passes here on its way out: where httpcore, which httpx stands on, takes a request; where the
standard library, which requests and urllib3 stand on, sends its headers; where aiohttp sends a request. That
is after redirects, and independent of spans, so that a request that nobody samples is treated alike. Nothing
but the header is touched: Context and scope, and with them the http span and a call that is traced inside,
keep their session.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from spantally.ground.guard import swallowed
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.outbound import BAGGAGE, SDK_SIGN, cleaned, takes_our_keys
from spantally.instrumentors.patching import Patch, PatchSet

_WIRE: Final = BAGGAGE.encode()
_WIRE_SIGN: Final = SDK_SIGN.encode()
_SIGN_LINE: Final = _WIRE_SIGN + b":"
_LENGTH: Final = len(BAGGAGE)
_LINE: Final = _WIRE + b":"
_INITIALS: Final = frozenset({b"b", b"B"})
_FOLD: Final = "\r\n\t"
"""How ``http.client`` writes several values of one header."""


# -- httpcore --------------------------------------------------------------------------------------------


def _clean_core(request: Any) -> None:
    """Take ours out of a request of httpcore: its headers are a list of pairs of bytes."""
    try:
        for name, _ in request.headers:
            if len(name) == _LENGTH and name.lower() == _WIRE:
                _clean_pairs(request)
                return
    except Exception as error:
        swallowed("baggage.httpcore", error)


def _clean_pairs(request: Any) -> None:
    is_of_sdk = any(name.lower() == _WIRE_SIGN for name, _ in request.headers)
    if not is_of_sdk and takes_our_keys(request.url.host.decode("ascii", "replace")):
        return
    kept = []
    for name, value in request.headers:
        left = value
        if name.lower() == _WIRE:
            text = cleaned(value.decode("latin-1"))
            if text is None:
                continue
            left = text.encode("latin-1")
        kept.append((name, left))
    request.headers = kept


def _core(original: Any) -> Any:
    @functools.wraps(original)
    def handle_request(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        _clean_core(request)
        return original(self, request, *args, **kwargs)

    return handle_request


def _core_async(original: Any) -> Any:
    @functools.wraps(original)
    async def handle_async_request(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        _clean_core(request)
        return await original(self, request, *args, **kwargs)

    return handle_async_request


# -- the standard library --------------------------------------------------------------------------------


def _clean_lines(connection: Any) -> None:
    """Take ours out of the lines that a connection of ``http.client`` is about to send."""
    try:
        lines: list[Any] = connection._buffer
        for line in lines:
            if line[:1] in _INITIALS and line[: _LENGTH + 1].lower() == _LINE:
                break
        else:
            return
        is_of_sdk = any(line[: len(_SIGN_LINE)].lower() == _SIGN_LINE for line in lines)
        if not is_of_sdk and takes_our_keys(_host_of(connection)):
            return
        lines[:] = [left for left in map(_clean_line, lines) if left is not None]
    except Exception as error:
        swallowed("baggage.http_client", error)


def _clean_line(line: bytes) -> bytes | None:
    if line[: _LENGTH + 1].lower() != _LINE:
        return line
    value = line[_LENGTH + 1 :].decode("latin-1").replace(_FOLD, ",")
    left = cleaned(value)
    if left == value:
        return line
    return None if left is None else line[: _LENGTH + 1] + b" " + left.encode("latin-1")


def _host_of(connection: Any) -> str:
    """The host a request is for: not the proxy that it goes through."""
    if connection._tunnel_host:
        return str(connection._tunnel_host)
    words = connection._buffer[0].split(b" ")
    target = words[1].decode("latin-1") if len(words) > 2 else ""
    return (urlsplit(target).hostname if "://" in target else None) or str(connection.host)


def _end_headers(original: Any) -> Any:
    @functools.wraps(original)
    def endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        _clean_lines(self)
        return original(self, *args, **kwargs)

    return endheaders


# -- aiohttp ---------------------------------------------------------------------------------------------


def _clean_aiohttp(request: Any) -> None:
    """Take ours out of a request of aiohttp: its headers are a multi-dict of its own."""
    try:
        headers = request.headers
        if BAGGAGE not in headers or (SDK_SIGN not in headers and takes_our_keys(request.url.host or "")):
            return
        left = [one for one in map(cleaned, headers.getall(BAGGAGE)) if one is not None]
        del headers[BAGGAGE]
        for value in left:
            headers.add(BAGGAGE, value)
    except Exception as error:
        swallowed("baggage.aiohttp", error)


def _aiohttp(original: Any) -> Any:
    @functools.wraps(original)
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        _clean_aiohttp(self)
        return await original(self, *args, **kwargs)

    return send


class BaggageInstrumentor(TableInstrumentor):
    """Keeps session, user, entity and tags out of requests to model providers and other hosts.

    Which hosts those are, ``baggage_deny`` and ``baggage_allow`` of :func:`spantally.instrument` say.
    """

    supported: ClassVar[tuple[str, ...]] = ()

    def make_patches(self) -> PatchSet:
        """The places that every request of these clients passes on its way out, whoever sends it."""
        pools = [
            Patch(f"{core}.{module}", path, factory=factory, required=False)
            for core in ("httpcore", "httpcore2")
            for module, path, factory in (
                ("_sync.connection_pool", "ConnectionPool.handle_request", _core),
                ("_async.connection_pool", "AsyncConnectionPool.handle_async_request", _core_async),
            )
        ]
        return PatchSet(
            "baggage",
            (
                *pools,
                Patch("http.client", "HTTPConnection.endheaders", factory=_end_headers),
                Patch("aiohttp.client_reqrep", "ClientRequest.send", factory=_aiohttp, required=False),
            ),
        )
