"""Decisions and evaluations that a program tells: in the ledger, as log events, redacted, by the policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

import spantally
from conformance_kit import Judged, plain_attributes
from spantally.api import evaluation, said
from spantally.ground import guard
from spantally.ground.records import EventRecord
from spantally.ground.worker import worker
from watching import Watched

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"
TEXTS = {
    "spantally.decision.reasoning",
    "spantally.decision.choice",
    "spantally.decision.alternatives",
    "gen_ai.evaluation.explanation",
}


def said_in(seen: Watched) -> list[EventRecord]:
    """Event records so far."""
    assert worker.flush(10)
    return [record for record in seen._records if isinstance(record, EventRecord)]


@pytest.fixture
def judged() -> Iterator[Judged]:
    """Everything exported but content."""
    made = Judged()
    try:
        yield made
    finally:
        made.close()


def tell() -> None:
    """One decision and one evaluation, each with a secret in its text."""
    spantally.decision(
        f"cheaper, and {KEY} works", ["refund", f"call {KEY}"], 0.75, choice="refund", by="human"
    )
    spantally.evaluation(
        "relevance", 0.9, label="relevant", explanation=f"it names {KEY}", response_id="resp_1"
    )


def test_the_ledger_keeps_what_was_said(judged: Judged) -> None:
    """Each is an event of session, agent and span, whole but for its secrets."""
    with (
        spantally.session("s1"),
        spantally.agent("planner"),
        spantally.agent("critic"),
        trace.get_tracer("t", tracer_provider=judged.provider).start_as_current_span("judge") as span,
    ):
        tell()
        context = span.get_span_context()
    decided, judged_event = said_in(judged)
    assert (decided.type, decided.session_id, decided.agent_path) == (
        "spantally.decision",
        "s1",
        ("planner", "critic"),
    )
    assert decided.call_id == next(one.call_id for one in judged.records if one.name == "critic")
    assert (decided.trace_id, decided.span_id) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    attributes = dict(decided.attributes or {})
    assert attributes["spantally.decision.by"] == "human"
    assert attributes["spantally.decision.confidence"] == 0.75
    assert attributes["spantally.decision.alternative_count"] == 2
    assert attributes["spantally.decision.choice"] == "refund"
    assert attributes["spantally.decision.alternatives"][0] == "refund"
    assert attributes["spantally.decision.reasoning"].startswith("cheaper, and [REDACTED:")
    assert judged_event.type == "gen_ai.evaluation.result"
    found = dict(judged_event.attributes or {})
    assert found.pop("gen_ai.evaluation.explanation").startswith("it names [REDACTED:")
    assert found == {
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 0.9,
        "gen_ai.evaluation.score.label": "relevant",
        "gen_ai.response.id": "resp_1",
    }
    assert KEY not in repr(said_in(judged))


@pytest.mark.parametrize("mode", ["no_content", "span_only", "event_only"])
@pytest.mark.parametrize("kept", ["never", "explicit"])
def test_texts_follow_the_policy(mode: str, kept: str) -> None:
    """Exported they are with content capture only, kept unless the ledger keeps none; numbers always are."""
    made = Judged(capture_content=mode, ledger_content=kept)
    try:
        with spantally.session("s1", user="alice"):
            tell()
        events = said_in(made)
        made.exported()
        sent = [plain_attributes(record) for record in made.logs.events()]
        names = [record.event_name for record in made.logs.events()]
        exported = b"".join(made.logs.payloads)
    finally:
        made.close()
    assert names == ["spantally.decision", "gen_ai.evaluation.result"]
    for attributes in sent:
        assert bool(TEXTS & attributes.keys()) == (mode != "no_content")
        assert (attributes["session.id"], attributes["user.id"]) == ("s1", "alice")
    assert sent[1]["gen_ai.evaluation.score.value"] == 0.9
    # By its id, a ledger into which the log is read knows that it has the event.
    assert [one["spantally.event.id"] for one in sent] == [event.event_id for event in events]
    for event in events:
        assert bool(TEXTS & (event.attributes or {}).keys()) == (kept == "explicit")
    assert KEY.encode() not in exported
    assert (b"cheaper" in exported) == (mode != "no_content")


def test_the_log_event_is_of_the_conventions(judged: Judged) -> None:
    """The event lies on the current span with severity INFO, and the conformance check has nothing to say."""
    tracer = trace.get_tracer("t", tracer_provider=judged.provider)
    with tracer.start_as_current_span("judge") as span:
        spantally.evaluation("toxicity", 0, label="pass")
        span_id = span.get_span_context().span_id
    judged.exported()
    (record,) = judged.logs.events()
    assert int.from_bytes(record.span_id, "big") == span_id
    assert (record.severity_number, record.severity_text) == (9, "INFO")
    assert judged.findings() == []


def test_outside_a_session_it_is_the_implicit_one(watched: Watched) -> None:
    """An event belongs to the run's own session, which the ledger is told of."""
    spantally.decision("because")
    (event,) = said_in(watched)
    (implicit,) = watched.sessions
    assert (event.session_id, implicit.implicit) == (implicit.session_id, True)


def test_a_ledger_answers_with_events(tmp_path: Path) -> None:
    """`open_ledger().events()` gives them by time, those of child sessions too, typed."""
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s1"):
            spantally.decision("first", by="agent")
            with spantally.session("s2"):
                spantally.evaluation("relevance", label="good")
        assert worker.flush(10)
        with spantally.open_ledger(tmp_path / "ledger.db") as ledger:
            first, second = ledger.events("s1")
            assert ledger.events("nothing") == []
            (child,) = ledger.events("s2")
    finally:
        seen.close()
    assert (first.type, first.attributes["spantally.decision.reasoning"]) == ("spantally.decision", "first")
    assert second == child
    assert second.attributes["gen_ai.evaluation.score.label"] == "good"


def test_long_texts_are_cut(tmp_path: Path) -> None:
    """What is longer than the limit says how long it was; alternatives share the room."""
    seen = Watched(ledger_content_limit=2000)
    try:
        spantally.decision("x" * 5000, ["y" * 5000, "z" * 5000])
        (event,) = said_in(seen)
    finally:
        seen.close()
    attributes = dict(event.attributes or {})
    assert attributes["spantally.decision.reasoning"].endswith("…[cut from 5000 characters]")
    assert sum(map(len, attributes["spantally.decision.alternatives"])) <= 2000


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("decision", {"reasoning": ""}),
        ("decision", {"reasoning": 7}),
        ("decision", {"reasoning": "x", "alternatives": "abc"}),
        ("decision", {"reasoning": "x", "alternatives": [1]}),
        ("decision", {"reasoning": "x", "alternatives": ["a"] * 65}),
        ("decision", {"reasoning": "x", "confidence": 1.5}),
        ("decision", {"reasoning": "x", "confidence": True}),
        ("decision", {"reasoning": "x", "confidence": float("nan")}),
        ("decision", {"reasoning": "x", "by": "robot"}),
        ("decision", {"reasoning": "x", "choice": ""}),
        ("evaluation", {"name": "", "score": 1}),
        ("evaluation", {"name": "x"}),
        ("evaluation", {"name": "x", "score": "high"}),
        ("evaluation", {"name": "x", "score": 10**400}),
        ("evaluation", {"name": "x", "score": float("inf")}),
        ("evaluation", {"name": "x", "label": ""}),
        ("evaluation", {"name": "x", "score": 1, "explanation": 5}),
        ("evaluation", {"name": "x", "score": 1, "response_id": 5}),
    ],
)
def test_wrong_arguments(name: str, arguments: dict[str, Any], watched: Watched) -> None:
    """Each is a ValueError, and nothing was noted."""
    with pytest.raises(ValueError, match=r"use|give|at most|id has|must be"):
        getattr(spantally, name)(**arguments)
    assert said_in(watched) == []


def test_nothing_is_said_where_nothing_is_watched(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside `paused()`, and with everything disabled, a correct call does nothing."""
    with spantally.paused():
        tell()
    monkeypatch.setenv("SPANTALLY_DISABLED", "true")
    tell()
    assert said_in(watched) == []


def test_a_failure_of_ours_stays_ours(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks behind the check of the arguments, the program does not notice."""

    def boom(*args: Any, **named: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(said, "note", boom)
    monkeypatch.setattr(evaluation, "note", boom)
    tell()
    assert {("api.said", "RuntimeError"), ("api.evaluation", "RuntimeError")} <= guard.failures.keys()


def test_a_redactor_that_fails_lets_no_text_out(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where redaction raises, a mark stands in the place of each text, and nothing raw is kept or sent."""
    from spantally.calls import telemetry

    def boom(*args: Any) -> None:
        raise RuntimeError

    for name in ("attributes", "value"):
        monkeypatch.setattr(telemetry.active.redactor, name, boom, raising=False)
    tell()
    judged.exported()
    decided, judged_event = said_in(judged)
    assert dict(decided.attributes or {})["spantally.decision.reasoning"] == "[REDACTED:error]"
    assert dict(judged_event.attributes or {})["gen_ai.evaluation.explanation"] == "[REDACTED:error]"
    assert KEY not in repr((decided, judged_event))
    assert KEY.encode() not in b"".join(judged.logs.payloads)
