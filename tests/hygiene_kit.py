"""A service that notes the headers it is sent, and one way to send a request with each HTTP client."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from spantally.testing.loopback import Connection, LoopbackServer

OURS = ("session.id", "gen_ai.conversation.id", "user.id", "spantally.entity", "spantally.tag")
ALLOWED, DENIED = "127.0.0.1", "localhost"
"""Two names of this machine, so that one of them can be denied."""


class Service(LoopbackServer):
    """An internal service: notes the headers of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.headers: list[dict[str, str]] = []

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Note and answer; ``/to/HOST/PORT`` redirects."""
        self.headers.append({key.lower(): value for key, value in connection.headers.items()})
        _, _, rest = connection.path.partition("/to/")
        if rest:
            host, _, port = rest.partition("/")
            connection.send_response(307)
            connection.send_header("location", f"http://{host}:{port}/")
            connection.send_header("content-length", "0")
            connection.end_headers()
        else:
            connection.answer_json(200, {})

    def at(self, host: str = ALLOWED, path: str = "") -> str:
        """Where it listens, by a name."""
        return f"http://{host}:{self.port}/{path}"

    def baggage(self) -> str:
        """The header of the last request."""
        return self.headers[-1].get("baggage", "")


def has_ours(header: str) -> bool:
    """Whether a baggage header names a key of ours."""
    return any(key in header for key in OURS)


def httpx2_sync(url: str, headers: dict[str, str]) -> None:
    """httpx2."""
    _httpx("httpx2", url, headers)


def httpx_sync(url: str, headers: dict[str, str]) -> None:
    """httpx."""
    _httpx("httpx", url, headers)


def httpx2_async(url: str, headers: dict[str, str]) -> None:
    """httpx2, asynchronous."""
    _httpx_async("httpx2", url, headers)


def httpx_async(url: str, headers: dict[str, str]) -> None:
    """httpx, asynchronous."""
    _httpx_async("httpx", url, headers)


def _httpx(name: str, url: str, headers: dict[str, str]) -> None:
    module = pytest.importorskip(name)
    with module.Client(trust_env=False, follow_redirects=True) as client:
        client.get(url, headers=headers)


def _httpx_async(name: str, url: str, headers: dict[str, str]) -> None:
    module = pytest.importorskip(name)

    async def run() -> None:
        async with module.AsyncClient(trust_env=False, follow_redirects=True) as client:
            await client.get(url, headers=headers)

    asyncio.run(run())


def requests_sync(url: str, headers: dict[str, str]) -> None:
    """requests."""
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, headers=headers)


def urllib_sync(url: str, headers: dict[str, str]) -> None:
    """The standard library."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers=headers)) as response:
        response.read()


def aiohttp_async(url: str, headers: dict[str, str]) -> None:
    """aiohttp."""
    aiohttp = pytest.importorskip("aiohttp")

    async def run() -> None:
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
            await response.read()

    asyncio.run(run())


Send = Callable[[str, dict[str, str]], None]

CLIENTS: tuple[Send, ...] = (
    httpx2_sync,
    httpx2_async,
    httpx_sync,
    httpx_async,
    requests_sync,
    urllib_sync,
    aiohttp_async,
)

OFFICIAL: tuple[tuple[str, str, Send], ...] = (
    ("httpx", "HTTPXClientInstrumentor", httpx_sync),
    ("httpx", "HTTPXClientInstrumentor", httpx_async),
    ("httpx", "HTTPX2ClientInstrumentor", httpx2_sync),
    ("httpx", "HTTPX2ClientInstrumentor", httpx2_async),
    ("requests", "RequestsInstrumentor", requests_sync),
    ("aiohttp_client", "AioHttpClientInstrumentor", aiohttp_async),
)
"""OpenTelemetry's instrumentations, which write baggage by themselves, and a client of each."""


def official(module: str, name: str) -> Any:
    """An instrumentor of OpenTelemetry's."""
    found = getattr(pytest.importorskip(f"opentelemetry.instrumentation.{module}"), name, None)
    if found is None:
        pytest.skip(f"this version has no {name}")
    return found()
