"""The third redaction net: log records, which GenAI content also leaves by.

The processor stands in front of the others of a logger provider: a log record is shared by all processors
and handed on in order, so what stands in front decides what the rest export.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from opentelemetry.sdk._logs import LogRecordProcessor as SdkLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from spantally.calls.own_spans import stamps
from spantally.calls.telemetry import RedactorLike
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.scope import current_scope
from spantally.ground.worker import worker
from spantally.otel.bounded import Bounded
from spantally.otel.implicit import scope_of_trace
from spantally.otel.redactors import redactor_of
from spantally.otel.safe_values import REDACTED_ERROR, safe_attributes, safe_text, safe_value
from spantally.otel.shared_parts import safe_resource, safe_scope

GENAI_PREFIX: Final = "gen_ai."


class LogRecordProcessor(SdkLogRecordProcessor):
    """Redacts log records and stamps on them whose they are; exports nothing itself."""

    def __init__(self, *, redact: bool | RedactorLike | None = None) -> None:
        """Make a processor.

        Args:
            redact: False lets records pass as they are; an object replaces the default redactor; None
                means what SPANTALLY_REDACT says.
        """
        self.redactor = redactor_of(redact)

    def on_emit(self, log_record: Any) -> None:
        """Replace the record's parts by redacted ones; the program's own object stays untouched."""
        try:
            record = copy.copy(log_record.log_record)
            if self.redactor is not None:
                redact_record(record, Bounded(self.redactor))
                log_record.resource = safe_resource(log_record.resource, self.redactor)
                log_record.instrumentation_scope = safe_scope(log_record.instrumentation_scope, self.redactor)
            _stamp(record, self.redactor)
            log_record.log_record = record
        except Exception as error:
            swallowed("otel.log_on_emit", error)
            if self.redactor is not None:
                _close(log_record)

    def enabled(self, **_: Any) -> bool:
        """False: this processor alone is no reason for anybody to build a record."""
        return False

    def shutdown(self) -> None:
        """Nothing is held here; what waits for the ledger is flushed."""
        self.force_flush(5000)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Wait until the tally has what was handed over so far."""
        try:
            return worker.flush(max(0.0, timeout_millis / 1000))
        except Exception as error:
            swallowed("otel.log_force_flush", error)
            return True


def redact_record(record: Any, redactor: RedactorLike) -> None:
    """Replace the parts of a log record, which must be nobody else's.

    Args:
        record: a copy of the program's.
        redactor: what scans.
    """
    if record.body is not None:
        record.body = safe_value(record.body, redactor)
    attributes = record.attributes
    if attributes:
        safe = safe_attributes(attributes, redactor)
        made = copy.deepcopy(attributes)
        for key in [key for key in made if key not in safe]:
            del made[key]
        for key, value in safe.items():
            if attributes.get(key) is not value:
                made[key] = value
        record.attributes = made
    for name in ("event_name", "severity_text"):
        text = getattr(record, name, None)
        if text:
            setattr(record, name, safe_text(text, redactor))
    if getattr(record, "exception", None) is not None:
        record.exception = None  # its text is in the attributes by now, redacted


def _stamp(record: Any, redactor: RedactorLike | None) -> None:
    scope = current_scope(record.context) or scope_of_trace(record.trace_id or 0)
    if scope is None or record.attributes is None:
        return
    is_genai = (getattr(record, "event_name", None) or "").startswith(GENAI_PREFIX)
    values = stamps(scope, genai=is_genai)
    if scope.agent_path:  # on a log line it makes no GenAI span of anything, so it may stand on each
        values.setdefault(semconv.AGENT_PATH, " > ".join(scope.agent_path))
    if redactor is not None:
        values = safe_attributes(values, redactor)
    made = copy.deepcopy(record.attributes)
    for key, value in values.items():
        if key not in made:
            made[key] = value
    record.attributes = made


def _close(log_record: Any) -> None:
    """Fail closed: the record goes out without content."""
    try:
        log_record.log_record = closed_record(log_record.log_record)
        log_record.resource = Resource({})
        log_record.instrumentation_scope = InstrumentationScope(REDACTED_ERROR)
    except Exception as error:
        swallowed("otel.log_close", error)


def closed_record(record: Any) -> Any:
    """A copy of a log record with its times, ids and severity, and no text."""
    made = copy.copy(record)
    made.body = None if made.body is None else REDACTED_ERROR
    made.attributes = type(made.attributes)(attributes={}, immutable=False)
    for name in ("event_name", "severity_text", "exception"):
        if getattr(made, name, None) is not None:
            setattr(made, name, None)
    return made


def place_log_processor(provider: Any, processor: SdkLogRecordProcessor) -> bool:
    """Put ``processor`` before all others of an SDK logger provider.

    Returns:
        True if it stands in front, False if it was added at the end, the public way.

    Raises:
        AttributeError: if the provider takes no log record processors.
    """
    multi: Any = getattr(provider, "_multi_log_record_processor", None)
    if isinstance(getattr(multi, "_log_record_processors", None), tuple):
        try:
            with multi._lock:
                rest = tuple(one for one in multi._log_record_processors if one is not processor)
                multi._log_record_processors = (processor, *rest)
            return multi._log_record_processors[0] is processor
        except Exception as error:
            swallowed("otel.place_log_processor", error)
    provider.add_log_record_processor(processor)
    return False


def remove_log_processor(provider: Any, processor: SdkLogRecordProcessor) -> None:
    """Take ``processor`` out of a logger provider again."""
    multi: Any = getattr(provider, "_multi_log_record_processor", None)
    if isinstance(getattr(multi, "_log_record_processors", None), tuple):
        with multi._lock:
            multi._log_record_processors = tuple(
                one for one in multi._log_record_processors if one is not processor
            )
