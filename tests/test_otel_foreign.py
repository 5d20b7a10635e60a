"""Rows read from finished spans of any instrumentor."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

import spantally
from otel_kit import CHAT, Bench
from spantally.calls import operation, pipeline, starting
from spantally.calls.limits import Limits
from spantally.calls.plans import Plan
from spantally.calls.telemetry import Telemetry
from spantally.ground.ids import foreign_call_id
from spantally.ground.records import CallRecord, Kind, Precedence, Record, UsageFormat
from spantally.ground.scope import SCOPE_KEY, Scope, with_values
from spantally.ground.session_state import SessionState
from spantally.ground.worker import worker
from spantally.otel.dialects import Dialect, Facts, dialect_of, read_genai, register
from spantally.otel.foreign import _price_context


def test_a_chat_span_becomes_one_foreign_row() -> None:
    """Everything the conventions carry is in the row, and its id follows from the span."""
    bench = Bench()
    span = bench.tracer.start_span(
        "chat gpt-4o-mini", kind=SpanKind.CLIENT, attributes={**CHAT, "server.address": "api.openai.com"}
    )
    span.set_attributes(
        {
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.cache_read.input_tokens": 64,
            "gen_ai.usage.reasoning.output_tokens": 8,
            "gen_ai.response.time_to_first_chunk": 0.25,
            "openai.response.service_tier": "flex",
            "server.port": 443,
        }
    )
    span.end()
    (call,) = bench.calls
    context = span.get_span_context()
    assert call.call_id == foreign_call_id(f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert (call.kind, call.operation, call.status) == (Kind.INFERENCE, "chat", "ok")
    assert (call.precedence, call.scope_name) == (Precedence.FOREIGN, "foreign.instrumentor")
    assert (call.provider, call.request_model) == ("openai", "gpt-4o-mini")
    assert (call.response_model, call.response_id) == ("gpt-4o-mini-2024-07-18", "chatcmpl-1")
    assert call.usage_format == UsageFormat.SEMCONV
    assert call.usage == {
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_read.input_tokens": 64,
        "reasoning.output_tokens": 8,
    }
    assert call.price_context == {"service_tier": "flex", "server_address": "api.openai.com"}
    assert (call.server_address, call.server_port) == ("api.openai.com", 443)
    assert call.first_chunk_ns == 250_000_000
    assert call.project == "shop"
    assert call.content is None


@pytest.mark.parametrize(
    ("attributes", "usage"),
    [
        (
            {"gen_ai.usage.prompt_tokens": 7, "gen_ai.usage.completion_tokens": 3},
            {"input_tokens": 7, "output_tokens": 3},
        ),
        ({"gen_ai.usage.input_tokens": 7, "gen_ai.usage.prompt_tokens": 9}, {"input_tokens": 7}),
        ({"gen_ai.usage.cache_creation.input_tokens": 5}, {"cache_write.input_tokens": 5}),
        ({"gen_ai.usage.cache_read_input_tokens": 5}, {"cache_read.input_tokens": 5}),
    ],
)
def test_older_spellings_are_read_and_the_newest_wins(
    attributes: dict[str, Any], usage: dict[str, int]
) -> None:
    """Instrumentors of last year count too."""
    facts = read_genai({"gen_ai.system": "openai", "gen_ai.operation.name": "chat", **attributes}, "chat")
    assert facts is not None
    assert facts.provider == "openai"
    assert facts.usage == usage


def test_spans_from_before_operation_names_are_model_operations() -> None:
    """A span with a request model is a chat, or an embedding by its name; else it is no operation."""
    old = {"gen_ai.system": "openai", "gen_ai.request.model": "m"}
    chat, embedding = read_genai(old, "openai.chat"), read_genai(old, "openai.embeddings")
    assert chat is not None
    assert embedding is not None
    assert (chat.kind, embedding.kind) == (Kind.INFERENCE, Kind.EMBEDDINGS)
    assert read_genai({"gen_ai.agent.name": "x"}, "step") is None


def test_usage_that_the_conventions_cannot_carry_is_read_from_our_own_attribute() -> None:
    """Normalised parts on the span win over the conventions' coarser names."""
    facts = read_genai(
        {**CHAT, "gen_ai.usage.input_tokens": 9, "spantally.usage": '{"cache_write_1h": 4}'}, "chat"
    )
    assert facts is not None
    assert facts.usage == {"cache_write_1h": 4}
    assert facts.usage_format == UsageFormat.PARTS
    broken = read_genai({**CHAT, "gen_ai.usage.input_tokens": 9, "spantally.usage": "{"}, "chat")
    assert broken is not None
    assert broken.usage == {"input_tokens": 9}


@pytest.mark.parametrize(
    ("error_type", "status", "possibly_billed"),
    [
        ("openai.RateLimitError", "error", False),
        ("openai.APITimeoutError", "error", True),
        ("openai.InternalServerError", "error", True),
        ("503", "error", True),
        ("529", "error", False),
        ("429", "error", False),
        ("asyncio.exceptions.CancelledError", "cancelled", True),
        ("interrupted", "interrupted", True),
    ],
)
def test_how_a_call_ended(error_type: str, status: str, possibly_billed: bool) -> None:
    """Status and error type are read; a request that went out and ended without usage may be billed."""
    bench = Bench()
    span = bench.tracer.start_span("chat", attributes=CHAT)
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
    span.end()
    (call,) = bench.calls
    assert (call.status, call.error_type, call.possibly_billed) == (status, error_type, possibly_billed)


def test_the_exception_names_the_error_where_no_attribute_does() -> None:
    """An instrumentor that only records the exception still tells what went wrong."""
    bench = Bench()
    with pytest.raises(KeyError), bench.tracer.start_as_current_span("chat", attributes=CHAT):
        raise KeyError("k")
    assert bench.calls[0].error_type == "KeyError"


def test_a_foreign_tree_keeps_parents_agents_runs_and_tools() -> None:
    """Agent, tool and call of another instrumentor hang together, also through plain spans."""
    bench = Bench()
    start = bench.tracer.start_as_current_span
    agent_is = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
    tool_is = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    with start("agent", attributes=agent_is), start("plain"), start("tool", attributes=tool_is):
        bench.tracer.start_span("chat", attributes=CHAT).end()
    chat, tool, agent = bench.calls
    assert (agent.kind, agent.agent_path, agent.turn) == (Kind.AGENT, ("planner",), True)
    assert (agent.parent_call_id, agent.run_id) == (None, agent.call_id)
    assert (tool.parent_call_id, tool.name, tool.tool) == (agent.call_id, "search", "search")
    assert (chat.parent_call_id, chat.tool, chat.agent_path) == (tool.call_id, "search", ("planner",))
    assert chat.run_id == tool.run_id == agent.call_id
    assert not chat.turn


def test_an_agent_of_ours_around_a_foreign_call_is_its_parent() -> None:
    """The scope is newer than the span around it, so its call is the parent."""
    bench = Bench()
    with bench.tracer.start_as_current_span("request"):
        scope = Scope(
            SessionState("s-1", start_ns=1), call_id="c-agent", agent_path=("planner",), run_id="c-agent"
        )
        token = otel_context.attach(with_values(otel_context.get_current(), {SCOPE_KEY: scope}))
        with bench.tracer.start_as_current_span("plain"):
            bench.tracer.start_span("chat", attributes=CHAT).end()
        otel_context.detach(token)
    (call,) = bench.calls
    assert (call.parent_call_id, call.agent_path, call.run_id) == ("c-agent", ("planner",), "c-agent")
    assert call.session_id == "s-1"


def test_links_are_kept_where_ancestry_needs_them_only() -> None:
    """Plain spans of traces without GenAI, and leaves, give none; what stands between gives one."""
    bench = Bench()
    start = bench.tracer.start_as_current_span
    with start("plain"), start("leaf"):
        pass
    assert bench.records == []
    with start("root"), start("between"):
        bench.tracer.start_span("chat", attributes=CHAT).end()
        bench.tracer.start_span("db").end()
        bench.tracer.start_span("GET", kind=SpanKind.CLIENT).end()
    names = {
        f"{span.context.span_id:016x}": span.name for span in bench.after.spans if span.context is not None
    }
    assert [names[link.span_id] for link in bench.links] == ["GET", "between"]


def test_a_call_that_was_metered_at_the_source_is_not_read_again() -> None:
    """The processor leaves a span alone whose call the instrumentor has handed over."""
    bench = Bench(is_metered=lambda call_id: call_id == "c-1")
    bench.tracer.start_span("chat", attributes={**CHAT, "spantally.call.id": "c-1"}).end()
    bench.tracer.start_span("chat", attributes={**CHAT, "spantally.call.id": "c-2"}).end()
    assert [call.call_id for call in bench.calls] == ["c-2"]


_COMPARED = (
    *("call_id", "parent_call_id", "session_id", "kind", "operation", "status", "provider"),
    *("request_model", "response_model", "response_id", "agent_path", "run_id", "tool", "name"),
    *("trace_id", "span_id", "user_id", "tags", "conversation_id", "start_ns", "end_ns"),
)


@pytest.mark.parametrize("redact", [True, False])
def test_our_own_spans_give_the_same_rows_as_metering_at_the_source(redact: bool) -> None:
    """Agent, tool and call made by our lifecycle: processor alone and source agree field by field."""
    bench = Bench(redact=redact)
    metered: list[CallRecord] = []

    def keep(batch: Any) -> None:
        metered.extend(record for record in batch if isinstance(record, CallRecord))

    pipeline.add_consumer(keep)
    telemetry = Telemetry()
    telemetry.use_provider(bench.provider)
    scope = Scope(
        SessionState("s-own", start_ns=time.time_ns()),
        user_id="u",
        tags=(("a", "b"),),
        conversation_id="s-own",
    )
    base = with_values(otel_context.get_current(), {SCOPE_KEY: scope})
    try:
        opened: list[operation.Operation] = []
        for kind, name, key in (
            (Kind.AGENT, "planner", "gen_ai.agent.name"),
            (Kind.TOOL, "search", "gen_ai.tool.name"),
            (Kind.INFERENCE, None, ""),
        ):
            token = otel_context.attach(base)
            verb = {Kind.AGENT: "invoke_agent", Kind.TOOL: "execute_tool", Kind.INFERENCE: "chat"}[kind]
            attributes = {key: name} if name else {k: v for k, v in CHAT.items() if "operation" not in k}
            made = starting.start(telemetry, Plan(kind, verb, attributes=attributes), name=name)
            assert made is not None
            opened.append(made)
            base = made.inner_context()
            otel_context.detach(token)
        call = opened[-1]
        call.provider, call.request_model = "openai", "gpt-4o-mini"
        call.response_model, call.response_id = "gpt-4o-mini", "chatcmpl-9"
        call.usage, call.usage_format = {"prompt_tokens": 12, "completion_tokens": 3}, UsageFormat.OPENAI_CHAT
        call.end_attributes.update(
            {
                "gen_ai.response.model": "gpt-4o-mini",
                "gen_ai.response.id": "chatcmpl-9",
                "gen_ai.usage.input_tokens": 12,
                "gen_ai.usage.output_tokens": 3,
            }
        )
        for made in reversed(opened):
            made.finish()
        worker.flush(5.0)
    finally:
        pipeline.remove_consumer(keep)
    assert len(metered) == len(bench.calls) == 3
    for ours, read in zip(metered, bench.calls, strict=True):
        assert {name: getattr(read, name) for name in _COMPARED} == {
            name: getattr(ours, name) for name in _COMPARED
        }
    assert all(call.precedence == Precedence.NATIVE for call in bench.calls)
    assert bench.calls[0].usage == {"input_tokens": 12, "output_tokens": 3}


def test_a_dialect_can_be_added() -> None:
    """Another instrumentor's names are one reader more."""
    made = Dialect(
        "testing",
        lambda attributes: "x.model" in attributes,
        lambda attributes, name: Facts("chat", Kind.INFERENCE, request_model=str(attributes["x.model"])),
    )
    register(made)
    try:
        bench = Bench()
        bench.tracer.start_span("call", attributes={"x.model": "m-1"}).end()
        assert bench.calls[0].request_model == "m-1"
    finally:
        from spantally.otel import dialects

        dialects._dialects.remove(made)
    assert dialect_of({"x.model": "m-1"}) is None


def test_content_is_kept_only_where_the_policy_says_all() -> None:
    """By default the row holds no content; with ledger_content=all it holds the redacted one."""
    telemetry = Telemetry()
    telemetry.keep_content = True
    key = "sk-proj-Zq8Xw3Vt6Ys1Ur4Pn9Mk2Lj7Hg5Fd0Sa"
    for policy, kept in ((Telemetry(), False), (telemetry, True)):
        bench = Bench(telemetry=policy)
        messages = f'[{{"role":"user","parts":[{{"type":"text","content":"my key is {key}"}}]}}]'
        bench.tracer.start_span("chat", attributes={**CHAT, "gen_ai.input.messages": messages}).end()
        (call,) = bench.calls
        assert (call.content is not None) is kept
        assert key not in str(call)
        assert call.turn


def test_content_of_others_is_shortened_in_the_ledger() -> None:
    """A row holds of a long conversation its end, as JSON, and what fits as it is."""
    telemetry = Telemetry()
    telemetry.keep_content = True
    telemetry.ledger_limits = Limits(2_000, 2_000)
    messages = [
        {"role": "user", "parts": [{"type": "text", "content": f"{n} " + "x" * 100}]} for n in range(90)
    ]
    said = '[{"role":"assistant","parts":[{"type":"text","content":"fine"}]}]'
    bench = Bench(telemetry=telemetry)
    attributes = {**CHAT, "gen_ai.input.messages": json.dumps(messages), "gen_ai.output.messages": said}
    bench.tracer.start_span("chat", attributes={**attributes, "gen_ai.tool.call.result": "y" * 9_000}).end()
    content = bench.calls[0].content
    assert content is not None
    assert content["output"] == said
    asked = json.loads(content["input"])
    assert asked[0]["parts"][0] == {"type": "spantally.dropped", "messages": 90 - len(asked)}
    assert asked[-1] == messages[-1]
    assert content["result"].endswith("[cut from 9000 characters]")
    assert sum(map(len, content.values())) <= 2_000


def test_cost_per_span_stays_in_microseconds() -> None:
    """A plain span pays little for our processor: well below 1 ms even on a loaded machine."""
    bench = Bench(redact=False)
    best = min(_timed(bench) for _ in range(5))
    assert best < 1e-3


def _timed(bench: Bench) -> float:
    begin = time.perf_counter()
    for _ in range(200):
        bench.tracer.start_span("GET").end()
    return (time.perf_counter() - begin) / 200


def test_records_are_plain_records() -> None:
    """What reaches the sink is what the ledger takes."""
    bench = Bench()
    bench.tracer.start_span("chat", attributes=CHAT).end()
    kinds: tuple[type[Record], ...] = tuple({type(record) for record in bench.records})
    assert all(kind.__module__ == "spantally.ground.records" for kind in kinds)


@pytest.mark.parametrize(
    ("host", "provider"), [("gateway.example.org", ""), ("api.anthropic.com", None), ("127.0.0.1", None)]
)
def test_anthropics_own_span_at_a_gateway_has_no_price_list(host: str, provider: str | None) -> None:
    """The SDK calls each host that it is pointed at ``anthropic``; only its own asks Anthropic's prices."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "server.address": host,
    }
    facts = read_genai(attributes, "chat")
    assert facts is not None
    assert (_price_context(facts, "com.anthropic.sdk.python") or {}).get("provider") == provider


HALF = "half \ud83d"
"""A text that somebody cut by UTF-16 units."""


@pytest.mark.parametrize(
    "key",
    [
        "gen_ai.conversation.id",
        "gen_ai.provider.name",
        "gen_ai.response.model",
        "gen_ai.response.id",
        "server.address",
        "error.type",
    ],
)
def test_half_a_character_loses_no_row(tmp_path: Path, key: str) -> None:
    """SQLite has no form for half of a surrogate pair: the call counts, and a question mark stands for it."""
    spantally.instrument(ledger=str(tmp_path / "l.db"))
    try:
        tracer = trace.get_tracer("foreign.instrumentor")
        for before, after in (({**CHAT, key: HALF}, {}), (CHAT, {key: HALF})):
            span = tracer.start_span("chat", attributes=before)
            span.set_attributes({"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2, **after})
            span.end()
        spantally.flush()
    finally:
        spantally.uninstrument()
    ledger = spantally.open_ledger(tmp_path / "l.db")
    assert ledger.health().quarantined == 0
    assert sum(row.calls for row in ledger.sessions()) == 2
    assert any("half ?" in str(row) for row in (*ledger.calls(), *ledger.sessions()))
