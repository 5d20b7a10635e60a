"""Large content of synchronous functions on an event loop: its thread scans none, the row has all of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import spantally
from spantally.calls import unscanned
from spantally.calls.pipeline import add_consumer, remove_consumer
from spantally.ground import guard
from spantally.ground.event_loop import told
from spantally.ground.records import CallRecord, EventRecord, Record, SessionRecord
from spantally.ground.worker import worker
from spantally.redaction import engine

SECRET = "sk-proj-Zx81mQ4tLw9Bv72KpY3sA"
LONG = "a plain word or two " * 12_000
MARK = "[REDACTED:error]"
_texts = count()


def long_text() -> str:
    """A large text with a secret, which nobody has scanned yet."""
    return f"text {next(_texts)} {LONG} {SECRET}"


class Kept:
    """What reached the spans and the rows, and which threads scanned long texts."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.records: list[Record] = []
        self.scanned: list[str] = []

    def span(self) -> dict[str, Any]:
        """Attributes of the only span."""
        (span,) = self.exporter.get_finished_spans()
        return dict(span.attributes or {})

    def content(self) -> dict[str, Any]:
        """Content of the only row of a call, agent or tool."""
        assert spantally.flush(10)
        (record,) = [one for one in self.records if isinstance(one, CallRecord)]
        return dict(record.content or {})


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """Content is on, for spans and rows."""
    guard.reset()
    kept = Kept()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept.exporter))
    plain = engine.redact

    def noted(text: str, *given: Any, **named: Any) -> str:
        if len(text) > 50_000:
            kept.scanned.append(threading.current_thread().name)
        return plain(text, *given, **named)

    monkeypatch.setattr(engine, "redact", noted)
    monkeypatch.setenv("SPANTALLY_LEDGER_CONTENT", "all")
    spantally.instrument(ledger=":memory:", tracer_provider=provider, capture_content="span_only")
    add_consumer(kept.records.extend)
    yield kept
    remove_consumer(kept.records.extend)
    spantally.uninstrument()
    guard.reset()


def on_a_loop(call: Callable[[], object]) -> None:
    """Call something within a coroutine, and let the worker do what is left to it."""

    async def program() -> None:
        call()
        assert await told(worker.notify_when_drained, 10)

    asyncio.run(program())


def _tool() -> None:
    @spantally.tool
    def work(given: str, more: int) -> list[str]:
        return [given, "short"]

    assert work(long_text(), 5)[1] == "short"


def _agent() -> None:
    @spantally.agent
    def work(given: str) -> str:
        return given

    assert work(long_text()).endswith(SECRET)


def _recorded_call() -> None:
    with spantally.session("s") as session:
        session.record_call(
            model="gpt-4o", input=long_text(), output="noted", input_tokens=3, output_tokens=1
        )


WAYS = {
    "tool": (_tool, "gen_ai.tool.call.arguments", "arguments"),
    "agent": (_agent, "gen_ai.input.messages", "input"),
    "recorded call": (_recorded_call, "gen_ai.input.messages", "input"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_loops_thread_scans_nothing_large(way: str, kept: Kept) -> None:
    """The span has a mark for the text and all that is small; the row has the text without its secret."""
    call, key, name = WAYS[way]
    on_a_loop(call)
    content = kept.content()
    assert set(kept.scanned) == {"spantally-worker"}, kept.scanned
    told = kept.span()[key]
    assert MARK in told
    assert "plain word" not in told
    assert isinstance(json.loads(told), (dict, list))
    if way == "tool":
        assert json.loads(told) == {"given": MARK, "more": 5}
        assert json.loads(kept.span()["gen_ai.tool.call.result"]) == [MARK, "short"]
    row = json.dumps(content[name])
    assert "a plain word or two" in row
    assert SECRET[8:] not in json.dumps(content)
    assert not guard.failures


def _finish() -> None:
    with spantally.session("s") as session:
        given = {"text": long_text()}
        session.finish(input=given, output="short")
        given.clear()


def _message() -> None:
    with spantally.session("s") as session:
        session.record_message("user", long_text())


@pytest.mark.parametrize("say", [_finish, _message])
def test_what_is_said_of_a_session(say: Callable[[], None], kept: Kept) -> None:
    """Its input as it was then, and its messages, are in the ledger; the loop's thread scans none of it."""
    on_a_loop(say)
    assert spantally.flush(10)
    assert set(kept.scanned) == {"spantally-worker"}, kept.scanned
    rows = repr([one for one in kept.records if isinstance(one, (SessionRecord, EventRecord))])
    assert "a plain word or two" in rows
    assert SECRET[8:] not in rows
    ended = [one for one in kept.records if isinstance(one, SessionRecord) and one.end_ns is not None]
    assert [one.status for one in ended] == ["succeeded"]
    assert not guard.failures


@pytest.mark.parametrize("way", WAYS)
def test_elsewhere_the_thread_that_calls_scans(way: str, kept: Kept) -> None:
    """Nobody's loop waits: the span has the text as ever."""
    call, key, _ = WAYS[way]
    call()
    assert "MainThread" in kept.scanned
    assert "a plain word or two" in kept.span()[key]
    assert SECRET[8:] not in repr(kept.span())


def test_log_events_on_a_loop(kept: Kept) -> None:
    """Whoever hears of the message gets a mark in the place of its text."""
    logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    heard = LoggerProvider(shutdown_on_exit=False)
    heard.add_log_record_processor(SimpleLogRecordProcessor(logs))
    spantally.instrument(logger_provider=heard, capture_content="span_and_event")
    on_a_loop(_message)
    assert spantally.flush(10)
    assert set(kept.scanned) == {"spantally-worker"}, kept.scanned
    told = repr([one.log_record.attributes for one in logs.get_finished_logs()])
    assert MARK in told
    assert "plain word" not in told


def test_little_is_scanned_at_once(kept: Kept) -> None:
    """Up to a room of some milliseconds the span has all of it."""
    text = "a plain word or two " * 9_000

    @spantally.tool
    def work(given: str) -> int:
        return len(given)

    on_a_loop(lambda: work(text))
    assert json.loads(kept.span()["gen_ai.tool.call.arguments"])["given"].startswith("a plain word")
    assert set(kept.scanned) == {"MainThread"}


def test_what_fails_on_the_worker_is_ours(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is there without the content."""

    def broken(*given: Any, **named: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("spantally.calls.work_values._keep", broken)

    @spantally.tool
    def work(given: str) -> None: ...

    on_a_loop(lambda: work(long_text()))
    assert kept.content() == {}
    assert guard.failures[("calls.later_content", "ZeroDivisionError")] == 1


def test_an_engine_that_cannot_be_loaded_early(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """instrument() goes on, and so does the program."""

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("spantally.api.runtime.load_for_content", broken)
    spantally.instrument(capture_content="span_only")
    _agent()
    assert "a plain word or two" in repr(kept.span())
    assert guard.failures[("api.content", "ZeroDivisionError")] == 1


def test_the_first_tool_finds_the_engine_loaded() -> None:
    """Its patterns take 0.1 s, of an event loop perhaps; without content nobody needs them."""
    program = (
        "import sys, spantally; spantally.instrument(ledger=False, capture_content={!r});"
        "print('spantally.redaction.engine' in sys.modules)"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program.format(mode)], capture_output=True, text=True, check=True
        ).stdout.strip()
        for mode in ("span_only", "no_content")
    ]
    assert told == ["True", "False"]


def test_the_room_is_that_of_foreign_spans() -> None:
    """One number for what a loop's thread bears."""
    from spantally.otel.bounded import ON_A_LOOP

    assert unscanned.ROOM == ON_A_LOOP
