"""Content events: structured log records by the OpenTelemetry Logs API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import _logs
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context

from spantally.calls.telemetry import SCOPE_NAME
from spantally.ground.guard import swallowed

DEBUG: Final = SeverityNumber.DEBUG
"""Severity of the operation-details event, by the conventions."""


class EventEmitter:
    """Sends events to a logger provider, the global one by default. What it sends is redacted already."""

    def __init__(self, provider: Any) -> None:
        self.logger = _logs.get_logger(SCOPE_NAME, logger_provider=provider)

    def __call__(self, name: str, attributes: Mapping[str, Any], context: Context) -> None:
        """Send one event.

        Args:
            name: of the event, by the conventions.
            attributes: redacted, structured.
            context: whose span the event belongs to.
        """
        try:
            self.logger.emit(
                LogRecord(
                    event_name=name,
                    timestamp=time.time_ns(),
                    severity_number=DEBUG,
                    severity_text="DEBUG",
                    attributes=dict(attributes),
                    context=context,
                )
            )
        except Exception as error:
            swallowed("api.event", error)
