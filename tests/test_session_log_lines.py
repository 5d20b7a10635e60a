"""Log lines of the standard library say whose work they are about."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage, context, trace

import spantally
from spantally.ground import guard
from watching import Watched

FORMAT = "%(session_id)s|%(trace_id)s|%(span_id)s|%(agent)s|%(message)s"


@pytest.fixture
def lines() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of its own with the filter on its handler, and what it writes."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(spantally.LogFilter())
    logger = logging.getLogger("program")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, written
    logger.removeHandler(handler)


def test_lines_carry_session_trace_and_agent(
    watched: Watched, lines: tuple[logging.Logger, io.StringIO]
) -> None:
    """Inside a session and nested agents all fields are there, outside each is an empty text."""
    logger, written = lines
    logger.warning("outside")
    with spantally.session("chat-1"), spantally.agent("planner"), spantally.agent("researcher"):
        logger.warning("inside")
        span = trace.get_current_span().get_span_context()
    outside, inside = written.getvalue().splitlines()
    assert outside == "||||outside"
    assert inside == f"chat-1|{span.trace_id:032x}|{span.span_id:016x}|planner > researcher|inside"


def test_lines_of_a_request_carry_the_session_that_it_came_with(
    watched: Watched, lines: tuple[logging.Logger, io.StringIO]
) -> None:
    """A server span whose baggage names a session: no block of the program is needed."""
    logger, written = lines
    inbound = baggage.set_baggage("session.id", "from-afar", context.get_current())
    tracer = trace.get_tracer("server", tracer_provider=watched.provider)
    span = tracer.start_span("GET /", context=inbound, kind=trace.SpanKind.SERVER)
    with trace.use_span(span, end_on_exit=True):
        logger.warning("handled")
    assert written.getvalue().startswith(f"from-afar|{span.get_span_context().trace_id:032x}|")


def test_lines_of_two_threads_are_told_apart(
    watched: Watched, lines: tuple[logging.Logger, io.StringIO]
) -> None:
    """Each thread's lines carry its own session."""
    logger, written = lines
    both = threading.Barrier(2)

    def work(name: str) -> None:
        with spantally.session(name):
            both.wait(5)
            logger.warning(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = {(line.split("|")[0], line.split("|")[-1]) for line in written.getvalue().splitlines()}
    assert got == {("one", "one"), ("two", "two")}


def test_a_record_factory_gives_every_record_the_fields(watched: Watched) -> None:
    """Also those of handlers without the filter, and of other libraries' loggers."""
    before = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        spantally.LogFilter.add_to(record)
        return record

    logging.setLogRecordFactory(factory)
    try:
        with spantally.session("chat-1"):
            record = logging.getLogger("library").makeRecord("library", 30, "f", 1, "text", (), None)
    finally:
        logging.setLogRecordFactory(before)
    assert vars(record)["session_id"] == "chat-1"


def test_what_a_record_has_already_stays() -> None:
    """The program's own field of that name, of whatever type."""
    record = logging.makeLogRecord({"session_id": 7})
    with spantally.session("chat-1"):
        assert spantally.LogFilter().filter(record) is True
    assert vars(record)["session_id"] == 7
    assert vars(record)["agent"] == ""


def test_a_filter_that_fails_lets_the_line_pass(
    watched: Watched, lines: tuple[logging.Logger, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With empty fields, so that the format holds; the failure is counted and logs nothing itself."""

    def fail(*args: Any) -> Any:
        raise RuntimeError

    logger, written = lines
    monkeypatch.setattr("spantally.api.logs.current_scope", fail)
    with spantally.session("chat-1"):
        logger.warning("inside")
    assert written.getvalue() == "||||inside\n"
    assert guard.failures["api.log_record", "RuntimeError"] == 1
