"""Reconciling: each provider's export is known by its shape, and each difference has its likely cause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli_ledger import invoke
from ledger_kit import T0, chat, tool
from spantally.ground.errors import ArgumentError
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.pricing.rate import rate
from spantally.queries.export_values import ExportError
from spantally.queries.exports import FORMATS, read_export
from spantally.queries.ledger import Ledger
from spantally.queries.reconcile import Numbers, Reconciliation, model_key, reconcile

HOUR = 3600 * 1_000_000_000
DAY = 24 * HOUR
MIDNIGHT = T0 // DAY * DAY
ONE, TWO, THREE = "2026-10-26", "2026-10-27", "2026-10-28"
SECONDS = MIDNIGHT // 1_000_000_000


def ledger_of(*calls: tuple[str, int, int, int], **values: Any) -> Ledger:
    """A ledger in memory: model, hours after the first midnight, tokens in and out, of each call."""
    store = SQLiteStore(":memory:")
    records = [
        chat(
            f"c{number}",
            request_model=model,
            response_model=model,
            start_ns=MIDNIGHT + hours * HOUR,
            end_ns=MIDNIGHT + hours * HOUR + 1,
            usage={"prompt_tokens": tokens_in, "completion_tokens": tokens_out},
            **values,
        )
        for number, (model, hours, tokens_in, tokens_out) in enumerate(calls)
    ]
    store.write(records, rate)
    return Ledger(store)


def file_of(folder: Path, content: Any, name: str = "export") -> Path:
    """The export as a file: JSON of an object, else the text itself."""
    path = folder / f"{name}.{'csv' if isinstance(content, str) else 'json'}"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def compared(folder: Path, ledger: Ledger, content: Any, **arguments: Any) -> Reconciliation:
    """The comparison of a ledger with the content of an export."""
    return reconcile(ledger, read_export(file_of(folder, content)), **arguments)


def openai_usage(*results: tuple[int, str, int, int, int]) -> dict[str, Any]:
    """A page of organization/usage/completions: day, model, requests, tokens in and out."""
    buckets = [
        {
            "object": "bucket",
            "start_time": SECONDS + day * 86_400,
            "end_time": SECONDS + (day + 1) * 86_400,
            "results": [
                {
                    "object": "organization.usage.completions.result",
                    "input_tokens": tokens_in,
                    "output_tokens": tokens_out,
                    "input_cached_tokens": 0,
                    "num_model_requests": requests,
                    "project_id": None,
                    "model": model,
                    "batch": False,
                }
                for at, model, requests, tokens_in, tokens_out in results
                if at == day
            ],
        }
        for day in range(max((one[0] for one in results), default=0) + 1)
    ]
    return {"object": "page", "data": buckets, "has_more": False, "next_page": None}


def openai_costs(*results: tuple[int, str | None, float]) -> dict[str, Any]:
    """A page of organization/costs: day, line item, US dollars."""
    return {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": SECONDS + day * 86_400,
                "end_time": SECONDS + (day + 1) * 86_400,
                "results": [
                    {
                        "object": "organization.costs.result",
                        "amount": {"value": value, "currency": "usd"},
                        "line_item": item,
                        "project_id": None,
                    }
                ],
            }
            for day, item, value in results
        ],
        "has_more": False,
        "next_page": None,
    }


def table(columns: str, rows: str) -> str:
    """A CSV of columns, apart by blanks, and rows as they are."""
    return f"{','.join(columns.split())}\n{rows}"


ANTHROPIC_USAGE = {
    "data": [
        {
            "starting_at": f"{ONE}T00:00:00Z",
            "ending_at": f"{TWO}T00:00:00Z",
            "results": [
                {
                    "uncached_input_tokens": 100,
                    "cache_read_input_tokens": 30,
                    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
                    "output_tokens": 7,
                    "server_tool_use": {"web_search_requests": 0},
                    "model": "claude-sonnet-4-5-20250929",
                    "service_tier": "standard",
                }
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}
ANTHROPIC_COST: dict[str, Any] = {
    "data": [
        {
            "starting_at": f"{ONE}T00:00:00Z",
            "ending_at": f"{TWO}T00:00:00Z",
            "results": [
                {
                    "currency": "USD",
                    "amount": "123.45",
                    "cost_type": "tokens",
                    "model": "claude-sonnet-4-5-20250929",
                }
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}
OPENROUTER = {
    "data": [
        {
            "date": ONE,
            "model": "openai/gpt-4.1",
            "model_permaslug": "openai/gpt-4.1-2025-04-14",
            "provider_name": "OpenAI",
            "usage": 0.015,
            "byok_usage_inference": 0.012,
            "requests": 5,
            "prompt_tokens": 50,
            "completion_tokens": 125,
            "reasoning_tokens": 25,
        }
    ]
}
OPENAI_USAGE_CSV = table(
    "start_time end_time start_time_iso end_time_iso project_id num_model_requests user_id "
    "api_key_id model batch service_tier input_tokens output_tokens input_cached_tokens",
    f"""{SECONDS},{SECONDS + 86400},{ONE}T00:00:00+00:00,{TWO}T00:00:00+00:00,,3,,,gpt-5,,default,300,20,0
{SECONDS + 86400},{SECONDS + 2 * 86400},{TWO}T00:00:00+00:00,{THREE}T00:00:00+00:00,,,,,,,,,,
""",
)
OPENAI_COSTS_CSV = table(
    "start_time end_time start_time_iso end_time_iso amount_value amount_currency quantity "
    "quantity_unit line_item project_id",
    f"""{SECONDS},{SECONDS + 86400},{ONE}T00:00:00+00:00,{TWO}T00:00:00+00:00,0.00383598,usd,,,"gpt-5, input",
{SECONDS},{SECONDS + 86400},{ONE}T00:00:00+00:00,{TWO}T00:00:00+00:00,0.01,usd,,,web search tool calls,
""",
)
ANTHROPIC_USAGE_CSV = table(
    "usage_date_utc model_version api_key workspace usage_type context_window "
    "usage_input_tokens_no_cache usage_input_tokens_cache_write_5m usage_input_tokens_cache_write_1h "
    "usage_input_tokens_cache_read usage_output_tokens web_search_count inference_geo speed",
    f"""{ONE},claude-sonnet-4-5-20250929,"key, one",Default,standard,≤ 200k,100,20,10,30,7,0,global,
""",
)
ANTHROPIC_COST_CSV = table(
    "usage_date_utc model workspace api_key usage_type context_window token_type cost_usd "
    "list_price_usd cost_type inference_geo speed",
    f"""{ONE},Claude Sonnet 4.5,Default,k,message,≤ 200k,input_no_cache,0.19,0.19,token,global,
{ONE},Claude Sonnet 4.5,Default,k,message,≤ 200k,output,0.05,0.05,token,global,
""",
)
OPENROUTER_CSV = table(
    "generation_id created_at cost_total cost_web_search cost_cache byok_usage_inference "
    "tokens_prompt tokens_completion tokens_reasoning model_permaslug provider_name variant",
    f"""gen-1,{ONE} 03:46:57.713,0.0123,0,0,0,1038,137,0,openai/gpt-oss-120b,Groq,standard
gen-2,{ONE} 23:59:59.9,0,0,0,0,10,13,0,openai/gpt-oss-120b,Groq,free
""",
)
OPENROUTER_DAYS = f"""Date,Slug,Usage,BYOK Usage,Requests,Prompt Tokens,Completion Tokens,Reasoning Tokens
"{ONE} 00:00:00","anthropic/claude-opus-4.7","430.07","0","12","100","20","0"
"""


@pytest.mark.parametrize(
    ("content", "name", "provider", "numbers"),
    [
        (openai_usage((0, "gpt-5", 3, 300, 20)), "openai.usage", "openai", (3, 300, 20, None)),
        (
            openai_costs((0, "gpt-5-2025-08-07, input", 0.06)),
            "openai.costs",
            "openai",
            (None, None, None, 60_000_000),
        ),
        (ANTHROPIC_USAGE, "anthropic.usage", "anthropic", (None, 160, 7, None)),
        (ANTHROPIC_COST, "anthropic.cost", "anthropic", (None, None, None, 1_234_500_000)),
        (OPENROUTER, "openrouter.activity", "openrouter", (5, 50, 125, 27_000_000)),
        (OPENAI_USAGE_CSV, "openai.usage.csv", "openai", (3, 300, 20, None)),
        (OPENAI_COSTS_CSV, "openai.costs.csv", "openai", (None, None, None, 13_835_980)),
        (ANTHROPIC_USAGE_CSV, "anthropic.usage.csv", "anthropic", (None, 160, 7, None)),
        (ANTHROPIC_COST_CSV, "anthropic.cost.csv", "anthropic", (None, None, None, 240_000_000)),
        (OPENROUTER_CSV, "openrouter.activity.csv", "openrouter", (2, 1048, 150, 12_300_000)),
        (OPENROUTER_DAYS, "openrouter.activity.csv", "openrouter", (12, 100, 20, 430_070_000_000)),
        (
            f"Day;Model;Calls;Input Tokens;Output Tokens;Cost (USD)\n{ONE};m;2;10;3;0.5\n",
            "csv",
            None,
            (2, 10, 3, 500_000_000),
        ),
        (
            f"timestamp,uncached_input_tokens,cache_read_tokens\n{ONE}T10:00:00Z,5,6\n",
            "csv",
            None,
            (None, 11, None, None),
        ),
    ],
)
def test_each_format_is_known_by_its_shape(
    content: Any, name: str, provider: str | None, numbers: tuple[int | None, ...], tmp_path: Path
) -> None:
    """The file says itself what it is; its figures are exact."""
    export = read_export(file_of(tmp_path, content))
    assert (export.format, export.provider) == (name, provider)
    assert name in FORMATS
    found = reconcile(ledger_of(), export)
    assert tuple(found.provider) == numbers
    assert found.first_day == ONE


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n", r"found the columns a, b; known are openai\.usage.*input_tokens"),
        ("", "found the columns nothing"),
        ({"some": "thing"}, "found objects with some; known are openai.usage"),
        ([], "found nothing"),
        ("{", "no valid JSON"),
        (f"date,calls\n{ONE},many\n", r"line 2: calls='many' is not a count"),
        (f"date,calls\n{ONE},-1\n", "line 2: calls='-1' is not a count"),
        (f"date,cost\n{ONE},free\n", "line 2: cost='free' is not an amount"),
        ("date,calls\nyesterday,1\n", "line 2: date='yesterday' is not a time"),
        (f"date,calls\n{ONE},1,2\n", "3 values in 2 columns"),
        (f"date;cost\n{ONE};0,0125\n", r"line 2: cost='0,0125' is not an amount; .* decimal point"),
        (f"date;cost\n{ONE};1,234\n", "line 2: cost='1,234' is not an amount"),
        (f"date;calls\n{ONE};12,5\n", "line 2: calls='12,5' is not a count"),
        ("calls,date\n5\n", "line 2: date='' is not a time"),
        ("date,calls\n9999-12-31,1\n", "line 2: date='9999-12-31' is not a time"),
        (
            {"data": [{"start_time": SECONDS * 1000, "results": [{"num_model_requests": 1}]}]},
            f"start_time={SECONDS}000 is not a time",
        ),
        (
            {
                **ANTHROPIC_COST,
                "data": [{**ANTHROPIC_COST["data"][0], "results": [{"amount": "1", "currency": "EUR"}]}],
            },
            "EUR",
        ),
    ],
)
def test_what_is_no_export_is_said_with_what_is_allowed(content: Any, said: str, tmp_path: Path) -> None:
    """The error names what was found, where, and what is known."""
    with pytest.raises(ExportError, match=said):
        read_export(file_of(tmp_path, content, "{" if content == "{" else "export"))


def test_thousands_apart(tmp_path: Path) -> None:
    """Commas between thousands are read where they cannot be the decimal one."""
    content = f'date,calls,cost\n{ONE},"1,234","$1,234.50"\n{TWO},"1,000,000","1,000,000"\n'
    export = read_export(file_of(tmp_path, content))
    assert [(one.calls, one.cost_nano_usd) for one in export.lines] == [
        (1234, 1_234_500_000_000),
        (1_000_000, 10**15),
    ]


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """A path without a file, and bytes that are no text, are errors of the argument."""
    with pytest.raises(ArgumentError, match="cannot be read"):
        read_export(tmp_path / "none.csv")
    (tmp_path / "x.xlsx").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(ArgumentError, match="not text in UTF-8"):
        read_export(tmp_path / "x.xlsx")


def test_pages_in_one_file(tmp_path: Path) -> None:
    """Several pages are an array; where the last one has a next page the comparison says so."""
    first = {**openai_usage((0, "gpt-5", 1, 10, 1)), "has_more": True}
    second = {**openai_usage((0, "gpt-5", 2, 20, 2)), "has_more": True}
    export = read_export(file_of(tmp_path, [first, second]))
    found = reconcile(ledger_of(), export)
    assert found.provider.calls == 3
    assert "has_more" in found.notes[0]


def test_names_of_one_model() -> None:
    """Vendor, date and spelling make no other model; a size and a variant do."""
    same = ("gpt-4.1", "openai/gpt-4.1-2025-04-14", "GPT 4.1", "gpt-4.1-latest")
    assert len({model_key(one) for one in same}) == 1
    claude = ("Claude Sonnet 4.5", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5@20250929")
    assert len({model_key(one) for one in claude}) == 1
    assert len({model_key(one) for one in ("gpt-5", "gpt-5-mini", "gpt-5:free", "gpt-4o")}) == 4


def test_what_agrees(tmp_path: Path) -> None:
    """Dated and plain names, and a day of nothing, agree."""
    ledger = ledger_of(("gpt-5-2025-08-07", 1, 100, 5), ("gpt-5-2025-08-07", 2, 200, 6))
    found = compared(tmp_path, ledger, openai_usage((0, "gpt-5", 2, 300, 11), (2, "gpt-5", 0, 0, 0)))
    assert found.agrees
    assert found.ledger == found.provider == Numbers(2, 300, 11, None)
    assert (found.first_day, found.last_day) == (ONE, THREE)


@pytest.mark.parametrize(
    ("calls", "content", "causes"),
    [
        ([("gpt-5", 1, 100, 5)], openai_usage((0, "gpt-5", 2, 300, 11)), {(ONE, "missing_calls")}),
        ([], openai_usage((0, "gpt-5", 2, 300, 11)), {(ONE, "missing_calls")}),
        (
            [("gpt-5", 1, 100, 5), ("gpt-4o", 1, 1, 1)],
            openai_usage((0, "gpt-5", 1, 100, 5)),
            {(ONE, "extra_calls")},
        ),
        ([("gpt-5", 1, 100, 5)], openai_usage((0, "gpt-5", 1, 120, 5)), {(ONE, "usage")}),
        (
            [("gpt-5", 23, 100, 5), ("gpt-5", 25, 50, 5)],
            openai_usage((0, "gpt-5", 2, 150, 10), (1, "gpt-4o", 0, 0, 0)),
            {(ONE, "time_zone"), (TWO, "time_zone")},
        ),
        ([("gpt-5", 1, 100, 5)], openai_usage((0, "my-deployment", 1, 100, 5)), {(ONE, "model_name")}),
        # gpt-5: $1.25 and $10 a million, so 300,000 + 100,000 tokens cost $1.375.
        (
            [("gpt-5", 1, 300_000, 100_000)],
            openai_costs((0, "gpt-5, input", 0.375), (0, "gpt-5, output", 1.0)),
            set(),
        ),
        ([("gpt-5", 1, 300_000, 100_000)], openai_costs((0, "gpt-5, input", 0.6875)), {(ONE, "tier")}),
        ([("gpt-5", 1, 300_000, 100_000)], openai_costs((0, "gpt-5, input", 1.1)), {(ONE, "rate")}),
        ([("gpt-5", 1, 300_000, 100_000)], openai_costs((0, "gpt-5, input", 9.0)), {(ONE, "missing_calls")}),
        ([("gpt-99", 1, 300_000, 100_000)], openai_costs((0, "gpt-99, input", 9.0)), {(ONE, "unpriced")}),
        ([], openai_costs((0, "web search tool calls", 0.5)), {(ONE, "no_model")}),
    ],
)
def test_the_likely_cause(
    calls: list[tuple[str, int, int, int]], content: Any, causes: set[tuple[str, str]], tmp_path: Path
) -> None:
    """Each difference is told with what it most likely comes from."""
    found = compared(tmp_path, ledger_of(*calls), content)
    assert {(row.day, row.cause) for row in found.rows if row.cause} == causes
    assert all((row.cause is None) == (row.note is None) for row in found.rows)
    assert found.agrees == (not causes)


def test_tier_by_counts_and_cost(tmp_path: Path) -> None:
    """Equal tokens at half the cost were a batch; at twice the cost priority."""
    ledger = ledger_of(("gpt-5", 1, 300_000, 100_000))
    table = "date,model,calls,input_tokens,output_tokens,cost_usd\n{},gpt-5,1,300000,100000,{}\n"
    (half,) = compared(tmp_path, ledger, table.format(ONE, "0.6875")).rows
    assert (half.cause, "batch or flex" in str(half.note)) == ("tier", True)
    (twice,) = compared(tmp_path, ledger, table.format(ONE, "2.750")).rows
    assert (twice.cause, "priority" in str(twice.note)) == ("tier", True)
    (same,) = compared(tmp_path, ledger, table.format(ONE, "1.38")).rows
    assert same.cause is None  # rounded to whole cents


def test_the_zone_of_the_days(tmp_path: Path) -> None:
    """Days of the export are those of the zone that is named."""
    ledger = ledger_of(("gpt-5", 2, 100, 5))
    table = f"date,model,calls\n2026-10-25,gpt-5,1\n{ONE},gpt-5,0\n"
    assert {row.cause for row in compared(tmp_path, ledger, table).rows} == {"time_zone"}
    assert compared(tmp_path, ledger, table, tz="America/Los_Angeles").agrees


def test_other_providers_and_kinds_are_not_compared(tmp_path: Path) -> None:
    """An export of OpenAI's completions leaves out embeddings and other hosts."""
    store = SQLiteStore(":memory:")
    store.write(
        [
            chat("c1", request_model="gpt-5", response_model="gpt-5", start_ns=MIDNIGHT + HOUR),
            chat("c2", provider="azure.openai", response_model="gpt-5", start_ns=MIDNIGHT + HOUR),
            chat("c3", kind="embeddings", response_model="text-embedding-3-small", start_ns=MIDNIGHT + HOUR),
        ],
        rate,
    )
    content = openai_usage((0, "gpt-5", 1, 10, 2))
    assert compared(tmp_path, Ledger(store), content).agrees
    found = compared(tmp_path, Ledger(store), content, provider="azure.openai")
    assert found.agrees  # the same figures, by coincidence of this test


def test_a_paid_tool_hides_no_line_without_a_model(tmp_path: Path) -> None:
    """A fee stays one of no model on a day on which the ledger has a paid tool."""
    store = SQLiteStore(":memory:")
    paid = tool("t1", usage={"cost_nano_usd": 5}, usage_format="recorded", start_ns=MIDNIGHT + HOUR)
    store.write([paid], rate)
    (found,) = compared(tmp_path, Ledger(store), f"date,model,calls,cost\n{ONE},,1,5.00\n{ONE},a,,\n").rows
    assert (found.cause, found.ledger) == ("no_model", Numbers(0, None, None, 0))


def test_the_command(tmp_path: Path) -> None:
    """It prints coverage and causes, changes nothing, and ends with 1 where something differs."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    store.write(
        [
            chat(
                "c1",
                request_model="gpt-5",
                response_model="gpt-5",
                start_ns=MIDNIGHT + HOUR,
                end_ns=MIDNIGHT + HOUR,
            )
        ],
        rate,
    )
    store.close()
    seen = path.read_bytes()
    good = file_of(tmp_path, openai_usage((0, "gpt-5", 1, 10, 2)), "good")
    bad = file_of(tmp_path, openai_usage((0, "gpt-5", 4, 40, 2)), "bad")
    done = invoke("--ledger", str(path), "reconcile", str(good))
    assert (done.exit_code, "all agrees" in done.output) == (0, True)
    done = invoke("--ledger", str(path), "reconcile", str(bad))
    assert done.exit_code == 1
    assert "calls 25.00 %, 1 of 4" in done.output
    assert "3 calls are not in the ledger" in done.output
    done = invoke("--ledger", str(path), "reconcile", str(bad), "--json")
    (found,) = json.loads(done.output)
    assert (done.exit_code, found["agrees"], found["rows"][0]["cause"]) == (1, False, "missing_calls")
    assert found["rows"][0]["difference"] == {
        "calls": -3,
        "input_tokens": -30,
        "output_tokens": 0,
        "cost_nano_usd": None,
    }
    assert path.read_bytes() == seen
    nothing = invoke("--ledger", str(path), "reconcile", str(file_of(tmp_path, "x,y\n", "odd")))
    assert (nothing.exit_code, "known are" in nothing.stderr) == (2, True)
    assert invoke("--ledger", str(tmp_path / "none.db"), "reconcile", str(good)).exit_code == 2
