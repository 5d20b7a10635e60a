"""The backstop: exporters that redact what they are given before another exporter sends it.

They stand last, behind every processor, and need nothing of ours in the provider. What went through the other
nets is known by its attributes and passes unscanned. What is scanned here is scanned on the thread that
exports. The spans, records and metrics that came in stay as they are: they may be others' too.

They fail closed: of what cannot be scanned the ids, times and numbers are sent, and none of its texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Status

from spantally.calls.telemetry import RedactorLike
from spantally.ground.guard import swallowed
from spantally.otel.redaction_net import redacted_copy
from spantally.otel.redactors import redactor_of
from spantally.otel.safe_values import REDACTED_ERROR
from spantally.otel.shared_parts import context_with

_NUMBERS: Final = (bool, int, float)


class Backstop:
    """What the exporters of all signals have in common.

    Attributes:
        inner: the exporter that sends.
    """

    def __init__(
        self, inner: Any, redact: bool | RedactorLike | Callable[[], RedactorLike | None] = True
    ) -> None:
        self.inner = inner
        if callable(redact) and not hasattr(redact, "attributes"):
            self._redactor: Callable[[], RedactorLike | None] = redact
        else:
            made = redactor_of(redact)
            self._redactor = lambda: made

    def __getattr__(self, name: str) -> Any:
        # Whatever else the inner exporter has is asked of it: a reader looks for its preferences there.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def shutdown(self, *args: Any, **kwargs: Any) -> None:
        """Shut the inner exporter down."""
        self.inner.shutdown(*args, **kwargs)

    def force_flush(self, *args: Any, **kwargs: Any) -> bool:
        """Flush the inner exporter."""
        return self.inner.force_flush(*args, **kwargs) is not False


class RedactingSpanExporter(Backstop, SpanExporter):
    """Takes secrets out of spans before another exporter sends them.

    For an exporter whose provider has no processor of spantally's, or to be sure: it needs no private name of
    the SDK's providers. Spans that were redacted as they ended are not scanned again.

    Args:
        inner: the exporter that sends; its results are handed on as they are.
        redact: False lets spans pass; an object replaces the default redactor.

    Example:
        >>> exporter = RedactingSpanExporter(ConsoleSpanExporter())

    Raises:
        SettingsError: ``redact`` is none of these.
    """

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans without their secrets, by the inner exporter."""
        redactor = self._redactor()
        if redactor is not None:
            spans = [safe for span in spans if (safe := safe_span(span, redactor)) is not None]
        result: SpanExportResult = self.inner.export(spans)
        return result


def safe_span(span: Any, redactor: RedactorLike) -> Any:
    """A finished span without secrets: a copy, itself where it is safe, or None where not even its bones are.

    Args:
        span: a ``ReadableSpan``.
        redactor: what scans.
    """
    try:
        return redacted_copy(span, redactor)
    except Exception as error:
        swallowed("redaction.export", error)
    try:
        return _bones(span)
    except Exception as error:
        swallowed("redaction.export_closed", error)
        return None


def _bones(span: Any) -> ReadableSpan:
    """Ids, times, status and numbers of a span, by public names alone."""
    context, parent, status = span.get_span_context(), span.parent, span.status
    return ReadableSpan(
        name=REDACTED_ERROR,
        context=None if context is None else context_with(context, None),
        parent=None if parent is None else context_with(parent, None),
        resource=Resource({}),
        attributes={
            key: value if isinstance(value, _NUMBERS) else REDACTED_ERROR
            for key, value in (span.attributes or {}).items()
            if isinstance(value, _NUMBERS) or key.startswith("gen_ai.")
        },
        kind=span.kind,
        status=Status(status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=InstrumentationScope(REDACTED_ERROR),
    )
