"""The export filter: GenAI spans alone reach exporters, connected as well as they can be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

import spantally
from spantally.ground import guard
from spantally.testing import OtlpReceiver

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
INFERENCE = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o"}
SPANS = 11
"""Spans that ``nest`` makes."""
REMOTE = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))


class Filtered:
    """A provider with exporters before and behind ours, and what they got."""

    def __init__(self, **arguments: Any) -> None:
        self.before, self.after = InMemorySpanExporter(), InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(self.before))
        spantally.instrument(ledger=":memory:", tracer_provider=self.provider, **arguments)
        self.provider.add_span_processor(SimpleSpanProcessor(self.after))
        self.tracer = trace.get_tracer("app", tracer_provider=self.provider)

    def spans(self) -> Mapping[str, ReadableSpan]:
        """Exported spans by name; both exporters have the same."""
        assert self.provider.force_flush()
        found = {span.name: span for span in self.after.get_finished_spans()}
        assert {span.name for span in self.before.get_finished_spans()} == found.keys()
        return found

    def parents(self) -> dict[str, str | None]:
        """By name of each exported span that of its parent; ``remote`` for that of another process."""
        found = self.spans()
        names = {span.context.span_id: name for name, span in found.items()} | {REMOTE.span_id: "remote"}
        return {
            name: None if span.parent is None else names.get(span.parent.span_id, "missing")
            for name, span in found.items()
        }


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    spantally.uninstrument()
    guard.reset()
    yield
    spantally.uninstrument()


def nest(tracer: trace.Tracer) -> None:
    """A tool and calls of three dialects beneath http and database spans beneath an agent."""
    with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER), tracer.start_as_current_span("route"):
        with spantally.agent("planner"):
            with tracer.start_as_current_span("POST"), tracer.start_as_current_span("retry"):
                tracer.start_span("chat", attributes=CHAT).end()
            with tracer.start_as_current_span("SELECT"), spantally.tool("search"):
                pass
        with tracer.start_as_current_span("late") as late:
            with tracer.start_as_current_span("cache"):
                tracer.start_span("llm", attributes=INFERENCE).end()
            late.set_attributes(CHAT)


def test_only_genai_spans_are_exported_and_hang_together() -> None:
    """Each kept span hangs beneath its nearest kept ancestor, or is a root where it has none."""
    filtered = Filtered(export_filter="genai")
    nest(filtered.tracer)
    assert filtered.parents() == {
        "chat": "invoke_agent planner",
        "execute_tool search": "invoke_agent planner",
        "invoke_agent planner": None,
        "llm": None,
        "late": None,
    }
    assert len({span.context.trace_id for span in filtered.spans().values()}) == 1


def test_a_caller_in_another_process_stays_the_parent() -> None:
    """Where no ancestor of this process is kept, the span that called into it is the parent."""
    filtered = Filtered(export_filter="genai")
    inbound = trace.set_span_in_context(NonRecordingSpan(REMOTE))
    with filtered.tracer.start_as_current_span("GET /", context=inbound, kind=SpanKind.SERVER):
        filtered.tracer.start_span("chat", attributes=CHAT).end()
    assert filtered.parents() == {"chat": "remote"}


def test_nothing_of_a_span_that_is_left_out_changes_for_the_program() -> None:
    """Its context stays sampled: what it propagates, and what begins beneath it after its end, goes on."""
    filtered = Filtered(export_filter="genai")
    span = filtered.tracer.start_span("GET /")
    inside = trace.set_span_in_context(span)
    agent = filtered.tracer.start_span("agent", context=inside, attributes=CHAT)
    span.end()
    agent.end()
    beneath = trace.set_span_in_context(agent)
    carrier: dict[str, str] = {}
    propagate.inject(carrier, inside)
    assert int(carrier["traceparent"].rpartition("-")[2], 16) & TraceFlags.SAMPLED
    del agent, span
    with filtered.tracer.start_as_current_span("POST", context=beneath):
        filtered.tracer.start_span("chat", attributes=CHAT).end()
    assert filtered.parents() == {"agent": None, "chat": "agent"}


def test_without_the_filter_everything_is_exported() -> None:
    """The default is all, and a later instrument() may change it."""
    filtered = Filtered()
    nest(filtered.tracer)
    assert len(filtered.spans()) == SPANS
    spantally.instrument(export_filter="genai")
    with filtered.tracer.start_as_current_span("unseen"):
        pass
    spantally.instrument(export_filter="all")
    with filtered.tracer.start_as_current_span("seen"):
        pass
    assert "seen" in filtered.spans()
    assert "unseen" not in filtered.spans()


def test_sinks_and_ledger_beneath_the_filter() -> None:
    """Sinks get what exporters get; the ledger has every row, with the parents that the program made."""
    items: list[dict[str, Any]] = []
    filtered = Filtered(export_filter="genai", exporters=[spantally.CallbackExporter(items.append)])
    nest(filtered.tracer)
    assert spantally.flush()
    assert sorted(item["name"] for item in items if item["type"] == "span") == sorted(filtered.spans())
    rows = {row.name or row.operation: row for row in spantally.open_ledger().calls()}
    assert rows["search"].parent_call_id == rows["planner"].call_id
    assert len(rows) >= 3


def test_a_filter_that_fails_lets_spans_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of ours is counted, and nothing is lost."""
    filtered = Filtered(export_filter="genai")

    def fail(*args: Any) -> Any:
        raise OSError

    monkeypatch.setattr("spantally.otel.span_processor.filter_span", fail)
    nest(filtered.tracer)
    assert len(filtered.spans()) == SPANS
    assert ("otel.export_filter", "OSError") in guard.failures


def test_a_wrong_value_is_refused() -> None:
    """The error names the value and what is allowed."""
    with pytest.raises(ValueError, match="'llm' is not allowed; use one of: all, genai"):
        spantally.instrument(export_filter="llm")


def test_it_holds_for_exporters_of_the_environment(tmp_path: Path) -> None:
    """Under opentelemetry-instrument, with its own exporter and nothing in the code."""
    program = tmp_path / "app.py"
    program.write_text(
        "from opentelemetry import trace\n"
        "tracer = trace.get_tracer('app')\n"
        "with tracer.start_as_current_span('GET /'), tracer.start_as_current_span('SELECT'):\n"
        f"    tracer.start_span('chat', attributes={CHAT!r}).end()\n"
    )
    with OtlpReceiver() as receiver:
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "SPANTALLY_EXPORT_FILTER": "genai",
            "SPANTALLY_LEDGER": str(tmp_path / "ledger.db"),
        }
        hook = str(Path(sys.executable).with_name("opentelemetry-instrument"))
        done = subprocess.run(
            [hook, sys.executable, str(program)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        spans = receiver.spans()
    assert [span.name for span in spans] == ["chat"]
    assert spans[0].parent_span_id in ("", None)
