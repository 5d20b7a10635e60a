"""A callback or webhook tells that a share of a budget is used, and can hold up or break nobody's call."""

from __future__ import annotations

import asyncio
import http.server
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Self

import pytest

import spantally
from budgets_kit import MESSAGES, MODEL, answer, ask, ask_async, client
from spantally.budgets import telling
from spantally.budgets.telling import Teller, callbacks, webhooks
from spantally.ground import guard
from spantally.ground.scope import current_scope
from spantally.testing import ScriptedServer
from watching import Watched


@pytest.fixture
def billing() -> Iterator[ScriptedServer]:
    """A provider whose every answer costs the same."""
    with ScriptedServer(answer) as running:
        yield running


class _Receiver:
    """A webhook that keeps what it gets."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Nothing to print."""

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}/budget"


@pytest.fixture
def hanging() -> Iterator[tuple[str, Any]]:
    """A webhook that takes the request and never answers, until the test ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def hold() -> None:
            try:
                while True:
                    held.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=hold, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", held
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for one in held:
            one.close()
    assert webhooks.wait(10)


def test_callback_gets_each_share_once(billing: ScriptedServer, watched: Watched) -> None:
    """Each share that is reached is told once, in order, with what was used; outside the program's scope."""
    told: list[spantally.BudgetNotice] = []
    scopes: list[Any] = []

    def on_share(notice: spantally.BudgetNotice) -> None:
        told.append(notice)
        scopes.append(current_scope())

    budget = spantally.Budget(calls=4, tell_at=(0.75, 0.5), on_share=on_share)
    with client(billing) as made, spantally.session("told", budget=budget):
        for _ in range(6):
            ask(made)
    assert callbacks.wait(10)
    assert [(one.share, one.spent, one.limit, one.unit) for one in told] == [
        (0.5, 2, 4, "calls"),
        (0.75, 3, 4, "calls"),
        (1.0, 4, 4, "calls"),
    ]
    assert {(one.budget, one.session_id) for one in told} == {("session told", "told")}
    assert scopes == [None, None, None]


def test_callback_that_raises_costs_the_program_nothing(billing: ScriptedServer, watched: Watched) -> None:
    """Whatever a callback raises is counted, and calls and later callbacks go on."""
    told: list[float] = []

    def on_share(notice: spantally.BudgetNotice) -> None:
        told.append(notice.share)
        raise SystemExit if notice.share < 1 else ValueError

    budget = spantally.Budget(calls=2, tell_at=(0.5,), on_share=on_share)
    with client(billing) as made, spantally.session(budget=budget):
        for _ in range(3):
            ask(made)
    assert callbacks.wait(10)
    assert told == [0.5, 1.0]
    assert guard.failures[("budgets.callbacks", "ValueError")] == 1
    assert guard.failures[("budgets.callbacks", "SystemExit")] == 1


def test_callback_that_hangs_holds_up_nobody(billing: ScriptedServer, watched: Watched) -> None:
    """Calls of threads and of an event loop go on while a callback does not return."""
    go_on = threading.Event()
    budget = spantally.Budget(calls=1, tell_at=(), on_share=lambda notice: go_on.wait(30))
    try:
        with client(billing) as made, spantally.session(budget=budget):
            for _ in range(3):
                ask(made)

        async def act(made: Any) -> None:
            async with spantally.session(budget=budget):
                for _ in range(3):
                    await made.chat.completions.create(model=MODEL, messages=MESSAGES)

        ask_async(billing, act)
        assert not go_on.is_set()
        assert callbacks._thread is not None
    finally:
        go_on.set()
    assert callbacks.wait(10)
    assert len(billing.requests) == 6


def test_webhook_gets_the_notice_as_json(billing: ScriptedServer, watched: Watched) -> None:
    """The notice is posted with the names of its fields, and with no baggage of the session."""
    with _Receiver() as receiver, client(billing) as made:
        budget = spantally.Budget(usd="0.01", webhook=receiver.url)
        with spantally.session("hooked", user="alice", budget=budget):
            ask(made)
            ask(made)
        assert webhooks.wait(10)
    assert [(body["budget"], body["unit"], body["share"]) for body in receiver.bodies] == [
        ("session hooked", "usd", 0.8),
        ("session hooked", "usd", 1.0),
    ]
    assert receiver.bodies[0]["limit"] == 10_000_000
    assert not any("baggage" in headers or "traceparent" in headers for headers in receiver.headers)


def test_webhook_that_hangs_blocks_neither_caller_nor_loop(
    billing: ScriptedServer, watched: Watched, hanging: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook that never answers delays no call: an event loop beside it keeps its pace."""
    monkeypatch.setattr(telling, "WEBHOOK_SECONDS", 2.0)
    url, held = hanging
    budget = spantally.Budget(calls=1, tell_at=(), webhook=url)

    async def act(made: Any) -> float:
        worst = 0.0
        done = asyncio.Event()

        async def beat() -> None:
            nonlocal worst
            while not done.is_set():
                before = time.perf_counter()
                await asyncio.sleep(0.001)
                worst = max(worst, time.perf_counter() - before)

        beating = asyncio.create_task(beat())
        async with spantally.session(budget=budget):
            for _ in range(5):
                await made.chat.completions.create(model=MODEL, messages=MESSAGES)
        done.set()
        await beating
        return worst

    worst = ask_async(billing, act)
    with client(billing) as made, spantally.session(budget=budget):
        ask(made)
        ask(made)
    assert webhooks._thread is not None, "the webhook hangs still, and everybody has gone on"
    assert worst < telling.WEBHOOK_SECONDS / 2
    assert webhooks.wait(10)
    assert held
    assert guard.failures[("budgets.webhooks", "TimeoutError")] >= 1


def test_webhook_that_refuses_is_counted(billing: ScriptedServer, watched: Watched) -> None:
    """Where nobody listens, the program does not notice."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    budget = spantally.Budget(calls=1, tell_at=(), webhook=f"http://127.0.0.1:{port}/")
    with client(billing) as made, spantally.session(budget=budget):
        ask(made)
    assert webhooks.wait(10)
    assert guard.failures[("budgets.webhooks", "URLError")] == 1


def test_too_many_notices_are_dropped_not_kept() -> None:
    """A queue that nobody empties is bounded."""
    teller = Teller("test")
    go_on = threading.Event()
    ran: list[int] = []

    def task() -> None:
        go_on.wait(30)
        ran.append(1)

    for _ in range(telling.MOST_WAITING + 50):
        teller.put(task)
    go_on.set()
    assert teller.wait(10)
    assert telling.MOST_WAITING <= len(ran) <= telling.MOST_WAITING + 1
    guard.reset()


def test_end_of_the_process_waits_a_moment_for_notices(billing: ScriptedServer) -> None:
    """A program that ends right after its last call still tells; a callback that hangs is not waited for."""
    program = f"""
import sys, time, openai, spantally
spantally.instrument(ledger=False)
made = openai.OpenAI(base_url={billing.base_url!r}, api_key="sk-made-up")

def on_share(notice):
    print(notice.share, flush=True)
    time.sleep(60)

with spantally.session(budget=spantally.Budget(calls=1, tell_at=(), on_share=on_share)):
    made.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hi"}}])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == ["1.0"]
