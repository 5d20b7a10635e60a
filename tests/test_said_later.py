"""Feedback and evaluations that come later, by id of a session, call or response, from another process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import spantally
from conformance_kit import Judged, plain_attributes
from ledger_kit import SECOND, T0, agent, chat, rate, session
from otlp_files_kit import attribute, lines, request
from otlp_files_kit import chat as otlp_chat
from spantally.api import recorded_events
from spantally.cli.main import cli
from spantally.ground import guard
from spantally.ground.records import EventRecord
from spantally.ground.worker import worker
from spantally.ledger.merging import merge_ledgers
from spantally.ledger.sqlite.store import SQLiteStore
from watching import Watched

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"
TRACE, SPAN = "c" * 32, "d" * 16
EXERCISED = {"api.evaluation", "api.evaluation_target", "api.evaluation_sent"}
"""Guards that fail in these tests and in test_said_events.py."""


def answered(**values: Any) -> list[Any]:
    """A session with one answer."""
    more = {"response_id": "resp-1", "agent_path": ("planner",), "trace_id": TRACE, "span_id": SPAN, **values}
    return [
        session("s1", end_ns=T0 + 9 * SECOND, status="succeeded"),
        agent("plan", "s1", name="planner", agent_path=("planner",)),
        chat("ask", "s1", parent_call_id="plan", **more),
    ]


def events_in(path: Path, session_id: str = "s1") -> list[Any]:
    """What was told of a session."""
    with spantally.open_ledger(path) as ledger:
        return ledger.events(session_id, told=True)


def written(path: Path, records: list[Any]) -> None:
    """Write records as another process does."""
    store = SQLiteStore(str(path))
    store.write(records, rate)
    store.close()


def test_each_target_finds_its_place(tmp_path: Path) -> None:
    """By session, call or response it is in the session of the answer, with its call, agents and span."""
    path = tmp_path / "ledger.db"
    written(path, answered())
    seen = Watched(ledger=path)
    try:
        spantally.feedback(1, comment=f"good, {KEY}", response_id="resp-1")
        spantally.evaluation("relevance", 0.5, call="ask")
        spantally.feedback(label="fine", session="s1")
        assert spantally.flush(10)
    finally:
        seen.close()
    by_response, by_call, by_session = events_in(path)
    for event in (by_response, by_call):
        assert (event.session_id, event.call_id, event.agent_path) == ("s1", "ask", ("planner",))
        assert (event.trace_id, event.span_id) == (TRACE, SPAN)
    assert (by_session.session_id, by_session.call_id) == ("s1", None)
    told = dict(by_response.attributes)
    assert (told["gen_ai.evaluation.name"], told["gen_ai.evaluation.score.value"]) == ("feedback", 1.0)
    assert told["gen_ai.evaluation.explanation"].startswith("good, [REDACTED:")
    assert told["gen_ai.response.id"] == "resp-1"
    assert [row.session_id for row in spantally.open_ledger(path).sessions()] == ["s1"]


@pytest.mark.parametrize("named", [{"call": "ask"}, {"response_id": "resp-1"}])
def test_it_waits_for_a_late_row(tmp_path: Path, named: dict[str, str]) -> None:
    """What comes before the row of its answer is kept, and belongs to it as soon as that is written."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        spantally.feedback(1, **named)
        assert spantally.flush(10)
        with spantally.open_ledger(path) as ledger:
            assert ledger.sessions() == []
            assert any("1 evaluations wait" in one for one in ledger.health().warnings)
    finally:
        seen.close()
    written(path, answered())
    (event,) = events_in(path)
    assert (event.call_id, event.agent_path, event.trace_id) == ("ask", ("planner",), TRACE)
    with spantally.open_ledger(path) as ledger:
        assert ledger.health().warnings == ()


def test_it_waits_in_another_ledger_too(tmp_path: Path) -> None:
    """Ledgers of which one has the answer and the other its evaluation are merged, and both come together."""
    written(tmp_path / "a.db", answered())
    late = EventRecord("e1", "", "gen_ai.evaluation.result", T0, call_id="ask", attributes={})
    written(tmp_path / "b.db", [late])
    merge_ledgers([tmp_path / "b.db", tmp_path / "a.db"], tmp_path / "c.db")
    (event,) = events_in(tmp_path / "c.db")
    assert (event.session_id, event.call_id) == ("s1", "ask")


def test_ingested_it_finds_its_answer(tmp_path: Path) -> None:
    """A log record that names a response and lies on no span belongs to its row, whichever comes first."""
    kinds = {"gen_ai.evaluation.result": "e1", "spantally.agent.start": "e2"}
    records = [
        {
            "eventName": name,
            "timeUnixNano": str(T0),
            "attributes": [
                attribute("gen_ai.response.id", "resp-1"),
                attribute("spantally.event.id", event_id),
            ],
        }
        for name, event_id in kinds.items()
    ]
    logs = {"resourceLogs": [{"scopeLogs": [{"scope": {"name": "t"}, "logRecords": records}]}]}
    answer = otlp_chat(1, attributes={"gen_ai.response.id": "resp-1", "session.id": "s1"})
    (tmp_path / "logs.jsonl").write_bytes(lines([logs]))
    (tmp_path / "spans.jsonl").write_bytes(lines([request(answer)]))
    for order in (["logs", "spans"], ["spans", "logs"]):
        path = tmp_path / f"{order[0]}.db"
        for name in order:
            done = CliRunner().invoke(cli, ["--ledger", str(path), "ingest", str(tmp_path / f"{name}.jsonl")])
            assert done.exit_code == 0, done.output
        (event,) = events_in(path)
        assert (event.event_id, event.type) == ("e1", "gen_ai.evaluation.result")
        assert event.call_id is not None


def test_told_twice_it_is_once(tmp_path: Path) -> None:
    """With an id the same feedback is stored once, whether the program, the command or both tell it."""
    path = tmp_path / "ledger.db"
    written(path, answered())
    seen = Watched(ledger=path)
    try:
        ids = {spantally.feedback(1, response_id="resp-1", id="f-1") for _ in range(3)}
        other = spantally.feedback(1, response_id="resp-1", id="f-2")
        assert spantally.flush(10)
    finally:
        seen.close()
    told = run(path, "resp-1", "--score", "0", "--id", "f-1", "--json")
    assert {one["event_id"] for one in json.loads(told.stdout)} == ids
    assert sorted(event.event_id for event in events_in(path)) == sorted({*ids, other})
    assert {event.attributes["gen_ai.evaluation.score.value"] for event in events_in(path)} == {1.0}


def test_the_log_event_lies_on_the_evaluated_span(tmp_path: Path) -> None:
    """Where a logger provider is set, the event lies on the span of the answer, as the conventions ask."""
    path = tmp_path / "ledger.db"
    written(path, answered())
    judged = Judged(ledger=path)
    try:
        spantally.evaluation("relevance", 0.5, explanation="why", response_id="resp-1")
        spantally.evaluation("relevance", 0.5, call="nobody-knows")
        with spantally.agent("critic"):
            pass
        assert spantally.flush(10)
        judged.exported()
        first, second = judged.logs.events()
        assert judged.findings() == []
    finally:
        judged.close()
    assert (first.trace_id.hex(), first.span_id.hex()) == (TRACE, SPAN)
    sent = plain_attributes(first)
    assert (sent["spantally.call.id"], sent["session.id"]) == ("ask", "s1")
    assert "gen_ai.evaluation.explanation" not in sent
    assert not any(second.span_id)
    assert plain_attributes(second)["spantally.call.id"] == "nobody-knows"


def test_failures_of_the_look_up_stay_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ledger cannot say whose it is, or the logger provider raises, the program does not notice."""

    def boom(*args: Any, **named: Any) -> None:
        raise RuntimeError

    judged = Judged(ledger=tmp_path / "ledger.db")
    try:
        assert spantally.flush(10)
        monkeypatch.setattr(SQLiteStore, "find_target", boom)
        spantally.feedback(1, call="c")
        assert spantally.flush(10)
        monkeypatch.setattr(recorded_events, "_target_of", boom)
        spantally.feedback(1, call="c")
        assert spantally.flush(10)
        failed = set(guard.failures)
    finally:
        judged.close()
    assert {("api.evaluation_target", "RuntimeError"), ("api.evaluation_sent", "RuntimeError")} <= failed


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"score": True},
        {"score": float("nan")},
        {"score": 1, "comment": ""},
        {"score": 1, "session": "s", "call": "c"},
        {"score": 1, "response_id": ""},
        {"score": 1, "id": ""},
        {"score": 1, "name": ""},
        {"score": 1, "timestamp": "yesterday"},
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], watched: Watched) -> None:
    """Each is a ValueError, and nothing was noted."""
    with pytest.raises(ValueError, match=r"use|give|name one|id has|must be"):
        spantally.feedback(**arguments)
    assert worker.flush(10)
    assert watched._records == []


def test_nothing_is_kept_where_nothing_is_watched(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside `paused()`, and with everything disabled, a correct call gives an id and does nothing."""
    with spantally.paused():
        assert spantally.feedback(1, call="c", id="x")
    monkeypatch.setenv("SPANTALLY_DISABLED", "true")
    assert spantally.feedback(1)
    assert worker.flush(10)
    assert watched._records == []


# -- the command --------------------------------------------------------------------------------------


def run(path: Path, *arguments: str) -> Result:
    """`spantally feedback`."""
    return CliRunner().invoke(cli, ["--ledger", str(path), "feedback", *arguments])


def test_the_command_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By response, call or session; it is in `events`, `show` and `outcomes`, redacted, by the policy."""
    path = tmp_path / "ledger.db"
    written(path, answered())
    assert run(path, "resp-1", "--score", "1", "--comment", f"thanks, {KEY}").exit_code == 0
    assert run(path, "ask", "--score", "0", "--label", "bad").exit_code == 0
    monkeypatch.setenv("SPANTALLY_LEDGER_CONTENT", "never")
    done = run(path, "last", "--name", "relevance", "--score", "0.5", "--comment", "quiet", "--json")
    assert (done.exit_code, "of session s1" in done.stderr) == (0, True)
    (made,) = json.loads(done.stdout)
    assert (made["session_id"], made["type"]) == ("s1", "gen_ai.evaluation.result")
    events = events_in(path)
    assert [event.call_id for event in events] == ["ask", "ask", None]
    assert events[0].attributes["gen_ai.evaluation.explanation"].startswith("thanks, [REDACTED:")
    assert "gen_ai.evaluation.explanation" not in events[2].attributes
    assert KEY.encode() not in path.read_bytes()
    with spantally.open_ledger(path) as ledger:
        assert ledger.events("s1", type="evaluation") == events
    shown = CliRunner().invoke(cli, ["--ledger", str(path), "show", "s1"]).stdout
    assert shown.count("gen_ai.evaluation.result") == 3
    out = CliRunner().invoke(cli, ["--ledger", str(path), "outcomes", "--json"]).stdout
    (row,) = json.loads(out)
    assert row["metrics"]["evaluation.feedback"] == {"count": 2, "mean": 0.5, "p50": 0.0, "p95": 1.0}
    assert row["metrics"]["evaluation.relevance"]["count"] == 1


def test_an_unknown_target_is_said(tmp_path: Path) -> None:
    """Exit code 1, what to do, and nothing was kept; wrong values are 2; so is a ledger that is not there."""
    path = tmp_path / "ledger.db"
    written(path, answered())
    done = run(path, "nobody", "--score", "1", "--wait", "0")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "'nobody'" in done.stderr
    assert "nothing was kept" in done.stderr
    for wrong in (["s1"], ["s1", "--score", "nan"], ["", "--score", "1"], ["s1", "--score", "1", "--id", ""]):
        assert run(path, *wrong).exit_code == 2
    assert run(tmp_path / "none.db", "s1", "--score", "1").exit_code == 2
    assert events_in(path) == []


def test_it_waits_for_another_process(tmp_path: Path) -> None:
    """A response whose row comes while the command waits is found."""
    path = tmp_path / "ledger.db"
    written(path, [session("s1")])
    command = [
        sys.executable,
        "-m",
        "spantally.cli",
        "--ledger",
        str(path),
        "feedback",
        "resp-1",
        "--score",
        "1",
    ]
    waiting = subprocess.Popen([*command, "--wait", "30"], stderr=subprocess.PIPE, text=True)
    timer = threading.Timer(1.0, written, [path, answered()])
    timer.start()
    _, said = waiting.communicate(timeout=60)
    timer.join()
    assert (waiting.returncode, "call ask" in said) == (0, True)
    assert len(events_in(path)) == 1


def test_a_value_whose_repr_raises_is_refused_like_any_other() -> None:
    """The error is ours and names the argument: no exception of the value's own comes through."""

    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("made to fail")

    score: Any = Hostile()
    with pytest.raises(ValueError, match=r"feedback\(score=<Hostile>\): use a number"):
        spantally.feedback(score)
    with pytest.raises(ValueError, match=r"evaluation\(explanation=<Hostile>\)"):
        spantally.evaluation("m", 1, explanation=score)
