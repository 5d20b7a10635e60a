"""Events: log records of the GenAI conventions by the OpenTelemetry Logs API."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import _logs
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context

from spantally.calls.telemetry import SCOPE_NAME, own_version
from spantally.ground import semconv
from spantally.ground.guard import swallowed

SEVERITIES: Final[Mapping[str, SeverityNumber]] = {
    semconv.EVENT_OPERATION_DETAILS: SeverityNumber.DEBUG,
    semconv.EVENT_EXCEPTION: SeverityNumber.WARN,
    semconv.EVENT_EVALUATION_RESULT: SeverityNumber.INFO,
    semconv.EVENT_DECISION: SeverityNumber.INFO,
}
"""Severity of each event, by the conventions."""

_OWN: Final = SeverityNumber.INFO
"""Of the events that a program names itself."""

_VARIABLES: Final = ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")


class EventEmitter:
    """Sends events to a logger provider, the global one by default. What it sends is redacted already.

    Args:
        provider: a logger provider; None for the global one.
        schema_url: of the profile that the names are of.
    """

    def __init__(self, provider: Any, schema_url: str | None = None) -> None:
        self.provider = provider
        self.logger = _logs.get_logger(
            SCOPE_NAME, own_version(), logger_provider=provider, schema_url=schema_url
        )

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

    def is_heard(self, name: str) -> bool:
        """Whether anybody gets an event: else nothing is to be built for it.

        Nobody does where no logger provider is set, and where none of its processors but ours listens.

        Args:
            name: of the event.
        """
        if self.provider is None and type(_logs.get_logger_provider()) is _PROXY:
            return False
        enabled = getattr(self.logger, "enabled", None)
        if enabled is None:
            # An older API does not tell, but for a logger that drops all.
            return not isinstance(getattr(self.logger, "_logger", self.logger), _logs.NoOpLogger)
        return bool(enabled(severity_number=SEVERITIES.get(name, _OWN), event_name=name))

    def __call__(
        self, name: str, attributes: Mapping[str, Any], context: Context, time_ns: int | None = None
    ) -> None:
        """Send one event.

        Args:
            name: of the event, by the conventions.
            attributes: redacted, structured.
            context: whose span the event belongs to.
            time_ns: when it happened; now, by default.
        """
        try:
            severity = SEVERITIES.get(name, _OWN)
            self.logger.emit(
                LogRecord(
                    event_name=name,
                    timestamp=time_ns or time.time_ns(),
                    severity_number=severity,
                    severity_text=severity.name,
                    attributes=dict(attributes),
                    context=context,
                )
            )
        except Exception as error:
            swallowed("api.event", error)


_PROXY: Final = getattr(_logs, "ProxyLoggerProvider", None) or getattr(
    getattr(_logs, "_internal", None), "ProxyLoggerProvider", None
)
"""Class of the provider that stands where none is set."""
