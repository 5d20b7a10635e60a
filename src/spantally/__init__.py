"""spantally: watches LLM, tool and agent calls, emits them redacted, and tallies what each session spent.

The public names; everything else may change without notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spantally.api.pausing import paused
from spantally.api.runtime import flush, instrument, uninstrument
from spantally.api.session import Session, session
from spantally.api.totals import Totals
from spantally.api.work import agent, tool, wrap_tools
from spantally.ground.errors import ArgumentError, LedgerError, SettingsError, SpantallyError

if TYPE_CHECKING:
    from spantally.instrumentors.openai import OpenAIInstrumentor
    from spantally.instrumentors.threads import ThreadingInstrumentor
    from spantally.instrumentors.tools import ToolsInstrumentor
    from spantally.otel.span_processor import SpanProcessor
    from spantally.queries.ledger import Ledger, open_ledger
    from spantally.redaction import Redactor, redact

    __version__: str

__all__ = [
    "ArgumentError",
    "Ledger",
    "LedgerError",
    "OpenAIInstrumentor",
    "Redactor",
    "Session",
    "SettingsError",
    "SpanProcessor",
    "SpantallyError",
    "ThreadingInstrumentor",
    "ToolsInstrumentor",
    "Totals",
    "__version__",
    "agent",
    "flush",
    "instrument",
    "open_ledger",
    "paused",
    "redact",
    "session",
    "tool",
    "uninstrument",
    "wrap_tools",
]

_LAZY = {
    "Ledger": "spantally.queries.ledger",
    "open_ledger": "spantally.queries.ledger",
    "OpenAIInstrumentor": "spantally.instrumentors.openai",
    "ThreadingInstrumentor": "spantally.instrumentors.threads",
    "ToolsInstrumentor": "spantally.instrumentors.tools",
    "SpanProcessor": "spantally.otel.span_processor",
    "Redactor": "spantally.redaction",
    "redact": "spantally.redaction",
}
"""Names whose modules a program may never need: imported at their first use."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("spantally")
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'spantally' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
