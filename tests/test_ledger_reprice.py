"""Rating anew: from stored usage, with the earlier figure kept and every sum true, or not at all."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli_ledger import invoke
from ledger_kit import (
    SECOND,
    T0,
    agent,
    chat,
    dump,
    foreign,
    kept_totals,
    not_loaded,
    rate,
    recomputed,
    session,
    usage,
)
from spantally.ground.errors import ArgumentError, LedgerError
from spantally.ground.money import CostStatus, Rating
from spantally.ground.records import CallRecord, UsageFormat
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite import codec, reprice_steps
from spantally.ledger.sqlite import reprice as reprice_module
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.pricing.linear import formula
from spantally.pricing.rate import rate as real_rate
from spantally.queries import Ledger, open_ledger

ALL = Filter()
HERE = str(Path(__file__).parent)
HOUR = 3600 * 1_000_000_000


def doubled(record: CallRecord) -> Rating:
    """The rates of the kit, twice as high, by an entry of another name."""
    found = rate(record)
    if found.nano_usd is None:
        return found
    return found._replace(nano_usd=2 * found.nano_usd, source="fake 2", price_id="fake/model@2")


def mixed(path: str | Path = ":memory:", calls: int = 60) -> SQLiteStore:
    """Sessions, agents, second views and calls of every kind that the kit's rater tells apart."""
    store = SQLiteStore(path)
    chance = random.Random(7)
    records: list[Any] = [session("s0"), agent("a1", "s0")]
    records.extend(
        chat(
            f"c{number}",
            f"s{number % 4}",
            start_ns=T0 + number * HOUR // 5,
            usage=None if number % 11 == 0 else usage(chance.randrange(1000), chance.randrange(90)),
            response_model=("gpt-5-2026", "unknown", "gpt-4o")[number % 3],
            agent_path=("planner",) if number % 2 else (),
            tags=(("k", "v"),) if number % 5 == 0 else (),
            response_id=f"r{number}",
        )
        for number in range(calls)
    )
    records.append(foreign(1, "s1", response_id="r1", start_ns=T0 + HOUR // 5))
    store.write(records, rate)
    return store


def history(store: SQLiteStore) -> list[tuple[Any, ...]]:
    """What is kept of earlier ratings, without when."""
    return (
        store._writing()
        .execute(
            "SELECT call_id, cost_nano_usd, cost_status, cost_source, price_id FROM rating_history ORDER BY 1"
        )
        .fetchall()
    )


def test_every_sum_is_what_a_ledger_of_the_new_rates_has() -> None:
    """Rows, sessions and rollups end as if all had been rated so from the first."""
    store = mixed()
    found = store.reprice(doubled, ALL)
    fresh = _written_by(doubled)
    assert dump(store._writing()) == dump(fresh._writing())
    assert kept_totals(store._writing()) == recomputed(store._writing())
    assert found.after_nano_usd == 2 * (found.before_nano_usd or 0)
    assert found.change_nano_usd == found.before_nano_usd
    assert found.calls == sum(row.calls for row in store.cost(["model"], ALL, "UTC"))


def _written_by(rater: Any) -> SQLiteStore:
    """The rows of :func:`mixed`, rated by another rater from the first."""
    store, made = SQLiteStore(":memory:"), mixed()
    db = made._writing()
    ids = [one for (one,) in db.execute("SELECT call_id FROM call ORDER BY rowid")]
    loaded = codec.load(db, ids)
    store.write([session("s0"), *(loaded[one].record for one in ids)], rater)
    return store


def test_the_earlier_figures_are_kept() -> None:
    """Each changed row leaves what it was, and when it became another."""
    store = mixed(calls=5)
    before = {row.call_id: row for row in store.calls(ALL) if row.cost_status is not None}
    store.reprice(doubled, ALL)
    kept = history(store)
    assert kept == sorted(
        (row.call_id, row.cost_nano_usd, row.cost_status, row.cost_source, row.price_id)
        for row in before.values()
        if row.cost_nano_usd is not None
    )
    store.reprice(rate, ALL)
    assert len(history(store)) == 2 * len(kept)
    ((at,),) = store._writing().execute("SELECT MAX(at_ns) FROM rating_history").fetchall()
    assert abs(time.time_ns() - at) < 60 * 10**9


def test_what_is_the_same_is_not_touched() -> None:
    """A second time nothing changes; a new version of a source that says the same is no change."""
    store = mixed()
    store.reprice(doubled, ALL)
    seen, kept = dump(store._writing()), history(store)
    again = store.reprice(doubled, ALL)
    assert again.changed_calls == 0
    assert store.reprice(lambda one: doubled(one)._replace(source="fake 3"), ALL).changed_calls == 0
    assert (dump(store._writing()), history(store)) == (seen, kept)


def test_a_dry_run_tells_and_writes_nothing() -> None:
    """It tells the same as the run after it."""
    store = mixed()
    seen = dump(store._writing())
    told = store.reprice(doubled, ALL, dry_run=True)
    assert dump(store._writing()) == seen
    assert history(store) == []
    done = store.reprice(doubled, ALL)
    assert told.dry_run
    assert told.rows == done.rows


def test_pending_rows_are_rated() -> None:
    """They get their figure; none is kept of them, since there was none."""
    store = SQLiteStore(":memory:")
    store.write([chat("c1"), chat("c2", usage=None)], not_loaded)
    found = store.reprice(rate, ALL)
    assert [row.cost_status for row in store.calls(ALL)] == ["priced", "no_usage"]
    assert found.rows[0].statuses == {("pending", "no_usage"): 1, ("pending", "priced"): 1}
    assert history(store) == []
    assert kept_totals(store._writing()) == recomputed(store._writing())


def test_what_the_provider_reported_stays() -> None:
    """A bill is a bill, whatever a table says."""

    def reported(record: CallRecord) -> Rating:
        return rate(record)._replace(nano_usd=77, status=CostStatus.PROVIDER_REPORTED, source="provider")

    store = SQLiteStore(":memory:")
    store.write([chat("c1"), chat("c2")], reported)
    assert store.reprice(doubled, ALL).changed_calls == 0
    assert [row.cost_nano_usd for row in store.calls(ALL)] == [77, 77]


def test_without_rates_a_price_stays() -> None:
    """A rater that has nothing to say, or fails, takes no figure away."""

    def broken(record: CallRecord) -> Rating:
        raise RuntimeError("no")

    store = mixed()
    seen = dump(store._writing())
    for rater in (not_loaded, broken):
        assert store.reprice(rater, ALL).changed_calls == 0
    assert dump(store._writing()) == seen


def test_usage_that_is_kept_only_as_parts() -> None:
    """A row without a raw usage object is rated from its parts."""
    store = SQLiteStore(":memory:")
    store.write([chat("c1", request_model="gpt-5", response_model="gpt-5")], real_rate)
    before = store.calls(ALL)[0].cost_nano_usd
    db = store._writing()
    db.execute("UPDATE call SET usage = NULL, usage_format = NULL")
    assert store.reprice(real_rate, ALL).changed_calls == 0
    assert store.calls(ALL)[0].cost_nano_usd == before


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"model": "gpt-4o"}, {"gpt-4o"}),
        ({"provider": "nobody"}, set()),
        ({"status": "unknown_model"}, {"unknown"}),
        ({"since": "2026-10-26T20:00:00Z", "until": "2026-10-26T21:00:00Z"}, None),
    ],
)
def test_only_what_is_asked_for(wanted: dict[str, Any], expected: set[str] | None) -> None:
    """Filters by model, provider, status and time; the other rows stay as they are."""
    store = mixed()
    seen = {row.call_id: row.cost_nano_usd for row in store.calls(ALL)}
    with Ledger(store, rate=doubled) as ledger:
        found = ledger.reprice(**wanted)
    if expected is not None:
        assert {row.model for row in found.rows} == expected
    changed = [row for row in store.calls(ALL) if seen[row.call_id] != row.cost_nano_usd]
    assert len(changed) == found.changed_calls
    assert kept_totals(store._writing()) == recomputed(store._writing())


def test_wrong_arguments() -> None:
    """They are named with what is allowed, and nothing is done."""
    with Ledger(mixed(), rate=doubled) as ledger:
        with pytest.raises(ArgumentError, match=r"status='paid'.*unknown_model"):
            ledger.reprice(status="paid")
        with pytest.raises(ArgumentError, match="since="):
            ledger.reprice(since="yesterdayish")


def test_another_store_says_that_it_cannot() -> None:
    """A store without this says so instead of doing nothing."""

    class Other:
        """A store by the contract alone."""

    with pytest.raises(LedgerError, match="Other cannot rate") as caught:
        Ledger(Other(), rate=doubled).reprice()  # type: ignore[arg-type]
    assert caught.value.slug == "not_supported"


def test_an_end_in_the_middle_leaves_all_as_it_was(tmp_path: Path) -> None:
    """What ends the process, or the pass, before the commit leaves every earlier figure."""
    path = tmp_path / "ledger.db"
    mixed(path, calls=2500).close()
    db = sqlite3.connect(path)
    seen = dump(db)
    program = f"""
import os, sys
sys.path.insert(0, {HERE!r})
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite.store import SQLiteStore
from test_ledger_reprice import doubled
def progress(done, total):
    if done >= 2000:
        os._exit(9)
SQLiteStore({str(path)!r}).reprice(doubled, Filter(), progress=progress)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert dump(db) == seen
    db.close()
    store = SQLiteStore(path)

    def stopped(done: int, total: int) -> None:
        if done >= 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.reprice(doubled, ALL, progress=stopped)
    assert dump(store._writing()) == seen
    assert history(store) == []
    store.reprice(doubled, ALL)
    assert kept_totals(store._writing()) == recomputed(store._writing())
    store.close()


def test_others_write_meanwhile(tmp_path: Path) -> None:
    """Calls that another connection writes while rows are rated anew are all there, and every sum is true."""
    path = tmp_path / "ledger.db"
    store = mixed(path, calls=1500)
    other = SQLiteStore(path)

    def writing() -> None:
        for number in range(40):
            other.write([chat(f"n{number}", f"s{number % 4}", start_ns=T0 + number)], rate)

    thread = threading.Thread(target=writing)
    thread.start()
    for rater in (doubled, rate, doubled):
        store.reprice(rater, ALL)
    thread.join()
    db = sqlite3.connect(path)
    assert db.execute("SELECT COUNT(*) FROM call WHERE call_id LIKE 'n%'").fetchone() == (40,)
    assert kept_totals(db) == recomputed(db)
    db.close()
    store.close()
    other.close()


def test_the_real_table_from_raw(tmp_path: Path) -> None:
    """After an earlier release's wrong figures the sums are those of a recomputation from the raw usage."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    chance = random.Random(3)
    records = [
        chat(
            f"c{number}",
            f"s{number % 3}",
            start_ns=T0 + number * HOUR // 7,
            request_model=(model := chance.choice(["gpt-5", "gpt-4o", "gpt-5-mini", "o3", "nobody-knows"])),
            response_model=model,
            usage={
                "prompt_tokens": (prompt := chance.randrange(1, 400_000)),
                "completion_tokens": chance.randrange(5000),
                "prompt_tokens_details": {"cached_tokens": chance.randrange(prompt)},
            },
            usage_format=UsageFormat.OPENAI_CHAT,
            price_context={"service_tier": chance.choice(["default", "flex", "priority"])},
        )
        for number in range(300)
    ]
    store.write(records, rate)
    store.close()
    with open_ledger(path) as ledger:
        found = ledger.reprice()
        rows = {row.call_id: row for row in ledger.calls()}
    expected = {record.call_id: real_rate(record) for record in records}
    assert {one: row.cost_nano_usd for one, row in rows.items()} == {
        one: rating.nano_usd for one, rating in expected.items()
    }
    assert {one: row.price_id for one, row in rows.items()} == {
        one: rating.price_id for one, rating in expected.items()
    }
    assert found.after_nano_usd == sum(rating.nano_usd or 0 for rating in expected.values())
    db = sqlite3.connect(path)
    assert kept_totals(db) == recomputed(db)
    db.close()


def overpriced(record: CallRecord) -> Rating:
    """The real rating as another table might have had it: a little more, by another entry."""
    found = real_rate(record)
    if found.nano_usd is None or found.cache_saving_nano_usd is None:
        return found
    return found._replace(
        nano_usd=found.nano_usd + 7,
        price_id="other",
        source="other 1",
        cache_saving_nano_usd=found.cache_saving_nano_usd + 5,
    )


def varied(path: Path, calls: int) -> None:
    """A ledger of calls that differ in all that a price depends on, rated a little too high."""
    chance = random.Random(11)
    store = SQLiteStore(path)
    records: list[CallRecord] = []
    for number in range(calls):
        openai = chance.random() < 0.7
        model = chance.choice(
            [
                "gpt-5",
                "gpt-4o",
                "o3",
                "gpt-4o-mini-2024-07-18",
                "gpt-4o-audio-preview",
                "nobody-knows",
                "ft:gpt-4o",
            ]
            if openai
            else ["claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-1", "gemini-2.5-pro"]
        )
        total = chance.choice([20, 3000, 199_999, 200_000, 200_001, 900_000, 3_000_000])
        read, written = chance.randrange(total), chance.choice([0, 0, 5])
        parts = {
            "uncached_input": total - read,
            "cache_read": read,
            "cache_write_5m": 0 if openai else written,
            "cache_write_1h": 0 if openai else chance.choice([0, 3]),
            "audio_input": chance.choice([0, 0, 0, 11]),
            "output": chance.randrange(4000),
            "web_searches": chance.choice([0, 0, 2]),
        }
        raw = {
            "prompt_tokens": total,
            "completion_tokens": chance.randrange(4000),
            "prompt_tokens_details": {"cached_tokens": read},
        }
        plain = chance.random() < 0.5
        context = {"service_tier": chance.choice(["default", "flex", "priority", "auto", "odd"])}
        records.append(
            chat(
                f"v{number}",
                f"s{number % 5}",
                provider="openai" if openai else chance.choice(["anthropic", "gcp.gemini"]),
                start_ns=T0 + number * HOUR // 9,
                request_model=model,
                response_model=chance.choice([model, None]),
                usage=raw if plain else parts,
                usage_format=UsageFormat.OPENAI_CHAT if plain else UsageFormat.PARTS,
                price_context=chance.choice([None, context, {"batch": True}]),
                server_address=chance.choice([None, "api.openai.com", "gateway.example"]),
                estimated=chance.random() < 0.1,
                status=chance.choice(["ok", "ok", "error", "interrupted"]),
                agent_path=chance.choice([(), ("planner",), ("planner", "b c")]),
                tags=chance.choice([(), (("k", "v"), ("m", "é"))]),
                response_id=f"v{number // 2}" if number % 10 < 2 else None,
                scope_name="spantally" if number % 2 else "other",
            )
        )
    store.write([session("s0"), agent("a1", "s0"), *records], overpriced)
    store.close()


def test_many_at_once_is_as_one_by_one(tmp_path: Path) -> None:
    """The formula over stored parts gives each row, sum and kept figure that rating row by row gives."""
    paths = tmp_path / "many.db", tmp_path / "single.db"
    found = []
    for path, rater in zip(paths, (real_rate, lambda record: real_rate(record)), strict=True):
        varied(path, 1200)
        store = SQLiteStore(path)
        found.append(store.reprice(rater, ALL))
        store.close()
    many, single = (sqlite3.connect(path) for path in paths)
    assert dump(many) == dump(single)
    kept = "SELECT call_id, cost_nano_usd, cost_status, cost_source, price_id FROM rating_history ORDER BY 1"
    assert many.execute(kept).fetchall() == single.execute(kept).fetchall()
    assert kept_totals(many) == recomputed(many)
    assert found[0] == found[1]
    assert found[0].changed_calls > 300
    many.close()
    single.close()


def test_rates_that_change_on_a_date_or_by_the_hour_of_a_day(tmp_path: Path) -> None:
    """A formula serves only the time for which its rates hold: each call has the rates of its own hour."""
    changes = int(datetime(2025, 6, 10, tzinfo=UTC).timestamp()) * 1_000_000_000  # those of o3
    records = [
        chat(
            f"{model}-{hour}",
            "s",
            provider=provider,
            start_ns=changes + hour * HOUR,
            request_model=model,
            usage={"uncached_input": 1000 + hour, "output": 10},
            usage_format=UsageFormat.PARTS,
        )
        for model, provider in (("o3", "openai"), ("deepseek-flash", "deepseek"), ("gpt-5", "openai"))
        for hour in range(-30, 30)
    ]
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write([session("s"), *records], overpriced)
    store.reprice(real_rate, ALL)
    costs = {row.call_id: row.cost_nano_usd for row in store.calls(ALL)}
    store.close()
    assert costs == {one.call_id: real_rate(one).nano_usd for one in records}
    before, after = costs["o3--1"], costs["o3-1"]
    assert before is not None
    assert after is not None
    assert before > after * 2


def test_most_rows_are_rated_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plainly rated rows are not read one by one, so that a large ledger is rated anew in seconds."""
    path = tmp_path / "ledger.db"
    varied(path, 400)
    singly: list[int] = []
    chunk = reprice_module.Reprice._chunk

    def counting(self: Any, some: list[Any], *, write: bool) -> None:
        singly.append(len(some))
        chunk(self, some, write=write)

    monkeypatch.setattr(reprice_module.Reprice, "_chunk", counting)
    store = SQLiteStore(path)
    plain = sum(row.cost_status in ("priced", "free") for row in store.calls(ALL))
    store.reprice(real_rate, ALL)
    rated = sum(row.cost_status is not None for row in store.calls(ALL))
    assert sum(singly) <= rated - plain * 0.8
    store.close()


def test_a_formula_that_is_not_right_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rating a row by itself says otherwise than the formula, all rows of its card are rated so."""
    path = tmp_path / "ledger.db"
    varied(path, 300)

    def wrong(record: CallRecord) -> Any:
        found = formula(record)
        if found is None:
            return None
        steps = tuple(
            step._replace(vector=tuple(one + 1_000_000 for one in step.vector)) for step in found.card.steps
        )
        return found._replace(card=found.card._replace(steps=steps))

    monkeypatch.setattr(reprice_steps, "formula", wrong)
    store = SQLiteStore(path)
    store.reprice(real_rate, ALL)
    rows = {row.call_id: row for row in store.calls(ALL)}
    loaded = codec.load(store._writing(), list(rows))
    for call_id, row in rows.items():
        if row.cost_status is not None:
            assert row.cost_nano_usd == real_rate(loaded[call_id].record).nano_usd
    assert kept_totals(store._writing()) == recomputed(store._writing())
    store.close()


def test_the_command(tmp_path: Path) -> None:
    """It prints models, figures before and after, and statuses; JSON has the same; a dry run says so."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    store.write(
        [
            chat("c1", request_model="gpt-5", response_model="gpt-5"),
            chat("c2", request_model="nope", response_model="nope"),
        ],
        rate,
    )
    store.close()
    done = invoke("--ledger", str(path), "reprice", "--dry-run")
    assert done.exit_code == 0
    assert (
        "2 of 2 calls would be rated otherwise: $0.000032 before, $0.0000325 after, +$0.0000005"
        in done.output
    )
    assert "1 priced > unknown_model" in done.output
    (first, *_) = found = json.loads(invoke("--ledger", str(path), "reprice", "--json").output)
    assert {row["model"] for row in found} == {"gpt-5", "nope"}
    assert first["dry_run"] is False
    assert sum(row["change_nano_usd"] for row in found) == 500
    assert "nothing changed: 2 calls" in invoke("--ledger", str(path), "reprice").output
    none = invoke("--ledger", str(path), "reprice", "--model", "other")
    assert (none.exit_code, none.stderr) == (0, "no call matches\n")
    assert invoke("--ledger", str(path), "reprice", "--status", "paid").exit_code == 2
    assert json.loads(invoke("--ledger", str(path), "reprice", "--model", "other", "--json").output) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_ledger_that_may_only_be_read(tmp_path: Path) -> None:
    """A dry run works on it; the other says what is wrong and ends with 2."""
    path = tmp_path / "ledger.db"
    mixed(path).close()
    path.chmod(0o400)
    assert invoke("--ledger", str(path), "reprice", "--dry-run").exit_code == 0
    assert invoke("--ledger", str(path), "reprice").exit_code == 2


def test_rows_before_1970_keep_to_their_rollups(tmp_path: Path) -> None:
    """A clock that was wrong: what such a row cost more goes to its own quarter of an hour, not the next."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 10}
    moments = {"before": -SECOND, "after": SECOND}
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write(
        [
            chat(name, start_ns=moment, end_ns=2 * SECOND, response_model="gpt-4o", request_model="gpt-4o",
                 usage=usage, estimated=name == "after")
            for name, moment in moments.items()
        ],
        lambda record: overpriced(record) if record.call_id == "before" else real_rate(record),
    )  # fmt: skip
    assert store.reprice(real_rate, ALL).changed_calls == 1
    for place, moment in enumerate(moments.values()):
        where = Filter(since_ns=-900 * SECOND * (1 - place), until_ns=900 * SECOND * place)
        (row,) = store.cost(["model"], where, "UTC")
        (same,) = store.cost(["model"], replace(where, kind="inference"), "UTC")
        assert row.cost_nano_usd == same.cost_nano_usd == 2_600_000, moment
