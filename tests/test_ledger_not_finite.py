"""NaN and infinities, which are no JSON, and scores that are no numbers: no question fails for them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger_kit import T0, chat, rate, session
from spantally.cli.main import cli
from spantally.ground import semconv
from spantally.ground.records import UNPLACED, EventRecord, Record
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore

NO_NUMBERS = [float("nan"), float("inf"), float("-inf")]


def evaluation(score: Any, session_id: str = "s1", **more: Any) -> EventRecord:
    """The result of an evaluation."""
    attributes = {semconv.EVALUATION_NAME: "quality", semconv.EVALUATION_SCORE_VALUE: score, **more}
    return EventRecord(
        event_id=f"e-{score}-{session_id}",
        session_id=session_id,
        type=semconv.EVENT_EVALUATION_RESULT,
        time_ns=T0,
        attributes=attributes,
    )


def asked(store: SQLiteStore) -> tuple[list[str], list[str], list[tuple[str, str, float]]]:
    """What the questions say that look into what was told."""
    return (
        [row.session_id for row in store.sessions(Filter(labels=("fast",)))],
        [row.session_id for row in store.sessions(Filter(metadata=(("team", "a"),)))],
        store.scores(["s1"]),
    )


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number_is_null(tmp_path: Path, value: float) -> None:
    """In usage, attributes, events and what is said of a session; the rest of it is found and written on."""
    store = SQLiteStore(tmp_path / "ledger.db")
    odd = chat(
        "c1", usage={"prompt_tokens": 10, "completion_tokens": 2, "x": [value]}, attributes={"y": value}
    )
    records: list[Record] = [
        session("s1", labels=("fast",), metadata={"team": "a", "loss": value}, metrics={"m": value}),
        evaluation(0.5),
        evaluation(value),
        evaluation(value, UNPLACED, **{semconv.RESPONSE_ID: "r1"}),
        odd,
    ]
    store.write(records, rate)
    store.write([odd], rate)
    store.write([chat("c2", response_id="r1")], rate)
    assert asked(store) == (["s1"], ["s1"], [("s1", "quality", 0.5)])
    assert [row.session_id for row in store.events("s1")] == ["s1"] * 3
    with closing(sqlite3.connect(store.target)) as db:
        texts = db.execute(
            "SELECT usage FROM call UNION ALL SELECT attributes FROM call "
            "UNION ALL SELECT attributes FROM event "
            "UNION ALL SELECT said FROM session UNION ALL SELECT facts FROM session"
        ).fetchall()
        assert db.execute("SELECT COUNT(*) FROM quarantine").fetchone() == (0,)
    for (text,) in texts:
        assert text is None or json.loads(text, parse_constant=pytest.fail) is not None


def test_ledgers_that_hold_them_already(tmp_path: Path) -> None:
    """Written by an earlier release: such a text is passed over, the others answer, and writing goes on."""
    store = SQLiteStore(tmp_path / "ledger.db")
    waiting = evaluation(1, UNPLACED, **{semconv.RESPONSE_ID: "r1"})
    store.write([session("s1", labels=("fast",), metadata={"team": "a"}), session("s2")], rate)
    store.write([evaluation(0.5), evaluation(7), waiting], rate)
    with closing(sqlite3.connect(store.target)) as db, db:
        db.execute("UPDATE session SET said = '{\"metrics\": {\"m\": NaN}}' WHERE session_id = 's2'")
        db.execute(
            "UPDATE event SET attributes = replace(attributes, '7', 'Infinity') WHERE attributes LIKE '%7%'"
        )
        db.execute("UPDATE event SET attributes = '{\"x\":NaN}' WHERE session_id = ?", (UNPLACED,))
    store.write([chat("c1", response_id="r1")], rate)
    assert asked(store) == (["s1"], ["s1"], [("s1", "quality", 0.5)])


def test_scores_that_are_no_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another package may send a text: it is shown with the event, and adds to no mean."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    store.write([session(), chat(), *map(evaluation, (0.5, "good", [1], {"a": 1}, None, True, "0.9"))], rate)
    assert store.scores(["s1"]) == [("s1", "quality", 0.5)]
    cli(["--ledger", str(path), "outcomes"], standalone_mode=False)
    assert "quality" in capsys.readouterr().out


def test_a_session_that_came_by_a_file(tmp_path: Path) -> None:
    """An exported session whose facts name such a number comes in without it."""
    facts = {"labels": [1, T0, ["fast"]], "metadata": [1, T0, {"team": "a", "loss": float("nan")}]}
    facts["implicit"] = [1, T0, False]
    told = json.dumps({"facts": {"facts": facts, "start": T0, "last": T0}})
    attributes = {semconv.SESSION_ID: "s1", semconv.RECORD: told}
    log = {
        "timeUnixNano": str(T0),
        "eventName": semconv.EVENT_SESSION,
        "attributes": [{"key": key, "value": {"stringValue": text}} for key, text in attributes.items()],
    }
    file = tmp_path / "logs.json"
    file.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}))
    path = tmp_path / "ledger.db"
    cli(["--ledger", str(path), "ingest", str(file)], standalone_mode=False)
    assert asked(SQLiteStore(path)) == (["s1"], ["s1"], [])
