"""Prompt caches: hit rate, saving and premium, exact, and absent where the provider reports nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli_ledger import invoke
from ledger_kit import T0, agent, chat, dump, session
from spantally.ground.cache_use import CacheUse, cache_sum
from spantally.ground.records import CallRecord, UsageFormat
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.pricing.cached import reports_cache
from spantally.pricing.rate import rate
from spantally.queries import open_ledger

ALL = Filter()
HOUR = 3600 * 1_000_000_000


def cached(call_id: str, prompt: int, read: int | None, session_id: str = "s1", **values: Any) -> CallRecord:
    """A call of gpt-5 ($1.25 a million in, $0.125 cached) of which the host reports the cache, or not."""
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": 10}
    if read is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": read}
    base: dict[str, Any] = {"request_model": "gpt-5", "response_model": "gpt-5", "usage": usage}
    return chat(call_id, session_id, **{**base, **values})


def written(call_id: str, session_id: str = "s1") -> CallRecord:
    """A call of Claude Sonnet 4.5 ($3 in, $3.75 and $6 to write, $0.30 to read) as parts."""
    return chat(
        call_id,
        session_id,
        provider="anthropic",
        request_model="claude-sonnet-4-5",
        response_model="claude-sonnet-4-5",
        usage={
            "uncached_input": 100,
            "cache_read": 1000,
            "cache_write_5m": 400,
            "cache_write_1h": 200,
            "output": 5,
        },
        usage_format=UsageFormat.PARTS,
    )


def store_of(*records: Any) -> SQLiteStore:
    """A ledger in memory that holds them, rated by the real table."""
    store = SQLiteStore(":memory:")
    store.write(records, rate)
    return store


def test_saving_and_premium_are_exact() -> None:
    """Both are differences of the rates that applied, in whole nano-USD."""
    row = store_of(written("c1")).calls(ALL)[0]
    assert (row.cost_nano_usd, row.cost_status) == (
        100 * 3000 + 1000 * 300 + 400 * 3750 + 200 * 6000 + 5 * 15_000,
        "priced",
    )
    assert row.cache_saving_nano_usd == 1000 * (3000 - 300)
    assert row.cache_premium_nano_usd == 400 * (3750 - 3000) + 200 * (6000 - 3000)


def test_a_host_that_reports_no_cache_has_no_hit_rate() -> None:
    """It is in no figure, so neither does it stand as 0 % nor does it lower another's rate."""
    store = store_of(
        cached("c1", 1000, 400),
        cached("c2", 5000, None),
        cached("c3", 7, None, response_model="gpt-5-mini"),
    )
    rows = {row.keys["model"]: row.cache for row in store.cost(["model"], ALL, "UTC")}
    assert rows["gpt-5"] == CacheUse(1, 1000, 400, 0, 1, 400 * (1250 - 125), 0)
    assert rows["gpt-5"].hit_rate == 0.4
    assert rows["gpt-5-mini"] == CacheUse()
    assert rows["gpt-5-mini"].hit_rate is None
    assert rows["gpt-5-mini"].saving_nano_usd is None
    assert rows["gpt-5-mini"].premium_nano_usd is None


def test_reported_as_nothing_is_zero() -> None:
    """A host that says that it read nothing has a hit rate of 0, and saved 0."""
    (row,) = store_of(cached("c1", 1000, 0)).cost(["model"], ALL, "UTC")
    assert (row.cache.hit_rate, row.cache.saving_nano_usd) == (0.0, 0)


def test_without_a_rate_the_tokens_are_known_and_the_saving_is_not() -> None:
    """The hit rate needs no price; a saving does."""
    (row,) = store_of(cached("c1", 1000, 300, response_model="nobody-knows", request_model=None)).cost(
        ["model"], ALL, "UTC"
    )
    assert (row.cost_nano_usd, row.cache.hit_rate) == (None, 0.3)
    assert (row.cache.saving_nano_usd, row.cache.premium_nano_usd) == (None, None)


def test_rollups_and_rows_agree() -> None:
    """Whatever answers, rollups, rows, the session or its tree: the figures are the same."""
    records = [
        session(),
        agent(end_ns=T0 + 3 * HOUR),
        *(cached(f"c{n}", 100 + n, n * 7 % 90, parent_call_id="a1", start_ns=T0 + n) for n in range(9)),
        *(cached(f"d{n}", 100 + n, None, start_ns=T0 + n * HOUR // 3) for n in range(5)),
        written("w1"),
        cached("u1", 50, 20, response_model="nobody-knows", request_model=None),
    ]
    store = store_of(*records)
    by_rollup = store.cost(["model"], ALL, "UTC")
    by_row = store.cost(["model", "trace"], ALL, "UTC")
    assert [row.cache for row in by_rollup] == [row.cache for row in by_row]
    whole = cache_sum(row.cache for row in by_rollup)
    assert store.sessions(ALL)[0].cache == whole
    with open_ledger(store) as ledger:
        tree = ledger.tree("s1")
        assert tree is not None
        assert cache_sum(node.cache for node in tree.children) == whole
        summary = ledger.summary("s1")
        assert summary is not None
        assert summary.total.cache == whole
        assert cache_sum(row.cache for row in summary.by_agent) == whole
        graph = ledger.graph("s1")
        assert graph is not None
        assert graph.nodes[0].cache == whole
    days = store.cost(["day"], Filter(since_ns=T0 + 7, until_ns=T0 + HOUR + 3), "UTC")
    rows = [row for row in store.calls(Filter(since_ns=T0 + 7, until_ns=T0 + HOUR + 3)) if row.cache_reported]
    assert cache_sum(row.cache for row in days).read_tokens == sum(row.cache_read or 0 for row in rows)


def test_the_order_of_arrival_makes_no_difference() -> None:
    """A row that is replaced by a better view takes its cache figures with it."""
    early = cached("c1", 1000, None, status="running", end_ns=None, usage=None)
    late = cached("c1", 1000, 250)
    one, other = store_of(early, late), store_of(late)
    other.write([early], rate)
    assert dump(one._writing()) == dump(other._writing())
    assert one.sessions(ALL)[0].cache.read_tokens == 250


@pytest.mark.parametrize(
    ("usage", "usage_format", "told"),
    [
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 0}}, "openai.chat", True),
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": None}}, "openai.chat", False),
        ({"prompt_tokens": 3, "prompt_tokens_details": {}}, "openai.chat", False),
        ({"prompt_tokens": 3, "prompt_tokens_details": None}, "openai.chat", False),
        ({"prompt_tokens": 3}, "openai.chat", False),
        ({"prompt_tokens": 3, "prompt_cache_hit_tokens": 0}, "openai.chat", True),
        ({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 1}}, "openai.responses", True),
        ({"input_tokens": 3, "cache_read_input_tokens": 0}, "anthropic", True),
        ({"input_tokens": 3, "cache_read_input_tokens": None}, "anthropic", False),
        ({"input_tokens": 3, "cache_read.input_tokens": 0}, "semconv", True),
        ({"input_tokens": 3}, "semconv", False),
        ({"promptTokenCount": 3}, "gemini", True),
        ({"inputTokens": 3}, "bedrock", False),
        ({"inputTokens": 3, "cacheReadInputTokens": 0}, "bedrock", True),
    ],
)
def test_whether_a_provider_reports(usage: dict[str, Any], usage_format: str, told: bool) -> None:
    """What is absent or null is not reported, but in formats that leave zeros out."""
    assert reports_cache(usage, usage_format) is told


def test_cost_prints_the_caches(tmp_path: Path) -> None:
    """The table, the line beneath it and the JSON tell hit rate, saving and premium."""
    path = tmp_path / "ledger.db"
    _fill(path, cached("c1", 1000, 400), cached("c2", 7, None, response_model="gpt-5-mini"), written("w1"))
    text = invoke("--ledger", str(path), "cost", "--by", "model").output
    assert "CACHE HIT" in text
    assert "SAVED" in text
    assert "WRITES MORE" in text
    assert "40.0 %" in text
    assert "read from cache, saved $0.00315, writes cost $0.0009 more" in text
    found = json.loads(invoke("--ledger", str(path), "cost", "--by", "model", "--json").output)
    by_model = {row["model"]: row for row in found}
    assert by_model["gpt-5"]["cache_hit_rate"] == 0.4
    assert by_model["gpt-5"]["cache_saving_nano_usd"] == 400 * 1125
    assert by_model["gpt-5-mini"]["cache_hit_rate"] is None
    assert by_model["gpt-5-mini"]["cache_read_tokens"] is None
    assert by_model["claude-sonnet-4-5"]["cache_premium_nano_usd"] == 400 * 750 + 200 * 3000


def test_show_prints_the_caches(tmp_path: Path) -> None:
    """The head of a session and its tree tell them too; without a report nothing is said."""
    path = tmp_path / "ledger.db"
    _fill(path, session(), cached("c1", 1000, 400), session("s2"), cached("c2", 10, None, "s2"))
    text = invoke("--ledger", str(path), "show", "s1").output
    assert "40.0 % of input read from cache, saved $0.00045" in text
    assert "CACHE HIT" in text
    (found,) = json.loads(invoke("--ledger", str(path), "show", "s1", "--json").output)
    assert found["cache_hit_rate"] == found["children"][0]["cache_hit_rate"] == 0.4
    assert "cache" not in invoke("--ledger", str(path), "show", "s2").output.lower()


def _fill(path: Path, *records: Any) -> None:
    store = SQLiteStore(path)
    store.write(records, rate)
    store.close()
