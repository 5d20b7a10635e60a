"""Rating many rows at once: the database's own arithmetic is that of the rater, whatever the usage is."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger_kit import T0, chat, dump, kept_totals, recomputed, session
from spantally.ground.money import Rating, UsageParts
from spantally.ground.records import CallRecord, UsageFormat
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite import reprice as reprice_module
from spantally.ledger.sqlite import reprice_sql, reprice_steps
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.pricing import rates
from spantally.pricing.periods import periods_of
from spantally.pricing.rate import rate
from test_ledger_reprice import overpriced, varied

ALL = Filter()
HOUR = 3600 * 10**9


def some_usage(chance: random.Random, form: UsageFormat) -> Mapping[str, Any]:
    """A usage object of a form, with more and fewer details."""
    total = chance.choice([1, 7, 500, 3000, 128_001, 199_999, 200_000, 200_001, 999_999, 2_500_000])
    read, out = chance.choice([0, chance.randrange(total)]), chance.randrange(3000)
    if form == UsageFormat.OPENAI_CHAT:
        return {
            "prompt_tokens": total,
            "completion_tokens": out,
            "prompt_tokens_details": {"cached_tokens": read, "audio_tokens": chance.choice([0, 0, 1])},
            "completion_tokens_details": {
                "reasoning_tokens": out // 2,
                "audio_tokens": chance.choice([0, 0, 1]),
            },
        }
    if form == UsageFormat.OPENAI_RESPONSES:
        details = {"cached_tokens": read}
        return {"input_tokens": total, "output_tokens": out, "input_tokens_details": details}
    if form == UsageFormat.SEMCONV:
        return {"input_tokens": total, "output_tokens": out, "cache_read.input_tokens": read}
    if form == UsageFormat.ANTHROPIC:
        return {
            "input_tokens": total,
            "output_tokens": out,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": chance.choice([0, 31]),
        }
    if form == UsageFormat.GEMINI:
        return {"promptTokenCount": total, "candidatesTokenCount": out, "cachedContentTokenCount": read}
    if form == UsageFormat.BEDROCK:
        return {"inputTokens": total, "outputTokens": out, "cacheReadInputTokens": read}
    if form == UsageFormat.COHERE:
        return {"billed_units": {"input_tokens": total, "output_tokens": out}}
    names = chance.sample(UsageParts._fields, chance.randrange(1, 5))
    return {"uncached_input": total, "output": out, **{name: chance.choice([0, 1, 900]) for name in names}}


MODELS = {
    "openai": ("gpt-5", "gpt-4o", "o3", "gpt-4o-audio-preview", "gpt-4.1-mini", "text-embedding-3-small"),
    "anthropic": ("claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-1"),
    "gcp.gemini": ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-1.5-pro"),
    "deepseek": ("deepseek-chat",),
    "x_ai": ("grok-4",),
    "cohere": ("command-r-plus",),
}


@pytest.mark.parametrize("seed", range(4))
def test_each_row_is_what_the_rater_says(tmp_path: Path, seed: int) -> None:
    """Random usages of all forms, models, times and tiers: all figures of each row."""
    chance = random.Random(seed)
    records: list[CallRecord] = []
    for number in range(500):
        provider = chance.choice([*MODELS, "openai", "openai", "anthropic"])
        form = chance.choice(list(UsageFormat))
        model = chance.choice(MODELS[provider])
        records.append(
            chat(
                f"{chance.getrandbits(128):032x}",
                f"s{number % 7}",
                provider=provider,
                start_ns=T0 - chance.randrange(24 * 700) * HOUR,
                request_model=model,
                response_model=chance.choice([model, model, None, ""]),
                usage=some_usage(chance, form),
                usage_format=form,
                price_context=chance.choice(
                    [None, {"service_tier": chance.choice(["default", "flex", "priority"])}, {"batch": True}]
                ),
                server_address=chance.choice([None, "gateway.example"]),
                user_id=chance.choice([None, "u1"]),
            )
        )
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write([session("s0"), *records], overpriced)
    store.reprice(rate, ALL)
    names = "cost_nano_usd, cost_status, price_id, cache_saving_nano_usd, cache_premium_nano_usd"
    rows = store._writing().execute(f"SELECT call_id, {names} FROM call").fetchall()
    assert {call_id: tuple(rest) for call_id, *rest in rows} == {
        one.call_id: _figures(rate(one)) for one in records
    }
    assert kept_totals(store._writing()) == recomputed(store._writing())
    store.close()


def _figures(rating: Rating) -> tuple[Any, ...]:
    saving, premium = rating.cache_saving_nano_usd, rating.cache_premium_nano_usd
    return rating.nano_usd, str(rating.status), rating.price_id, saving, premium


def test_rounding_is_half_even() -> None:
    """SQL rounds millionths as decimal numbers are rounded, at the halves and around them."""
    chance = random.Random(5)
    amounts = [half + more for half in range(0, 9_000_000, 500_000) for more in (0, 1, 499_999)]
    amounts += [chance.randrange(8 * 10**17) for _ in range(500)]
    db = sqlite3.connect(":memory:")
    sql = f"SELECT {reprice_sql._rounded('?1')}"
    for amount in amounts:
        expected = (Decimal(amount) / 1_000_000).quantize(Decimal(1), ROUND_HALF_EVEN)
        assert db.execute(sql, (amount,)).fetchone() == (int(expected),)
    db.close()


def test_a_dry_run_tells_what_the_run_does(tmp_path: Path) -> None:
    """With the real rates, too, which rate at once; neither file nor connection is another one after it."""
    path = tmp_path / "ledger.db"
    varied(path, 400)
    store = SQLiteStore(path)
    before = dump(store._writing())
    told = store.reprice(rate, ALL, dry_run=True)
    assert dump(store._writing()) == before
    assert store._reading().execute("PRAGMA query_only").fetchone() == (1,)
    assert store._reading().execute("SELECT COUNT(*) FROM sqlite_temp_master").fetchone() == (0,)
    assert store.reprice(rate, ALL).rows == told.rows
    store.close()


@pytest.mark.parametrize("most", [0, 3, 1000])
def test_however_many_kinds_the_statement_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Whether the step of a row is told by the statement or asked for makes no difference."""
    monkeypatch.setattr(reprice_steps, "SAMPLE", 2)
    monkeypatch.setattr(reprice_steps, "MOST_TOLD", most)
    monkeypatch.setattr(reprice_module, "STRETCH", 150)
    dumps = []
    for name, rater in (("many", rate), ("single", lambda record: rate(record))):
        varied(tmp_path / name, 500)
        store = SQLiteStore(tmp_path / name)
        store.reprice(rater, ALL)
        dumps.append(dump(store._writing()))
        store.close()
    assert dumps[0] == dumps[1]


def test_calls_at_both_ends_of_each_period(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last moment of a period has its rates, and the first of the next has the next one's."""
    monkeypatch.setattr(reprice_steps, "SAMPLE", 1)
    table = rates.table()
    assert table is not None
    starts = periods_of(table).starts[-12:]
    records = [
        chat(
            f"{model}{start}{moment}",
            "s",
            start_ns=start * HOUR + moment,
            request_model=model,
            response_model=model,
            usage={"uncached_input": 1000, "output": 10},
            usage_format=UsageFormat.PARTS,
        )
        for model in ("gpt-5", "o3", "gpt-4o")
        for start in starts
        for moment in (-1, 0, 1)
    ]
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write([session("s"), *records], overpriced)
    store.reprice(rate, ALL)
    costs = {row.call_id: row.cost_nano_usd for row in store.calls(ALL)}
    assert costs == {one.call_id: rate(one).nano_usd for one in records}
    store.close()


@pytest.mark.parametrize("users", [1, 3])
def test_rollups_of_a_session_that_differ_in_little(tmp_path: Path, users: int) -> None:
    """Each row's difference goes to its own rollup, whether model and agents alone tell it, or not."""
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write(
        [
            session("s"),
            *(
                chat(f"c{n}", "s", user_id=f"u{n % users}", request_model="gpt-5", response_model="gpt-5")
                for n in range(30)
            ),
        ],
        overpriced,
    )
    enough = store._writing().execute(reprice_sql.NOT_ENOUGH).fetchone() is None
    assert enough is (users == 1)
    store.reprice(rate, ALL)
    by_user = store.cost(["user"], ALL, "UTC")
    calls = store.calls(ALL)
    assert [row.cost_nano_usd for row in by_user] == [
        sum(one.cost_nano_usd or 0 for one in calls if one.user_id == row.keys["user"]) for row in by_user
    ]
    store.close()


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    "broken", ["DELETE FROM dimension", "DELETE FROM rollup", "UPDATE rollup SET calls = 0"]
)
def test_a_ledger_whose_rollups_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, dry_run: bool
) -> None:
    """Its rows are rated one by one then, all of them, and told."""
    path = tmp_path / "ledger.db"
    varied(path, 100)
    store = SQLiteStore(path)
    store._writing().execute(broken)
    rated = sum(row.cost_status is not None for row in store.calls(ALL))
    singly: list[int] = []
    chunk = reprice_module.Reprice._chunk

    def counting(self: Any, some: list[Any], *, write: bool) -> None:
        singly.append(len(some))
        chunk(self, some, write=write)

    monkeypatch.setattr(reprice_module.Reprice, "_chunk", counting)
    found = store.reprice(rate, ALL, dry_run=dry_run)
    assert sum(singly) >= rated
    assert found.calls > 0
    store.close()
