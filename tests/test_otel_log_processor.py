"""The third redaction net: log records."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import LogRecordProcessor as SdkLogRecordProcessor

from otel_kit import SECRET
from spantally.ground.scope import SCOPE_KEY, Scope, with_values
from spantally.ground.session_state import SessionState
from spantally.otel.log_processor import LogRecordProcessor, place_log_processor, remove_log_processor


class Exporting(SdkLogRecordProcessor):
    """Serialises each record at once."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.records: list[Any] = []

    def on_emit(self, log_record: Any) -> None:
        record = log_record.log_record
        self.sent.append(repr((record.body, dict(record.attributes), record.event_name)))
        self.records.append(record)

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def _provider(processor: LogRecordProcessor) -> tuple[LoggerProvider, Exporting]:
    provider, exporting = LoggerProvider(shutdown_on_exit=False), Exporting()
    provider.add_log_record_processor(exporting)
    assert place_log_processor(provider, processor)
    return provider, exporting


def test_body_and_attributes_leave_redacted_and_the_programs_record_stays() -> None:
    """An exporter added before ours sends no secret; the program's own object is untouched."""
    provider, exporting = _provider(LogRecordProcessor())
    record = LogRecord(
        body={"message": [f"key {SECRET}"], "n": 5},
        attributes={"authorization": f"Bearer {SECRET}", "count": 3},
        severity_number=SeverityNumber.INFO,
    )
    provider.get_logger("app").emit(record)
    assert SECRET not in exporting.sent[0]
    assert exporting.records[0].attributes["count"] == 3
    assert exporting.records[0].body["n"] == 5
    assert record.body == {"message": [f"key {SECRET}"], "n": 5}


def test_records_inside_a_session_are_stamped() -> None:
    """A record says whose it is; gen_ai keys go onto GenAI events only."""
    provider, exporting = _provider(LogRecordProcessor())
    scope = Scope(SessionState("s-1", start_ns=1), user_id="u-1", conversation_id="c-1")
    context = with_values(otel_context.get_current(), {SCOPE_KEY: scope})
    for event in ("app.note", "gen_ai.client.inference.operation.details"):
        provider.get_logger("app").emit(LogRecord(body="x", context=context, event_name=event))
    plain, genai = (record.attributes for record in exporting.records)
    assert plain["session.id"] == genai["session.id"] == "s-1"
    assert plain["user.id"] == "u-1"
    assert "gen_ai.conversation.id" not in plain
    assert genai["gen_ai.conversation.id"] == "c-1"


def test_stamps_name_the_agent_leave_redacted_and_the_programs_record_stays() -> None:
    """A secret in whose work it is does not leave by a log line; redaction off changes no record either."""
    scope = Scope(SessionState(SECRET, start_ns=1), agent_path=("planner", "researcher"))
    context = with_values(otel_context.get_current(), {SCOPE_KEY: scope})
    for redact in (True, False):
        provider, exporting = _provider(LogRecordProcessor(redact=redact))
        for attributes in ({}, {"count": 3}):
            record = LogRecord(body="x", context=context, attributes=dict(attributes))
            provider.get_logger("app").emit(record)
            assert dict(record.attributes or {}) == attributes
            sent = exporting.records[-1].attributes
            assert sent["spantally.agent.path"] == "planner > researcher"
            assert (SECRET in sent["session.id"]) is not redact


def test_a_failing_redactor_withholds_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks, the record goes out without its content and the program goes on."""
    provider, exporting = _provider(LogRecordProcessor())

    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("spantally.otel.log_processor.redact_record", broken)
    provider.get_logger("app").emit(LogRecord(body=SECRET, attributes={"a": SECRET}))
    assert SECRET not in exporting.sent[0]
    assert exporting.records[0].body == "[REDACTED:error]"


def test_ours_is_no_reason_to_build_records_and_can_be_taken_out() -> None:
    """Alone it leaves a logger disabled; after removal records pass as they are."""
    alone = LoggerProvider(shutdown_on_exit=False)
    processor = LogRecordProcessor()
    place_log_processor(alone, processor)
    assert not processor.enabled()
    if hasattr(alone.get_logger("app"), "enabled"):  # since SDK 1.43
        assert not alone.get_logger("app").enabled()
    provider, exporting = _provider(processor)
    remove_log_processor(provider, processor)
    provider.get_logger("app").emit(LogRecord(body=SECRET))
    assert SECRET in exporting.sent[0]
