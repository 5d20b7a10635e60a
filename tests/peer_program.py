"""A program with another instrumentor and ours, run in the environment of the other one (no test by itself).

``python peer_program.py PEER ORDER COEXIST sampled|unsampled [FORM...]``: every form of call without
instrumentors, then with both, and at last taking both back. The last line of stdout tells it, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import openai
from openai import _base_client
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from pydantic import BaseModel

import spantally
from spantally.api.report import report
from spantally.ground import guard
from spantally.testing import Reply, ScriptedServer, Usage

KEY = "sk-made-up-for-tests-0001"
MODEL = "gpt-4o-mini"
ASK: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hello there"}]}
STREAM: dict[str, Any] = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
SPOKEN: dict[str, Any] = {"model": MODEL, "input": "hello there"}
EMBED: dict[str, Any] = {"model": "text-embedding-3-small", "input": "hello there"}


class Answer(BaseModel):
    """What a parsed answer is read into."""

    n: int


def plain(value: Any) -> Any:
    """A result by its values."""
    if isinstance(value, BaseModel):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return value.model_dump(mode="json", warnings=False)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _raw_stream(client: Any) -> Any:
    return list(client.chat.completions.with_raw_response.create(**STREAM).parse())


def _helper(client: Any) -> Any:
    with client.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream:
        return stream.get_final_completion()


def _left_early(client: Any) -> Any:
    stream = client.chat.completions.create(**STREAM)
    for chunk in stream:
        stream.close()
        return chunk
    return None


def _refused(client: Any) -> Any:
    try:
        client.chat.completions.create(**{**ASK, "model": "refused"})
    except openai.RateLimitError as error:
        return error.status_code
    return None


async def _astream(client: Any) -> Any:
    return [chunk async for chunk in await client.chat.completions.create(**STREAM)]


async def _aresponses_stream(client: Any) -> Any:
    return [event async for event in await client.responses.create(**SPOKEN, stream=True)]


async def _await(made: Any) -> Any:
    return await made


FORMS: dict[str, Callable[[Any], Any]] = {
    "chat": lambda client: client.chat.completions.create(**ASK),
    "stream": lambda client: list(client.chat.completions.create(**STREAM)),
    "stream helper": _helper,
    "left early": _left_early,
    "raw": lambda client: client.chat.completions.with_raw_response.create(**ASK).parse(),
    "raw stream": _raw_stream,
    "parse": lambda client: client.chat.completions.parse(**ASK, response_format=Answer),
    "refused": _refused,
    "responses": lambda client: client.responses.create(**SPOKEN),
    "responses stream": lambda client: list(client.responses.create(**SPOKEN, stream=True)),
    "responses raw": lambda client: client.responses.with_raw_response.create(**SPOKEN).parse(),
    "responses raw stream": lambda client: list(
        client.responses.with_raw_response.create(**SPOKEN, stream=True).parse()
    ),
    "embeddings": lambda client: client.embeddings.create(**EMBED),
    "moderation": lambda client: client.moderations.create(input="hello there"),
    "image": lambda client: client.images.generate(model="gpt-image-1", prompt="a dot"),
}
ASYNC_FORMS: dict[str, Callable[[Any], Any]] = {
    "async chat": lambda client: _await(client.chat.completions.create(**ASK)),
    "async stream": _astream,
    "async responses": lambda client: _await(client.responses.create(**SPOKEN)),
    "async responses stream": _aresponses_stream,
    "async embeddings": lambda client: _await(client.embeddings.create(**EMBED)),
}


MODULES = {
    "official": "opentelemetry.instrumentation.genai.openai",
    "openinference": "openinference.instrumentation.openai",
    "openllmetry": "opentelemetry.instrumentation.openai",
    "openlit": "openlit.instrumentation.openai",
}
UNSEEN = ["chat", "stream", "responses", "responses stream", "embeddings", "async chat", "async stream"]
"""Forms that all peers trace."""


def _script(response_id: str) -> Callable[[Any], Reply]:
    def answer(request: Any) -> Reply:
        if request.model == "refused":
            return Reply(status=429, error="slow down")
        text = '{"n": 4}' if "response_format" in (request.body or {}) else None
        usage = Usage(input=1200, output=34, cached=200, reasoning=8)
        return Reply(text=text, usage=usage, response_id=response_id)

    return answer


def run(name: str, response_id: str = "first") -> tuple[str, list[int]]:
    """One form on a server of its own: its value as JSON, and what a client can know of the bill."""
    with ScriptedServer(_script(response_id)) as server:
        options: dict[str, Any] = {"base_url": server.base_url, "api_key": KEY, "max_retries": 0}
        if name in FORMS:
            with openai.OpenAI(**options) as client:
                value = plain(FORMS[name](client))
        else:

            async def go() -> Any:
                async with openai.AsyncOpenAI(**options) as client:
                    return plain(await ASYNC_FORMS[name](client))

            value = asyncio.run(go())
        bills = [bill for bill in server.bills if bill.reported]
        text = json.dumps(value, sort_keys=True).replace(response_id, "ID")
        return text, [sum(bill.usage.input for bill in bills), sum(bill.usage.output for bill in bills)]


class Peer:
    """The other instrumentor."""

    def __init__(self, name: str, exporter: InMemorySpanExporter, sampled: bool) -> None:
        self.name = name
        self._exit: Any = None
        processor = SimpleSpanProcessor(exporter)
        if name == "logfire":
            logfire = import_module("logfire")
            sampling = None if sampled else logfire.SamplingOptions(head=0.0)
            logfire.configure(
                send_to_logfire=False,
                console=False,
                inspect_arguments=False,
                additional_span_processors=[processor],
                sampling=sampling,
            )
        else:
            provider = TracerProvider(sampler=None if sampled else ALWAYS_OFF, shutdown_on_exit=False)
            provider.add_span_processor(processor)
            trace.set_tracer_provider(provider)

    def instrument(self) -> None:
        """Let it wrap the SDK."""
        if self.name == "logfire":
            self._exit = import_module("logfire").instrument_openai()
        else:
            self._instrumentor().instrument(**({"pricing_info": {}} if self.name == "openlit" else {}))

    def uninstrument(self) -> bool:
        """Let it take that back; False where it cannot."""
        if self.name in ("openllmetry", "openlit"):
            return False  # they leave their wrappers where they are
        if self.name == "logfire":
            with self._exit:
                pass
        else:
            self._instrumentor().uninstrument()
        return True

    def _instrumentor(self) -> Any:
        if self.name == "openlit":
            import_module("openlit._config").OpenlitConfig()
        return import_module(MODULES[self.name]).OpenAIInstrumentor()


def request_functions() -> dict[str, Any]:
    """What a program finds at the choke point."""
    return {
        "sync": _base_client.SyncAPIClient.request,
        "async": _base_client.AsyncAPIClient.request,
        "OpenAI": openai.OpenAI.request,
        "AsyncOpenAI": openai.AsyncOpenAI.request,
        "raw": _base_client.SyncAPIClient._process_response,
    }


def told(span: ReadableSpan) -> dict[str, Any]:
    """What the report says of a span."""
    scope = span.instrumentation_scope
    attributes = dict(span.attributes or {})
    assert span.context is not None
    return {
        "scope": None if scope is None else scope.name,
        "name": span.name,
        "trace_id": f"{span.context.trace_id:032x}",
        "span_id": f"{span.context.span_id:016x}",
        "call_id": attributes.get("spantally.call.id"),
        "session": attributes.get("session.id"),
        "log": attributes.get("logfire.span_type") == "log",
    }


def watched(
    names: list[str], exporter: InMemorySpanExporter, before: dict[str, str], prefix: str
) -> dict[str, Any]:
    """Run forms in a session each, and tell what became of them."""
    seen: dict[str, Any] = {}
    for name in names:
        exporter.clear()
        place = f"{prefix} {name}"
        with spantally.session(place) as session:
            value, billed = run(name, place)
            totals = session.totals
        assert spantally.flush(10)
        with spantally.open_ledger() as ledger:
            rows = ledger.calls(session=place, limit=50)
            (row,) = [one for one in ledger.sessions(limit=500) if one.session_id == place]
            seen[name] = {
                "same": value == before[name],
                "billed": billed,
                "live": [totals.calls, totals.input_tokens, totals.output_tokens],
                "kept": [row.calls, row.input_tokens, row.output_tokens],
                "rows": [
                    [one.kind, one.counted, one.trace_id, one.span_id, one.call_id, one.status]
                    for one in rows
                ],
                "spans": [told(span) for span in exporter.get_finished_spans()],
            }
    return seen


def taken_back(peer: Peer, order: str, original: dict[str, Any]) -> dict[str, Any]:
    """Take both back, the first of ``order`` first, calls in between; what is left then."""
    steps: dict[str, Any] = {}
    with spantally.session("s-between"):
        if order == "theirs-first":
            steps["theirs"] = peer.uninstrument()
            run("chat")  # ours alone: seen
        else:
            spantally.uninstrument()
            run("chat")  # theirs alone
        assert spantally.flush(10)
    if order == "theirs-first":
        with spantally.open_ledger() as ledger:
            steps["seen between"] = [one.kind for one in ledger.calls(session="s-between", limit=50)]
        spantally.uninstrument()
    else:
        steps["theirs"] = peer.uninstrument()
    now = request_functions()
    steps["left"] = [name for name, function in now.items() if function is not original[name]]
    value, _ = run("chat")
    steps["value"] = value
    return steps


def main(name: str, order: str, coexist: str, sampled: bool, forms: list[str]) -> None:
    """Run all of it."""
    names = forms or [*FORMS, *ASYNC_FORMS]
    before = {form: run(form)[0] for form in dict.fromkeys([*names, *UNSEEN])}
    original = request_functions()
    exporter = InMemorySpanExporter()
    peer = Peer(name, exporter, sampled)
    with tempfile.TemporaryDirectory() as folder:
        ours: dict[str, Any] = {"ledger": str(Path(folder) / "tally.db"), "coexist": coexist}
        if order == "theirs-first":
            peer.instrument()
            spantally.instrument(**ours)
        else:
            spantally.instrument(**ours)
            peer.instrument()
        spantally.instrument()  # twice is once
        told = report()
        seen: dict[str, Any] = {"forms": watched(names, exporter, before, "both")}
        seen["coexist"] = told["coexist"]
        seen["others"] = sorted({one for patch in told["patches"] for one in patch["others"]})
        spantally.OpenAIInstrumentor().uninstrument()  # ours no longer sees the calls, the processor stays
        seen["theirs alone"] = watched(UNSEEN, exporter, before, "alone")
        spantally.instrument()
        seen["failures"] = [list(one) for one in guard.failures]
        seen["end"] = taken_back(peer, order, original)
        seen["end"]["value"] = seen["end"]["value"] == before["chat"]
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] != "unsampled", sys.argv[5:])
