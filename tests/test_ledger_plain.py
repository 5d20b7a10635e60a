"""Records are stored in plain types; one that has no others stays as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger_kit import rate
from spantally.ground.records import CallRecord, Kind
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite.codec import PoisonError, normalise
from spantally.ledger.sqlite.store import SQLiteStore


class Text(str):
    """A text of a program's own."""


class Fields(dict[str, Any]):
    """A dict of a program's own."""


PLAIN = CallRecord(
    call_id="c1",
    session_id="s1",
    kind="inference",
    operation="chat",
    start_ns=1,
    status="ok",
    precedence=30,
    usage={"a": 1, "b": {"c": 0.5}},
    finish_reasons=("stop",),
)


@pytest.mark.parametrize("tags", [(), (("a", "b"),), (("a", "b"), ("k", "v"))])
def test_a_plain_record_stays_the_same_object(tags: tuple[tuple[str, str], ...]) -> None:
    """Then nobody has to work out its price again, which is known by the object."""
    record = PLAIN._replace(tags=tags)
    assert normalise(record) is record


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        ({"tags": (("k", "v"), ("a", "b"))}, {"tags": (("a", "b"), ("k", "v"))}),
        ({"tags": ((Text("a"), "b"),)}, {"tags": (("a", "b"),)}),
        ({"tags": ("ab",)}, {"tags": (("a", "b"),)}),
        ({"usage": Fields(a=1)}, {"usage": {"a": 1}}),
        ({"usage": {"a": (1,)}}, {"usage": {"a": [1]}}),
        ({"usage": {"a": float("nan")}}, {"usage": {"a": None}}),
        ({"usage": {1: Text("b")}}, {"usage": {"1": "b"}}),
        ({"agent_path": (Text("a"),)}, {"agent_path": ("a",)}),
        ({"finish_reasons": ["stop"]}, {"finish_reasons": ("stop",)}),
        ({"start_ns": True}, {"start_ns": 1}),
        ({"kind": Kind.INFERENCE}, {"kind": "inference"}),
        ({"turn": 1}, {"turn": True}),
    ],
)
def test_an_odd_record_becomes_what_is_read_back(odd: dict[str, Any], plain: dict[str, Any]) -> None:
    """The types, too."""
    found = normalise(PLAIN._replace(**odd))
    expected = PLAIN._replace(**plain)
    assert found == expected
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    ("odd", "word"),
    [
        ({"end_ns": 2**63}, "end_ns is not"),
        ({"attempts": -(2**63) - 1}, "attempts is not"),
        ({"precedence": None, "attempts": None, "start_ns": None}, "start_ns is missing"),
        ({"session_id": ""}, "session_id is missing"),
        ({"tags": (("a", "b"),), "kind": ""}, "kind is missing"),
    ],
)
def test_what_cannot_be_stored_is_named(odd: dict[str, Any], word: str) -> None:
    """By the field alone."""
    with pytest.raises(PoisonError, match=word):
        normalise(PLAIN._replace(**odd))


@pytest.mark.parametrize("many", [1, 12, 61])
def test_columns_that_are_used_later_are_written(
    many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody used before is not bound; once it is, a row that has nothing of it says so."""
    monkeypatch.setattr(codec, "_empty", tuple(range(len(codec.COLUMNS))))
    monkeypatch.setattr(codec, "_changes", 0)
    plain = [PLAIN._replace(call_id=f"a{n}") for n in range(many)]
    more = [
        one._replace(call_id=f"b{n}", user_id="u", turn=True, first_chunk_ns=0, response_id=f"r{n}")
        for n, one in enumerate(plain)
    ]
    less = [one._replace(call_id=f"c{n}") for n, one in enumerate(plain)]
    with closing(SQLiteStore(tmp_path / "ledger.db")) as store:
        for batch in (plain, more, less):
            store.write(batch, rate)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        for batch in (plain, more, less):
            rows = codec.load(db, [record.call_id for record in batch])
            assert [rows[record.call_id].record for record in batch] == batch
        types = "SELECT DISTINCT typeof(turn), typeof(cache_reported), typeof(counted) FROM call"
        assert db.execute(types).fetchall() == [("integer", "integer", "integer")]


def test_statements_become_no_more_than_a_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is compiled and kept; after some changes all columns are bound."""
    monkeypatch.setattr(codec, "_empty", tuple(range(len(codec.COLUMNS))))
    monkeypatch.setattr(codec, "_changes", 0)
    seen: set[tuple[int, ...]] = set()
    fields = (
        "user_id",
        "name",
        "provider",
        "request_model",
        "response_model",
        "response_id",
        "run_id",
        "tool",
    )
    with closing(SQLiteStore(tmp_path / "ledger.db")) as store:
        for field in fields:
            used: dict[str, Any] = {"call_id": field, field: "x"}
            store.write([PLAIN._replace(**used)], rate)
            seen.add(codec._empty)
    assert len(seen) == codec._MOST_CHANGES
    assert codec._empty == ()
