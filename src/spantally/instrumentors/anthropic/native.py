"""Clients that trace themselves (anthropic 2.x): when they do, and whose span stands for a call.

Their span begins inside of ``request()``, beneath our operation. Where it will begin, at the provider that we
report to, we make none: the call is metered, and their span completed while it is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace

from spantally.calls.joining import AROUND, WITHIN, Join
from spantally.calls.telemetry import Telemetry
from spantally.ground.guard import swallowed


def where_spans_are(telemetry: Telemetry, client: Any, options: Any) -> Join:
    """Where another span of this request may be found.

    Args:
        telemetry: where we report to.
        client: of the SDK.
        options: of the request.
    """
    try:
        if traces_itself(telemetry, client, options):
            return WITHIN
    except Exception as error:
        swallowed("anthropic.native", error)
    return AROUND


def traces_itself(telemetry: Telemetry, client: Any, options: Any) -> bool:
    """Whether the client will make a span of this request at the provider that we report to.

    Args:
        telemetry: where we report to.
        client: of the SDK.
        options: of the request; one that no method of the SDK made has no name for a span.
    """
    if not getattr(options, "span_name", None) or getattr(client, "_tracer", None) is None:
        return False
    settings = getattr(client, "_open_telemetry", None)
    theirs = settings.get("tracer_provider") if isinstance(settings, Mapping) else None
    everybodys = trace.get_tracer_provider()
    return (theirs or everybodys) is (telemetry.provider or everybodys)


def conversation_of(client: Any) -> str | None:
    """The conversation that the client's own option names."""
    named = getattr(getattr(client, "_otel", None), "conversation_id", None)
    return named if isinstance(named, str) and named else None
