"""Messages, events and fields that a program records: stored once, redacted, beside the tally."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import spantally
from spantally.api import recorded_events, session
from spantally.calls import telemetry
from spantally.cli.main import cli
from spantally.ground import guard
from spantally.ground.records import EventRecord
from spantally.ground.worker import worker
from watching import Watched

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"
EXERCISED = {"api.recorded_event", "api.event_redaction", "session.place", "session.set"}
"""Guards that fail in these tests."""


def events_in(seen: Watched) -> list[EventRecord]:
    """Event records so far."""
    assert worker.flush(10)
    return [record for record in seen._records if isinstance(record, EventRecord)]


def test_a_history_is_stored_once(tmp_path: Path) -> None:
    """10,000 messages, recorded twice: each is there once, whole and redacted, and none is in the tally."""
    day = datetime(2025, 1, 1, tzinfo=UTC)
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        history = spantally.session("old", title="Batteries", labels=["imported"])
        for _ in range(2):
            for index in range(10_000):
                history.record_message(
                    "assistant" if index % 2 else "user",
                    f"message {index} of {KEY if index % 100 == 0 else 'nobody'}",
                    tokens=index,
                    id=f"m-{index}",
                    timestamp=day + timedelta(seconds=index),
                    metadata={"key": KEY} if index == 7 else None,
                )
        assert worker.flush(60)
        with spantally.open_ledger(tmp_path / "ledger.db") as ledger:
            events = ledger.events("old")
            row = ledger.session("old")
    finally:
        seen.close()
    assert len(events) == 10_000
    assert sum(event.attributes["spantally.message.tokens"] for event in events) == sum(range(10_000))
    assert [event.attributes["spantally.message.content"] for event in events[1:3]] == [
        "message 1 of nobody",
        "message 2 of nobody",
    ]
    assert row is not None
    assert (row.calls, row.input_tokens, row.output_tokens, row.cost_nano_usd) == (0, 0, 0, 0)
    assert (row.title, row.labels, row.status) == ("Batteries", ("imported",), "succeeded")
    assert row.started_ns == int(day.timestamp()) * 10**9
    assert row.ended_ns == row.started_ns + 9_999 * 10**9
    assert all(KEY.encode() not in file.read_bytes() for file in tmp_path.glob("ledger.db*"))


def test_the_command_lists_events(tmp_path: Path) -> None:
    """`spantally events` gives what was told, by type, agent and time."""
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s1") as here:
            here.record_message("user", "hello", timestamp="2025-01-01T00:00:00Z")
            with spantally.agent("planner"):
                here.event("cart.opened", {"items": 3})
                spantally.decision("because")
        assert worker.flush(10)
    finally:
        seen.close()

    def told(*arguments: str) -> list[str]:
        done = CliRunner().invoke(
            cli, ["--ledger", str(tmp_path / "ledger.db"), "events", "s1", *arguments, "--json"]
        )
        assert done.exit_code == 0, done.output
        return [one["type"] for one in json.loads(done.stdout)]

    assert told("--told") == ["spantally.message", "cart.opened", "spantally.decision"]
    assert told() == [
        "spantally.message",
        "spantally.agent.start",
        "cart.opened",
        "spantally.decision",
        "spantally.agent.finish",
    ]
    assert told("--type", "message") == ["spantally.message"]
    assert told("--type", "cart.opened", "--agent", "planner") == ["cart.opened"]
    assert told("--agent", "writer") == []
    assert told("--since", "1h", "--told") == ["cart.opened", "spantally.decision"]


def test_an_event_is_of_session_and_agent(watched: Watched) -> None:
    """It has the place where it happened and what the program says of it, without secrets."""
    with spantally.session("s1") as here, spantally.agent("planner"):
        here.event("cart.opened", {"items": 3, "note": KEY, "deep": [{"key": KEY}]})
    (event,) = events_in(watched)
    assert (event.type, event.session_id, event.agent_path) == ("cart.opened", "s1", ("planner",))
    assert event.trace_id is not None
    told = dict(event.attributes or {})
    assert told["items"] == 3
    assert told["note"].startswith("[REDACTED:")
    assert KEY not in repr(event)


def test_more_is_said_later(tmp_path: Path) -> None:
    """`set` adds labels, keys and metrics; figures given to `finish` stand beside the tally."""
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s1", labels=["a"], metadata={"x": 1}) as here:
            here.set(title="T", labels=["b"], metadata={"y": KEY}, metrics={"steps": 2})
            here.record_call(model="m", cost_usd=1)
            here.finish(metrics={"score": 0.5}, cost_usd="0.25", input_tokens=7, output_tokens=0)
        assert worker.flush(10)
        with spantally.open_ledger(tmp_path / "ledger.db") as ledger:
            row = ledger.session("s1")
    finally:
        seen.close()
    assert row is not None
    assert (row.title, row.labels, row.metrics) == ("T", ("a", "b"), {"steps": 2, "score": 0.5})
    assert row.metadata["x"] == 1
    assert row.metadata["y"].startswith("[REDACTED:")
    assert row.reported == {"cost_nano_usd": 250_000_000, "input_tokens": 7, "output_tokens": 0}
    assert (row.cost_nano_usd, row.input_tokens) == (10**9, 0)


def test_sessions_are_found_by_what_was_said(tmp_path: Path) -> None:
    """By labels and by keys of the metadata, on the command line and in Python; all given must match."""
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        for index in range(3):
            with spantally.session(f"s{index}", labels=["pilot", f"l{index}"]) as here:
                here.set(metadata={"ticket": index, "vip": index == 1, "a.b": "x y"})
        assert worker.flush(10)
        with spantally.open_ledger(tmp_path / "ledger.db") as ledger:
            found = ledger.sessions(labels=["pilot"], metadata={"ticket": 2, "vip": False})
            with pytest.raises(ValueError, match="use a list of texts"):
                ledger.sessions(labels="pilot")
    finally:
        seen.close()
    assert [row.session_id for row in found] == ["s2"]
    for arguments, wanted in (
        (["--label", "pilot", "--label", "l1"], ["s1"]),
        (["--meta", "vip=true", "--meta", "a.b=x y"], ["s1"]),
        (["--meta", "ticket=1"], ["s1"]),
        (["--label", "none"], []),
    ):
        done = CliRunner().invoke(
            cli, ["--ledger", str(tmp_path / "ledger.db"), "sessions", *arguments, "--json"]
        )
        assert done.exit_code == 0, done.output
        assert [one["session_id"] for one in json.loads(done.stdout)] == wanted


def test_recording_leaves_the_status_to_others(tmp_path: Path) -> None:
    """What is recorded in a session that runs, or has failed, says nothing of how it stands."""
    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        spantally.session("s1").begin().finish(success=False, reason="no plan")
        later = spantally.session("s1")
        later.record_message("user", "still there?")
        later.set(labels=["late"])
        spantally.session("s2").record_message("user", "hello")
        running = spantally.session("s2").begin()
        assert worker.flush(10)
        with spantally.open_ledger(tmp_path / "ledger.db") as ledger:
            found = {row.session_id: row for row in ledger.sessions()}
        running.finish()
    finally:
        seen.close()
    assert (found["s1"].status, found["s1"].labels) == ("failed", ("late",))
    assert found["s2"].status == "running"


_CYCLE: dict[str, Any] = {}
_CYCLE["self"] = _CYCLE
WRONG: list[Callable[[Any], object]] = [
    lambda s: s.record_message("robot", "x"),
    lambda s: s.record_message("user", object()),
    lambda s: s.record_message("user", "x", tokens=-1),
    lambda s: s.record_message("user", "x", tokens=True),
    lambda s: s.record_message("user", "x", latency_ms=float("nan")),
    lambda s: s.record_message("user", "x", status="lost"),
    lambda s: s.record_message("user", "x", metadata=_CYCLE),
    lambda s: s.record_message("user", "x", metadata={"a": "b" * 70_000}),
    lambda s: s.record_message("user", "x", id=""),
    lambda s: s.record_message("user", "x", timestamp=1_795_695_064_514),
    lambda s: s.record_message("user", "x", timestamp="yesterday"),
    lambda s: s.event("a\nb"),
    lambda s: s.event("spantally.decision"),
    lambda s: s.event("ok", {"a": float("inf")}),
    lambda s: s.event("ok", [1]),
    lambda s: s.set(labels="abc"),
    lambda s: s.set(metrics={"a": float("nan")}),
    lambda s: s.record_call(model=7),
    lambda s: s.record_call(model="m", operation="sing"),
    lambda s: s.record_call(model="m", input_tokens=-1),
    lambda s: s.record_call(model="m", input_tokens=1, cached_tokens=2),
    lambda s: s.record_call(model="m", cached_tokens=2),
    lambda s: s.record_call(model="m", output_tokens=1, reasoning_tokens=2),
    lambda s: s.record_call(model="m", cost_usd=-1),
    lambda s: s.record_call(model="m", cost_usd=float("inf")),
    lambda s: s.record_call(model="m", cost_usd="much"),
    lambda s: s.record_call(model="m", usage={"a": 1}),
    lambda s: s.record_call(model="m", usage=7),
    lambda s: s.record_call(model="m", usage={"prompt_tokens": 1}, input_tokens=1),
    lambda s: s.record_call(model="m", latency_ms=-1),
    lambda s: s.record_call(model="m", error=7),
    lambda s: s.record_tool(""),
    lambda s: s.record_tool("t", reasoning=7),
    lambda s: s.finish(cost_usd=-1),
    lambda s: s.finish(input_tokens=1.5),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arguments(wrong: Callable[[Any], object], watched: Watched) -> None:
    """Each is a ValueError that says what is allowed, before any effect."""
    with (
        spantally.session("s1") as here,
        pytest.raises(ValueError, match=r"use|give|pass|at most|has 1|has 0|must be|is no|JSON"),
    ):
        wrong(here)
    assert events_in(watched) == []
    assert watched.records == []


def test_nothing_is_kept_where_nothing_is_watched(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside `paused()`, and with everything disabled, a correct call does nothing and gives an id."""

    def tell(here: Any) -> None:
        assert here.record_message("user", "x", id="m")
        assert here.event("e")
        assert here.record_call(model="m", cost_usd=1)
        assert here.record_tool("t")
        here.set(title="T")

    with spantally.paused():
        tell(spantally.session("s1"))
    monkeypatch.setenv("SPANTALLY_DISABLED", "true")
    tell(spantally.session("s2"))
    assert events_in(watched) == []
    assert watched.records == []


def test_failures_of_ours_stay_ours(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks behind the check of the arguments, the program does not notice."""

    def boom(*args: Any, **named: Any) -> None:
        raise RuntimeError

    with spantally.session("s1") as here:
        monkeypatch.setattr(recorded_events, "LateEvent", boom)
        here.event("e")
    monkeypatch.setattr(session, "tell_more", boom)
    spantally.session("s2").event("e")
    with spantally.session("s3") as here:
        here.set(title="T")
    assert {
        ("api.recorded_event", "RuntimeError"),
        ("session.place", "RuntimeError"),
        ("session.set", "RuntimeError"),
    } <= guard.failures.keys()


def test_a_redactor_that_fails_keeps_the_event(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that cannot be scanned are replaced; numbers and the message itself stay."""

    def boom(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(telemetry.active.redactor, "attributes", boom, raising=False)
    monkeypatch.setattr(telemetry.active.redactor, "value", boom, raising=False)
    with spantally.session("s1") as here:
        here.record_message("user", KEY, tokens=3)
    (event,) = events_in(watched)
    told = dict(event.attributes or {})
    assert told["spantally.message.content"] == "[REDACTED:error]"
    assert told["spantally.message.tokens"] == 3
    assert ("api.event_redaction", "RuntimeError") in guard.failures
    assert KEY not in repr(event)
