"""Merging ledgers: each operation once whatever overlaps, the same whichever way round, all or nothing."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import spantally
from ledger_kit import (
    SECOND,
    T0,
    TRACE,
    agent,
    chat,
    dump,
    foreign,
    kept_totals,
    link,
    not_loaded,
    rate,
    recomputed,
    session,
    span_id,
    take_out_version_4,
    tool,
    usage,
    without_more_parts,
)
from spantally.ground.errors import ArgumentError, LedgerError
from spantally.ground.records import CallRecord, EventRecord, Kind, Record
from spantally.ledger import merging
from spantally.ledger.merging import merge_ledgers
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import open_ledger


def made(path: Path, records: Sequence[Record], rater: Any = rate) -> Path:
    """A ledger file of these records."""
    store = SQLiteStore(path)
    store.write(records, rater)
    store.close()
    return path


def contents(path: Path) -> dict[str, list[Any]]:
    """Everything in a ledger that does not depend on how it came there."""
    db = sqlite3.connect(path)
    try:
        found = dump(db)
        found["event"] = sorted(map(repr, db.execute("SELECT * FROM event")))
        found["totals"] = [kept_totals(db)]
        assert kept_totals(db)["sessions"] == recomputed(db)["sessions"]
        return found
    finally:
        db.close()


def event(event_id: str, session_id: str = "s1") -> EventRecord:
    """Something that happened."""
    return EventRecord(event_id, session_id, "spantally.decision", T0, attributes={"x": event_id})


def everything() -> list[Record]:
    """Rows of every kind that counting knows: twins, views of one response, covered and running ones."""
    return [
        session("s1", name="chat", user_id="alice", tags=(("k", "v"),)),
        session("s1", end_ns=T0 + 9 * SECOND, status="succeeded"),
        session("s2", parent_id="s1"),
        event("e1"),
        event("e2", "s2"),
        agent("a1", trace_id=TRACE, span_id=span_id(1)),
        chat("c1", parent_call_id="a1", trace_id=TRACE, span_id=span_id(2), parent_span_id=span_id(1)),
        foreign(2, usage=usage(10, 2), parent_span_id=span_id(1), scope_name="twin"),
        link(3, 1),
        foreign(4, parent_span_id=span_id(3), response_id="r1"),
        chat("c2", response_id="r1", parent_call_id="a1", trace_id="b" * 32, span_id=span_id(5)),
        chat("wrapper", "s2", response_model="proxy", trace_id="c" * 32, span_id=span_id(6)),
        foreign(7, "s2", trace_id="c" * 32, parent_span_id=span_id(6), usage=usage(5, 5)),
        tool("t1", tool_call_id="call_1", inferred=True, end_ns=T0),
        tool("t2", tool_call_id="call_1"),
        chat("run", status="running", end_ns=None, usage=None),
        chat("run", usage=usage(3, 3)),
        chat("odd", response_model="unknown"),
        chat("bad", status="error", usage=None, possibly_billed=True, error_type="Timeout"),
        chat("e", "s2", kind=Kind.EMBEDDINGS, operation="embeddings"),
    ]


@pytest.mark.parametrize("seed", range(12))
def test_any_overlap_gives_what_one_ledger_would_hold(seed: int, tmp_path: Path) -> None:
    """Records spread over two ledgers, many in both, in any order: the merge is the ledger of all of them."""
    chance = random.Random(seed)
    records = everything()
    mine = [one for one in records if chance.random() < 0.6]
    yours = [one for one in records if one not in mine or chance.random() < 0.5]
    for those in (mine, yours):
        chance.shuffle(those)
    one, two = made(tmp_path / "one.db", mine), made(tmp_path / "two.db", yours)
    whole = contents(made(tmp_path / "whole.db", records))
    merge_ledgers([one, two], tmp_path / "12.db")
    merge_ledgers([two, one], tmp_path / "21.db")
    assert contents(tmp_path / "12.db") == whole
    assert contents(tmp_path / "21.db") == whole


def test_a_ledger_with_itself_is_itself(tmp_path: Path) -> None:
    """Merging a ledger with its copy, or with the merge of it, changes nothing."""
    one = made(tmp_path / "one.db", everything())
    merged = merge_ledgers([one, one, one], tmp_path / "again.db")
    assert contents(tmp_path / "again.db") == contents(one)
    assert merged.repeated == 2 * len({row.call_id for row in everything() if isinstance(row, CallRecord)})
    merge_ledgers([tmp_path / "again.db", one], tmp_path / "twice.db")
    assert contents(tmp_path / "twice.db") == contents(one)


def test_what_it_says(tmp_path: Path) -> None:
    """The answer counts sessions, calls, rows and events as the ledger does; progress comes to its end."""
    one = made(tmp_path / "one.db", [session("s1"), agent("a"), chat("c1"), chat("c2"), event("e1")])
    two = made(tmp_path / "two.db", [session("s2"), chat("c2"), chat("c3", "s2"), event("e1")])
    told: list[tuple[str, int, int]] = []
    merged = merge_ledgers([str(one), two], tmp_path / "c.db", progress=lambda *values: told.append(values))
    assert (merged.sessions, merged.calls, merged.rows, merged.repeated) == (2, 3, 4, 1)
    assert (merged.events, merged.quarantined, merged.path) == (1, 0, str(tmp_path / "c.db"))
    assert told[0] == (str(one), 3, 3)
    assert told[-1] == (str(two), 2, 2)
    with open_ledger(tmp_path / "c.db") as ledger:
        assert sum(row.calls for row in ledger.sessions()) == 3
        assert ledger.health().ok
    assert spantally.merge_ledgers is merge_ledgers


def test_prices_stay_and_pending_ones_are_filled_in(tmp_path: Path) -> None:
    """A row keeps the cost it was rated with; where one ledger had none yet, the other's is taken."""
    pending = made(tmp_path / "pending.db", [chat("c1"), chat("c2")], not_loaded)
    rated = made(tmp_path / "rated.db", [chat("c1")])
    for number, order in enumerate(([pending, rated], [rated, pending])):
        target = tmp_path / f"{number}.db"
        merge_ledgers(order, target)
        db = sqlite3.connect(target)
        found = db.execute("SELECT call_id, cost_nano_usd, cost_status FROM call ORDER BY 1").fetchall()
        assert found == [("c1", 16_000, "priced"), ("c2", None, "pending")]
        assert db.execute("SELECT cost, priced, pending FROM session").fetchall() == [(16_000, 1, 1)]
        db.close()


def test_a_row_unlike_any_rated_one_is_rated_anew(tmp_path: Path) -> None:
    """Where the merge knows more than either ledger did, no old price is kept for it."""
    one = made(tmp_path / "one.db", [chat("c1", status="running", end_ns=None, usage=None)])
    two = made(tmp_path / "two.db", [chat("c1", request_model=None, response_model=None)])
    merge_ledgers([one, two], tmp_path / "c.db")
    db = sqlite3.connect(tmp_path / "c.db")
    (row,) = db.execute("SELECT response_model, usage IS NOT NULL, cost_status FROM call").fetchall()
    db.close()
    assert row == ("gpt-5-2026", 1, "pending")


def test_set_aside_records_go_along(tmp_path: Path) -> None:
    """What a ledger could not store stays known, once."""
    poison = chat("bad", start_ns=2**70)
    one, two = made(tmp_path / "one.db", [poison, chat()]), made(tmp_path / "two.db", [poison])
    assert merge_ledgers([one, two], tmp_path / "c.db").quarantined == 1


# -- arguments and files ------------------------------------------------------------------------------


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """An output that exists, even as a link to nowhere, is refused and stays as it is."""
    one, two = made(tmp_path / "one.db", [chat()]), made(tmp_path / "two.db", [chat()])
    before = one.read_bytes()
    with pytest.raises(ArgumentError, match="never overwritten"):
        merge_ledgers([one, two], one)
    assert one.read_bytes() == before
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere.db")
    with pytest.raises(ValueError, match="never overwritten"):
        merge_ledgers([one, two], tmp_path / "link.db")
    assert not (tmp_path / "nowhere.db").exists()


def test_an_output_that_comes_meanwhile_stays(tmp_path: Path) -> None:
    """Who makes the file while the merge runs keeps it."""
    one, two = made(tmp_path / "one.db", [chat()]), made(tmp_path / "two.db", [chat()])
    target = tmp_path / "c.db"

    def come(path: str, done: int, total: int) -> None:
        target.write_text("mine")

    with pytest.raises(ArgumentError, match="never overwritten"):
        merge_ledgers([one, two], target, progress=come)
    assert target.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("ledgers", "output"),
    [("one.db", "c.db"), ([], "c.db"), (["one.db"], "c.db"), ([1, 2], "c.db"), (["a", "b"], 7)],
)
def test_wrong_arguments(ledgers: Any, output: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a ValueError, before anything is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError):
        merge_ledgers(ledgers, output)
    assert list(tmp_path.iterdir()) == []


def test_ledgers_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, another program's file and a missing directory are named; nothing is left behind."""
    one = made(tmp_path / "one.db", [chat()])
    (tmp_path / "text.db").write_text("not a ledger, and longer than the header of a database " * 20)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (x)")
    other.close()
    for bad, slug in (
        ("none.db", "missing_file"),
        ("text.db", "not_a_database"),
        ("other.db", "not_a_database"),
    ):
        with pytest.raises(LedgerError) as caught:
            merge_ledgers([one, tmp_path / bad], tmp_path / "c.db")
        assert caught.value.slug == slug
    with pytest.raises(LedgerError, match="mkdir"):
        merge_ledgers([one, one], tmp_path / "no" / "c.db")
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_dir()) == []
    assert not (tmp_path / "c.db").exists()


def test_the_result_is_private_and_one_file(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask, without a log beside it, and nothing of the work is left."""
    one, two = made(tmp_path / "one.db", [chat()]), made(tmp_path / "two.db", [chat("c2")])
    (tmp_path / "out").mkdir()
    before = os.umask(0)
    try:
        merge_ledgers([one, two], tmp_path / "out" / "c.db")
    finally:
        os.umask(before)
    (only,) = (tmp_path / "out").iterdir()
    assert stat.S_IMODE(only.stat().st_mode) == 0o600


def test_inputs_that_may_not_be_written(tmp_path: Path) -> None:
    """Files in a directory without write permission are read as they are, and stay as they are."""
    folder = tmp_path / "archive"
    folder.mkdir()
    one, two = made(folder / "one.db", [chat()]), made(folder / "two.db", [chat("c2")])
    for path in (one, two):
        path.chmod(0o400)
    folder.chmod(0o500)
    before = (one.read_bytes(), two.read_bytes())
    try:
        assert merge_ledgers([one, two], tmp_path / "c.db").calls == 2
    finally:
        folder.chmod(0o700)
    assert (one.read_bytes(), two.read_bytes()) == before
    assert sorted(folder.glob("*.db")) == [one, two]


@pytest.mark.parametrize("place", [0, 1])
def test_an_input_of_an_earlier_release(place: int, tmp_path: Path) -> None:
    """A ledger of schema 1 is brought up in a copy; the file itself keeps its schema."""
    old = made(tmp_path / "old.db", [session(), chat("c1"), event("e1")])
    db = sqlite3.connect(old)
    take_out_version_4(db)
    db.executescript(
        "ALTER TABLE session DROP COLUMN lost; ALTER TABLE rollup DROP COLUMN lost;"
        "DROP INDEX session_conversation; ALTER TABLE session DROP COLUMN said;"
        "DROP TABLE budget; DROP TABLE budget_lease; PRAGMA user_version = 1;"
    )
    without_more_parts(db)
    db.close()
    new = made(tmp_path / "new.db", [session(), chat("c2")])
    order = [old, new] if place == 0 else [new, old]
    assert merge_ledgers(order, tmp_path / "c.db").calls == 2
    whole = made(tmp_path / "whole.db", [session(), chat("c1"), chat("c2"), event("e1")])
    assert contents(tmp_path / "c.db") == contents(whole)
    db = sqlite3.connect(old)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    db.close()


def test_what_budgets_have_used(tmp_path: Path) -> None:
    """The greater of what each ledger says was used; what running programs set aside stays with them."""
    one, two = made(tmp_path / "one.db", [chat("c1")]), made(tmp_path / "two.db", [chat("c2")])
    used = {one: [("day", 5, 1, 10, 0, 7)], two: [("day", 3, 2, 10, 0, 9), ("alice", 1, 1, 1, 1, 1)]}
    for path, accounts in used.items():
        db = sqlite3.connect(path)
        db.executemany("INSERT INTO budget VALUES (?, ?, ?, ?, ?, ?)", accounts)
        db.execute("INSERT INTO budget_lease VALUES ('day', 'host:1:1', 1, 1, 1)")
        db.commit()
        db.close()
    merge_ledgers([one, two], tmp_path / "c.db")
    db = sqlite3.connect(tmp_path / "c.db")
    assert sorted(db.execute("SELECT * FROM budget")) == [("alice", 1, 1, 1, 1, 1), ("day", 5, 2, 10, 0, 9)]
    assert db.execute("SELECT COUNT(*) FROM budget_lease").fetchone() == (0,)
    db.close()


def test_an_empty_file_is_an_empty_ledger(tmp_path: Path) -> None:
    """As a ledger that a program opened and never wrote to."""
    (tmp_path / "empty.db").touch()
    one = made(tmp_path / "one.db", [session(), chat()])
    for number, order in enumerate(([tmp_path / "empty.db", one], [one, tmp_path / "empty.db"])):
        merge_ledgers(order, tmp_path / f"{number}.db")
        assert contents(tmp_path / f"{number}.db") == contents(one)


def test_an_input_in_use(tmp_path: Path) -> None:
    """What is committed in a ledger's log counts, though another connection holds the ledger open."""
    store = SQLiteStore(tmp_path / "live.db")
    store.write([chat("c1")], rate)
    two = made(tmp_path / "two.db", [chat("c2")])
    assert (tmp_path / "live.db-wal").stat().st_size > 0
    assert merge_ledgers([store.target, two], tmp_path / "c.db").calls == 2
    assert merge_ledgers([two, store.target], tmp_path / "d.db").calls == 2
    store.write([chat("c3")], rate)
    store.close()


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure half-way is said in words, and neither output nor scraps stay."""
    one, two = made(tmp_path / "one.db", [chat()]), made(tmp_path / "two.db", [chat("c2")])

    def full(*args: Any) -> int:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorname = "SQLITE_FULL"
        raise error

    monkeypatch.setattr(merging, "_take_in", full)
    with pytest.raises(LedgerError, match="no room") as caught:
        merge_ledgers([one, two], tmp_path / "c.db")
    assert caught.value.slug == "disk_full"
    assert sorted({path.name.partition("-")[0] for path in tmp_path.iterdir()}) == ["one.db", "two.db"]


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the file is renamed."""
    one, two = made(tmp_path / "one.db", [chat()]), made(tmp_path / "two.db", [chat("c2")])

    def none(*args: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", none)
    assert merge_ledgers([one, two], tmp_path / "c.db").calls == 2
    assert (tmp_path / "c.db").exists()


@pytest.mark.slow
def test_many_rows_take_seconds(tmp_path: Path) -> None:
    """Two ledgers of 20,000 calls, half of them in both, within half a minute."""
    one = made(tmp_path / "one.db", [chat(f"c{n}", f"s{n % 100}") for n in range(20_000)])
    two = made(tmp_path / "two.db", [chat(f"c{n}", f"s{n % 100}") for n in range(10_000, 30_000)])
    began = time.monotonic()
    assert merge_ledgers([one, two], tmp_path / "c.db").calls == 30_000
    assert time.monotonic() - began < 30
