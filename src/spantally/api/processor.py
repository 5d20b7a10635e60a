"""The public span processor, with a ledger behind it even where nothing else of ours is active."""

from __future__ import annotations

from spantally.api.store import sink_of
from spantally.otel.span_processor import SpanProcessor, set_ledger_opener

__all__ = ["SpanProcessor"]

set_ledger_opener(sink_of)
