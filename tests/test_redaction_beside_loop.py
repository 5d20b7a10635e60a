"""Much content of decorated coroutine functions is scanned in a thread, not on that of the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import spantally
from spantally.calls import beside
from spantally.ground import guard
from spantally.redaction import engine

SECRET = "sk-proj-Zx81mQ4tLw9Bv72KpY3sA"
LONG = "a plain word or two " * 5_000


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Where the spans go, with content on."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spantally.instrument(ledger=False, tracer_provider=provider, capture_content="span_only")
    yield exporter
    spantally.uninstrument()
    guard.reset()


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the threads that scan long texts."""
    found: list[str] = []
    plain = engine.redact

    def noted(text: str, *given: Any, **named: Any) -> str:
        if len(text) > 50_000:
            found.append(threading.current_thread().name)
        return plain(text, *given, **named)

    monkeypatch.setattr(engine, "redact", noted)
    return found


@pytest.mark.parametrize("make", [spantally.tool, spantally.agent, spantally.workflow])
def test_arguments_and_values_are_scanned_beside(
    make: Any, spans: InMemorySpanExporter, scanned: list[str]
) -> None:
    """Both are on the span, without their secrets; the loop's thread has scanned none of them."""

    @make(name="work")  # type: ignore[untyped-decorator]
    async def work(given: str) -> str:
        return f"{SECRET} {given[::-1]}"

    value = asyncio.run(work(f"{make.__name__} {LONG} {SECRET}"))  # no text that is remembered
    assert value.startswith(SECRET), "the program's value is as it is"
    assert scanned
    assert set(scanned) == {"spantally-scan"}
    told = repr([dict(span.attributes or {}) for span in spans.get_finished_spans()])
    assert "a plain word" in told
    assert "[REDACTED:openai-key:" in told
    assert SECRET[8:] not in told


def test_what_is_not_captured_is_not_scanned(spans: InMemorySpanExporter, scanned: list[str]) -> None:
    """capture=False costs nothing, and neither does a short text."""

    @spantally.tool(capture=False)
    async def silent(given: str) -> str:
        return given

    assert asyncio.run(silent(LONG)) == LONG
    assert scanned == []


def test_a_scan_that_fails_is_ours(spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function runs and gives what it gives."""

    async def broken(*given: object) -> None:
        raise ZeroDivisionError

    @spantally.tool
    async def work(given: str) -> int:
        return len(given)

    monkeypatch.setattr(beside, "scan_beside", broken)
    assert asyncio.run(work(LONG)) == len(LONG)
    assert guard.failures[("calls.scan_work", "ZeroDivisionError")] == 2


def test_a_cancellation_during_the_scan_is_the_programs(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes, and the span ends."""
    scans: list[object] = []

    async def cancelled(*given: object) -> None:
        scans.append(given)
        if len(scans) == 2:
            raise asyncio.CancelledError

    @spantally.tool
    async def work(given: str) -> int:
        return len(given)

    async def program() -> None:
        with pytest.raises(asyncio.CancelledError):
            await work(LONG)

    monkeypatch.setattr(beside, "scan_beside", cancelled)
    asyncio.run(program())
    assert len(spans.get_finished_spans()) == 1
