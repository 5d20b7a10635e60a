"""The boundaries between services: HTTP, MCP, queues of tasks. Each needs the packages that it names."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import spantally
from boundary_kit import BOUNDARIES, Boundary, Cross, Outcome, outcome
from boundary_probe import Seen, probe
from watching import Watched

HTTP = "HTTP"
MCP = "MCP"
QUEUES = "Queues of tasks"
STANDARD = "the standard OpenTelemetry instrumentations of both"
MCP_SERVER = Path(__file__).with_name("boundary_mcp_server.py")

NEEDS: dict[str, tuple[str, ...]] = {}
"""Modules that a row needs, by its name."""


def network(name: str, how: str, group: str, *needs: str) -> Callable[[Any], Any]:
    """Register a context manager that takes the provider and gives a :data:`Cross`."""

    def register(make: Callable[[Watched], Iterator[Cross]]) -> Any:
        manager = contextlib.contextmanager(make)

        def run(watched: Watched) -> Outcome:
            with manager(watched) as cross:
                return outcome(watched, cross)

        NEEDS[name] = needs
        BOUNDARIES.append(Boundary(name, how, group, run))
        return make

    return register


def missing(name: str) -> list[str]:
    """Modules that a row needs and that are not here."""
    found = []
    for module in NEEDS.get(name, ()):
        try:
            if find_spec(module) is None:
                found.append(module)
        except ModuleNotFoundError:
            found.append(module)
    return found


def seen_of(text: str | bytes) -> Seen:
    """What a far side has written."""
    session, path, spans = json.loads(text)
    return Seen(session, tuple(path), tuple(spans))


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# -- servers ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """An ASGI application on loopback."""
    import uvicorn

    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none", lifespan="on")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(port)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(10)


def wait_for(port: int) -> None:
    """Until something listens; raises where nothing does."""
    limit = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > limit:
                raise
            threading.Event().wait(0.02)


@contextlib.contextmanager
def fastapi_app(watched: Watched) -> Iterator[str]:
    """A FastAPI service with the standard instrumentation."""
    from fastapi import FastAPI
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    app = FastAPI()

    @app.get("/")
    async def where() -> Any:
        return probe()

    FastAPIInstrumentor.instrument_app(app, tracer_provider=watched.provider)
    with serving(app) as url:
        yield url


@contextlib.contextmanager
def starlette_app(watched: Watched) -> Iterator[str]:
    """A Starlette service with the standard instrumentation."""
    from opentelemetry.instrumentation.starlette import StarletteInstrumentor
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    def where(request: Any) -> Any:  # in a worker thread
        return JSONResponse(probe())

    app = Starlette(routes=[Route("/", where)])
    StarletteInstrumentor.instrument_app(app, tracer_provider=watched.provider)
    with serving(app) as url:
        yield url


@contextlib.contextmanager
def flask_app(watched: Watched) -> Iterator[str]:
    """A Flask service with the standard instrumentation."""
    from flask import Flask
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from werkzeug.serving import make_server

    app = Flask("boundary")
    app.add_url_rule("/", "where", lambda: json.dumps(probe()))
    FlaskInstrumentor().instrument_app(app, tracer_provider=watched.provider)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


# -- clients ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _instrumented(made: Any, watched: Watched) -> Iterator[None]:
    made.instrument(tracer_provider=watched.provider)
    try:
        yield
    finally:
        made.uninstrument()


@contextlib.contextmanager
def requests_client(watched: Watched) -> Iterator[Callable[[str], bytes]]:
    """requests, with its standard instrumentation."""
    import requests
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    with _instrumented(RequestsInstrumentor(), watched), requests.Session() as session:
        yield lambda url: session.get(url, timeout=30).content


@contextlib.contextmanager
def httpx_client(watched: Watched) -> Iterator[Callable[[str], bytes]]:
    """httpx, with its standard instrumentation."""
    import httpx
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    with _instrumented(HTTPXClientInstrumentor(), watched), httpx.Client(trust_env=False) as client:
        yield lambda url: client.get(url).content


@contextlib.contextmanager
def aiohttp_client(watched: Watched) -> Iterator[Callable[[str], bytes]]:
    """aiohttp, with its standard instrumentation."""
    import aiohttp
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor

    async def get(url: str) -> bytes:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.read()

    with _instrumented(AioHttpClientInstrumentor(), watched):
        yield lambda url: asyncio.run(get(url))


@contextlib.contextmanager
def httpx2_client(watched: Watched) -> Iterator[Callable[[str], bytes]]:
    """httpx2, with our propagation, in both of its forms."""
    import httpx2

    async def get(url: str) -> bytes:
        async with httpx2.AsyncClient(trust_env=False) as client:
            return (await client.get(url)).content

    def both(url: str) -> bytes:
        with httpx2.Client(trust_env=False) as client:
            one, other = client.get(url).content, asyncio.run(get(url))
        assert (seen_of(one).session or "trace").split("-")[0] == (seen_of(other).session or "").split("-")[0]
        return other

    yield both


def _http(
    name: str, how: str, needs: tuple[str, ...], client: Callable[..., Any], server: Callable[..., Any]
) -> None:
    @network(name, how, HTTP, *needs)
    def cross(watched: Watched) -> Iterator[Cross]:
        with server(watched) as url, client(watched) as get:
            yield lambda _: seen_of(get(url))


_OTEL = "opentelemetry.instrumentation."
_http(
    "requests → FastAPI",
    STANDARD,
    ("requests", "fastapi", "uvicorn", _OTEL + "requests", _OTEL + "fastapi"),
    requests_client,
    fastapi_app,
)
_http(
    "httpx → Starlette",
    STANDARD,
    ("httpx", "starlette", "uvicorn", _OTEL + "httpx", _OTEL + "starlette"),
    httpx_client,
    starlette_app,
)
_http(
    "aiohttp → Flask",
    STANDARD,
    ("aiohttp", "flask", _OTEL + "aiohttp_client", _OTEL + "flask"),
    aiohttp_client,
    flask_app,
)
_http(
    "httpx2 → FastAPI",
    "ours on the client, the standard one on the server",
    ("httpx2", "fastapi", "uvicorn", _OTEL + "fastapi"),
    httpx2_client,
    fastapi_app,
)


def _dependencies(watched: Watched, *, synchronous: bool) -> Outcome:
    import fastapi
    import requests

    app = fastapi.FastAPI()
    tops: list[str] = []

    def held() -> Iterator[None]:
        with spantally.session("held"), spantally.agent("holder"):
            tops.append(probe().spans[0])
            yield

    async def held_async() -> AsyncIterator[None]:
        async with spantally.session("held"), spantally.agent("holder"):
            tops.append(probe().spans[0])
            yield

    @app.get("/", dependencies=[fastapi.Depends(held if synchronous else held_async)])
    async def where() -> Any:
        return probe()

    @app.get("/sync", dependencies=[fastapi.Depends(held if synchronous else held_async)])
    def where_sync() -> Any:
        return probe()

    @app.get("/bare")
    async def bare() -> Any:
        return probe()

    with serving(app) as url, requests.Session() as client:
        seen = [seen_of(client.get(url + path).content) for path in ("", "sync")]
        bare_seen = seen_of(client.get(url + "bare").content)
    return Outcome(
        kept=all(one.session == "held" and one.path == ("holder",) for one in seen),
        clean=bare_seen.session != "held" and not bare_seen.spans,
        parent=[one.spans[0] for one in seen if one.spans] == tops,
    )


def _dependency_rows() -> None:
    for name, synchronous in (("`async def`", False), ("`def`", True)):
        full = f"FastAPI: a dependency with `yield`, {name}"
        NEEDS[full] = ("fastapi", "uvicorn", "requests")

        def run(watched: Watched, synchronous: bool = synchronous) -> Outcome:
            return _dependencies(watched, synchronous=synchronous)

        BOUNDARIES.append(Boundary(full, "", HTTP, run))


_dependency_rows()


# -- MCP -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def mcp_client(target: Any) -> Iterator[Callable[..., str]]:
    """A client that stays open: ``call(tool, **arguments)`` gives the text of its result."""
    from anyio.from_thread import start_blocking_portal
    from mcp import Client

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(target)) as client:

        async def call(tool: str, arguments: dict[str, Any]) -> str:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result
            return str(result.content[0].text)

        yield lambda tool, **arguments: portal.call(call, tool, arguments)


def server_environment(**values: str) -> dict[str, str]:
    """What a server in a process of its own gets."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        **values,
    }


@contextlib.contextmanager
def mcp_over_stdio(**values: str) -> Iterator[Callable[..., str]]:
    """A server in a child process."""
    from mcp import StdioServerParameters

    parameters = StdioServerParameters(
        command=sys.executable, args=[str(MCP_SERVER), "stdio"], env=server_environment(**values)
    )
    with mcp_client(parameters) as call:
        yield call


@contextlib.contextmanager
def mcp_over_http(**values: str) -> Iterator[Callable[..., str]]:
    """A server in a process of its own, over streamable HTTP."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(MCP_SERVER), "http", str(port)],
        env=server_environment(**values),
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        with mcp_client(f"http://127.0.0.1:{port}/mcp") as call:
            yield call
    finally:
        process.terminate()
        process.wait(30)


@network("MCP over stdio: the tool of a server", "", MCP, "mcp")
def mcp_stdio(watched: Watched) -> Iterator[Cross]:
    """Client spans are the SDK's, from the global provider; here that is the test's own."""
    with global_provider(watched), mcp_over_stdio(SPANTALLY_LEDGER=os.devnull + ".none") as call:
        yield lambda _: seen_of(call("where"))


@network("MCP over streamable HTTP", "", MCP, "mcp")
def mcp_http(watched: Watched) -> Iterator[Cross]:
    """The same over HTTP."""
    with global_provider(watched), mcp_over_http(SPANTALLY_LEDGER=os.devnull + ".none") as call:
        yield lambda _: seen_of(call("where"))


@network("MCP in one process", "", MCP, "mcp")
def mcp_memory(watched: Watched) -> Iterator[Cross]:
    """A client connected to the server object."""
    from boundary_mcp_server import build

    with global_provider(watched), mcp_client(build()) as call:
        yield lambda _: seen_of(call("where"))


@contextlib.contextmanager
def global_provider(watched: Watched) -> Iterator[None]:
    """The SDK of MCP asks the global provider for its tracer, once; it is told to ask the test's."""
    from mcp.shared import _otel

    before, _otel._tracer = _otel._tracer, watched.provider.get_tracer("mcp-python-sdk")
    try:
        yield
    finally:
        _otel._tracer = before


# -- queues ----------------------------------------------------------------------------------------------


@network("Celery", "the standard OpenTelemetry instrumentation", QUEUES, "celery", _OTEL + "celery")
def celery(watched: Watched) -> Iterator[Cross]:
    """A worker in a thread over a broker in memory."""
    from celery import Celery
    from celery.contrib.testing.worker import start_worker
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    app = Celery("boundary", broker="memory://", backend="cache+memory://")

    @app.task(name="where")  # type: ignore[untyped-decorator,unused-ignore]
    def where() -> list[Any]:
        return list(probe())

    with (
        _instrumented(CeleryInstrumentor(), watched),
        start_worker(app, perform_ping_check=False, pool="solo", loglevel="ERROR"),
    ):
        yield lambda _: seen_of(json.dumps(where.delay().get(timeout=30)))


@network("RQ", "two lines at each end, below", QUEUES, "rq", "fakeredis")
def rq(watched: Watched) -> Iterator[Cross]:
    """The recipe of the docs, over a Redis in memory."""
    import fakeredis
    from opentelemetry import context, propagate
    from rq import Queue, SimpleWorker
    from rq.timeouts import TimerDeathPenalty

    class Worker(SimpleWorker):
        death_penalty_class = TimerDeathPenalty  # signals are for main threads

        def perform_job(self, job: Any, *args: Any, **kwargs: Any) -> Any:
            token = context.attach(propagate.extract(job.meta))
            try:
                return super().perform_job(job, *args, **kwargs)
            finally:
                context.detach(token)

        def _install_signal_handlers(self) -> None:
            """Not in a thread."""

    connection = fakeredis.FakeStrictRedis()
    jobs = Queue(connection=connection)
    bell: queue.Queue[bool] = queue.Queue()
    done: queue.Queue[bool] = queue.Queue()

    def work() -> None:
        while bell.get():
            Worker([jobs], connection=connection).work(burst=True, logging_level="ERROR")
            done.put(True)

    thread = threading.Thread(target=work)
    thread.start()

    def cross(_: object) -> Seen:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        job = jobs.enqueue(probe, meta=carrier)
        bell.put(True)
        done.get(timeout=30)
        found: Seen = job.return_value(refresh=True)
        return found

    try:
        yield cross
    finally:
        bell.put(False)
        thread.join(10)
