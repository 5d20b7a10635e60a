"""The second redaction net, judged by exported bytes."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from otel_kit import SECRET, Bench, Bytes
from spantally.ground import guard
from spantally.otel import redaction_net
from spantally.otel.net_probe import NET_FRONT, NET_ON_ENDING, feature_test
from spantally.otel.redaction_net import place_in_front
from spantally.otel.span_processor import SpanProcessor


def _leaky_span(bench: Bench) -> Link:
    link = Link(SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(0)), {"note": SECRET})
    span = bench.tracer.start_span(
        f"call {SECRET}", attributes={"url.full": f"https://x/?key={SECRET}"}, links=[link]
    )
    span.set_attribute("list", [SECRET, "plain"])
    span.set_attribute("tokens", 42)
    span.add_event(f"event {SECRET}", {"body": SECRET})
    try:
        raise ValueError(f"bad key {SECRET}")
    except ValueError as error:
        span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"ValueError: bad key {SECRET}"))
    span.end()
    return link


def test_no_exporter_before_or_behind_ours_sends_a_secret() -> None:
    """Name, attributes, events, exception, link, status and resource leave without the secret."""
    bench = Bench()
    _leaky_span(bench)
    assert bench.before.sent
    assert SECRET.encode() not in bench.before.sent
    assert SECRET.encode() not in bench.after.sent
    assert bench.after.spans[0].attributes is not None
    assert bench.after.spans[0].attributes["tokens"] == 42
    assert bench.after.spans[0].status.status_code is StatusCode.ERROR
    assert len(bench.after.spans[0].links) == 1


def test_the_programs_own_link_keeps_its_value() -> None:
    """A Link belongs to the program, so redaction replaces it rather than change it."""
    link = _leaky_span(Bench())
    assert dict(link.attributes or {}) == {"note": SECRET}


class _Raising:
    def text(self, text: str, key: str | None = None) -> str:
        raise RuntimeError(SECRET)

    def value(self, value: Any, key: str | None = None) -> Any:
        raise RuntimeError(SECRET)

    def attributes(self, attributes: Any) -> dict[str, Any]:
        raise RuntimeError(SECRET)


def test_a_redactor_that_raises_withholds_texts_and_keeps_numbers() -> None:
    """It fails closed: the span goes out, its texts do not, its numbers do."""
    guard.reset()
    bench = Bench(redact=_Raising())
    _leaky_span(bench)
    assert SECRET.encode() not in bench.before.sent + bench.after.sent
    span = bench.after.spans[0]
    assert span.attributes is not None
    assert span.attributes["tokens"] == 42
    assert span.attributes["url.full"] == "[REDACTED:error]"
    assert span.name == "[REDACTED:error]"


@pytest.mark.parametrize("part", ["_redact_name", "_redact_status", "_redact_events", "_redact_links"])
def test_a_part_that_cannot_be_replaced_is_lost_not_leaked(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the SDK refuses the replacement of one part, that part is withheld and the rest survives."""

    def refuse(span: Any, redactor: Any) -> None:
        raise AttributeError(part)

    monkeypatch.setattr(redaction_net, part, refuse)
    bench = Bench()
    _leaky_span(bench)
    assert bench.after.spans
    assert SECRET.encode() not in bench.before.sent + bench.after.sent


def test_redaction_that_fails_as_a_whole_withholds_the_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a net that breaks outright lets no text through."""

    def broken(span: Any, redactor: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr("spantally.otel.span_processor.redact_ending_span", broken)
    bench = Bench()
    _leaky_span(bench)
    assert SECRET.encode() not in bench.before.sent + bench.after.sent
    assert bench.after.spans


def test_this_sdk_offers_the_strong_net() -> None:
    """On supported SDKs every processor gets redacted spans, and the test leaves ``random`` alone."""
    import random

    random.seed(1)
    expected = random.Random(1).random()
    report = feature_test()
    assert (report.net, report.earlier, report.later) == (NET_ON_ENDING, True, True)
    assert random.random() == expected


def test_without_the_hook_the_front_position_is_the_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK that never calls ``_on_ending`` is noticed, and spans behind ours are still redacted."""
    monkeypatch.setattr(SynchronousMultiSpanProcessor, "_on_ending", lambda self, span: None)
    report = feature_test()
    assert (report.net, report.earlier, report.later) == (NET_FRONT, False, True)
    bench = Bench()
    _leaky_span(bench)
    assert SECRET.encode() not in bench.after.sent


def test_place_in_front_and_its_public_fallback() -> None:
    """Ours goes first where the provider's list can be rebuilt, else it is added the public way."""
    provider = TracerProvider(shutdown_on_exit=False)
    first, mine = Bytes(), SpanProcessor(redact=False, sink=lambda record: None)
    provider.add_span_processor(first)
    assert place_in_front(provider, mine)
    assert place_in_front(provider, mine)
    assert provider._active_span_processor._span_processors == (mine, first)

    class Closed:
        added: Any = None

        def add_span_processor(self, processor: Any) -> None:
            self.added = processor

    closed = Closed()
    assert not place_in_front(closed, mine)
    assert closed.added is mine


def test_start_attributes_are_redacted_for_a_processor_that_looks() -> None:
    """In front of a processor that exports in ``on_start``, start attributes are redacted at once."""
    bench = Bench(front=True, looks_at_start=True)
    bench.tracer.start_span("x", attributes={"note": SECRET}).end()
    assert SECRET not in str(bench.after.starts)


class _Pending(Bytes):
    """Sends a span as it starts, as some back ends want it."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.sent += encode_spans([span]).SerializeToString()


def test_all_of_a_start_is_redacted_for_a_processor_that_sends_it() -> None:
    """Name, names of attributes, links, scope and resource, not only values; the span still records."""
    bench = Bench(front=True)
    pending = _Pending()
    bench.provider.add_span_processor(pending)
    other = SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(0))
    span = bench.provider.get_tracer(f"scope {SECRET}").start_span(
        f"call {SECRET}", attributes={SECRET: 1, "note": SECRET}, links=[Link(other, {"a": SECRET})]
    )
    assert pending.sent
    assert SECRET.encode() not in pending.sent
    span.set_attribute("later", 5)
    span.end()
    assert (bench.after.spans[0].attributes or {})["later"] == 5


def test_redact_false_lets_spans_pass() -> None:
    """A user who turns redaction off gets the span as it is."""
    bench = Bench(redact=False)
    _leaky_span(bench)
    assert SECRET.encode() in bench.after.sent
