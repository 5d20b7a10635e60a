"""``cost --by``: disjoint groups that sum to the total, and days that are right in any zone."""

from __future__ import annotations

import itertools
import platform
import random
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ledger_kit import SECOND, T0, TRACE, agent, chat, foreign, rate, session, tool, usage
from spantally.cli.cost import total_line
from spantally.cli.render.numbers import cost_text
from spantally.ground.errors import ArgumentError
from spantally.ground.process import identity
from spantally.ground.records import CallRecord, Status
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore

ALL = Filter()


@pytest.fixture
def store() -> SQLiteStore:
    """An empty store in memory."""
    return SQLiteStore(":memory:")


def at(text: str) -> int:
    """UNIX nanoseconds of an ISO time with offset."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def grouped(store: SQLiteStore, by: str, where: Filter = ALL, tz: str = "UTC") -> dict[Any, int | None]:
    """Cost by the single grouping, or by a tuple of several."""
    names = by.split(",")
    return {
        row.keys[names[0]] if len(names) == 1 else tuple(row.keys[name] for name in names): row.cost_nano_usd
        for row in store.cost(names, where, tz)
    }


def calls_at(store: SQLiteStore, *moments: str) -> None:
    """A call of 16 000 nano-USD at each moment."""
    store.write([chat(f"at {text}", start_ns=at(text), end_ns=at(text)) for text in moments], rate)


def test_days_of_a_half_hour_zone(store: SQLiteStore) -> None:
    """In Kolkata (+05:30) the day begins at 18:30 UTC."""
    calls_at(store, "2026-11-20T18:29:59+00:00", "2026-11-20T18:30:00+00:00", "2026-11-21T18:29:59+00:00")
    assert grouped(store, "day", tz="Asia/Kolkata") == {"2026-11-20": 16_000, "2026-11-21": 32_000}
    assert grouped(store, "day") == {"2026-11-20": 32_000, "2026-11-21": 16_000}


def test_days_of_a_45_minute_zone(store: SQLiteStore) -> None:
    """In Kathmandu (+05:45) the day begins at 18:15 UTC."""
    calls_at(store, "2026-11-20T18:14:59+00:00", "2026-11-20T18:15:00+00:00")
    assert grouped(store, "day", tz="Asia/Kathmandu") == {"2026-11-20": 16_000, "2026-11-21": 16_000}


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
)
@pytest.mark.parametrize("month", [3, 4, 10, 11])
def test_every_half_hour_around_clock_changes(store: SQLiteStore, zone: str, month: int) -> None:
    """Each half-hour of the months in which clocks change falls on the day, week and month of that place."""
    first = int(datetime(2026, month, 1, tzinfo=UTC).timestamp())
    moments = [first - 86_400 + n * 1800 for n in range(48 * 33)]
    store.write([chat(str(m), start_ns=m * SECOND, end_ns=m * SECOND) for m in moments], rate)
    wanted: dict[str, dict[str, int]] = {"day": {}, "week": {}, "month": {}}
    for moment in moments:
        local = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(zone))
        year, week, _ = local.isocalendar()
        for unit, label in (
            ("day", f"{local:%Y-%m-%d}"),
            ("week", f"{year}-W{week:02d}"),
            ("month", f"{local:%Y-%m}"),
        ):
            wanted[unit][label] = wanted[unit].get(label, 0) + 16_000
    for unit, by_label in wanted.items():
        assert grouped(store, unit, tz=zone) == by_label


def test_a_week_is_iso(store: SQLiteStore) -> None:
    """Weeks begin on Monday and belong to the year of their Thursday."""
    calls_at(store, "2026-12-31T12:00:00+00:00", "2027-01-03T23:59:59+00:00", "2027-01-04T00:00:00+00:00")
    assert grouped(store, "week") == {"2026-W53": 32_000, "2027-W01": 16_000}


def some_world(seed: int) -> list[CallRecord]:
    """Two hundred rows of every sort."""
    chance = random.Random(seed)
    rows: list[CallRecord] = []
    for n in range(200):
        start = T0 + chance.randrange(5 * 86_400) * SECOND
        common: dict[str, Any] = {
            "session_id": f"s{chance.randrange(6)}",
            "start_ns": start,
            "end_ns": start + SECOND,
            "run_id": chance.choice([None, "run1", "run2"]),
            "agent_path": chance.choice([(), ("planner",), ("planner", "worker")]),
            "user_id": chance.choice([None, "alice"]),
            "tags": chance.choice([(), (("k", "1"),), (("k", "2"), ("l", "3"))]),
            "tool": chance.choice([None, "search"]),
            "project": chance.choice([None, "shop"]),
            "status": chance.choice([Status.OK, Status.ERROR]),
        }
        if chance.random() < 0.2:
            rows.append(agent(f"c{n}", **common))
            continue
        entity = chance.choice([(None, None), ("customer", "acme"), ("team", "red")])
        rows.append(
            chat(
                f"c{n}",
                entity_type=entity[0],
                entity_id=entity[1],
                trace_id=chance.choice([None, TRACE]),
                span_id=f"{n + 1:016x}",
                response_model=chance.choice(["m1", "unknown", None]),
                provider=chance.choice(["openai", None]),
                usage=chance.choice([None, usage(chance.randrange(9_999), chance.randrange(999))]),
                **common,
            )
        )
    return rows


NAMES = [
    "session", "run", "agent", "model", "provider", "user", "entity",
    "tag:k", "tool", "project", "trace", "day", "week", "month",
]  # fmt: skip


def totals(store: SQLiteStore, by: list[str], where: Filter) -> tuple[int, ...]:
    """Sums over all groups."""
    rows = store.cost(by, where, "Asia/Kathmandu")
    return tuple(
        sum(column)
        for column in zip(
            *(
                (
                    row.calls,
                    row.errors,
                    row.input_tokens,
                    row.output_tokens,
                    row.cost_nano_usd or 0,
                    row.unpriced_calls,
                )
                for row in rows
            ),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    "where",
    [
        ALL,
        Filter(since_ns=T0 + 86_400 * SECOND + 17, until_ns=T0 + 3 * 86_400 * SECOND + 500 * SECOND),
        Filter(since_ns=T0 + 100, until_ns=T0 + 200 * SECOND),
        Filter(agent="worker", user="alice"),
        Filter(tags=(("k", "1"), ("l", "3")), any_tag=True),
        Filter(model="m1", session_id="s1"),
    ],
)
def test_rows_sum_to_the_total_in_every_grouping(store: SQLiteStore, where: Filter) -> None:
    """Rollups, rows and any pair of groupings give the same total, that of the calls themselves."""
    world = some_world(7)
    store.write(world, rate)
    rows = store.calls(where)
    counted = [row for row in rows if row.counted]
    wanted = (
        len(counted),
        sum(row.status == "error" for row in rows),
        sum(row.input_tokens or 0 for row in counted),
        sum(row.output_tokens or 0 for row in counted),
        sum(row.cost_nano_usd or 0 for row in counted),
        sum(row.cost_nano_usd is None for row in counted),
    )
    assert wanted[4] > 0 or where.until_ns == T0 + 200 * SECOND
    if not rows:
        assert store.cost(["model"], where, "UTC") == []
        return
    for by in [[name] for name in NAMES] + [list(pair) for pair in itertools.combinations(NAMES, 2)]:
        assert totals(store, by, where) == wanted, by


def test_own_cost_by_each_grouping(store: SQLiteStore) -> None:
    """An agent is the innermost, an entity type:id, a tag its effective value; what has none is None."""
    store.write(
        [
            agent("a1", agent_path=("outer",)),
            chat("1", agent_path=("outer", "inner"), run_id="a1", tool="search", tags=(("k", "v"),)),
            chat("2", "s2", entity_type="customer", entity_id="acme:eu", response_model=None, trace_id=TRACE),
            tool(),
        ],
        rate,
    )
    assert grouped(store, "agent") == {"inner": 16_000, None: 16_000}
    assert grouped(store, "entity") == {"customer:acme:eu": 16_000, None: 16_000}
    assert grouped(store, "tag:k") == {"v": 16_000, None: 16_000}
    assert grouped(store, "tag:no") == {None: 32_000}
    assert grouped(store, "tool") == {"search": 16_000, None: 16_000}
    assert grouped(store, "model") == {"gpt-5-2026": 16_000, "gpt-5": 16_000}
    assert grouped(store, "run") == {"a1": 16_000, None: 16_000}
    assert grouped(store, "trace") == {None: 16_000, TRACE: 16_000}
    assert grouped(store, "session,run") == {("s1", "a1"): 16_000, ("s2", None): 16_000}


def test_orders(store: SQLiteStore) -> None:
    """Highest cost first; with a time among the groupings, by time first."""
    for n, (model, day) in enumerate([("a", 1), ("b", 0), ("c", 1), ("b", 1)]):
        start = T0 + day * 86_400 * SECOND
        store.write([chat(f"c{n}", response_model=model, start_ns=start, usage=usage(10 * (n + 1), 0))], rate)
    assert [row.keys["model"] for row in store.cost(["model"], ALL, "UTC")] == ["b", "c", "a"]
    rows = store.cost(["model", "day"], ALL, "UTC")
    assert [row.keys["model"] for row in rows] == ["b", "b", "c", "a"]
    assert [row.keys["day"] for row in rows] == sorted(str(row.keys["day"]) for row in rows)


def test_a_flip_moves_cost_between_groups(store: SQLiteStore) -> None:
    """A row that loses its standing leaves its group, and no empty group stays behind."""
    store.write([foreign(1, "old", agent_path=("x",))], rate)
    assert grouped(store, "session") == {"old": 16_000}
    store.write([chat("own", "new", trace_id=TRACE, span_id=f"{1:016x}")], rate)
    assert grouped(store, "session") == {"new": 16_000}
    assert grouped(store, "agent") == {"x": 16_000}


def test_wrong_groupings_and_zones(store: SQLiteStore) -> None:
    """A wrong grouping or zone is named with what is allowed."""
    for by in (["size"], ["tag:"], []):
        with pytest.raises(ArgumentError, match="session, conversation, run, agent"):
            store.cost(by, ALL, "UTC")
    with pytest.raises(ArgumentError, match="tz='Mars/Base'"):
        store.cost(["day"], ALL, "Mars/Base")


@pytest.mark.parametrize("by", ["session", "run"], ids=["rollups", "rows"])
def test_what_was_possibly_billed_is_named_once(store: SQLiteStore, by: str) -> None:
    """The total says how many calls were possibly billed, and calls only the others unpriced."""
    lost: dict[str, Any] = {"status": Status.ERROR, "usage": None, "possibly_billed": True}
    store.write(
        [
            chat("c0", usage=usage(1_920_000, 0)),
            *(chat(f"c{number}", response_id=None, **lost) for number in range(1, 5)),
        ],
        rate,
    )
    assert total_line(store.cost([by], ALL, "UTC")) == (
        "total: $1.92 known + 4 calls possibly billed, of 5 calls"
    )
    retried: dict[str, Any] = {"possibly_billed": True, "price_context": {"lost_attempts": 1}}
    store.write([chat("c5", usage=usage(0, 1), **retried), chat("c6", response_model="unknown")], rate)
    rows = store.cost([by], ALL, "UTC")
    assert total_line(rows) == "total: $1.920003 known + 5 calls possibly billed + 1 unpriced, of 7 calls"
    (session_row,) = store.sessions(ALL)
    assert (session_row.possibly_billed_calls, session_row.lost_attempt_calls) == (5, 1)
    assert cost_text(session_row.cost_nano_usd, session_row) == "$1.920003 + 5 possibly billed + 1 unpriced"


def test_rows_and_rollups_name_a_group_alike(store: SQLiteStore) -> None:
    """An answer that names no model, and times before 1970: by either source they are in the same group."""
    store.write(
        [
            chat("c1", response_model="", request_model="gpt-5"),
            chat("c2", response_model="", request_model=None, start_ns=-SECOND, end_ns=0),
            chat("c3", start_ns=-86_400 * SECOND, end_ns=0),
            chat("c4", start_ns=SECOND, end_ns=2 * SECOND),
        ],
        rate,
    )
    for by in ("model", "day"):
        assert grouped(store, by) == grouped(store, by, Filter(status="ok"))
    assert grouped(store, "model") == {"gpt-5": 16_000, None: 16_000, "gpt-5-2026": 32_000}
    assert grouped(store, "day") == {
        "1969-12-31": 32_000,
        "1970-01-01": 16_000,
        "2026-10-26": 16_000,
    }


def test_an_answer_that_outlived_its_process_is_interrupted_in_every_sum() -> None:
    """The provider may bill it: in ``cost`` and in sessions, once, and by its status as it reads."""
    dead = f"{platform.node()}:999999999:1"
    open_: dict[str, Any] = {"status": Status.RUNNING, "end_ns": None, "usage": None}
    store = SQLiteStore(":memory:")
    store.write(
        [
            session("gone", process=dead),
            session("here", process=identity()),
            chat("a", "gone", **open_),
            chat("b", "gone", possibly_billed=True, **open_),  # an earlier attempt was lost
            chat("c", "here", **open_),
            chat("d", "gone", status=Status.INTERRUPTED, usage=None, possibly_billed=True),
        ],
        rate,
    )

    def found(name: str = "session", **values: Any) -> dict[str | None, tuple[int, int]]:
        rows = store.cost([name], Filter(**values), "UTC")
        return {row.keys[name]: (row.calls, row.possibly_billed_calls) for row in rows}

    assert found() == {"gone": (3, 3), "here": (1, 0)}
    assert found("day") == found("day", kind="inference") == {"2026-10-26": (4, 3)}
    assert found(until_ns=T0) == {}
    assert found(since_ns=T0, until_ns=T0 + 1) == found()
    assert found(session_id="gone", provider="openai") == {"gone": (3, 3)}
    assert found(status="interrupted") == {"gone": (3, 3)}
    assert found(status="running") == {"here": (1, 0)}
    assert found(status="ok") == {}
    told = {row.session_id: row.possibly_billed_calls for row in store.sessions(Filter())}
    assert told == {"gone": 3, "here": 0}
