"""Content of calls: off by default, redacted and in the schemas' shapes where it is wanted."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import spantally
from spantally.testing import Reply, ScriptedServer
from watching import Watched, attributes

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"
MESSAGES: Any = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": f"my key is {KEY} and my question is blue"},
]


def ask(server: ScriptedServer, **more: Any) -> Any:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-for-tests") as client:
        result = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **more)
        return list(result) if more.get("stream") else result


@pytest.mark.parametrize("stream", [False, True])
def test_span_content_is_redacted_json(stream: bool) -> None:
    """span_only puts messages on the span as JSON of the schema, with the secret gone, also from a stream."""
    watched = Watched(capture_content="span_only")
    try:
        with ScriptedServer([Reply(text=f"do not share {KEY} with anyone")]) as server:
            ask(server, stream=stream)
        span = attributes(watched.spans[0])
        exported = watched.exported()
    finally:
        watched.close()
    given = json.loads(span["gen_ai.input.messages"])
    said = json.loads(span["gen_ai.output.messages"])
    assert "blue" in json.dumps(given)
    assert given[-1]["role"] == "user"
    assert given[-1]["parts"][0]["type"] == "text"
    assert "do not share" in said[0]["parts"][0]["content"]
    assert "[REDACTED:" in said[0]["parts"][0]["content"]
    assert KEY.encode() not in exported
    assert KEY[8:40].encode() not in exported


def test_event_content_is_structured() -> None:
    """event_only sends the operation-details event with structured messages, and nothing on the span."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    watched = Watched(capture_content="event_only", logger_provider=logs)
    try:
        with ScriptedServer() as server:
            ask(server)
        span = attributes(watched.spans[0])
        (event,) = exporter.get_finished_logs()
    finally:
        watched.close()
        logs.shutdown()
    assert "gen_ai.input.messages" not in span
    record = event.log_record
    assert record.event_name == "gen_ai.client.inference.operation.details"
    assert record.severity_text == "DEBUG"
    assert record.trace_id != 0
    sent: dict[str, Any] = dict(record.attributes or {})
    assert sent["gen_ai.input.messages"][1]["role"] == "user"
    assert KEY not in repr(sent)


def test_no_content_by_default() -> None:
    """With defaults nothing of prompt or answer is on the span or in the record."""
    watched = Watched()
    try:
        with ScriptedServer([Reply(text="the answer is violet")]) as server:
            ask(server)
        exported = watched.exported()
        (record,) = watched.records
    finally:
        watched.close()
    for word in (b"blue", b"violet", b"be brief"):
        assert word not in exported
    assert record.content is None


def test_ledger_content_is_apart_from_export() -> None:
    """ledger_content="all" keeps redacted messages and tool arguments in the record, and exports none."""
    watched = Watched(ledger_content="all")

    @spantally.tool
    def lookup(color: str, token: str) -> str:
        return f"{color} found"

    try:
        with ScriptedServer() as server:
            ask(server)
        lookup("blue", KEY)
        exported = watched.exported()
        call, tool = watched.records
    finally:
        watched.close()
    assert b"blue" not in exported
    assert "blue" in json.dumps(call.content)
    assert KEY not in json.dumps(call.content)
    assert tool.content is not None
    assert tool.content["arguments"]["color"] == "blue"
    assert KEY not in json.dumps(tool.content)
    assert tool.content["result"] == "blue found"


def test_lone_surrogates_do_not_lose_the_span() -> None:
    """A text that cannot be encoded reaches the exporter in a form that can."""
    watched = Watched(capture_content="span_only")

    @spantally.tool
    def odd(text: str) -> str:
        return text

    try:
        odd("broken \ud83d half")
        (span,) = watched.spans
    finally:
        watched.close()
    assert "broken" in attributes(span)["gen_ai.tool.call.arguments"]


def test_client_key_is_hidden_wherever_it_turns_up(watched: Watched) -> None:
    """The API key of a client is redacted by its value, whatever its shape."""
    odd_key = "myCompany/odd key:20-characters!"
    with ScriptedServer() as server, openai.OpenAI(base_url=server.base_url, api_key=odd_key) as client:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
        with spantally.agent("a", description=f"uses {odd_key}"):
            pass
    assert odd_key.encode() not in watched.exported()
    assert b"uses [REDACTED" in watched.exported()
