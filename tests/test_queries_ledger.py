"""``open_ledger()``: what it opens, how it settles, and clear errors for wrong arguments."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import spantally
from ledger_kit import SECOND, T0, agent, chat, not_loaded, rate, session, tool, usage
from spantally.ground.errors import ArgumentError, LedgerError
from spantally.ground.money import CostStatus, Rating
from spantally.ground.records import CallRecord
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import Ledger, open_ledger, set_active_store
from watching import Watched


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of two sessions."""
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write(
        [
            session("abc-1", name="chat", user_id="alice", entity_type="customer", entity_id="acme"),
            session("abd-2", start_ns=T0 + 3600 * SECOND, tags=(("k", "v"),)),
            agent("a1", "abc-1"),
            chat("c1", "abc-1", parent_call_id="a1", agent_path=("planner",), user_id="alice"),
            chat("c2", "abd-2", start_ns=T0 + 3600 * SECOND, usage=usage(1, 1)),
        ],
        rate,
    )
    store.close()
    return tmp_path / "ledger.db"


def test_filters_of_users(path: Path) -> None:
    """Entities as text or pair, tags as mapping or text, times as datetime, text or age."""
    with open_ledger(path) as ledger:

        def ids(**values: Any) -> list[str]:
            return [row.session_id for row in ledger.sessions(**values)]

        assert ids() == ["abd-2", "abc-1"]
        assert ids(entity="customer") == ids(entity="customer:acme") == ids(entity=("customer", "acme"))
        assert ids(entity="customer:acme") == ["abc-1"]
        assert ids(tags={"k": "v"}) == ids(tags="k=v") == ["abd-2"]
        border = datetime.fromtimestamp(T0 // SECOND + 3600, UTC)
        assert ids(since=border) == ids(since=border.isoformat()) == ["abd-2"]
        assert ids(until=border) == ["abc-1"]
        assert ids(order_by="-cost", limit=1) == ["abc-1"]
        assert [row.call_id for row in ledger.calls(session="abc-1", kind="inference")] == ["c1"]
        assert [row.keys for row in ledger.cost("session, model", user="alice")] == [
            {"session": "abc-1", "model": "gpt-5-2026"}
        ]


def test_a_session_by_its_beginning(path: Path) -> None:
    """A beginning that one session has is enough; of several, the choices are named."""
    with open_ledger(path) as ledger:
        assert ledger.session("abc").session_id == "abc-1"  # type: ignore[union-attr]
        assert ledger.session("abd-2").session_id == "abd-2"  # type: ignore[union-attr]
        assert ledger.session("zzz") is None
        assert ledger.tree("zzz") is None
        with pytest.raises(ArgumentError, match="abc-1, abd-2"):
            ledger.session("ab")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"status": "done"}, "running, succeeded, failed"),
        ({"order_by": "size"}, "started"),
        ({"since": "yesterday"}, "24h"),
        ({"limit": -1}, "at least 0"),
        ({"user": ""}, "not empty"),
        ({"tags": "k"}, "key=value"),
        ({"entity": ":x"}, "customer:acme"),
        ({"since": "1h", "until": "2h"}, "later than"),
    ],
)
def test_wrong_arguments(path: Path, values: dict[str, Any], text: str) -> None:
    """Each wrong argument is a ValueError that names what is allowed."""
    with open_ledger(path) as ledger, pytest.raises(ValueError, match=text) as caught:
        ledger.sessions(**values)
    assert isinstance(caught.value, ArgumentError)


@pytest.mark.parametrize(
    ("method", "values", "text"),
    [
        ("sessions", {"metadata": 5}, "metadata=5 .*mapping"),
        ("sessions", {"metadata": "team=a"}, "mapping"),
        ("sessions", {"order_by": "x" * 1000}, "xx[.][.][.] is not allowed"),
        ("cost", {"by": None}, "by=None .*list of texts"),
        ("cost", {"by": 7}, "by=7 .*list of texts"),
        ("cost", {"by": ["model", 7]}, "list of texts"),
        ("cost", {"by": b"model"}, "list of texts"),
        ("outcomes", {"by": None}, "by=None .*list of texts"),
        ("outcomes", {"tz": "Berlin"}, "tz='Berlin' .*Europe/Berlin"),
        ("outcomes", {"tz": 5}, "Europe/Berlin"),
        ("target", {"call": ["c1"]}, "call=.*text that is not empty"),
        ("target", {"response_id": 2**70}, "response_id=.*text that is not empty"),
        ("reprice", {"progress": 5}, "progress=5 .*function"),
    ],
)
def test_values_of_other_kinds_are_named(path: Path, method: str, values: dict[str, Any], text: str) -> None:
    """What is of another kind altogether is no TypeError from within."""
    with open_ledger(path) as ledger, pytest.raises(ArgumentError, match=text):
        getattr(ledger, method)(**values)


def test_metadata_may_be_any_mapping(path: Path) -> None:
    """Not only a dict."""
    with open_ledger(path) as ledger:
        assert ledger.sessions(metadata=MappingProxyType({"team": "a"})) == []


def test_wrong_arguments_of_calls_and_cost(path: Path) -> None:
    """Kinds, groupings and zones are checked too."""
    with open_ledger(path) as ledger:
        with pytest.raises(ArgumentError, match="inference, embeddings"):
            ledger.calls(kind="llm")
        with pytest.raises(ArgumentError, match="tag:KEY"):
            ledger.cost("weekday")
        with pytest.raises(ArgumentError, match="Europe/Berlin"):
            ledger.cost("day", tz="Berlin")


def test_which_ledger(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path: the active store, else the one of the environment."""
    monkeypatch.setenv("SPANTALLY_LEDGER", str(path))
    with open_ledger() as ledger:
        assert len(ledger.sessions()) == 2
    active = SQLiteStore(":memory:")
    active.write([chat(session_id="mine")], rate)
    set_active_store(active)
    try:
        with open_ledger() as ledger:
            assert [row.session_id for row in ledger.sessions()] == ["mine"]
        with open_ledger() as ledger:
            assert [row.session_id for row in ledger.sessions()] == ["mine"]
    finally:
        set_active_store(None)
    monkeypatch.setenv("SPANTALLY_LEDGER", "false")
    with pytest.raises(LedgerError, match="switched off"):
        open_ledger()


def test_asking_makes_no_ledger(tmp_path: Path) -> None:
    """A path without a ledger is an error, and stays without one."""
    with pytest.raises(LedgerError) as caught:
        open_ledger(tmp_path / "none.db")
    assert caught.value.slug == "missing_file"
    assert list(tmp_path.iterdir()) == []


def test_pending_rows_are_rated_on_reading(tmp_path: Path) -> None:
    """A reader that knows prices shows none pending and writes the ratings down."""
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write([chat(f"c{n}") for n in range(600)], not_loaded)
    with Ledger(store, rate=rate, owned=False) as ledger:
        assert ledger.sessions()[0].pending_calls == 0
        assert ledger.cost("model")[0].cost_nano_usd == 600 * 16_000
    assert store.health().pending == 0
    store.close()


def test_pending_rows_of_a_read_only_file_are_rated_in_memory(tmp_path: Path) -> None:
    """A file that may not be written is priced all the same, and not touched."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    store.write([chat()], not_loaded)
    store.close()
    before = path.read_bytes()
    with Ledger(SQLiteStore(path, read_only=True), rate=rate) as ledger:
        assert ledger.sessions()[0].cost_nano_usd == 16_000
        assert ledger.calls()[0].cost_status == "priced"
    assert path.read_bytes() == before


def test_real_prices(tmp_path: Path) -> None:
    """With the price data of the package a pending row of a known model gets a true cost."""
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write([chat(response_model="gpt-4o-2024-08-06", usage=usage(1000, 100))], not_loaded)
    store.close()
    with open_ledger(tmp_path / "ledger.db") as ledger:
        (row,) = ledger.calls()
    assert (row.cost_status, row.cost_nano_usd) == ("priced", 3_500_000)


def test_reading_inside_an_event_loop_does_not_wait_for_prices(tmp_path: Path) -> None:
    """In a process that has no prices yet, a query inside a running loop shows pending at once."""
    import subprocess
    import sys

    program = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from ledger_kit import chat, not_loaded
from spantally import pricing
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import Ledger
store = SQLiteStore(":memory:")
store.write([chat(response_model="gpt-4o-2024-08-06")], not_loaded)
async def ask():
    return Ledger(store).sessions()[0].pending_calls
print(asyncio.run(ask()), Ledger(store).sessions()[0].pending_calls)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["1", "0"], done.stderr


def test_a_rater_that_raises_leaves_reading_alive(tmp_path: Path) -> None:
    """When prices cannot be told the rows are shown all the same."""

    def broken(record: CallRecord) -> Any:
        raise RuntimeError

    store = SQLiteStore(":memory:")
    store.write([chat(), tool()], not_loaded)
    assert len(Ledger(store, rate=broken).calls()) == 2


def test_a_list_of_calls_reads_what_it_shows(path: Path) -> None:
    """Attributes and the facts of a price are left as they are, but where they tell of a lost attempt."""
    lost = {"lost_attempts": 1}
    store = SQLiteStore(path)
    store.write(
        [
            chat("lost", possibly_billed=True, price_context=lost, response_id="r1"),
            chat("seen", possibly_billed=True, price_context={"api": "chat"}, response_id="r2"),
            chat("cut", possibly_billed=True, usage=None, response_id="r3"),
        ],
        rate,
    )
    with sqlite3.connect(path) as db:
        db.execute("UPDATE call SET attributes = '{', ranks = '{'")
        db.execute("UPDATE call SET usage = '{' WHERE usage IS NOT NULL")
        db.execute("UPDATE call SET price_context = '{' WHERE NOT possibly_billed")
    db.close()
    rows = {row.call_id: row for row in store.calls(Filter())}
    store.close()
    assert {name for name, row in rows.items() if row.possibly_billed} == {"lost", "cut"}
    assert (rows["c1"].input_tokens, rows["c1"].cost_nano_usd) == (10, 16_000)


def test_a_lost_attempt_before_usage_that_cannot_be_read() -> None:
    """Sessions, trees, summaries and ``cost`` tell of it alike."""

    def unreadable(record: CallRecord) -> Rating:
        return Rating(None, CostStatus.NO_USAGE if record.usage is None else CostStatus.BAD_USAGE)

    store = SQLiteStore(":memory:")
    retried: dict[str, Any] = {"possibly_billed": True, "price_context": {"lost_attempts": 1}}
    store.write([session("s"), chat("a", "s", **retried), chat("b", "s", usage=None, **retried)], unreadable)
    ledger = Ledger(store, rate=unreadable)
    [row], [cost] = ledger.sessions(), ledger.cost("session")
    summary, tree = ledger.summary("s"), ledger.tree("s")
    assert summary is not None
    assert tree is not None
    for found in (row, cost, summary.total):
        assert (found.possibly_billed_calls, found.lost_attempt_calls, found.unpriced_calls) == (2, 1, 2)
    assert [node.lost_attempt_calls for node in tree.children] == [1, 0]


@pytest.mark.skipif(os.name == "nt", reason="file modes are POSIX")
def test_a_file_without_write_permission(path: Path) -> None:
    """A ledger that this user may only read is read."""
    path.chmod(0o400)
    with open_ledger(path) as ledger:
        assert len(ledger.sessions()) == 2


def test_a_ledger_in_memory_that_is_opened_early_has_what_comes() -> None:
    """Before the first record there is none yet: who asks then, asks the one that is written later."""
    watched = Watched(ledger=":memory:")
    try:
        early, again = open_ledger(), open_ledger()
        assert early.sessions() == []
        early.close()
        early = open_ledger()
        with spantally.session("job"), spantally.agent("planner"):
            pass
        assert spantally.flush()
        for ledger in (early, again, open_ledger()):
            assert [row.session_id for row in ledger.sessions()] == ["job"]
            assert [row.name for row in ledger.calls()] == ["planner"]
    finally:
        watched.close()
    for written in (False, True):  # nothing of it is left for the next one
        watched = Watched(ledger=":memory:")
        try:
            assert open_ledger().sessions() == []
            if written:
                with spantally.session("other"):
                    pass
                assert spantally.flush()
                assert [row.session_id for row in open_ledger().sessions()] == ["other"]
        finally:
            watched.close()
