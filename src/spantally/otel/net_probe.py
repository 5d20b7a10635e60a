"""Which redaction net holds on this SDK: tried on a throw-away provider when somebody asks (``doctor``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from spantally.ground.guard import swallowed
from spantally.otel.redaction_net import redact_ending_span

NET_ON_ENDING: Final = "on_ending"
NET_FRONT: Final = "front"
NET_NONE: Final = "none"


class NetReport(NamedTuple):
    """Which redaction net is in use, and what it was seen to do.

    Attributes:
        net: ``on_ending`` (seen by every processor), ``front`` (seen by processors after ours) or ``none``.
        earlier: True if a processor added before ours got redacted bytes.
        later: True if a processor added after ours did.
        detail: one sentence for ``spantally doctor``.
    """

    net: str
    earlier: bool
    later: bool
    detail: str


_PROBE: Final = "spantally-probe-5f1c"


class _ProbeRedactor:
    def text(self, text: str, key: str | None = None) -> str:
        return text.replace(_PROBE, "gone")

    def value(self, value: Any, key: str | None = None) -> Any:
        return self.text(value) if isinstance(value, str) else value

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self.value(value, key) for key, value in attributes.items()}


class _FixedIds(IdGenerator):
    """Ids of the throw-away span: the SDK's own generator would draw from the program's ``random``."""

    def generate_span_id(self) -> int:
        return 0x5F1C

    def generate_trace_id(self) -> int:
        return 0x5F1C


class _Serialising(SpanProcessor):
    """Keeps what an exporter would have sent at once: text, not a reference."""

    def __init__(self) -> None:
        self.sent = ""

    def on_end(self, span: ReadableSpan) -> None:
        """Serialise every part of the span."""
        self.sent = repr(
            (
                span.name,
                dict(span.attributes or {}),
                span.status.description,
                [(event.name, dict(event.attributes or {})) for event in span.events],
                [dict(link.attributes or {}) for link in span.links],
                dict(span.resource.attributes),
                span.instrumentation_scope and span.instrumentation_scope.version,
                span.get_span_context(),
            )
        )

    @property
    def clean(self) -> bool:
        """True if a span came and the probe was not in it."""
        return bool(self.sent) and _PROBE not in self.sent


class _Net(SpanProcessor):
    def __init__(self, *, on_ending: bool) -> None:
        self._at_end = not on_ending

    def _on_ending(self, span: Any) -> None:
        if not self._at_end:
            redact_ending_span(span, _ProbeRedactor())

    def on_end(self, span: ReadableSpan) -> None:
        if self._at_end:
            redact_ending_span(span, _ProbeRedactor())


def _try(*, on_ending: bool) -> tuple[bool, bool]:
    before, after = _Serialising(), _Serialising()
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=Resource({"probe": _PROBE}),
        shutdown_on_exit=False,
        id_generator=_FixedIds(),
    )
    for processor in (before, _Net(on_ending=on_ending), after):
        provider.add_span_processor(processor)
    other = SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(0))
    parent = SpanContext(2, 2, True, TraceFlags(1), TraceState([("probe", _PROBE)]))
    span = provider.get_tracer("spantally.feature_test", _PROBE).start_span(
        _PROBE,
        context=set_span_in_context(NonRecordingSpan(parent), Context()),
        attributes={"a": _PROBE},
        links=[Link(other, {"b": _PROBE})],
    )
    span.add_event(_PROBE, {"c": _PROBE})
    span.set_status(Status(StatusCode.ERROR, _PROBE))
    span.end()
    return before.clean, after.clean


def feature_test() -> NetReport:
    """Try the net on a throw-away provider, judged by what an exporter before and after it would send."""
    try:
        earlier, later = _try(on_ending=True)
        if earlier and later:
            return NetReport(NET_ON_ENDING, True, True, "every processor of the provider gets redacted spans")
        earlier, later = _try(on_ending=False)
        if later:
            detail = (
                "this SDK does not let a span be redacted as it ends; "
                "only processors behind spantally's get redacted spans, so it stands in front"
            )
            return NetReport(NET_FRONT, earlier, True, detail)
        if not earlier and _sdk_disabled():
            return NetReport(
                NET_NONE, False, False, "the SDK is disabled (OTEL_SDK_DISABLED): no span is made"
            )
    except Exception as error:
        swallowed("redaction.feature_test", error)
    return NetReport(
        NET_NONE,
        False,
        False,
        "spans cannot be redacted with this SDK; spantally redacts only its own at the source",
    )


def _sdk_disabled() -> bool:
    import os

    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
