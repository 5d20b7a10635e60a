"""Spans as the packages of others really make them: each call once, its tokens, its cost."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreign_kit import FILES, counted, recorded, replayed, rows, stored
from ledger_kit import dump
from spantally.ground.records import CallRecord, Kind, Precedence, Record
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.otel.dialects import SIGNED, dialect_of, facts_of
from spantally.pricing.rate import rate

GPT, EMBEDDING, CLAUDE = "gpt-4o-mini", "text-embedding-3-small", "claude-sonnet-4-5"

BILLED: dict[str, tuple[int, int, int, int, int]] = {
    GPT: (1200, 34, 200, 0, 185_400),
    EMBEDDING: (1200, 0, 0, 0, 24_000),
    CLAUDE: (1500, 34, 1000, 200, 2_460_000),
}
"""What one call is billed for by the scripted servers: input, output, cache read, cache write, nano-USD.

1000 x 150 + 200 x 75 + 34 x 600; 1200 x 20; 300 x 3000 + 1000 x 300 + 200 x 3750 + 34 x 15000 nano-USD.
"""

LOSES = {
    # OpenLIT leaves the cached tokens of an Anthropic stream out: 300 x 3000 + 34 x 15000.
    ("openlit-anthropic", CLAUDE, 1): (300, 34, 0, 0, 1_410_000),
    # Version 5 of the SDK tells only promptTokens of what is not streamed: 1200 x 150 + 34 x 600.
    ("vercel-v5", GPT, 0): (1200, 34, 0, 0, 200_400),
    ("vercel-v5", GPT, 2): (1200, 34, 0, 0, 200_400),
}
"""What a dialect cannot say; its cost is marked as an estimate."""

NO_RETENTION = {"openlit-anthropic", "vercel-current"}
"""Dialects that cannot say how long written cache entries are kept: the short time is an assumption."""

NAMES = sorted(path.stem for path in FILES.glob("*.json"))
SPEAKS = {
    "openinference-openai": "openinference",
    "openinference-anthropic": "openinference",
    "agents-openinference": "openinference",
    "langfuse": "langfuse",
    "langsmith": "langsmith",
    "mlflow": "mlflow",
    "openlit-openai": "openlit",
    "openlit-anthropic": "openlit",
    "logfire-openai": "logfire",
    "logfire-anthropic": "logfire",
    "vercel-v5": "vercel",
    "vercel-legacy": "vercel",
    "anthropic-native": "anthropic",
    "openllmetry-openai": "openllmetry",
    "traceloop": "openllmetry",
}


@pytest.mark.parametrize("early", [True, False], ids=["attributes first", "attributes last"])
@pytest.mark.parametrize("name", NAMES)
def test_each_call_is_counted_once_with_its_cost(name: str, early: bool) -> None:
    """Counted rows are as many as the server billed, each with the tokens and the cost of the bill."""
    told = recorded(name)
    found = counted(stored(replayed(told["spans"], early=early)))
    billed = told["billed"]
    if name == "agents-official":
        billed = {}  # it makes no span of a model's call
    if name == "langsmith":
        billed = {"openai": 3}  # it has no wrapper of embeddings
    assert len(found) == sum(billed.values())
    found.sort(key=lambda row: row.started_ns)
    places: dict[str, int] = {}
    for row in found:
        model = row.model.removesuffix("-20250929")
        place = places.setdefault(model, 0)
        places[model] += 1
        lost = LOSES.get((name, model, place))
        tokens = (
            row.input_tokens,
            row.output_tokens,
            row.cache_read,
            row.cache_write_5m,
            row.cost_nano_usd,
        )
        assert tokens == (lost or BILLED[model]), (row.model, place)
        guessed = lost or (name in NO_RETENTION and model == CLAUDE)
        assert row.cost_status == ("estimated" if guessed else "priced"), (row.model, place)
    assert {row.kind for row in found} <= {Kind.INFERENCE, Kind.EMBEDDINGS}


SILENT = {"agents-official", "mcp-native", "mlflow"}
"""Recordings whose spans say nowhere why a model stopped."""


@pytest.mark.parametrize("name", [one for one in NAMES if one not in SILENT])
def test_finish_reasons_are_in_one_vocabulary(name: str) -> None:
    """What a span says of it, in whichever attribute, form and provider's word, is in its row."""
    told = {row.finish_reasons for row in counted(stored(replayed(recorded(name)["spans"])))}
    assert told - {()} in ({("stop",)}, {("stop",), ("tool_call",)})


MIXED = [
    *(
        "official-openai",
        "openinference-openai",
        "openllmetry-openai",
        "logfire-openai",
        "langsmith",
        "mlflow",
    ),
    *(
        "vercel-v5",
        "openlit-openai",
        "official-anthropic",
        "openinference-anthropic",
        "openllmetry-anthropic",
    ),
    *("logfire-anthropic", "openlit-anthropic"),
]


@settings(max_examples=8, deadline=None)
@given(st.randoms(use_true_random=False))
def test_all_dialects_at_once_in_any_order_count_each_response_once(chance: random.Random) -> None:
    """Rows of thirteen instrumentors about the same responses: one counted each, whatever comes first."""
    records = mixed()
    calls = [record for record in records if isinstance(record, CallRecord)]
    responses = {record.response_id for record in calls if record.response_id}
    straight = stored(records)
    expected = dump(straight._writer)  # type: ignore[arg-type]
    again = [*records, *chance.sample(records, len(records) // 3)]
    chance.shuffle(again)
    store = SQLiteStore(":memory:")
    while again:
        size = chance.randint(1, 9)
        store.write(again[:size], rate)
        del again[:size]
    assert dump(store._writer) == expected  # type: ignore[arg-type]
    found = [row for row in counted(store) if row.kind == Kind.INFERENCE]
    assert sorted(row.response_id for row in found) == sorted(responses)
    assert {row.cost_nano_usd for row in found} == {185_400, 2_460_000}
    assert {row.cost_status for row in found} == {"priced"}


@cache
def mixed() -> list[Record]:
    """What all of them say of the same calls; the SDK's own spans, which three files have, once."""
    native = "com.anthropic.sdk.python"
    return [
        record
        for name in MIXED
        for record in replayed(recorded(name)["spans"])
        if name == "official-anthropic" or getattr(record, "scope_name", None) != native
    ]


@pytest.mark.parametrize("name", sorted(SPEAKS))
def test_a_package_is_read_by_the_reader_of_its_dialect(name: str) -> None:
    """At least one span of the file is recognised by the dialect's own module."""
    found = {
        dialect.name
        for span in recorded(name)["spans"]
        if (dialect := dialect_of(span["attributes"])) is not None
    }
    assert SPEAKS[name] in found


@pytest.mark.parametrize(
    "name", [one for one in NAMES if one not in ("mcp-native", "langfuse", "agents-official")]
)
def test_every_inference_names_its_response(name: str) -> None:
    """Only Langfuse tells no response id: all others' spans can be joined with other views of the call."""
    for row in counted(stored(replayed(recorded(name)["spans"]))):
        if row.kind == Kind.INFERENCE:
            assert row.response_id, row


@pytest.mark.parametrize("name", NAMES)
def test_structure_is_kept_and_costs_nothing(name: str) -> None:
    """Agents, tools and workflows have rows with names and no cost, whatever usage they aggregate."""
    for row in rows(stored(replayed(recorded(name)["spans"]))):
        if row.kind in (Kind.AGENT, Kind.TOOL, Kind.WORKFLOW):
            assert row.name
            assert (row.counted, row.cost_nano_usd, row.cost_status) == (False, None, None)


AGENTS = ["agents-openinference", "agents-openllmetry", "langfuse", "mlflow", "traceloop"]


@pytest.mark.parametrize("name", [*AGENTS, *(f"pydantic-ai-{n}" for n in range(2, 7)), *("vercel-v5",)])
def test_calls_hang_beneath_the_agent_that_made_them(name: str) -> None:
    """The agent of another framework is on the path of its calls."""
    for row in counted(stored(replayed(recorded(name)["spans"]))):
        if row.kind == Kind.INFERENCE:
            assert "planner" in row.agent_path, row


def test_what_the_sdk_says_itself_is_native() -> None:
    """Anthropic's own spans, MCP's and pydantic-ai's win over those of instrumentors."""
    found = rows(stored(replayed(recorded("openllmetry-anthropic")["spans"])))
    assert {row.precedence for row in found if row.counted} == {Precedence.NATIVE}
    (tool,) = rows(stored(replayed(recorded("mcp-native")["spans"])))
    assert (tool.precedence, tool.kind, tool.name) == (Precedence.NATIVE, Kind.TOOL, "add")


def read(attributes: dict[str, Any], name: str = "call") -> Any:
    """What the attributes say."""
    found = facts_of(attributes, name)
    assert found is not None
    return found


def test_retention_and_tier_of_anthropics_own_spans() -> None:
    """An hour's cache writes have their own part, and a batch is rated as one."""
    attributes = {
        **recorded("anthropic-native")["spans"][0]["attributes"],
        "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 50,
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 150,
        "anthropic.response.service_tier": "batch",
    }
    facts = read(attributes)
    assert facts.usage == {
        "uncached_input": 300,
        "cache_read": 1000,
        "cache_write_5m": 50,
        "cache_write_1h": 150,
        "output": 34,
    }
    assert facts.price_context == {"batch": True, "server_address": "127.0.0.1"}


def test_input_that_excludes_cached_tokens_is_put_on_the_conventions_basis() -> None:
    """More cached tokens than input show the provider's own basis; it is never a usage that cannot be."""
    copied = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "Anthropic",
        "gen_ai.request.model": CLAUDE,
        "gen_ai.usage.prompt_tokens": 300,
        "gen_ai.usage.completion_tokens": 34,
        "gen_ai.usage.cache_read_input_tokens": 1000,
        "gen_ai.usage.cache_creation_input_tokens": 200,
    }
    assert read(copied).usage["input_tokens"] == 1500
    assert read(copied).provider == "anthropic"
    assert read({**copied, "gen_ai.usage.prompt_tokens": 1500}).usage["input_tokens"] == 1500
    assert read({**copied, "gen_ai.system": "openai"}).usage["input_tokens"] == 300


def test_older_names_of_openllmetry() -> None:
    """A call of 2024: request type, vendor and llm.usage names."""
    facts = read(
        {
            "llm.request.type": "chat",
            "llm.vendor": "OpenAI",
            "llm.request.model": "gpt-4",
            "llm.response.model": "gpt-4-0613",
            "llm.usage.prompt_tokens": 12,
            "llm.usage.completion_tokens": 3,
            "llm.usage.total_tokens": 15,
            "gen_ai.openai.api_base": "https://api.openai.com/v1/",
        },
        "openai.chat",
    )
    assert (facts.operation, facts.kind, facts.provider) == ("chat", Kind.INFERENCE, "openai")
    assert (facts.request_model, facts.response_model) == ("gpt-4", "gpt-4-0613")
    assert facts.usage == {"input_tokens": 12, "output_tokens": 3}
    assert (facts.server_address, facts.server_port) == ("api.openai.com", 443)
    embedding = read({"llm.request.type": "embedding", "gen_ai.usage.prompt_tokens": 9}, "x")
    assert (embedding.operation, embedding.kind) == ("embeddings", Kind.EMBEDDINGS)
    assert facts_of({"traceloop.span.kind": "task", "traceloop.entity.name": "step"}, "step.task") is None


def test_older_names_of_logfire() -> None:
    """Usage inside response_data, before gen_ai.usage.raw."""
    usage = '{"prompt_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}'
    facts = read(
        {
            "request_data": '{"messages":[],"model":"gpt-4o"}',
            "response_data": f'{{"message":{{"content":"four"}},"usage":{usage}}}',
            "gen_ai.system": "openai",
        },
        "Chat Completion with {request_data[model]!r}",
    )
    assert (facts.operation, facts.request_model, facts.usage_format) == ("chat", "gpt-4o", "openai.chat")
    assert facts.usage["prompt_tokens_details"] == {"cached_tokens": 8}
    assert facts_of({"request_data": "an upload"}, "POST") is None


def test_usage_of_langfuse_in_its_own_shape() -> None:
    """Its input stands beside its cached tokens, its output beside reasoning."""
    details = (
        '{"input": 1000, "input_cached_tokens": 200, "output": 26, "output_reasoning": 8, "total": 1234}'
    )
    facts = read(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": '"gpt-4o-mini"',
            "langfuse.observation.metadata.ls_provider": "openai",
            "langfuse.observation.usage_details": details,
            "langfuse.observation.cost_details": '{"total": 9.0}',
        },
        "ChatOpenAI",
    )
    assert facts.usage == {"uncached_input": 1000, "cache_read": 200, "output": 34, "reasoning": 8}
    assert (facts.provider, facts.request_model) == ("openai", "gpt-4o-mini")
    assert facts_of({"langfuse.observation.type": "span"}, "step") is None


@pytest.mark.parametrize(
    ("claims", "value"),
    [("gen_ai.usage.cost", 9.0), ("operation.cost", 9.0), ("llm.cost.total", 9.0)],
)
def test_a_cost_that_a_span_claims_is_not_taken_over(claims: str, value: float) -> None:
    """Calls are rated by their tokens: nobody's estimate passes for the provider's figure."""
    told = recorded("official-openai")
    told["spans"][0]["attributes"][claims] = value
    row = min(counted(stored(replayed(told["spans"]))), key=lambda one: one.started_ns)
    assert (row.cost_nano_usd, row.cost_status) == (185_400, "priced")


def test_a_guess_of_openlit_is_marked() -> None:
    """Usage of a stream that no part shows to be the provider's may be made up."""
    told = recorded("openlit-openai")
    attributes = told["spans"][1]["attributes"]
    assert read(attributes).estimated is False
    assert read({**attributes, "gen_ai.usage.cache_read.input_tokens": 0}).estimated is True


def test_a_foreign_name_does_not_make_a_strangers_host_a_vendor() -> None:
    """pydantic-ai calls every compatible host openai; elsewhere than at OpenAI its rates do not apply."""
    told = recorded("pydantic-ai-6")
    for span in told["spans"]:
        span["attributes"].update({"server.address": "llm.example.com"})
    row = next(one for one in counted(stored(replayed(told["spans"]))) if one.provider == "openai")
    assert (row.cost_nano_usd, row.cost_status) == (None, "unknown_model")


def test_odd_values_are_survived() -> None:
    """A sign with anything as its value, and JSON that is none, give facts, or nothing, and no error."""
    odd = ("", "{", "[]", "null", 7, True, ["x"], "{'a': 1", '{"id": 7}')
    for signs, _ in SIGNED:
        for sign in signs:
            for value in odd:
                for kind in ("LLM", "llm", "generation", '"CHAT_MODEL"', "ai.x.doGenerate", "openlit"):
                    more = dict.fromkeys(
                        (
                            *("output.value", "langfuse.observation.usage_details", "mlflow.spanOutputs"),
                            *("mlflow.chat.tokenUsage", "gen_ai.usage.raw", "response_data", "llm.vendor"),
                            *("gen_ai.usage.input_token_details", "ai.response.providerMetadata"),
                            *("gen_ai.openai.api_base", "langsmith.metadata.usage_metadata", "url.full"),
                        ),
                        value,
                    )
                    facts_of({**more, sign: value}, "x")
                    facts_of({**more, sign: kind, "gen_ai.usage.input_tokens": 3}, "x")


@pytest.mark.parametrize(
    ("attributes", "tier"),
    [
        ({"gen_ai.openai.response.service_tier": "flex"}, "flex"),
        (
            {"openai.response.service_tier": "default", "gen_ai.openai.request.service_tier": "flex"},
            "default",
        ),
        ({"gen_ai.openai.request.service_tier": "flex"}, "flex"),
        ({"openai.request.service_tier": "auto"}, None),
    ],
)
def test_tiers_of_all_ages(attributes: dict[str, Any], tier: str | None) -> None:
    """OpenAI's attributes had ``gen_ai.`` before them once; the tier asked for holds where none is said."""
    facts = facts_of(
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", **attributes}, "chat o3"
    )
    assert facts is not None
    assert (facts.price_context or {}).get("service_tier") == tier


def test_counts_as_doubles_are_counts() -> None:
    """Languages with one kind of number write them; half a token stays what cannot be."""
    spans = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5.0}
    facts = facts_of({**spans, "gen_ai.usage.output_tokens": 1.5}, "chat o3")
    assert facts is not None
    assert facts.usage == {"input_tokens": 5, "output_tokens": 1.5}
    assert type((facts.usage or {})["input_tokens"]) is int


@pytest.mark.parametrize("operation", ["chat.completions", "chat.streaming_completions", "text.completions"])
def test_semantic_kernels_operations_are_calls(operation: str) -> None:
    """It has names of its own for what the conventions call ``chat`` and ``text_completion``."""
    facts = facts_of(
        {"gen_ai.operation.name": operation, "gen_ai.system": "openai", "gen_ai.usage.input_tokens": 5},
        operation,
    )
    assert facts is not None
    assert (facts.kind, facts.usage) == ("inference", {"input_tokens": 5})
