"""tail-sampling.yaml keeps failing, expensive and slow sessions whole, and cheap ones at the set rate."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import pytest

from collector_kit import Collector, Span, exporting, spans_of, until
from program_kit import Programs, ok
from spantally.testing import Reply, Rule, ScriptedServer, Usage

pytestmark = [pytest.mark.collector, pytest.mark.slow, pytest.mark.timeout(180)]

CHEAP, RATE = 200, 25
PROGRAM = f"""
import time
from opentelemetry import trace
from spantally import pricing
pricing.load()  # so that the first call, too, has its cost on its span
tracer = trace.get_tracer("steps")

with client() as connection:
    def twice(session, *texts):
        with spantally.session(session):
            for text in texts:  # a trace each
                try:
                    ask(connection, text)
                except openai.APIError:
                    pass

    twice("failing", "hello", "fail", "hello")
    twice("expensive", "hello", "much", "hello")
    with spantally.session("slow"):
        now = time.time_ns()
        tracer.start_span("step", start_time=now - 90 * 10**9).end(now)
        ask(connection)
    for number in range({CHEAP}):
        twice(f"cheap-{{number}}", "hello", "hello")
    ask(connection)  # a session that the program did not name
"""
SCRIPT = [
    Rule(contains="fail", reply=Reply(status=400, error="no")),
    Rule(contains="much", reply=Reply(usage=Usage(input=100_000, output=1000))),
    Rule(contains="hello", reply=Reply(usage=Usage(input=9, output=1))),
]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Programs, dict[str, list[Span]]]:
    """The program, run, and the spans that were kept of each of its sessions."""
    folder = tmp_path_factory.mktemp("sampling")
    file = folder / "otlp" / "traces.jsonl"
    with (
        ScriptedServer(SCRIPT) as server,
        Collector("file.yaml", folder / "kept", OTLP_DIR=str(folder / "otlp")) as backend,
        Collector(
            "tail-sampling.yaml",
            folder / "sampling",
            TRACES_OTLP=backend.http,
            DECISION_WAIT="4s",
            KEEP_PERCENT=str(RATE),
        ) as sampling,
    ):
        programs = Programs(folder, server.base_url)
        ok(programs.run(PROGRAM, env=exporting(sampling.http), limit=60))
        wanted = {"failing", "expensive", "slow"}
        until(lambda: set(by_session(file)), lambda found: wanted <= found)
    return programs, by_session(file)


def by_session(file: Path) -> dict[str, list[Span]]:
    """The spans of a file by their sessions."""
    found: dict[str, list[Span]] = defaultdict(list)
    for span in spans_of(file):
        found[span.attributes["session.id"]].append(span)
    return found


@pytest.mark.parametrize("session", ["failing", "expensive"])
def test_a_session_that_matters_is_whole(ran: tuple[Programs, dict[str, list[Span]]], session: str) -> None:
    """All of its calls are there, those before and after the one that matters, in their own traces."""
    programs, kept = ran
    rows = {row.span_id: row.trace_id for row in programs.calls() if row.session_id == session}
    assert {span.span_id: span.trace_id for span in kept[session]} == rows
    assert len(rows) == len(set(rows.values())) == 3
    assert not any(key.startswith("sampling.") for span in kept[session] for key in span.attributes)


def test_a_slow_session_is_whole(ran: tuple[Programs, dict[str, list[Span]]]) -> None:
    """A step of 90 s keeps the call beside it."""
    _, kept = ran
    assert sorted(span.name for span in kept["slow"]) == ["chat gpt-4o", "step"]


def test_cheap_sessions_are_kept_at_the_set_rate_and_whole(
    ran: tuple[Programs, dict[str, list[Span]]],
) -> None:
    """So many in a hundred, within four standard deviations, and none of them in part."""
    _, kept = ran
    cheap = {session: spans for session, spans in kept.items() if session.startswith("cheap-")}
    share = RATE / 100
    deviation = math.sqrt(CHEAP * share * (1 - share))
    assert abs(len(cheap) - CHEAP * share) < 4 * deviation
    assert {len(spans) for spans in cheap.values()} == {2}
    assert all(len({span.trace_id for span in spans}) == 2 for spans in cheap.values())


def test_the_ledger_has_all(ran: tuple[Programs, dict[str, list[Span]]]) -> None:
    """What was sampled away is tallied all the same."""
    programs, kept = ran
    assert len(programs.calls()) == 3 + 3 + 1 + 2 * CHEAP + 1
    assert len(programs.sessions()) == 3 + CHEAP + 1
    assert len(kept) < CHEAP
