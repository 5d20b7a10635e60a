"""Content events: structured log records by the OpenTelemetry Logs API."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import _logs
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context

from spantally.calls.telemetry import SCOPE_NAME
from spantally.ground import semconv
from spantally.ground.guard import swallowed

DEBUG: Final = SeverityNumber.DEBUG
"""Severity of the operation-details event, by the conventions."""

_VARIABLES: Final = ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")


class EventEmitter:
    """Sends events to a logger provider, the global one by default. What it sends is redacted already."""

    def __init__(self, provider: Any) -> None:
        self.provider = provider
        self.logger = _logs.get_logger(SCOPE_NAME, logger_provider=provider)

    @property
    def value_limit(self) -> int | None:
        """The most characters that the provider in use keeps of a text; the SDK would cut what is longer."""
        provider = _logs.get_logger_provider() if self.provider is None else self.provider
        limits = getattr(provider, "_log_record_limits", None)
        if limits is not None:
            limit: int | None = limits.max_log_record_attribute_length
            return limit
        for name in _VARIABLES:  # an SDK that takes no limits in code heeds the standard variables
            text = os.environ.get(name, "").strip()
            if text.isdigit():
                return int(text)
        return None

    def is_heard(self) -> bool:
        """Whether anybody gets the events: else nothing is to be built for them."""
        enabled = getattr(self.logger, "enabled", None)
        if enabled is None:
            # An older API does not tell, but for a logger that drops all.
            return not isinstance(getattr(self.logger, "_logger", self.logger), _logs.NoOpLogger)
        return bool(enabled(severity_number=DEBUG, event_name=semconv.EVENT_OPERATION_DETAILS))

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
