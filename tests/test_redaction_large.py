"""What is large as a foreign span ends, or a log record is emitted, is replaced: nobody waits for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from otel_kit import SECRET, Bench
from spantally.ground import guard
from spantally.otel.bounded import ON_A_LOOP, ON_A_THREAD, SMALL, Bounded, size_of
from spantally.otel.log_processor import LogRecordProcessor, place_log_processor
from spantally.redaction import Redactor

MEGABYTE = 1_000_000
WITHHELD = "[REDACTED:error]"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    guard.reset()
    yield
    guard.reset()


def text_of(size: int) -> str:
    """Prose with a secret now and then, which no cache has seen."""
    line = f"The quick brown fox asks for {SECRET} and jumps over the lazy dog. "
    return (f"{time.perf_counter_ns()} " + line * (size // len(line) + 1))[:size]


def _ended(**attributes: Any) -> tuple[float, Bench]:
    """Processor time of this thread from the end of a span to its export."""
    bench = Bench()
    span = bench.tracer.start_span("foreign", attributes=attributes)
    bench.before.on_end = lambda span: bench.before.spans.append(span)  # type: ignore[method-assign]
    bench.after.on_end = lambda span: None  # type: ignore[method-assign]
    begin = time.thread_time()
    span.end()
    return time.thread_time() - begin, bench


def test_a_huge_attribute_of_a_foreign_span_holds_nobody_up() -> None:
    """50 MB cost less than the budget's worth of text does, and stay behind; the rest of the span leaves."""
    allowed, _ = _ended(body=text_of(ON_A_THREAD - 10_000))
    taken, bench = _ended(body=text_of(50 * MEGABYTE), note=f"key {SECRET}", tokens=42)
    assert taken < max(allowed, 0.05) * 2
    attributes = bench.before.attributes("foreign")
    assert attributes["body"] == WITHHELD
    assert attributes["tokens"] == 42
    assert str(attributes["note"]).startswith("key [REDACTED:openai-key")


@pytest.mark.parametrize(
    "value",
    [
        lambda: text_of(50 * MEGABYTE).encode(),
        lambda: [text_of(MEGABYTE)] * 50,
        lambda: ["x"] * (5 * MEGABYTE),
        lambda: {"deeper": [{"deepest": text_of(50 * MEGABYTE)}]},
    ],
    ids=["bytes", "sequence", "many", "map"],
)
def test_a_huge_value_of_any_type_stays_behind(value: Callable[[], Any]) -> None:
    """Bytes, sequences, many small texts and nested maps are measured by all that is in them."""
    taken, bench = _ended(body=value(), tokens=42)
    attributes = bench.before.attributes("foreign")
    if "body" in attributes:  # an older SDK takes no maps
        assert attributes["body"] == WITHHELD
    assert attributes["tokens"] == 42
    assert taken < 2


def test_name_status_and_event_share_the_budget() -> None:
    """Each part of a span counts, and a large one takes nothing from small ones."""
    bench = Bench()
    huge = text_of(ON_A_THREAD + 1)
    span = bench.tracer.start_span(huge)
    span.add_event("ask", {"body": huge, "note": "small"})
    span.set_attribute(f"key {huge}", 1)
    span.end()
    (ended,) = bench.after.spans
    assert ended.name == WITHHELD
    assert dict(ended.events[0].attributes or {}) == {"body": WITHHELD, "note": "small"}
    assert WITHHELD in (ended.attributes or {})
    assert SECRET.encode() not in bench.before.sent


def test_an_event_loop_is_held_up_for_less() -> None:
    """On a loop the budget is about 10 ms; on another thread the same text is scanned."""
    size = ON_A_LOOP + 1

    async def run() -> Bench:
        return _ended(body=text_of(size))[1]

    assert asyncio.run(run()).before.attributes("foreign")["body"] == WITHHELD
    scanned = _ended(body=text_of(size))[1].before.attributes("foreign")["body"]
    assert "[REDACTED:openai-key" in str(scanned)
    assert SECRET not in str(scanned)


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line tells that a text was too large, without any of it; it counts as no failure of ours."""
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            _ended(body=text_of(ON_A_THREAD + 1))
    assert [record.getMessage() for record in caplog.records if "too large" in record.getMessage()] == [
        "spantally: a text is too large to be scanned while the program waits; [REDACTED:error] stands for it"
    ]
    assert SECRET not in caplog.text
    assert not guard.failures


def test_a_huge_body_of_a_log_record_stays_behind() -> None:
    """The thread that logs does not wait either; small attributes stay."""
    provider, exporter = LoggerProvider(shutdown_on_exit=False), InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    place_log_processor(provider, LogRecordProcessor())
    logger = provider.get_logger("app")
    begin = time.thread_time()
    logger.emit(body=text_of(50 * MEGABYTE), attributes={"note": f"key {SECRET}", "n": 1})
    assert time.thread_time() - begin < 2
    (one,) = exporter.get_finished_logs()
    assert one.log_record.body == WITHHELD
    attributes = dict(one.log_record.attributes or {})
    assert attributes["n"] == 1
    assert SECRET not in str(attributes)


def test_many_small_texts_come_to_an_end_too() -> None:
    """Small texts have a budget of their own; behind it they are replaced one by one."""
    bounded = Bounded(Redactor())
    texts = [bounded.text("x" * SMALL) for _ in range(ON_A_THREAD // SMALL + 5)]
    assert texts[0] != WITHHELD
    assert texts[-1] == WITHHELD
    assert bounded.text("y" * (SMALL + 1)) != WITHHELD


def test_sizes() -> None:
    """Texts and bytes count by length, containers by what is in them, a cycle comes to an end."""
    cycle: list[Any] = []
    cycle.append(cycle)
    assert size_of(cycle, 100) > 100
    assert size_of("abc", 10) == size_of(b"abc", 10) == 3
    assert size_of(12345, 10) == size_of(None, 10) == 0
    assert size_of({"ab": ["cd", 1]}, 100) == 1 + 2 + 2 + 2
