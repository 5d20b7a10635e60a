"""Sinks that raise, block or call back: neither the program nor another sink nor the exit notices."""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import spantally
from sinks_kit import Kept, Raising, Stuck, planner, run_program, span_names, wait_for
from spantally.calls import pipeline
from spantally.ground import guard
from spantally.ground.records import CallRecord
from spantally.ground.worker import helpers, worker
from spantally.sinks import registry, sink
from spantally.sinks.registry import sinks
from spantally.testing import ScriptedServer


class Boom(Exception):
    """What the forced failures raise."""


def fail(*args: Any, **kwargs: Any) -> Any:
    """Raise."""
    raise Boom


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    spantally.uninstrument()
    guard.reset()
    yield
    spantally.uninstrument()
    guard.reset()
    assert helpers == []


@pytest.fixture
def provider() -> TracerProvider:
    """A provider of the program's own."""
    return TracerProvider(shutdown_on_exit=False)


def test_stuck_and_raising_sinks_cost_the_others_nothing(
    provider: TracerProvider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others get everything; a failure is said once, without its text, and its total once at the end."""
    monkeypatch.setattr(sink, "QUEUE", 300)
    kept, stuck = Kept(), Stuck()
    spantally.instrument(ledger=False, tracer_provider=provider, exporters=[stuck, Raising(), kept])
    planner()
    assert stuck.reached.wait(10)
    for number in range(400):
        planner(number)
        if number % 100 == 0:
            wait_for(lambda want=number: len(kept.names) > want)  # type: ignore[misc]
    wait_for(lambda: len(kept.names) == 401)
    assert worker.flush(5)
    assert not spantally.flush(0.2)
    monkeypatch.setattr(registry, "CLOSE_SECONDS", 0.3)
    started = time.monotonic()
    sinks.close(0.3)
    assert time.monotonic() - started < 3
    said = [record.getMessage() for record in caplog.records if "exporter" in record.getMessage()]
    assert sum("exporter Raising failed with OSError" in line for line in said) == 1
    assert sum("exporter Stuck is too slow or stuck" in line for line in said) == 1
    totals = [line for line in said if "arrived" in line]
    assert len(totals) == 2
    assert "Stuck: 0 spans arrived, 0 failed, 100 had no room in its queue, 301 still waited;" in totals[0]
    assert "Raising: 0 spans arrived, 401 failed, 0 had no room in its queue, 0 still waited" in totals[1]
    assert "planted text" not in caplog.text
    stuck.go.set()


def test_the_programs_latency_does_not_change(provider: TracerProvider) -> None:
    """Beside a stuck and a raising sink an agent takes as long as beside a good one, in one run."""
    stuck = Stuck()
    spantally.instrument(ledger=False, tracer_provider=provider, exporters=[Kept()])

    def median() -> float:
        taken = []
        for _ in range(1500):
            started = time.perf_counter()
            planner()
            taken.append(time.perf_counter() - started)
        spantally.flush(0.5)
        return statistics.median(taken)

    median()
    alone = [median() for _ in range(3)]
    spantally.add_exporter(stuck)
    spantally.add_exporter(Raising())
    beside = [median() for _ in range(3)]
    ratio = min(beside) / min(alone)
    print(f"median of an agent beside a stuck and a raising sink: {ratio:.2f} of that beside a good one")
    stuck.go.set()
    assert ratio < 1.6


def test_a_process_with_a_stuck_sink_ends_in_time(tmp_path: Path) -> None:
    """Exit waits for two seconds, says once what did not arrive, and the other sink has everything."""
    source = """
        import sys, time, threading, spantally
        class Stuck:
            def export(self, spans): threading.Event().wait()
            def shutdown(self): pass
        spantally.instrument(exporters=[Stuck(), spantally.JsonlExporter(sys.argv[1])])
        @spantally.agent
        def planner(): pass
        for _ in range(50): planner()
        print(time.time())
    """
    path = tmp_path / "spans.jsonl"
    done = run_program(source, tmp_path, str(path))
    took = time.time() - float(done.stdout)
    assert done.returncode == 0
    assert took < 8
    assert len(span_names(path)) == 50
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("spantally: exporter Stuck: 0 spans arrived, 0 failed")
    assert "50 still waited; it did not end in time" in lines[0]


def test_a_killed_process_hands_over_what_waits(tmp_path: Path) -> None:
    """SIGTERM: sinks get what waits for them."""
    source = """
        import os, signal, sys, spantally
        spantally.instrument(exporters=[spantally.JsonlExporter(sys.argv[1])])
        with spantally.agent("planner"): pass
        os.kill(os.getpid(), signal.SIGTERM)
    """
    path = tmp_path / "spans.jsonl"
    done = run_program(source, tmp_path, str(path))
    assert done.returncode == -15
    assert span_names(path) == ["invoke_agent planner"]
    ended = json.loads(path.read_text().splitlines()[-1])
    assert (ended["type"], ended["name"]) == ("session", "program.py")


def test_a_forked_child_has_sinks_of_its_own(tmp_path: Path) -> None:
    """What waits at a fork is the parent's; a stuck sink does not hold it up; the child's spans arrive."""
    source = """
        import os, sys, threading, time, spantally
        class Stuck:
            def export(self, spans): threading.Event().wait()
            def shutdown(self): pass
        spantally.instrument(exporters=[Stuck(), spantally.JsonlExporter(sys.argv[1])])
        @spantally.agent
        def planner(): pass
        planner()
        for _ in range(3):
            started = time.monotonic()
            child = os.fork()
            if child == 0:
                planner()
                spantally.flush(1)
                os._exit(0)
            assert time.monotonic() - started < 2.5
            assert os.waitpid(child, 0)[1] == 0
        planner()
    """
    path = tmp_path / "spans.jsonl"
    done = run_program(source, tmp_path, str(path), PYTHONWARNINGS="ignore")
    assert (done.returncode, done.stdout) == (0, "")
    assert len(span_names(path)) == 5


def test_a_sink_that_calls_back_feeds_nothing(
    provider: TracerProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """It makes a call, spans, log lines, flushes and removes itself: no loop, and the call is metered."""
    items: list[str] = []
    records: list[Any] = []
    with ScriptedServer() as server:

        def judge(item: dict[str, Any]) -> None:
            items.append(item["name"])
            with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
                client.chat.completions.create(
                    model="gpt-4o-mini", messages=[{"role": "user", "content": "good?"}]
                )
            with trace.get_tracer("mine", tracer_provider=provider).start_as_current_span("judged"):
                logging.getLogger("mine").warning("judged %s", item["name"])
            planner()
            assert spantally.flush(5)
            spantally.remove_exporter(exporter)

        exporter = spantally.CallbackExporter(judge)
        kept = Kept()
        spantally.instrument(ledger=False, tracer_provider=provider, exporters=[exporter, kept])
        pipeline.add_consumer(records.extend)
        try:
            planner()
            wait_for(lambda: not sinks.has(exporter) and items)
            assert spantally.flush()
        finally:
            pipeline.remove_consumer(records.extend)
    assert items == ["invoke_agent planner"]
    assert kept.names == ["invoke_agent planner"]
    calls = [one for one in records if isinstance(one, CallRecord) and one.kind == "inference"]
    assert len(calls) == 1
    assert guard.failures == {}


def test_an_item_that_fails_costs_no_other_item(
    provider: TracerProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback, or a predicate, that raises for one span gets the next one; the one is counted."""
    got: list[str] = []

    def take(item: dict[str, Any]) -> None:
        if item["name"].endswith("bad"):
            raise Boom
        got.append(item["name"])

    def judge(item: dict[str, Any]) -> bool:
        if item["name"].endswith("bad"):
            raise Boom
        return True

    kept = Kept()
    spantally.instrument(
        ledger=False,
        tracer_provider=provider,
        exporters=[spantally.CallbackExporter(take), spantally.FilterExporter(kept, judge)],
    )
    for name in ("good", "bad", "good", "bad", "good"):
        with spantally.agent(name):
            pass
    spantally.uninstrument()
    assert got == kept.names == ["invoke_agent good"] * 3
    totals = [record.getMessage() for record in caplog.records if "arrived" in record.getMessage()]
    assert len(totals) == 2
    assert all(": 3 spans arrived, 2 failed, 0 had no room" in line for line in totals)
    assert caplog.text.count("failed with Boom") == 2


def test_an_exporter_that_ends_its_thread_gets_the_next_batch(provider: TracerProvider) -> None:
    """SystemExit inside an exporter is its failure, and nobody's end."""
    got: list[str] = []

    def take(item: dict[str, Any]) -> None:
        got.append(item["name"])
        if len(got) == 1:
            raise SystemExit(3)

    spantally.instrument(ledger=False, tracer_provider=provider, exporters=[spantally.CallbackExporter(take)])
    planner()
    assert spantally.flush()
    planner()
    assert spantally.flush()
    assert len(got) == 2


FAULTS = (
    ("spantally.sinks.sink.Sink.offer", "sinks.offer"),
    ("spantally.sinks.items.usd_text", None),
    ("spantally.sinks.items.Recent.rating", "sinks.cost"),
    ("spantally.sinks.items.Recent.tap", "calls.tap"),
    ("spantally.sinks.sink.Sink._handle", "worker.sink"),
    ("spantally.sinks.sink.suppress_instrumentation", "worker.sink"),
    ("spantally.sinks.sink.safe_span", "worker.sink"),
    ("spantally.sinks.registry._close", "sinks.close"),
    ("spantally.sinks.registry.Sinks.in_child", "sinks.after_fork"),
    ("spantally.api.runtime.connect", "api.sinks"),
)


@pytest.mark.parametrize(("target", "place"), FAULTS)
def test_failure_of_a_part_stays_ours(target: str, place: str | None, provider: TracerProvider) -> None:
    """Whatever part of a sink raises: the program gets its values, and the failure is counted as ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, fail)
        spantally.instrument(
            ledger=False, tracer_provider=provider, exporters=[spantally.CallbackExporter(bool)]
        )
        if place == "sinks.after_fork":
            registry._after_fork_in_child()
        with ScriptedServer() as server:
            client = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)
            answer = client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}]
            )
            client.close()
        assert answer.choices
        assert planner(7) == 7
        spantally.flush(0.5)
        for _ in range(20):  # a busy machine may take its time to load prices
            if place in (None, "sinks.close", *(where for where, _ in guard.failures)):
                break
            spantally.flush(0.5)
            time.sleep(0.1)
        left = sinks.sinks
        spantally.uninstrument()
    if place == "sinks.close":
        registry._close(list(left), 1)
    places = {where for where, kind in guard.failures if kind == "Boom"}
    assert places == (set() if place is None else {place})


def test_an_exporter_that_cannot_be_ended_is_given_up(provider: TracerProvider) -> None:
    """force_flush and shutdown that raise are counted; nothing of them reaches the program."""

    class Unending(Kept):
        def force_flush(self, timeout_millis: int = 30000) -> bool:
            raise Boom

        def shutdown(self) -> None:
            raise Boom

    exporter = Unending()
    spantally.instrument(ledger=False, tracer_provider=provider, exporters=[exporter])
    planner()
    spantally.remove_exporter(exporter)
    assert exporter.names == ["invoke_agent planner"]
    assert {where for where, _ in guard.failures} == {"sinks.flush", "sinks.shutdown"}
