"""Captured content within its limits, as exported bytes: by settings, by the SDK's variables and in code."""

from __future__ import annotations

import contextvars
import inspect
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import spantally
from conformance_kit import of_payloads
from spantally.calls.shorten import DROPPED, note
from spantally.instrumentors.openai.wire import content as wire_content
from spantally.instrumentors.stainless import capture as capture_module
from spantally.redaction import register_literal
from spantally.redaction.registry import forget_literals
from spantally.testing import Reply, ScriptedServer, ToolCall
from watching import BytesExporter, Watched, attributes

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"
HISTORY: Any = [
    {"role": "user" if n % 2 else "assistant", "content": f"number {n} " + f"key {KEY} and words " * 30}
    for n in range(12)
]
TOOLS: Any = [
    {"type": "function", "function": {"name": f"tool_{n}", "description": "d" * 200}} for n in range(12)
]
TAG = re.compile(r"\[REDACTED:[a-z-]+:[0-9a-f]{8}\]")
CONTENT = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions")


@pytest.fixture(autouse=True)
def _quiet_sdk(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The SDK says when it cuts: with our values it has no reason to."""
    caplog.set_level(logging.WARNING, logger="opentelemetry.attributes")
    yield
    assert [one.message for one in caplog.records if "truncating" in one.message] == []
    forget_literals()


def ask(server: ScriptedServer, messages: Any = HISTORY, **more: Any) -> Any:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-for-tests") as client:
        result = client.chat.completions.create(model="gpt-4o", messages=messages, **more)
        return list(result) if more.get("stream") else result


def limited(limits: SpanLimits | None = None) -> tuple[TracerProvider, BytesExporter]:
    exporter = BytesExporter()
    provider = TracerProvider(span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def _assert_fits(exporter: BytesExporter, most: int) -> dict[str, Any]:
    """The content of the one span: JSON of its schema within the limit, with no secret and no split tag."""
    assert [one for one in of_payloads(exporter.payloads) if one.rule.startswith("GENAI-CONTENT")] == []
    values = {name: text for name, text in attributes(exporter.spans[0]).items() if name in CONTENT}
    for text in values.values():
        assert len(text) <= most
        assert "[REDACTED:" not in TAG.sub("", text)
        json.loads(text)
    assert KEY[8:30].encode() not in b"".join(exporter.payloads)
    return values


@pytest.mark.parametrize(
    ("most", "stream"), [(2_000, False), (2_000, True), (700, True), (90, False), (40, True), (2, False)]
)
@pytest.mark.parametrize("how", ["code", "code, for all", "variable", "variable, for all"])
def test_the_limit_of_the_sdk_in_use_is_heeded(
    most: int, how: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given in code or by either variable: exported content is valid JSON within it, oldest dropped first."""
    given = None
    if how == "code":
        given = SpanLimits(max_span_attribute_length=most)
    elif how == "code, for all":
        given = SpanLimits(max_attribute_length=most)
    elif how == "variable":
        monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", str(most))
    else:
        monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", str(most))
    provider, exporter = limited(given)
    watched = Watched(tracer_provider=provider, capture_content="span_only")
    try:
        with ScriptedServer([Reply(text=f"the answer with {KEY} " + "is long " * 500)]) as server:
            ask(server, tools=TOOLS, stream=stream)
        assert watched.records
    finally:
        watched.close()
    values = _assert_fits(exporter, most)
    assert set(values) == set(CONTENT)
    if most == 2_000:
        asked = json.loads(values["gen_ai.input.messages"])
        assert asked[0]["parts"][0] == {"type": DROPPED, "messages": 12 - len(asked)}
        assert asked[-1]["parts"][-1]["content"].startswith("number 11 ")
        (said,) = json.loads(values["gen_ai.output.messages"])
        assert said["parts"][0]["content"].endswith("characters]")


def test_settings_cap_an_attribute_and_a_span() -> None:
    """content_limit and content_span_limit hold without any limit of the SDK's."""
    provider, exporter = limited()
    watched = Watched(
        tracer_provider=provider, capture_content="span_only", content_limit=3_000, content_span_limit=4_000
    )
    try:
        with ScriptedServer([Reply(text="long " * 2_000)]) as server:
            ask(server)
        assert watched.records
    finally:
        watched.close()
    values = _assert_fits(exporter, 3_000)
    assert 3_000 < sum(map(len, values.values())) <= 4_000


def test_what_is_searched_for_is_governed_too() -> None:
    """The text of a search keeps within the limits with the documents it found, on span and in ledger."""
    provider, exporter = limited()
    watched = Watched(
        tracer_provider=provider,
        capture_content="span_only",
        content_limit=1_500,
        content_span_limit=1_520,
        ledger_content="all",
        ledger_content_limit=1_000,
    )
    try:
        with (
            ScriptedServer() as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-for-tests") as client,
        ):
            client.vector_stores.search("vs_7", query=f"key {KEY} " + "words " * 900)
        (record,) = watched.records
    finally:
        watched.close()
    told = attributes(exporter.spans[0])
    query, documents = told["gen_ai.retrieval.query.text"], told["gen_ai.retrieval.documents"]
    assert len(query) == 1_500
    assert query.endswith(" characters]")
    assert len(query) + len(documents) <= 1_520
    assert json.loads(documents) == [{"type": DROPPED, "documents": 1}] or documents == "[]"
    assert KEY[8:30].encode() not in b"".join(exporter.payloads)
    assert record.content is not None
    assert len(json.dumps(record.content, ensure_ascii=False)) < 1_100
    assert KEY[8:30] not in json.dumps(record.content)


def test_defaults_leave_an_ordinary_history_whole() -> None:
    """Eighty kilobytes of history pass untouched."""
    provider, exporter = limited()
    messages = [{"role": "user", "content": f"{n} " + "words " * 680} for n in range(20)]
    watched = Watched(tracer_provider=provider, capture_content="span_only")
    try:
        with ScriptedServer() as server:
            ask(server, messages)
        assert watched.records
    finally:
        watched.close()
    asked = json.loads(_assert_fits(exporter, 131_072)["gen_ai.input.messages"])
    assert [one["parts"][0]["content"] for one in asked] == [one["content"] for one in messages]


def test_a_megabyte_is_redacted_whole_before_it_is_cut() -> None:
    """A secret across the place of the cut is not half there, and the note tells the true length."""
    provider, exporter = limited()
    text = "word " * 201 + KEY + " word" * 200_000
    watched = Watched(tracer_provider=provider, capture_content="span_only", content_limit=1_100)
    try:
        with ScriptedServer() as server:
            ask(server, [{"role": "user", "content": text}])
        assert watched.records
    finally:
        watched.close()
    ((message),) = json.loads(_assert_fits(exporter, 1_100)["gen_ai.input.messages"])
    content = message["parts"][0]["content"]
    assert "sk-" not in content
    assert content.endswith(note(len(spantally.redact(text))))


def test_the_ledger_has_a_limit_of_its_own() -> None:
    """What the row holds is shortened apart from what is exported, and stays structured."""
    provider, exporter = limited()
    watched = Watched(
        tracer_provider=provider,
        capture_content="span_only",
        content_limit=90_000,
        ledger_content="all",
        ledger_content_limit=2_000,
    )
    try:
        with ScriptedServer() as server:
            ask(server)
        (record,) = watched.records
    finally:
        watched.close()
    assert len(json.loads(_assert_fits(exporter, 90_000)["gen_ai.input.messages"])) == 12
    assert record.content is not None
    assert len(json.dumps(record.content, separators=(",", ":"), ensure_ascii=False)) <= 2_100
    assert record.content["input"][0]["parts"][0]["type"] == DROPPED
    assert record.content["output"]


@pytest.mark.parametrize(("limit", "how"), [(None, ""), (150, "code"), (150, "variable")])
def test_events_are_governed_too(limit: int | None, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Structured content keeps within the settings, and each text within the limit of the log provider."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    given: dict[str, Any] = {}
    if how == "variable":
        monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", str(limit))
    elif how == "code":
        if "log_record_limits" not in inspect.signature(LoggerProvider).parameters:
            pytest.skip("this SDK takes no limits of log records in code")
        given["log_record_limits"] = LogRecordLimits(max_attribute_length=limit)
    logs = LoggerProvider(shutdown_on_exit=False, **given)
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    watched = Watched(capture_content="event_only", content_limit=3_000, logger_provider=logs)
    try:
        with ScriptedServer() as server:
            ask(server)
        (event,) = exporter.get_finished_logs()
        assert watched.records
    finally:
        watched.close()
        logs.shutdown()
    sent: Any = dict(event.log_record.attributes or {})
    asked = sent["gen_ai.input.messages"]
    assert asked[0]["parts"][0] == {"type": DROPPED, "messages": 12 - len(asked)}
    assert len(json.dumps(asked, separators=(",", ":"))) <= 3_000
    for message in asked:
        text = message["parts"][-1]["content"]
        assert "[REDACTED:" not in TAG.sub("", text)
        assert limit is None or (len(text) <= limit and text.endswith("characters]"))


def test_arguments_and_results_of_tools_are_governed() -> None:
    """Arguments stay JSON of the same names, a text result is cut with its length, both without secrets."""
    provider, exporter = limited(SpanLimits(max_span_attribute_length=400))
    watched = Watched(tracer_provider=provider, capture_content="span_only", ledger_content="all")

    @spantally.tool
    def look(query: str, rows: list[int], more: dict[str, str]) -> str:
        return f"found {KEY} " * 40

    @spantally.tool
    def count(text: str) -> dict[str, Any]:
        return {"token": KEY, "rows": [{"n": n} for n in range(500)]}

    try:
        look("words " * 200 + KEY, list(range(900)), {"password": KEY, "x": "y" * 500})
        count("short")
        assert len(watched.records) == 2
    finally:
        watched.close()
    first, second = sorted(
        map(attributes, exporter.spans), key=lambda one: one["gen_ai.tool.name"], reverse=True
    )
    arguments = json.loads(first["gen_ai.tool.call.arguments"])
    assert set(arguments) == {"query", "rows", "more"}
    assert "[cut from " in arguments["query"]
    assert arguments["rows"][0]["type"] == DROPPED
    assert arguments["rows"][-1] == 899
    result = first["gen_ai.tool.call.result"]
    assert result.endswith(note(len(spantally.redact(f"found {KEY} " * 40))))
    rows = json.loads(second["gen_ai.tool.call.result"])["rows"]
    assert rows[0] == {"type": DROPPED, "items": 500 - len(rows) + 1}
    assert rows[-1] == {"n": 499}
    for one in (first, second):
        for name in ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result"):
            assert len(one[name]) <= 400
            assert KEY[:20] not in one[name]


def test_results_that_json_lacks_are_valid_json() -> None:
    """NaN in what a tool returns becomes null, media its size and hash."""
    watched = Watched(capture_content="span_only")

    @spantally.tool
    def odd() -> Any:
        return {"nan": float("nan"), "raw": b"\x89PNG\0\1", "url": "data:image/png;base64,iVBORw0KGgo="}

    try:
        odd()
        (span,) = watched.spans
    finally:
        watched.close()
    result = json.loads(attributes(span)["gen_ai.tool.call.result"])
    assert result["nan"] is None
    assert (result["raw"]["type"], result["raw"]["size"]) == ("blob", 6)
    assert (result["url"]["mime_type"], result["url"]["size"]) == ("image/png", 8)


def test_without_a_taker_content_is_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a span that is not recorded nor for events that nobody hears."""
    looked: list[str] = []

    def note_look(*_: Any) -> None:
        looked.append("looked")

    monkeypatch.setattr(wire_content, "input_sources", note_look)
    monkeypatch.setattr(capture_module.Capture, "take_output", note_look)
    for arguments in (
        {"capture_content": "span_only", "sampler": ALWAYS_OFF},
        {"capture_content": "event_only"},
    ):
        watched = Watched(**arguments)
        try:
            with ScriptedServer() as server:
                ask(server)
            assert len(watched.records) == 1
        finally:
            watched.close()
    assert looked == []


def test_messages_that_no_limit_has_room_for_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long history only the end is redacted and encoded; the count of the rest is true."""
    provider, exporter = limited()
    watched = Watched(tracer_provider=provider, capture_content="span_only", content_limit=1_000)
    looked: list[Any] = []
    plain = wire_content.plain_message

    def counting(op: Any, source: Any) -> Any:
        looked.append(source)
        return plain(op, source)

    monkeypatch.setattr(wire_content, "plain_message", counting)
    try:
        with ScriptedServer() as server:
            ask(server, [{"role": "user", "content": f"{n} " + "x" * 200} for n in range(100)])
        assert watched.records
    finally:
        watched.close()
    asked = json.loads(_assert_fits(exporter, 1_000)["gen_ai.input.messages"])
    assert len(looked) < 8
    assert asked[0]["parts"][0]["messages"] == 100 - len(asked)


def test_a_secret_learned_while_the_call_runs_is_hidden_in_it() -> None:
    """What was clean when it was sent is redacted again before it leaves."""

    def answer(_: Any) -> Reply:
        register_literal("quokka-wombat-41")
        return Reply(tool_calls=[ToolCall("f", {"a": 1})])

    watched = Watched(capture_content="span_only", ledger_content="all")
    try:
        with ScriptedServer(answer) as server:
            ask(server, [{"role": "user", "content": "the word is quokka-wombat-41"}], tools=TOOLS[:1])
        assert b"quokka" not in watched.exported()
        assert "quokka" not in repr(watched.records[0].content)
        assert b"the word is [REDACTED:literal:" in watched.exported()
    finally:
        watched.close()


@pytest.mark.parametrize("most", [0, 1, 4, 12, 31, 32])
def test_each_call_is_one_row_however_short_the_sdk_keeps_a_text(
    most: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Spans with half a call id are known as ours: nobody takes them for another instrumentor's."""
    provider, exporter = limited(SpanLimits(max_span_attribute_length=most))
    watched = Watched(tracer_provider=provider, capture_content="span_only")

    @spantally.tool
    def look(at: int) -> int:
        return at

    @spantally.agent
    def planner(server: ScriptedServer) -> None:
        ask(server, HISTORY[:1])
        ask(server, HISTORY[:1], stream=True)
        look(3)

    try:
        with ScriptedServer() as server, spantally.session("of-mine") as session:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(contextvars.copy_context().run, [planner], [server]))
                list(pool.map(lambda _: ask(server, HISTORY[:1]), range(12)))
            planner(server)
            totals = session.totals
        kinds = Counter(record.kind for record in watched.records)
    finally:
        watched.close()
    caplog.clear()  # names and ids are longer
    assert kinds == {"inference": 16, "agent": 2, "tool": 2}
    assert len(exporter.spans) == 20
    assert totals.calls == 16
