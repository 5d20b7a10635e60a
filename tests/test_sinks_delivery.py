"""Sinks: each gets every finished span, redacted, in the documented shape, as long as it is in use."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import spantally
from sinks_kit import Kept, planner
from spantally.api import runtime
from spantally.ground.worker import helpers
from spantally.sinks.items import FIELDS
from spantally.sinks.registry import sinks
from spantally.testing import ScriptedServer

SECRET = "sk-proj-Zq8Xw3Vt6Ys1Ur4Pn9Mk2Lj7Hg5Fd0Sa"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    spantally.uninstrument()
    yield
    spantally.uninstrument()
    assert sinks.sinks == ()
    assert helpers == []


@pytest.fixture
def provider() -> TracerProvider:
    """A provider of the program's own."""
    return TracerProvider(shutdown_on_exit=False)


def chat(server: ScriptedServer) -> None:
    """One call to a model."""
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])


def test_every_kind_of_exporter_gets_every_span(
    provider: TracerProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An OTel exporter, a callback, a file and a logger have the same spans, each on a thread of its own."""
    items: list[dict[str, Any]] = []
    kept, path = Kept(), tmp_path / "spans.jsonl"
    caplog.set_level(logging.INFO, logger="spantally.events")
    spantally.instrument(
        ledger=False,
        tracer_provider=provider,
        exporters=[
            kept,
            spantally.CallbackExporter(items.append),
            spantally.JsonlExporter(path),
            spantally.LoggingExporter(),
        ],
    )
    with spantally.session("chat-42"), ScriptedServer() as server:
        for _ in range(200):
            planner()
        chat(server)
    assert spantally.flush()
    assert kept.names == ["invoke_agent planner"] * 200 + ["chat gpt-4o-mini"]
    assert kept.threads == {"spantally-sink-Kept"}
    assert [item["name"] for item in items] == [*kept.names, "session"]
    assert [json.loads(line) for line in path.read_text().splitlines()] == items
    logged = [record for record in caplog.records if record.name == "spantally.events"]
    assert [record.spantally for record in logged] == items  # type: ignore[attr-defined]
    assert logged[-2].getMessage().startswith("chat gpt-4o-mini ok ")
    assert " session=chat-42 in=" in logged[-2].getMessage()
    assert logged[-1].getMessage().startswith("session succeeded ")


def test_items_have_the_documented_shape(provider: TracerProvider) -> None:
    """Every item has every field, in order, as JSON; a call has its ids, whose it is, tokens and its cost."""
    items: list[dict[str, Any]] = []
    spantally.instrument(
        ledger=False, tracer_provider=provider, exporters=[spantally.CallbackExporter(items.append)]
    )
    with (
        ScriptedServer() as server,
        spantally.session("chat-42", user="alice", entity="customer:acme", tags={"feature": "search"}),
        spantally.agent("planner"),
    ):
        chat(server)
        with trace.get_tracer("db", tracer_provider=provider).start_as_current_span("SELECT") as span:
            span.add_event("slow", {"ratio": float("nan"), "rows": (1, 2)})
            span.set_status(trace.StatusCode.ERROR, "it broke")
    assert spantally.flush()
    call, select, agent, _ended = items
    for item in items:
        assert list(item) == list(FIELDS)
        assert json.loads(json.dumps(item, allow_nan=False)) == item
        assert (item["session_id"], item["user_id"]) == ("chat-42", "alice")
        assert (item["entity_type"], item["entity_id"]) == ("customer", "acme")
        assert item["tags"] == {"feature": "search"}
    assert (call["kind"], call["operation"], call["status"]) == ("inference", "chat", "ok")
    assert call["parent_span_id"] == agent["span_id"]
    assert call["parent_call_id"] == agent["call_id"]
    assert call["agent_path"] == agent["agent_path"] == ["planner"]
    assert min(call["input_tokens"], call["output_tokens"]) > 0
    assert call["cost_status"] == "priced"
    assert call["cost_nano_usd"] > 0
    assert call["cost_usd"].startswith("0.0")
    assert call["started_at"] < call["ended_at"]
    assert call["ended_at"].endswith("Z")
    assert (agent["kind"], agent["cost_status"], agent["input_tokens"]) == ("agent", None, None)
    assert (select["kind"], select["operation"]) == ("span", None)
    assert (select["status"], select["status_message"]) == ("error", "it broke")
    assert select["events"][0]["attributes"] == {"ratio": "nan", "rows": [1, 2]}


def test_secrets_are_gone(provider: TracerProvider, tmp_path: Path) -> None:
    """What a sink gets has lost its secrets, those of spans of others too."""
    path = tmp_path / "spans.jsonl"
    spantally.instrument(ledger=False, tracer_provider=provider, exporters=[spantally.JsonlExporter(path)])
    tracer = trace.get_tracer("db", tracer_provider=provider)
    with tracer.start_as_current_span(f"SELECT {SECRET}") as span:
        span.set_attribute("db.query.text", f"key={SECRET}")
        span.add_event("said", {"text": SECRET})
    assert spantally.flush()
    text = path.read_text()
    assert "REDACTED" in text
    assert SECRET not in text


def test_exporters_come_and_go_at_run_time(provider: TracerProvider) -> None:
    """One that is added gets what ends from then on; one that is removed has all of it, and is shut down."""
    kept = Kept()
    spantally.instrument(ledger=False, tracer_provider=provider)
    planner()
    spantally.add_exporter(kept)
    planner()
    spantally.remove_exporter(kept)
    assert kept.names == ["invoke_agent planner"]
    assert kept.shut == 1
    planner()
    assert spantally.flush()
    assert len(kept.names) == 1


def test_an_exporter_may_be_added_before_instrument(provider: TracerProvider) -> None:
    """What was added before instrument() gets spans from then on; uninstrument() ends it."""
    kept = Kept()
    spantally.add_exporter(kept)
    spantally.instrument(ledger=False, tracer_provider=provider)
    planner()
    spantally.uninstrument()
    assert (kept.names, kept.shut) == (["invoke_agent planner"], 1)


def test_spans_that_are_not_sampled_go_nowhere() -> None:
    """As to any exporter; the tally has them nevertheless."""
    kept = Kept()
    spantally.instrument(
        ledger=False,
        tracer_provider=TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False),
        exporters=[kept],
    )
    planner()
    assert spantally.flush()
    assert kept.names == []


def test_a_filter_passes_on_what_it_is_told_to(provider: TracerProvider) -> None:
    """The predicate gets the same item as a callback; for the inner exporter spans are spans."""
    items: list[dict[str, Any]] = []
    kept = Kept()
    agents = spantally.FilterExporter(kept, lambda item: item["kind"] == "agent")
    other = spantally.FilterExporter(
        spantally.CallbackExporter(items.append), lambda item: item["kind"] != "agent"
    )
    spantally.instrument(ledger=False, tracer_provider=provider, exporters=[agents, other])
    planner()
    with trace.get_tracer("db", tracer_provider=provider).start_as_current_span("SELECT"):
        pass
    assert spantally.flush()
    assert kept.names == ["invoke_agent planner"]
    assert [item["name"] for item in items] == ["SELECT"]
    spantally.remove_exporter(agents)
    assert kept.shut == 1


def test_a_new_file_is_its_owners_and_an_old_one_is_appended_to(
    provider: TracerProvider, tmp_path: Path
) -> None:
    """Mode 0600, and what stood in the file stays; after removal the file is closed."""
    path = tmp_path / "spans.jsonl"
    exporter = spantally.JsonlExporter(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    os.write(exporter._file or 0, b'{"old": true}\n')
    spantally.instrument(ledger=False, tracer_provider=provider, exporters=[exporter])
    planner()
    spantally.remove_exporter(exporter)
    lines = path.read_text().splitlines()
    assert [json.loads(line).get("name") for line in lines] == [None, "invoke_agent planner"]
    assert exporter._file is None


def test_a_second_instrument_keeps_the_exporters(provider: TracerProvider) -> None:
    """instrument() twice is once, for its exporters too."""
    kept = Kept()
    for _ in range(2):
        spantally.instrument(ledger=False, tracer_provider=provider, exporters=[kept])
    planner()
    assert spantally.flush()
    assert len(kept.names) == 1


def test_wrong_exporters_are_refused_before_any_effect(tmp_path: Path) -> None:
    """A wrong argument raises a ValueError that names it and says what to do."""
    kept = Kept()
    logs: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    spantally.add_exporter(kept)
    wrong: list[tuple[Any, str]] = [
        (lambda: spantally.add_exporter(kept), "in use already"),
        (lambda: spantally.add_exporter(print), "CallbackExporter"),
        (lambda: spantally.add_exporter(Kept), "is a class"),
        (lambda: spantally.add_exporter(ConsoleMetricExporter()), "PeriodicExportingMetricReader"),
        (lambda: spantally.FilterExporter(logs, bool), "itself"),
        (lambda: spantally.remove_exporter(Kept()), "not in use"),
        (lambda: spantally.instrument(exporters=kept), "list of exporters"),
        (lambda: spantally.instrument(exporters=[kept, kept]), "twice"),
        (lambda: spantally.instrument(exporters=[None]), "no exporter of spans"),
        (lambda: spantally.CallbackExporter(None), "plain function"),  # type: ignore[arg-type]
        (lambda: spantally.JsonlExporter(tmp_path / "no" / "file"), "No such file"),
        (lambda: spantally.JsonlExporter(""), "path of a file"),
        (lambda: spantally.LoggingExporter(3), "logger or its name"),  # type: ignore[arg-type]
        (lambda: spantally.LoggingExporter(level="INFO"), "logging.INFO"),  # type: ignore[arg-type]
        (lambda: spantally.FilterExporter(print, bool), "no exporter"),  # type: ignore[arg-type]
        (lambda: spantally.FilterExporter(kept, "errors"), "predicate"),  # type: ignore[arg-type]
    ]
    for call, text in wrong:
        with pytest.raises(ValueError, match=text):
            call()
    assert [one.exporter for one in sinks.sinks] == [kept]
    assert runtime.current is None


def test_a_disabled_spantally_uses_no_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under SPANTALLY_DISABLED nothing is put into use; a wrong argument is told nevertheless."""
    monkeypatch.setenv("SPANTALLY_DISABLED", "true")
    kept = Kept()
    spantally.add_exporter(kept)
    spantally.remove_exporter(kept)
    with pytest.raises(ValueError, match="no exporter"):
        spantally.add_exporter(print)
    assert sinks.sinks == ()


def test_the_documented_fields_are_those_of_an_item() -> None:
    """The table in the documentation has each field, in order, with what the code says of it."""
    text = (Path(__file__).resolve().parents[1] / "docs" / "live-and-sinks.md").read_text(encoding="utf-8")
    table = text.partition("<!-- item fields -->\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [f"| `{name}` | {meaning} |" for name, meaning in FIELDS.items()]
