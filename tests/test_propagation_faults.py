"""An exception forced into each part that carries a session: the program gets what it gets without us."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import importlib
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any, NamedTuple

import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate
from opentelemetry.context import Context

import spantally
from spantally.calls import carrier, implicit
from spantally.ground import guard
from spantally.ground.scope import current_scope
from spantally.instrumentors import fastapi, httpx2, mcp, processes
from spantally.testing.loopback import Connection, LoopbackServer
from watching import Watched

CARRIER = "spantally.calls.carrier"
PROCESSES = "spantally.instrumentors.processes"
SUSPENDING = "spantally.calls.suspending"


class Boom(Exception):
    """What the forced failures raise."""


class Place(LoopbackServer):
    """A service that answers with the names of what it was sent."""

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Tell nothing that depends on us."""
        connection.answer_json(200, {"answer": len(body)})


# -- programs: each gives what it sees of the foreign library's behaviour ----------------------------------


def double(value: int) -> int:
    """A task."""
    return 2 * value


def _pools() -> Any:
    with ThreadPoolExecutor(1) as pool, ThreadPool(1) as other:
        return pool.submit(double, 2).result(), other.map(double, [1, 2]), other.apply(double, (3,))


def _started() -> Any:
    code = "import os; print(os.environ.get('KEPT'))"
    made = subprocess.run([sys.executable, "-c", code], env={"KEPT": "yes"}, capture_output=True, check=True)
    return made.stdout, subprocess.call([sys.executable, "-c", "raise SystemExit(3)"])


class _Process:
    """What multiprocessing's own class does at its start, without the cost of a process."""

    def __init__(self, target: Any) -> None:
        self._target = target


def _process() -> Any:
    process = _Process(double)
    started = []

    def start() -> None:
        text = pickle.dumps(process)
        there = contextvars.copy_context()  # the child's
        started.append(type(there.run(pickle.loads, text)) is _Process)

    worker = _Process(None)
    worker._target = importlib.import_module("multiprocessing.pool").worker
    processes._start(start, process, (), {})
    processes._start(start, worker, (), {})
    return started, sorted(vars(process)), sorted(vars(worker))


def _task() -> Any:
    made = processes._submit(lambda function, *args: pickle.dumps(function), None, (double, 2), {})
    return pickle.loads(made)(4)


def _adopted() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAGGAGE", "session.id=parent")
        patch.setenv(carrier.VARIABLE, "{}")
        token = otel_context.attach(Context())
        carrier.adopt_environment()
        carrier.disown_environment()
        otel_context.detach(token)
    return True


def _request() -> Any:
    module = pytest.importorskip("httpx2")

    async def get(url: str) -> Any:
        async with module.AsyncClient(trust_env=False) as client:
            return (await client.get(url)).json()

    with Place() as place, module.Client(trust_env=False) as client:
        url = f"http://127.0.0.1:{place.port}/"
        response = client.get(url)
        return response.json(), asyncio.run(get(url)), sorted(response.request.headers)


def _message() -> Any:
    async def handler(dctx: Any, method: str, params: Any) -> Any:
        return method, sorted(params["_meta"])

    carried: dict[str, str] = {}
    with spantally.session("client"):
        propagate.inject(carried)
    message = {"_meta": {"baggage": "session.id=client", "progressToken": 1}}
    return asyncio.run(mcp._handle(handler, None, (None, "tools/call", message), {}))


def _dependency() -> Any:
    @contextlib.asynccontextmanager
    async def in_threadpool(manager: Any) -> AsyncIterator[Any]:
        value = await asyncio.to_thread(manager.__enter__)
        try:
            yield value
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)

    @contextlib.contextmanager
    def dependency() -> Iterator[str]:
        with spantally.session("held"):
            yield "value"

    async def run() -> Any:
        async with fastapi._around(in_threadpool, None, (dependency(),), {}) as value:
            return value

    return asyncio.run(run())


def _generator() -> Any:
    def body() -> Generator[int, None, None]:
        with spantally.session("inside"), spantally.agent("stepping"):
            yield 1
            yield 2

    running = body()
    found = [next(running), *running]
    left = body()
    next(left)
    left.close()
    return found


class Fault(NamedTuple):
    """One part, the program that meets it, and the guards that must have met its failure."""

    target: str
    run: Callable[[], Any]
    places: tuple[str, ...]
    since: tuple[int, int] = (3, 11)


FAULTS = (
    Fault("spantally.instrumentors.threads:_task_of", _pools, ("threads.task",)),
    Fault(f"{CARRIER}:to_environment", _started, ("processes.popen",)),
    Fault(f"{CARRIER}:_values_of", _started, ("processes.popen",)),
    Fault(f"{PROCESSES}:_extended", _started, ("processes.popen",)),
    Fault(f"{PROCESSES}:_is_worker", _process, ("processes.start",)),
    Fault(f"{CARRIER}:pack", _process, ("processes.start",)),
    Fault(f"{CARRIER}:unpack", _process, ("processes.arrive",)),
    Fault(f"{CARRIER}:pack", _task, ("processes.submit",)),
    Fault(f"{CARRIER}:unpack", _task, ("processes.enter",)),
    Fault(f"{CARRIER}:from_environment_carrier", _adopted, ("calls.adopt",)),
    Fault(f"{CARRIER}:_checked", _adopted, ("calls.carrier_scope",)),
    Fault("spantally.instrumentors.httpx2:takes_our_keys", _request, ("httpx2.inject",)),
    Fault("spantally.calls.implicit:inbound_scope", _message, ("mcp.attach",)),
    Fault("spantally.instrumentors.fastapi:with_values", _dependency, ("fastapi.attach",)),
    Fault("spantally.instrumentors.fastapi:restore", _dependency, ("fastapi.leave",)),
    Fault(f"{SUSPENDING}:_tool_id", _generator, ("calls.follow",), (3, 12)),
)


CONTEXTS: tuple[tuple[str, str, Callable[[], Any], str], ...] = (
    (PROCESSES, "get_current", _started, "processes.popen"),
    (PROCESSES, "detach", _process, "processes.started"),
    (PROCESSES, "detach", _task, "processes.leave"),
    (CARRIER, "get_current", _adopted, "calls.adopt"),
    ("spantally.instrumentors.httpx2", "get_current", _request, "httpx2.inject"),
    ("spantally.instrumentors.mcp", "detach", _message, "mcp.detach"),
    ("spantally.instrumentors.fastapi", "get_current", _dependency, "fastapi.enter"),
    (SUSPENDING, "get_current", _generator, "calls.yielded"),
    (SUSPENDING, "attach", _generator, "calls.yielded"),
)

EXERCISED = {
    *(place for fault in FAULTS for place in fault.places),
    *(place for *_, place in CONTEXTS),
    *("httpx2.take_out", "calls.disown", "calls.resumed", "calls.unfollow"),
}
"""Guards that this file forces, for the test that lists them all."""


@pytest.fixture
def active() -> Iterator[Watched]:
    """Everything on; what a forced failure has left in force is taken back."""
    before = otel_context.get_current()
    made = Watched()
    yield made
    made.close()
    otel_context.attach(before)


def _fail(*args: Any, **kwargs: Any) -> Any:
    raise Boom


def _owner(target: str) -> tuple[Any, str]:
    module, _, name = target.partition(":")
    return importlib.import_module(module), name


def _met() -> set[str]:
    return {where for where, kind in guard.failures if kind == "Boom"}


def _expected(run: Callable[[], Any]) -> Any:
    spantally.uninstrument()
    return run()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.target}-{fault.run.__name__}")
def test_failure_of_a_part_stays_ours(fault: Fault) -> None:
    """Pools, processes, requests, messages and generators give what they do without us; it is counted."""
    if sys.version_info < fault.since:
        pytest.skip("the interpreter does not tell when a generator yields")
    expected = _expected(fault.run)
    before = otel_context.get_current()
    watched = Watched()
    try:
        with spantally.session("s"), pytest.MonkeyPatch.context() as patch:
            patch.setattr(*_owner(fault.target), _fail)
            assert fault.run() == expected
        assert set(fault.places) <= _met()
    finally:
        watched.close()
        otel_context.attach(before)


class _Broken:
    """The OpenTelemetry context API with one function that raises."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> Any:
        if name == self.name:
            raise Boom
        return getattr(otel_context, name)


@pytest.mark.parametrize(("module", "name", "run", "place"), CONTEXTS)
def test_failure_of_the_context_api_stays_ours(
    module: str, name: str, run: Callable[[], Any], place: str
) -> None:
    """A context API that raises beneath one of these changes nothing for the program."""
    if module == SUSPENDING and sys.version_info < (3, 12):
        pytest.skip("the interpreter does not tell when a generator yields")
    expected = _expected(run)
    before = otel_context.get_current()
    watched = Watched()
    try:
        with spantally.session("s"), pytest.MonkeyPatch.context() as patch:
            patch.setattr(importlib.import_module(module), "otel_context", _Broken(name))
            assert run() == expected
        assert place in _met()
    finally:
        watched.close()
        otel_context.attach(before)


def test_failure_of_taking_headers_out_stays_ours(active: Watched) -> None:
    """A request whose headers cannot be changed back is sent and answered all the same."""

    class Headers(dict[str, str]):
        def __delitem__(self, key: str) -> None:
            raise Boom

    class Request:
        headers = Headers()

        class url:
            host = "service.internal"

    with spantally.session("s"):
        send = httpx2._around_send(
            spantally.HTTPX2Instrumentor(), lambda _, request: request.headers["baggage"]
        )
        assert send(None, Request())
    assert "httpx2.take_out" in _met()


def test_failure_of_disowning_stays_ours(active: Watched) -> None:
    """Leaving what came from the environment may fail, and uninstrument() still ends."""
    carrier._adopted.append((Context(), Context()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(carrier, "otel_context", _Broken("get_current"))
        carrier.disown_environment()
    assert "calls.disown" in _met()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="nothing tells when a generator yields")
@pytest.mark.parametrize(("part", "place"), [("_resumed", "calls.resumed"), ("unfollow", "calls.unfollow")])
def test_failure_while_a_generator_goes_on_stays_ours(active: Watched, part: str, place: str) -> None:
    """The generator steps and ends as it would, whatever fails when it is watched."""
    from spantally.calls import suspending

    class Bodies(dict[int, Any]):
        def get(self, key: int, default: Any = None) -> Any:
            caller = sys._getframe(1).f_code.co_name
            if caller == part:
                raise Boom
            return super().get(key, default)

        def pop(self, key: int, *default: Any) -> Any:
            if part == "unfollow":
                raise Boom
            return super().pop(key, *default)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suspending, "_bodies", Bodies())
        assert _generator() == [1, 2]
    assert place in _met()
    assert not suspending._codes


def test_nothing_of_these_leaks(active: Watched) -> None:
    """After all of these programs nothing is in force."""
    with spantally.session("s"):
        for run in (_pools, _process, _task, _message, _dependency, _generator):
            run()
    assert current_scope() is None
    assert implicit.inbound_scope(Context()) is None
