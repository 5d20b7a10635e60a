"""Whose work a log line is about: session, trace and agent on records of the standard logging."""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from spantally.api.kept_records import kept_name
from spantally.ground import semconv
from spantally.ground.guard import counted
from spantally.ground.scope import current_scope
from spantally.otel.implicit import scope_of_trace


class LogFilter(logging.Filter):
    """Adds ``session_id``, ``trace_id``, ``span_id`` and ``agent`` to log records; lets every record pass.

    Add it to a handler (of several, to the first that runs where the record is made: the ``QueueHandler``)
    and name the fields in its format: ``%(session_id)s``. What is not known is an empty text, ids of trace
    and span are hexadecimal, ``agent`` is the path of agents, ``planner > researcher``. A field that a record
    has already stays as it is. It never raises.
    """

    def __init__(self) -> None:
        super().__init__()

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields.

        Returns:
            True, always.
        """
        self.add_to(record)
        return True

    @staticmethod
    def add_to(record: logging.LogRecord) -> None:
        """Add the fields to a record: for a record factory, whose records have them on every handler.

        Args:
            record: of the standard library's logging.
        """
        fields: dict[str, Any] = record.__dict__
        session_id = trace_id = span_id = agent = ""
        try:
            context = otel_context.get_current()
            scope = current_scope(context)
            span = trace.get_current_span(context).get_span_context()
            if span.is_valid:
                trace_id, span_id = f"{span.trace_id:032x}", f"{span.span_id:016x}"
                if scope is None:  # perhaps a request that another service's session came with
                    scope = scope_of_trace(span.trace_id)
            if scope is not None:
                session_id = kept_name(scope.session.session_id, semconv.SESSION_ID)
                if scope.agent_path:
                    agent = " > ".join(kept_name(one, semconv.AGENT_NAME) for one in scope.agent_path)
        except Exception as error:
            counted("api.log_record", error)  # without a log line, which would come by here again
        put = fields.setdefault
        put("session_id", session_id)
        put("trace_id", trace_id)
        put("span_id", span_id)
        put("agent", agent)
