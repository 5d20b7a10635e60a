"""Events: log records of the GenAI conventions by the OpenTelemetry Logs API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import _logs
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context

from spantally.calls.telemetry import SCOPE_NAME
from spantally.ground import semconv
from spantally.ground.guard import swallowed

SEVERITIES: Final[Mapping[str, SeverityNumber]] = {
    semconv.EVENT_OPERATION_DETAILS: SeverityNumber.DEBUG,
    semconv.EVENT_EXCEPTION: SeverityNumber.WARN,
}
"""Severity of each event, by the conventions."""


class EventEmitter:
    """Sends events to a logger provider, the global one by default. What it sends is redacted already.

    Args:
        provider: a logger provider; None for the global one.
        schema_url: of the profile that the names are of.
    """

    def __init__(self, provider: Any, schema_url: str | None = None) -> None:
        self._provider = provider
        self.logger = _logs.get_logger(SCOPE_NAME, logger_provider=provider, schema_url=schema_url)

    def is_heard(self) -> bool:
        """False where no logger provider is set: what is costly to make need not be made."""
        return self._provider is not None or type(_logs.get_logger_provider()) is not _PROXY

    def __call__(self, name: str, attributes: Mapping[str, Any], context: Context) -> None:
        """Send one event.

        Args:
            name: of the event, by the conventions.
            attributes: redacted, structured.
            context: whose span the event belongs to.
        """
        try:
            severity = SEVERITIES[name]
            self.logger.emit(
                LogRecord(
                    event_name=name,
                    timestamp=time.time_ns(),
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
