"""Each rule finds the fault it is for, in words that say what is expected, and nothing on what conforms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from conformance_kit import OLD_SCOPE, OTHERS, SCOPE, chat, findings, other
from spantally.conformance import PROFILES, RULES, Event, Scope, Severity, Span


class Fault(NamedTuple):
    """Something with one fault."""

    rule: str
    thing: Span | Event
    says: str
    """A part of the message."""
    profile: str = "latest"


def content(name: str, value: Any) -> Span:
    """A chat span with content, as JSON unless it is a text already."""
    text = value if isinstance(value, str) else json.dumps(value)
    return chat(attributes={f"gen_ai.{name}": text})


def part(**fields: Any) -> Span:
    """A chat span with one message of one part."""
    return content("input.messages", [{"role": "user", "parts": [fields]}])


def event(name: str, severity: int | None = None, **attributes: Any) -> Event:
    """A log event."""
    return Event(name, {key.replace("__", "."): value for key, value in attributes.items()}, SCOPE, severity)


DETAILS = "gen_ai.client.inference.operation.details"
EXCEPTION = "gen_ai.client.operation.exception"
EVALUATION = "gen_ai.evaluation.result"
STREAM = {"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 0.5}
CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"

REMOTE = {"gen_ai.provider.name": "openai", "server.address": "api.openai.com", "server.port": 443}
MADE = ("id", "model", "finish_reasons")


def made(api: str, model: str, *, without: Sequence[str] = (), **attributes: Any) -> Span:
    """A span of something that a model made, which says by what API, unless that is empty."""
    told = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.request.model": model,
        **({"openai.api.type": api} if api else {}),
        **attributes,
    }
    return chat(name=f"generate_content {model}", attributes=told, without=without)


FAULTS: list[Fault] = [
    Fault("GENAI-OPERATION-MISSING", chat(without=["gen_ai.operation.name"]), "required"),
    Fault("GENAI-SPAN-NAME", chat(name="OpenAI.chat"), "'chat gpt-4o' is expected"),
    Fault("GENAI-SPAN-NAME", chat(name="chat"), "'chat gpt-4o' is expected"),
    Fault("GENAI-SPAN-NAME", chat(without=["gen_ai.request.model"]), "'chat' is expected"),
    Fault("GENAI-SPAN-NAME", other("execute_tool", name="look"), "'execute_tool look' is expected"),
    Fault("GENAI-SPAN-NAME", other("search_memory", name="search_memory x"), "'search_memory' is expected"),
    Fault(
        "GENAI-SPAN-NAME",
        other("execute_tool", kind="SERVER", name="look", attributes={"mcp.method.name": "tools/call"}),
        "'tools/call look' is expected",
    ),
    Fault("GENAI-SPAN-KIND", chat(kind="SERVER"), "CLIENT or INTERNAL is expected"),
    Fault("GENAI-SPAN-KIND", other("execute_tool", kind="CLIENT"), "INTERNAL is expected"),
    Fault("GENAI-SPAN-KIND", other("embeddings", kind="INTERNAL"), "CLIENT is expected"),
    Fault("GENAI-STATUS-OK", chat(status="OK"), "UNSET"),
    Fault("GENAI-ERROR-TYPE-MISSING", chat(status="ERROR"), "without error.type"),
    Fault("GENAI-ERROR-TYPE-STRAY", chat(attributes={"error.type": "429"}), "ERROR is expected"),
    Fault("GENAI-REQUIRED", chat(without=["gen_ai.provider.name"]), "gen_ai.provider.name is missing"),
    Fault("GENAI-REQUIRED", other("execute_tool", name="execute_tool", without=["gen_ai.tool.name"]), "tool"),
    *(
        Fault("GENAI-RECOMMENDED", chat(without=[name]), f"{name} is missing")
        for name in (
            "gen_ai.response.id",
            "gen_ai.response.model",
            "gen_ai.response.finish_reasons",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
        )
    ),
    Fault("GENAI-RECOMMENDED", chat(without=["server.address", "server.port"]), "server.address is missing"),
    Fault(
        "GENAI-RECOMMENDED",
        other("invoke_agent", kind="CLIENT", attributes=REMOTE, without=["gen_ai.usage.input_tokens"]),
        "gen_ai.usage.input_tokens",
    ),
    *(
        Fault("GENAI-RECOMMENDED", made(api, model, without=[name], **told), f"{name} is missing")
        for api, model, name, told in (
            ("images", "gpt-image-1", "gen_ai.usage.output_tokens", {}),
            ("audio.transcriptions", "gpt-4o-transcribe", "gen_ai.usage.input_tokens", {}),
            ("responses.compact", "gpt-4o", "gen_ai.response.id", {}),
            ("decisions", "gpt-4o", "gen_ai.response.model", {}),
            ("videos", "sora-2", "gen_ai.response.id", {}),
            ("chat_completions", "gpt-4o", "gen_ai.response.id", {}),
            ("acme", "gpt-4o", "gen_ai.response.id", {}),
            ("", "gpt-4o", "gen_ai.response.id", {"gen_ai.output.type": "json"}),
        )
    ),
    Fault(
        "GENAI-STREAM-USAGE",
        chat(attributes=STREAM, without=["gen_ai.usage.output_tokens"]),
        "include_usage",
    ),
    Fault("GENAI-REQUESTED", other("embeddings", without=["gen_ai.request.encoding_formats"]), "encoding"),
    Fault(
        "GENAI-REQUESTED",
        other("retrieval", scope=OLD_SCOPE, without=["gen_ai.retrieval.top_k"]),
        "gen_ai.request.top_k",
        "1.41",
    ),
    Fault("GENAI-SERVER-PORT", chat(without=["server.port"]), "without server.port"),
    Fault("GENAI-FIRST-CHUNK", chat(attributes={"gen_ai.request.stream": True}), "time_to_first_chunk"),
    Fault("GENAI-REMOVED", other("invoke_agent", attributes={"gen_ai.agent.id": "a"}), "does not belong"),
    Fault(
        "GENAI-REMOVED",
        Span(
            "fetch_response",
            "CLIENT",
            {
                "gen_ai.operation.name": "fetch_response",
                "gen_ai.provider.name": "openai",
                "gen_ai.response.id": "resp_1",
                "gen_ai.response.model": "gpt-4o",
                "gen_ai.response.status": "completed",
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.usage.input_tokens": 3,
                "server.address": "api.openai.com",
                "server.port": 443,
            },
            scope=SCOPE,
        ),
        "gen_ai.usage.input_tokens does not belong",
    ),
    Fault(
        "GENAI-OPERATION-UNKNOWN",
        chat(name="ask gpt-4o", attributes={"gen_ai.operation.name": "ask"}),
        "'ask'",
    ),
    Fault(
        "GENAI-OPERATION-UNKNOWN",
        Span("plan", "INTERNAL", {"gen_ai.operation.name": "plan"}, scope=OLD_SCOPE),
        "'plan'",
        "1.41",
    ),
    Fault("GENAI-TYPE", chat(attributes={"gen_ai.request.max_tokens": 8.0}), "a double (8.0); int is"),
    Fault("GENAI-TYPE", chat(attributes={"gen_ai.request.temperature": 1}), "an int (1); double is"),
    Fault("GENAI-TYPE", chat(attributes={"gen_ai.request.seed": True}), "a boolean (True); int is"),
    Fault("GENAI-TYPE", chat(attributes={"gen_ai.request.top_k": 4.0}), "int is expected"),
    Fault(
        "GENAI-TYPE",
        chat(scope=OLD_SCOPE, attributes={"gen_ai.request.top_k": 4}),
        "double is expected",
        "1.41",
    ),
    Fault("GENAI-TYPE", chat(attributes={"gen_ai.request.stop_sequences": "a"}), "string[] is expected"),
    Fault("GENAI-TYPE", chat(attributes={"gen_ai.request.stop_sequences": [1]}), "no string"),
    Fault("GENAI-TYPE", chat(attributes={"gen_ai.prompt.variable.city": 1}), "string is expected"),
    Fault("GENAI-TYPE", chat(attributes={"server.port": "443"}), "int is expected"),
    Fault("GENAI-RENAMED", chat(attributes={"gen_ai.system": "openai"}), "use gen_ai.provider.name"),
    Fault("GENAI-RENAMED", chat(attributes={"gen_ai.usage.prompt_tokens": 10}), "use gen_ai.usage.input"),
    Fault("GENAI-RENAMED", chat(attributes={"gen_ai.usage.total_tokens": 12}), "leave it out"),
    Fault("GENAI-RENAMED", chat(attributes={"gen_ai.prompt.0.content": "hi"}), "gen_ai.input.messages"),
    Fault("GENAI-RENAMED", chat(attributes={CACHE_CREATION: 1}), f"use {CACHE_WRITE}"),
    Fault("GENAI-UNKNOWN", chat(attributes={"gen_ai.cost": 1.0}), "gen_ai.cost is no attribute"),
    Fault("GENAI-UNKNOWN", chat(scope=OLD_SCOPE, attributes={CACHE_WRITE: 1}), "(1.41)", "1.41"),
    Fault("GENAI-PROVIDER", chat(attributes={"gen_ai.provider.name": "acme"}), "do not list"),
    Fault("GENAI-PROVIDER", chat(attributes={"gen_ai.provider.name": "az.ai.openai"}), "'azure.ai.openai'"),
    Fault(
        "GENAI-FINISH-REASON", chat(attributes={"gen_ai.response.finish_reasons": ["tool_calls"]}), "'tool_"
    ),
    Fault("GENAI-FINISH-REASON", chat(attributes={"gen_ai.response.finish_reasons": ["tired"]}), "known are"),
    Fault("GENAI-OUTPUT-TYPE", chat(attributes={"gen_ai.output.type": "json_schema"}), "known are"),
    Fault("GENAI-DEFAULT", chat(attributes={"gen_ai.request.stream": False}), "only on streams"),
    Fault("GENAI-DEFAULT", chat(attributes={"gen_ai.request.choice.count": 1}), "differs from 1"),
    Fault("GENAI-USAGE-PARTS", chat(attributes={"gen_ai.usage.cache_read.input_tokens": 11}), "more than"),
    Fault("GENAI-USAGE-PARTS", chat(attributes={"gen_ai.usage.reasoning.output_tokens": 3}), "more than"),
    Fault("GENAI-USAGE-PARTS", chat(attributes={"gen_ai.usage.output_tokens": -1}), "not negative"),
    Fault("GENAI-CONTENT-JSON", content("input.messages", '[{"role": "us'), "length limit"),
    Fault("GENAI-CONTENT-JSON", content("output.messages", "hello"), "no JSON"),
    Fault("GENAI-CONTENT-SCHEMA", content("input.messages", {"role": "user"}), "a list of messages"),
    Fault("GENAI-CONTENT-SCHEMA", content("input.messages", [{"parts": []}]), "[0].role is missing"),
    Fault("GENAI-CONTENT-SCHEMA", content("input.messages", [{"role": "user", "content": "x"}]), "parts"),
    Fault("GENAI-CONTENT-SCHEMA", content("input.messages", ["hi"]), "an object is expected"),
    Fault(
        "GENAI-CONTENT-SCHEMA",
        content("input.messages", [{"role": "user", "parts": [], "name": 1}]),
        "[0].name is 1",
    ),
    Fault("GENAI-CONTENT-SCHEMA", part(content="x"), "parts[0].type is missing"),
    Fault("GENAI-CONTENT-SCHEMA", part(type="text"), "(text).content is missing"),
    Fault("GENAI-CONTENT-SCHEMA", part(type="reasoning", content=1), "(reasoning).content is 1"),
    Fault("GENAI-CONTENT-SCHEMA", part(type="tool_call", id="1"), "(tool_call).name is missing"),
    Fault("GENAI-CONTENT-SCHEMA", part(type="tool_call", name="f", id=1), "(tool_call).id is 1"),
    Fault("GENAI-CONTENT-SCHEMA", part(type="tool_call_response", result="x"), ".response is missing"),
    Fault("GENAI-CONTENT-SCHEMA", part(type="server_tool_call", name="s", server_tool_call={}), "a type"),
    Fault("GENAI-CONTENT-SCHEMA", part(type="blob", modality="image"), "(blob).content is missing"),
    Fault("GENAI-CONTENT-SCHEMA", part(type="file", file_id="f"), "(file).modality is missing"),
    Fault("GENAI-CONTENT-SCHEMA", part(type="uri", modality="image"), "(uri).uri is missing"),
    Fault("GENAI-CONTENT-SCHEMA", content("system_instructions", [{"type": "text"}]), "content is missing"),
    Fault("GENAI-CONTENT-SCHEMA", content("system_instructions", '"be brief"'), "a list of parts"),
    Fault(
        "GENAI-CONTENT-SCHEMA",
        content(
            "system_instructions", [{"type": "uri", "modality": "image", "uri": "https://example.com/a"}]
        ),
        "text parts only",
    ),
    Fault("GENAI-CONTENT-SCHEMA", content("tool.definitions", [{"type": "function"}]), "[0].name is missing"),
    Fault(
        "GENAI-CONTENT-SCHEMA",
        content("tool.definitions", [{"type": "function", "name": "f", "parameters": "{}"}]),
        "a JSON schema is expected",
    ),
    Fault("GENAI-CONTENT-SCHEMA", content("retrieval.documents", [{"id": 1}]), "[0].id is 1"),
    Fault("GENAI-CONTENT-SCHEMA", content("retrieval.documents", [{"score": "1"}]), "a number is expected"),
    Fault("GENAI-CONTENT-SCHEMA", content("memory.records", [{"id": "1"}]), "[0].content is missing"),
    Fault(
        "GENAI-CONTENT-SCHEMA",
        chat(
            scope=OLD_SCOPE,
            attributes={"gen_ai.output.messages": [{"role": "assistant", "parts": []}]},
        ),
        "no finish_reason",
        "1.41",
    ),
    Fault(
        "GENAI-CONTENT-ADVICE", content("input.messages", [{"role": "developer", "parts": []}]), "known are"
    ),
    Fault("GENAI-CONTENT-ADVICE", part(type="uri", modality="image", uri="data:x"), "a blob part"),
    Fault(
        "GENAI-CONTENT-ADVICE",
        content("output.messages", [{"role": "assistant", "parts": [], "finish_reason": "stop"}]),
        "deprecated",
    ),
    Fault("GENAI-EVENT-OLD", event("gen_ai.user.message"), DETAILS),
    Fault("GENAI-EVENT-OLD", chat(events=(Event("gen_ai.content.prompt", {}, SCOPE),)), "no longer used"),
    Fault("GENAI-EVENT-UNKNOWN", event("gen_ai.thought"), "known are"),
    Fault("GENAI-EVENT-SEVERITY", event(DETAILS, 9, gen_ai__operation__name="chat"), "5 (DEBUG)"),
    Fault("GENAI-EVENT-SEVERITY", event(EXCEPTION, 17, exception__type="E"), "13 (WARN)"),
    Fault(
        "GENAI-EVENT-CONTENT",
        event(DETAILS, 5, gen_ai__operation__name="chat", gen_ai__input__messages="[]"),
        "structured content",
    ),
    Fault("GENAI-EVENT-EXCEPTION", event(EXCEPTION, 13), "one of them is required"),
    Fault("GENAI-EVENT-EXCEPTION", chat(events=(Event("exception", {}, SCOPE),)), "exception.type"),
    Fault("GENAI-EVENT-REQUIRED", event(EVALUATION), "gen_ai.evaluation.name is missing"),
    Fault("GENAI-EVENT-REQUIRED", event(DETAILS, 5), "gen_ai.operation.name is missing"),
    Fault("GENAI-SCHEMA-URL-MISSING", chat(scope=Scope("lib")), "no schema URL"),
    Fault("GENAI-SCHEMA-URL", chat(scope=OLD_SCOPE), "gen-ai-dev"),
    Fault("GENAI-SCHEMA-URL", chat(), "schemas/1.41.", "1.41"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.rule}: {fault.says}")
def test_planted_fault_is_found(fault: Fault) -> None:
    """The rule, and no other, finds the fault and says what is expected."""
    found = findings(fault.thing, profile=fault.profile)
    assert [one.rule for one in found] == [fault.rule], found
    assert fault.says in found[0].message


def test_every_rule_has_a_planted_fault() -> None:
    """No rule is without a test, ids are unique, and each says what it asks for and who asks."""
    ids = [rule.id for rule in RULES]
    assert sorted(ids) == sorted(set(ids))
    assert set(ids) == {fault.rule for fault in FAULTS}
    for rule in RULES:
        assert rule.text.endswith(".")
        assert rule.source


def test_severities_are_those_that_were_decided() -> None:
    """What the official checker refuses is an error; what is allowed but odd is a warning."""
    warnings = {rule.id for rule in RULES if rule.severity is Severity.WARNING}
    assert warnings == {
        "GENAI-STREAM-USAGE",
        "GENAI-REQUESTED",
        "GENAI-FIRST-CHUNK",
        "GENAI-REMOVED",
        "GENAI-UNKNOWN",
        "GENAI-PROVIDER",
        "GENAI-FINISH-REASON",
        "GENAI-OUTPUT-TYPE",
        "GENAI-DEFAULT",
        "GENAI-CONTENT-ADVICE",
        "GENAI-EVENT-UNKNOWN",
        "GENAI-EVENT-SEVERITY",
        "GENAI-SCHEMA-URL-MISSING",
        "GENAI-SCHEMA-URL",
    }


LACKING = [f"gen_ai.response.{name}" for name in MADE]
TOKENS = ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"]

GOOD: list[Span | Event] = [
    chat(),
    made("images", "gpt-image-1", without=LACKING),
    made("images", "dall-e-3", without=[*LACKING, *TOKENS]),
    made("audio.speech", "tts-1", without=[*LACKING, *TOKENS]),
    made("audio.transcriptions", "whisper-1", without=[*LACKING, *TOKENS]),
    made(
        "audio.transcriptions",
        "gpt-4o-transcribe",
        without=[*LACKING, *TOKENS],
        **{"gen_ai.output.type": "text"},
    ),
    made("", "gpt-image-1", without=LACKING, **{"gen_ai.output.type": "image"}),
    made("", "tts-1", without=[*LACKING, *TOKENS], **{"gen_ai.output.type": "speech"}),
    made("", "whisper-1", without=[*LACKING, *TOKENS]),
    made(
        "videos",
        "sora-2",
        without=["gen_ai.response.finish_reasons", *TOKENS],
        **{"gen_ai.response.status": "queued"},
    ),
    made("decisions", "gpt-4o", without=["gen_ai.response.id", "gen_ai.response.finish_reasons"]),
    chat(attributes={"openai.api.type": "responses.compact"}, without=["gen_ai.response.model"]),
    chat(
        attributes={"gen_ai.response.status": "in_progress"},
        without=["gen_ai.response.finish_reasons", *TOKENS],
    ),
    other("invoke_agent", without=["gen_ai.response.finish_reasons", *TOKENS]),
    chat(kind="INTERNAL"),
    chat(attributes=STREAM),
    chat(name="chat", without=["gen_ai.request.model"]),
    chat(
        attributes={"error.type": "429"},
        status="ERROR",
        without=[
            "gen_ai.response.id",
            "gen_ai.response.model",
            "gen_ai.response.finish_reasons",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
        ],
    ),
    chat(
        attributes={**STREAM, "gen_ai.response.finish_reasons": ["error"]},
        without=["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"],
    ),
    chat(
        attributes={
            "gen_ai.usage.cache_read.input_tokens": 10,
            "gen_ai.usage.reasoning.output_tokens": 2,
            "gen_ai.prompt.variable.city": "Paris",
            "gen_ai.request.temperature": 0.0,
            "gen_ai.request.stop_sequences": [],
            "session.id": "s",
            "acme.anything": 1,
        }
    ),
    *(other(operation) for operation in OTHERS),
    Span(
        "tools/call look",
        "CLIENT",
        {"mcp.method.name": "tools/call", "gen_ai.tool.name": "look"},
        scope=SCOPE,
    ),
    other("execute_tool", attributes={"mcp.method.name": "tools/call"}),
    event(
        DETAILS, 5, gen_ai__operation__name="chat", gen_ai__input__messages=[{"role": "user", "parts": []}]
    ),
    event(EXCEPTION, 13, exception__message="boom"),
    event(EVALUATION, 9, gen_ai__evaluation__name="relevance", gen_ai__evaluation__score__value=0.5),
    content(
        "input.messages",
        [
            {"role": "system", "parts": [{"type": "text", "content": "be brief"}], "name": None},
            {
                "role": "user",
                "parts": [
                    {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AA=="},
                    {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
                    {"type": "file", "modality": "document", "file_id": "f"},
                    {"type": "acme_odd", "whatever": 1},
                ],
            },
            {"role": "assistant", "parts": [{"type": "tool_call", "id": None, "name": "f", "arguments": {}}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": None}]},
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "hm"},
                    {"type": "compaction"},
                    {"type": "server_tool_call", "name": "s", "server_tool_call": {"type": "s"}},
                    {"type": "server_tool_call_response", "server_tool_call_response": {"type": "s"}},
                ],
            },
        ],
    ),
    content("tool.definitions", [{"type": "function", "name": "f", "description": None, "parameters": {}}]),
    # Where no model is asked for, images are of a model that counts no tokens.
    Span(
        "generate_content",
        "CLIENT",
        {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": "openai",
            "gen_ai.output.type": "image",
            "openai.api.type": "images",
            "server.address": "api.openai.com",
            "server.port": 443,
        },
        scope=SCOPE,
    ),
    content("retrieval.documents", [{"id": "d", "score": 0.5}, {}]),
    content("memory.records", [{"content": None, "metadata": {}}]),
    content("system_instructions", [{"type": "text", "content": "x"}, {"type": "odd"}]),
]


@pytest.mark.parametrize("thing", GOOD, ids=lambda thing: thing.name)
def test_what_conforms_has_no_finding(thing: Span | Event) -> None:
    """A span or event as the conventions want it gives nothing, whatever else is on it."""
    assert findings(thing) == []


def test_the_older_profile_takes_the_older_names() -> None:
    """Under 1.41 the names and places of that version conform."""
    spans = [
        chat(scope=OLD_SCOPE, attributes={CACHE_CREATION: 1, "gen_ai.request.top_k": 4.0}),
        other("invoke_agent", scope=OLD_SCOPE, attributes={"gen_ai.agent.id": "a"}),
    ]
    assert findings(*spans, profile="1.41") == []


@pytest.mark.parametrize(
    "value", [None, [], ["chat"], {"a": [1]}, b"x", True, -(2**70), float("nan"), "\ud800"]
)
def test_a_value_of_any_type_is_judged(value: Any) -> None:
    """Where a word is expected may stand a list or a map, on a span, beneath an agent and on an event."""
    agent = other("invoke_agent", without=["gen_ai.usage.input_tokens"], trace_id="t", span_id="a")
    for name in (*PROFILES["latest"].types, "openai.api.type", "other.response.status", "mcp.method.name"):
        for kind in ("CLIENT", "INTERNAL"):
            span = chat(kind=kind, attributes={name: value}, trace_id="t", span_id="b", parent_id="a")
            without = span._replace(attributes={name: value, "error.type": value})
            for profile in PROFILES:
                findings(agent, span, without, Event(name, {name: value}, SCOPE), profile=profile)
    (found,) = findings(chat(attributes={"gen_ai.operation.name": ["chat"]}))
    assert found.rule == "GENAI-TYPE"


def test_what_json_lacks_is_found_in_content() -> None:
    """Python writes and reads NaN and Infinity, which no other reader of the text takes."""
    call = '[{"role":"assistant","parts":[{"type":"tool_call","name":"t","arguments":%s}]}]'
    for value, rules in (
        ("1", []),
        ("NaN", ["GENAI-CONTENT-JSON"]),
        ('{"a":-Infinity}', ["GENAI-CONTENT-JSON"]),
    ):
        assert [one.rule for one in findings(content("output.messages", call % value))] == rules


def test_spans_of_others_are_not_looked_at() -> None:
    """A span without a gen_ai.* attribute is no GenAI span, whatever it looks like."""
    assert findings(Span("GET /", "CLIENT", {"error.type": "500"}, "OK"), Event("log", {})) == []


def test_a_scope_is_reported_once() -> None:
    """A finding on a scope comes once, not on each of its spans."""
    scope = Scope("lib")
    assert len(findings(chat(scope=scope), chat(scope=scope), chat(scope=Scope("other")))) == 2


def test_a_long_conversation_does_not_flood() -> None:
    """The same fault in every message of a conversation gives a handful of findings."""
    assert len(findings(content("input.messages", ["hi"] * 100))) == 5


def test_findings_say_where() -> None:
    """A finding carries rule, severity, span, scope, ids and line, in words and for JSON."""
    span = chat(status="OK", trace_id="a" * 32, span_id="b" * 16, line=7)
    (found,) = findings(span)
    assert found.as_object() == {
        "severity": "error",
        "rule": "GENAI-STATUS-OK",
        "subject": "chat gpt-4o",
        "message": found.message,
        "scope": "lib",
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "line": 7,
    }


def test_profiles_are_those_of_the_setting() -> None:
    """The profiles to check against are those that can be emitted, and their schema URLs agree."""
    from spantally.ground import semconv

    assert set(PROFILES) == set(semconv.SCHEMA_URLS)
    for name, url in semconv.SCHEMA_URLS.items():
        assert url.startswith(PROFILES[name].schema_url)


def test_the_tables_agree_with_each_other() -> None:
    """Every attribute that a span type names has a type, and every operation has a span type."""
    for profile in PROFILES.values():
        for kind in profile.span_types:
            named = (
                kind.required | kind.recommended | kind.requested | ({kind.keyed} if kind.keyed else set())
            )
            assert named <= profile.types.keys(), kind.name
        assert {one for kind in profile.span_types for one in kind.operations} == profile.operations
        assert not profile.types.keys() & profile.renamed.keys()


def _family(agent: dict[str, Any], *calls: tuple[str, int], profile: str = "latest") -> list[str]:
    """Messages on an agent that lacks what ``agent`` leaves out, with calls of a tool and an end beneath."""
    scope = SCOPE if profile == "latest" else OLD_SCOPE
    place = {"trace_id": "t", "scope": scope}
    spans = [
        other("invoke_agent", **place, **agent, span_id="a", end_ns=100),
        Span("work", "INTERNAL", {}, span_id="w", parent_id="a", end_ns=90, **place),  # type: ignore[arg-type]
    ]
    for number, (parent, end_ns) in enumerate(calls):
        spans.append(chat(**place, span_id=f"c{number}", parent_id=parent, end_ns=end_ns))
    return [one.message for one in findings(*spans, profile=profile) if one.subject == "invoke_agent planner"]


def test_an_agent_is_asked_for_what_the_calls_beneath_tell() -> None:
    """Tokens and finish reasons are expected of an agent where a call that ended within it has them."""
    bare = {"without": ["gen_ai.response.finish_reasons", *TOKENS]}
    assert _family(bare) == []
    assert _family(bare, ("w", 101)) == []
    assert len(_family(bare, ("w", 80))) == 3
    assert len(_family({"without": TOKENS}, ("a", 80), ("a", 101))) == 2
    assert _family({}, ("a", 80)) == []


def test_before_the_newest_conventions_an_agent_is_asked_for_its_provider() -> None:
    """In 1.41 the provider of the calls beneath belongs on the agent, and is no finding there."""
    assert _family({}, ("a", 80), profile="1.41") == [
        "gen_ai.provider.name is missing; every span of this type should have it"
    ]
    named = {"attributes": {"gen_ai.provider.name": "openai"}}
    assert _family(named, ("a", 80), profile="1.41") == []
    assert _family(named, ("a", 80)) != []


def test_spans_that_are_each_others_parents_end_the_walk() -> None:
    """A circle of parents, as no tracer makes it, is walked once."""
    place: dict[str, Any] = {"trace_id": "t", "scope": SCOPE}
    one = other("invoke_agent", **place, span_id="a", parent_id="b")
    assert findings(one, Span("x", "INTERNAL", {}, span_id="b", parent_id="a", **place)) == []
