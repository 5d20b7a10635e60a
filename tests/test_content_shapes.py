"""What programs hand to agents, workflows and `record_call`: messages of their schema whatever was given."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import spantally
from conformance_kit import of_payloads
from spantally.calls.shorten import DROPPED
from spantally.calls.work_messages import MOST_MESSAGES
from watching import BytesExporter, Watched, attributes

INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0" + bytes(range(256)) * 40).decode()
URL = f"data:image/png;base64,{PNG}"
KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"
GIVEN: list[Any] = [
    "hello",
    f"{KEY} " * 200,
    PNG,
    URL,
    b"bytes",
    5,
    {"a": [1, {"b": None}]},
    ["one", None, 7, ["two"]],
    [{"role": "user", "content": f"number {n} " + "x" * 300} for n in range(40)],
    [
        {
            "role": "user",
            "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": URL}}],
        }
    ],
    [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
        }
    ],
    [{"role": "tool", "tool_call_id": "1", "content": {"found": 3}}],
    [{"role": "user", "content": {"found": 3}}, {"role": None, "content": ""}],
    [{"role": "user", "parts": [{"type": "text", "content": PNG}, "bare", None, {"type": "reasoning"}]}],
    [{"parts": 5}],
    [{"role": "user", "parts": [{"type": "text", "content": "z" * 400}] * 8}],
]


def _recorded(given: Any) -> None:
    said: dict[str, Any] = {"response_id": "r", "response_model": "m", "finish_reason": "length"}
    with spantally.session("s") as session:
        session.record_call(
            provider="openai", model="m", input_tokens=1, output_tokens=1, input=given, output=given, **said
        )


def _agent(given: Any) -> None:
    @spantally.agent(name="echo")
    def echo(asked: Any) -> Any:
        return given

    echo(given)


def _workflow(given: Any) -> None:
    @spantally.workflow(name="echo")
    def echo(asked: Any, more: Any) -> Any:
        return given

    echo(given, given)


@pytest.mark.parametrize("do", [_recorded, _agent, _workflow])
@pytest.mark.parametrize("profile", ["latest", "1.41"])
@pytest.mark.parametrize("most", [None, 2, 40, 300, 2_000])
def test_messages_have_their_schema_within_any_limit(
    most: int | None, profile: str, do: Callable[[Any], None]
) -> None:
    """On span and in row: valid, within the limit, without a secret, bytes of media, or an old field."""
    exporter = BytesExporter()
    limits = None if most is None else SpanLimits(max_span_attribute_length=most)
    provider = TracerProvider(span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    watched = Watched(
        tracer_provider=provider, semconv=profile, capture_content="span_only", ledger_content="all"
    )
    try:
        for given in GIVEN:
            do(given)
        records = watched.records
        found = [
            one for one in of_payloads(exporter.payloads, profile) if one.rule.startswith("GENAI-CONTENT")
        ]
    finally:
        watched.close()
    assert found == []
    assert len(exporter.spans) == len(records) == len(GIVEN)
    for span, record in zip(exporter.spans, records, strict=True):
        told = attributes(span)
        kept: Any = record.content or {}
        for key, name in ((INPUT, "input"), (OUTPUT, "output")):
            assert len(told[key]) <= (most or len(told[key]))
            assert KEY[8:30] not in told[key]
            assert PNG[:60] not in told[key]
            if most is None:
                assert json.loads(told[key]) == kept[name]
            assert all(type(one["role"]) is str and type(one["parts"]) is list for one in kept[name])


def test_the_newest_of_a_recorded_history_stay() -> None:
    """The oldest go first, and how many went is told, whether a limit or their number is the reason."""
    many = MOST_MESSAGES + 500
    for size, limit in ((300, 2_000), (1, 1_000_000)):
        watched = Watched(capture_content="span_only", content_span_limit=2_000_000, content_limit=limit)
        try:
            _recorded([{"role": "user", "content": f"{n} " + "x" * size} for n in range(many)])
            (span,) = watched.spans
        finally:
            watched.close()
        asked = json.loads(attributes(span)[INPUT])
        assert asked[0]["parts"][0] == {"type": DROPPED, "messages": many - len(asked)}
        assert asked[-1]["parts"][-1]["content"].startswith(f"{many - 1} ")


def test_parts_of_chat_messages_are_parts_of_the_conventions() -> None:
    """Images become blobs, calls of tools calls; the reason stands in the message only before the newest."""
    image, calls = GIVEN[9], GIVEN[10]
    for profile, reason in (("latest", {}), ("1.41", {"finish_reason": "length"})):
        watched = Watched(capture_content="span_only", semconv=profile)
        try:
            with spantally.session("s") as session:
                session.record_call(
                    model="m", input=image, output=calls, finish_reason="length", input_tokens=1
                )
            (span,) = watched.spans
        finally:
            watched.close()
        told = attributes(span)
        (asked,) = json.loads(told[INPUT])
        assert [part["type"] for part in asked["parts"]] == ["text", "blob"]
        call = {"type": "tool_call", "name": "f", "id": "1", "arguments": {}}
        assert json.loads(told[OUTPUT]) == [{"role": "assistant", "parts": [call], **reason}]
