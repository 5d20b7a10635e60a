"""The backstop of log records; see :mod:`spantally.otel.exporters`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from spantally.calls.telemetry import RedactorLike
from spantally.ground.guard import swallowed
from spantally.otel.bounded import Bounded
from spantally.otel.exporters import Backstop
from spantally.otel.log_processor import closed_record, redact_record
from spantally.otel.safe_values import REDACTED_ERROR
from spantally.otel.shared_parts import safe_resource, safe_scope


class RedactingLogExporter(Backstop, LogRecordExporter):
    """Takes secrets out of log records before another exporter sends them.

    Args:
        inner: the exporter that sends; its results are handed on as they are.
        redact: False lets records pass; an object replaces the default redactor.

    Raises:
        SettingsError: ``redact`` is none of these.
    """

    def export(self, batch: Sequence[Any]) -> Any:
        """Send the records without their secrets, by the inner exporter."""
        redactor = self._redactor()
        if redactor is not None:
            batch = [safe for one in batch if (safe := _safe_log(one, redactor)) is not None]
        return self.inner.export(batch)


def _safe_log(one: Any, redactor: RedactorLike) -> Any:
    try:
        record = copy.copy(one.log_record)
        redact_record(record, Bounded(redactor))
        return replace(
            one,
            log_record=record,
            resource=safe_resource(one.resource, redactor),
            instrumentation_scope=safe_scope(one.instrumentation_scope, redactor),
        )
    except Exception as error:
        swallowed("redaction.export_log", error)
    try:
        scope = InstrumentationScope(REDACTED_ERROR)
        record = closed_record(one.log_record)
        return replace(one, log_record=record, resource=Resource({}), instrumentation_scope=scope)
    except Exception as error:
        swallowed("redaction.export_log_closed", error)
        return None
