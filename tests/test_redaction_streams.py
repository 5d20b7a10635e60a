"""A secret that comes in pieces of a stream is hidden in span, event and ledger, as bytes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import spantally
from leak_kit import SHAPES, Planter, ledger_bytes
from spantally.calls import implicit
from spantally.ground import guard
from spantally.ground.session_state import forget_sessions
from spantally.redaction.registry import forget_literals
from spantally.testing import OtlpReceiver, Reply, ScriptedServer, ToolCall

SIZES = range(1, 13)


class Place:
    """spantally with all content on, and everything that it sends and keeps."""

    def __init__(self, folder: Path, *, redact: bool = True) -> None:
        self.receiver = OtlpReceiver()
        self.receiver.start()
        self.ledger = folder / "streams.db"
        url = self.receiver.url
        self.spans = TracerProvider(shutdown_on_exit=False)
        self.spans.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces")))
        self.logs = LoggerProvider(shutdown_on_exit=False)
        self.logs.add_log_record_processor(
            SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{url}/v1/logs"))
        )
        spantally.instrument(
            tracer_provider=self.spans,
            logger_provider=self.logs,
            ledger=self.ledger,
            capture_content="span_and_event",
            ledger_content="all",
            redact=redact,
        )

    def seen(self) -> dict[str, bytes]:
        """The bytes that left, and those that lie on the disk."""
        assert spantally.flush(20)
        return {
            "spans": self.receiver.received("/v1/traces"),
            "events": self.receiver.received("/v1/logs"),
            "ledger": ledger_bytes(self.ledger),
        }

    def close(self) -> None:
        """Take everything back."""
        spantally.uninstrument()
        self.spans.shutdown()
        self.logs.shutdown()
        self.receiver.stop()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Makes a :class:`Place`, and takes it back."""
    spantally.uninstrument()
    implicit.forget_process_session()
    forget_sessions()
    guard.reset()
    made: list[Place] = []

    def make(**arguments: Any) -> Place:
        made.append(Place(tmp_path, **arguments))
        return made[0]

    yield make
    for one in made:
        one.close()
    forget_literals()
    implicit.forget_process_session()
    guard.reset()


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The scripted server streams so many characters a chunk."""
    _cut(monkeypatch, request.param)
    return int(request.param)


def _cut(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    def pieces(text: str) -> list[str]:
        return [text[start : start + size] for start in range(0, len(text), size)]

    for module in ("chat", "responses"):
        monkeypatch.setattr(f"spantally.testing.{module}.pieces", pieces)


CALLS: dict[str, Callable[[Any], Any]] = {
    "chat": lambda client: client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hello"}], stream=True
    ),
    "responses": lambda client: client.responses.create(model="gpt-4o", input="hello", stream=True),
}


def _read(stream: Any, chunks: int | None) -> None:
    """All of a stream, or so many chunks of it."""
    if chunks is None:
        for _ in stream:
            pass
        return
    with contextlib.suppress(StopIteration):
        for _ in range(chunks):
            next(stream)
    stream.close()


async def _read_async(stream: Any, chunks: int | None) -> None:
    seen = 0
    async for _ in stream:
        seen += 1
        if seen == chunks:
            await stream.close()
            return


def ask(server: ScriptedServer, api: str, how: str, chunks: int | None = None) -> None:
    """One streamed call."""
    key = "sk-made-up-for-streams-0001"
    if how == "sync":
        with openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
            _read(CALLS[api](client), chunks)
        return

    async def run() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
            await _read_async(await CALLS[api](client), chunks)

    asyncio.run(run())


def text_of(planter: Planter) -> str:
    """An answer with the secret in it."""
    return f"Well, this is it: {planter('answer')} , and that was all."


def arguments_of(planter: Planter) -> str:
    """The arguments of a tool call, with the secret in them."""
    return json.dumps({"query": "find it", "with": planter("arguments"), "limit": 5})


def reply(shapes: list[Planter], what: str) -> Reply:
    """An answer with a secret of each shape, as text or as arguments."""
    if what == "text":
        return Reply(text="\n".join(text_of(one) for one in shapes))
    return Reply(tool_calls=[ToolCall("lookup", arguments_of(one)) for one in shapes])


@pytest.mark.parametrize("what", ["text", "arguments"])
@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("api", CALLS)
def test_a_secret_in_pieces_is_hidden(
    place: Callable[..., Place], size: int, api: str, how: str, what: str
) -> None:
    """Whatever the size of the pieces, the whole text is scanned once it is there."""
    planters = [Planter(shape) for shape in SHAPES]
    made = place()
    with ScriptedServer(reply(planters, what)) as server:
        ask(server, api, how)
    for where, data in made.seen().items():
        assert b"REDACTED" in data, where
        assert {one.shape for one in planters if one.found_in(data)} == set(), where
    assert not guard.failures


@pytest.mark.parametrize("what", ["text", "arguments"])
@pytest.mark.parametrize("api", CALLS)
def test_each_piece_would_reach_all_three_without_redaction(
    place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch, api: str, what: str
) -> None:
    """The control: with redaction off each secret is in span, event and ledger, so the search finds it."""
    _cut(monkeypatch, 5)
    planters = [Planter(shape) for shape in SHAPES]
    made = place(redact=False)
    with ScriptedServer(reply(planters, what)) as server:
        ask(server, api, "sync")
    for where, data in made.seen().items():
        assert {one.shape for one in planters if one.found_in(data)} == set(SHAPES), where


LEFT = ("in the middle of it", "after it")


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("what", ["text", "arguments"])
@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("api", CALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_stream_that_is_left_early_hides_what_came_of_it(
    place: Callable[..., Place],
    monkeypatch: pytest.MonkeyPatch,
    shape: str,
    api: str,
    how: str,
    what: str,
    left: str,
) -> None:
    """Broken off behind the secret or within its second half, what came of it is hidden."""
    size = 3
    _cut(monkeypatch, size)
    planter = Planter(shape)
    made = place()
    scripted = reply([planter], what)
    text = scripted.text or scripted.tool_calls[0].json
    (marker,) = planter.markers.values()
    last = marker.needles[-1]
    inside = text.index(last) + (8 if left == LEFT[0] else len(last) + 3)
    with ScriptedServer(scripted) as server:
        ask(server, api, how, inside // size + (2 if api == "chat" else 4))
    gc.collect()
    for where, data in made.seen().items():
        assert planter.found_in(data) == set(), where
    assert not guard.failures
