"""Two services, one session: a buyer agent here asks a supplier's service over HTTP, a process of its own.

    spantally run -- python two_services.py     # a scripted model on loopback: no key, no network

Neither side passes ids around by hand: trace and session travel in the headers that the standard
propagators write and read. The few lines at ``fetch_quote`` and ``Supplier`` stand for what the
instrumentation of an HTTP client and a web framework does on its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

import spantally
from spantally.testing import Reply, Rule, ScriptedServer, ToolCall, Usage

MODEL = "gpt-4o-mini"
BUYER = "You buy parts"
SUPPLIER = "You sell parts"
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "fetch_quote",
        "parameters": {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]},
    },
}
tracer = trace.get_tracer("two_services")


def script() -> list[Reply | Rule]:
    """What the model says to each of the two; its usage is fixed, so that the cost is known."""
    return [
        Rule(
            mentions=SUPPLIER,
            reply=Reply(text="Twelve bolts: 4.50 EUR.", usage=Usage(input=300, output=20, cached=100)),
        ),
        Rule(
            mentions=BUYER,
            contains="4.50 EUR",
            reply=Reply(text="Bought twelve bolts for 4.50 EUR.", usage=Usage(input=200, output=30)),
        ),
        Rule(
            mentions=BUYER,
            reply=Reply(
                tool_calls=(ToolCall("fetch_quote", {"item": "bolts"}),), usage=Usage(input=120, output=15)
            ),
        ),
    ]


def load_rates() -> None:
    """Wait until rates are loaded: the first calls of a process end before, and their spans tell no cost.

    Their cost is in the tally all the same.
    """
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    spantally.price({"model": MODEL, "usage": usage}, provider="openai")


# -- the supplier ----------------------------------------------------------------------------------------


def stock(item: str) -> int:
    """Ask a database. The span stands for the one that an instrumented driver would make."""
    attributes = {"db.system.name": "sqlite", "db.operation.name": "SELECT", "db.collection.name": "stock"}
    with tracer.start_as_current_span("SELECT stock", kind=SpanKind.CLIENT, attributes=attributes):
        with contextlib.closing(sqlite3.connect(":memory:")) as database:
            database.execute("CREATE TABLE stock (item TEXT, pieces INTEGER)")
            database.execute("INSERT INTO stock VALUES ('bolts', 12)")
            found = database.execute("SELECT pieces FROM stock WHERE item = ?", (item,)).fetchone()
        return int(found[0]) if found else 0


@spantally.agent(description="Answers what a part costs.")
def supplier(client: openai.OpenAI, item: str) -> str:
    """Look into the stock, then let the model make the offer."""
    question = f"What do {item} cost? {stock(item)} are in stock."
    return str(ask(client, SUPPLIER, [{"role": "user", "content": question}]).content)


class Supplier(BaseHTTPRequestHandler):
    """The supplier's service: GET /quote/ITEM."""

    client: openai.OpenAI

    def do_GET(self) -> None:
        """Answer within the trace and the session of whoever asks."""
        attributes = {"http.request.method": "GET", "http.route": "/quote/{item}", "url.path": self.path}
        with tracer.start_as_current_span(
            "GET /quote/{item}",
            context=propagate.extract({name.lower(): value for name, value in self.headers.items()}),
            kind=SpanKind.SERVER,
            attributes=attributes,
        ) as span:
            body = supplier(self.client, self.path.rpartition("/")[2]).encode()
            span.set_attribute("http.response.status_code", 200)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def serve() -> None:
    """The second process: it prints its address, and ends with its input."""
    load_rates()
    with openai.OpenAI() as Supplier.client, ThreadingHTTPServer(("127.0.0.1", 0), Supplier) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        sys.stdin.read()
        server.shutdown()


@contextlib.contextmanager
def running_supplier(base_url: str) -> Iterator[str]:
    """The supplier's service, under a service name of its own."""
    values = {"OTEL_SERVICE_NAME": "supplier", "OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "unused"}
    with subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, __file__, "--serve"],
        env={**os.environ, **values},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stdout
        yield service.stdout.readline().strip()


# -- the buyer -------------------------------------------------------------------------------------------


def ask(client: openai.OpenAI, role: str, messages: list[Any], **options: Any) -> Any:
    """The model's next message."""
    told = [{"role": "system", "content": f"{role}. Answer in one sentence."}, *messages]
    return client.chat.completions.create(model=MODEL, messages=told, **options).choices[0].message


@spantally.tool
def fetch_quote(url: str, item: str) -> str:
    """Ask the supplier's service. The span and the headers are those of an instrumented HTTP client."""
    attributes = {
        "http.request.method": "GET",
        "url.full": f"{url}/quote/{item}",
        "server.address": "127.0.0.1",
    }
    with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=attributes) as span:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        request = urllib.request.Request(f"{url}/quote/{item}", headers=headers)  # noqa: S310 - of loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            span.set_attribute("http.response.status_code", answer.status)
            return str(answer.read().decode())


@spantally.agent(description="Buys what is asked for.")
def buyer(client: openai.OpenAI, url: str, wish: str) -> str:
    """Let the model ask for quotes until it answers in words."""
    messages: list[Any] = [{"role": "user", "content": wish}]
    for _ in range(5):
        message = ask(client, BUYER, messages, tools=[TOOL])
        if not message.tool_calls:
            return str(message.content)
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            quote = fetch_quote(url, json.loads(call.function.arguments)["item"])
            messages.append({"role": "tool", "tool_call_id": call.id, "content": quote})
    return "no answer"


def main() -> None:
    load_rates()
    with (
        ScriptedServer(script()) as model,
        running_supplier(model.base_url) as url,
        openai.OpenAI(base_url=model.base_url, api_key="unused") as client,
    ):
        session_id = f"order-{uuid.uuid4().hex[:8]}"
        with spantally.session(session_id, user="alice", entity=("customer", "acme"), name="order"):
            print(buyer(client, url, "Twelve bolts, please."))


if __name__ == "__main__":
    serve() if "--serve" in sys.argv[1:] else main()
