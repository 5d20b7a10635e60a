"""Events, and sessions that ended, in sinks: as items, and as log records for exporters of these."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import spantally
from sinks_kit import Kept, Raising
from spantally.calls import pipeline
from spantally.ground import guard
from spantally.ground.records import CallRecord
from spantally.ground.worker import worker
from spantally.sinks import sink as sink_module
from spantally.sinks.items import FIELDS, recent

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"
EXERCISED = {"sinks.records"}
"""Guards that fail in these tests."""


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    """A provider of the program's own."""
    guard.reset()
    made = TracerProvider(shutdown_on_exit=False)
    yield made
    spantally.uninstrument()
    made.shutdown()
    guard.reset()


def work() -> None:
    """A session in which something is told."""
    with spantally.session("chat-42", user="alice", entity="customer:acme", metadata={"n": 1}) as here:
        with spantally.agent("planner"):
            here.event("cart.opened", {"items": 3, "key": KEY})
            spantally.decision(f"because of {KEY}", by="human")
        here.record_message("user", "hello")
        here.finish(success=False, reason="no plan", metrics={"steps": 2})


@pytest.mark.parametrize("capture", ["span_only", "no_content"])
def test_items_of_events_and_sessions(capture: str, provider: TracerProvider, tmp_path: Path) -> None:
    """A callback and a file get them among the spans, every field, redacted, content where it is exported."""
    items: list[dict[str, Any]] = []
    path, kept = tmp_path / "all.jsonl", Kept()
    only = spantally.FilterExporter(kept, lambda item: item["type"] != "span")
    exporters = [spantally.CallbackExporter(items.append), spantally.JsonlExporter(path), only]
    spantally.instrument(ledger=False, tracer_provider=provider, exporters=exporters, capture_content=capture)
    work()
    assert spantally.flush()
    assert [(item["type"], item["name"]) for item in items] == [
        ("event", "cart.opened"),
        ("event", "spantally.decision"),
        ("span", "invoke_agent planner"),
        ("event", "spantally.message"),
        ("session", "session"),
    ]
    opened, _, agent, message, ended = items
    for item in items:
        assert list(item) == list(FIELDS)
        assert json.loads(json.dumps(item, allow_nan=False)) == item
        assert item["session_id"] == "chat-42"
    assert (opened["kind"], opened["agent_path"], opened["duration_ms"]) == ("event", ["planner"], 0.0)
    assert (opened["span_id"], opened["call_id"]) == (agent["span_id"], agent["call_id"])
    assert opened["started_at"] == opened["ended_at"]
    assert opened["attributes"]["items"] == 3
    told = capture == "span_only"
    assert message["attributes"].get("spantally.message.content") == ("hello" if told else None)
    assert ("hello" in path.read_text(), "because" in path.read_text()) == (told, told)
    assert (ended["status"], ended["user_id"]) == ("failed", "alice")
    assert ended["status_message"] == ("no plan" if told else None)
    assert (ended["entity_type"], ended["entity_id"]) == ("customer", "acme")
    assert ended["attributes"] == {"spantally.session.metrics": {"steps": 2}}
    assert ended["duration_ms"] > 0
    assert [json.loads(line) for line in path.read_text().splitlines()] == items
    assert KEY not in path.read_text()
    assert kept.names == []


def test_log_exporters_get_events_as_log_records(provider: TracerProvider) -> None:
    """Each event is a log record on its span, redacted, with whose it is; spans go to the others alone."""
    logs, kept = InMemoryLogRecordExporter(), Kept()  # type: ignore[no-untyped-call]
    spantally.instrument(ledger=False, tracer_provider=provider, exporters=[logs, kept])
    work()
    assert spantally.flush()
    assert kept.names == ["invoke_agent planner"]
    found = logs.get_finished_logs()
    assert [one.log_record.event_name for one in found] == [
        "cart.opened",
        "spantally.decision",
        "spantally.message",
    ]
    first = found[0].log_record
    attributes = dict(first.attributes or {})
    assert (attributes["session.id"], attributes["items"]) == ("chat-42", 3)
    assert attributes["spantally.agent.path"] == "planner"
    assert first.trace_id
    assert first.span_id
    assert found[0].resource == provider.resource
    assert KEY not in repr([one.log_record for one in found])
    spantally.remove_exporter(logs)
    work()
    assert len(logs.get_finished_logs()) == 3


def test_log_records_of_events_have_a_redacted_resource() -> None:
    """The resource is the program's, and may hold its command line."""
    logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = TracerProvider(resource=Resource({"note": f"of {KEY}", "plain": 1}), shutdown_on_exit=False)
    spantally.instrument(ledger=False, tracer_provider=provider, exporters=[logs])
    try:
        work()
        assert spantally.flush()
        resources = [dict(one.resource.attributes) for one in logs.get_finished_logs()]
        assert len(resources) == 3
        assert KEY not in repr(resources)
        assert resources[0]["plain"] == 1
    finally:
        spantally.uninstrument()
        provider.shutdown()


def test_unsampled_sessions_are_told(tmp_path: Path) -> None:
    """Where no span is sampled, events and ends of sessions arrive all the same."""
    items: list[dict[str, Any]] = []
    off = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    spantally.instrument(
        ledger=False, tracer_provider=off, exporters=[spantally.CallbackExporter(items.append)]
    )
    try:
        work()
        assert spantally.flush()
    finally:
        spantally.uninstrument()
    assert [item["type"] for item in items] == ["event", "event", "event", "session"]


def test_failures_are_of_the_sink_alone(
    provider: TracerProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A log exporter that raises is said once, and a part of ours that raises stays ours; others get all."""

    class RaisingLogs(InMemoryLogRecordExporter):
        def export(self, batch: Any) -> Any:
            raise OSError("the planted text of a failure")

    items: list[dict[str, Any]] = []
    bad, good = RaisingLogs(), spantally.CallbackExporter(items.append)  # type: ignore[no-untyped-call]
    spantally.instrument(ledger=False, tracer_provider=provider, exporters=[bad, Raising(), good])
    for _ in range(3):
        work()
        assert spantally.flush()
    assert [item["type"] for item in items] == ["event", "event", "span", "event", "session"] * 3
    said = [record.getMessage() for record in caplog.records if "RaisingLogs" in record.getMessage()]
    assert len(said) == 1
    assert "planted" not in said[0]

    def boom(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(sink_module, "item_of_record", boom)
    work()
    assert spantally.flush()
    assert ("sinks.records", "RuntimeError") in guard.failures
    assert [item["type"] for item in items[15:]] == ["span"]


def test_remembered_calls_take_little(provider: TracerProvider) -> None:
    """Of 20,000 calls with much content, none of which has a span, some hundred stay, and no content."""
    spantally.instrument(
        ledger=False, tracer_provider=provider, exporters=[spantally.CallbackExporter(lambda item: None)]
    )
    gc.collect()
    tracemalloc.start()
    try:
        for place in range(20_000):
            pipeline.emit(
                CallRecord(
                    f"c{place}",
                    "s1",
                    "inference",
                    "chat",
                    place + 1,
                    trace_id=f"{place + 1:032x}",
                    span_id=f"{place + 1:016x}",
                    usage={"prompt_tokens": place, "completion_tokens": 3},
                    content={"input": str(place) * 1_000},
                )
            )
            if place % 500 == 0:
                assert worker.flush(10)
        assert worker.flush(10)
        gc.collect()
        used, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(recent._waiting) <= 256
    assert used < 10_000_000
    assert peak < 25_000_000
