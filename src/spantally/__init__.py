"""spantally: watches LLM, tool and agent calls, emits them redacted, and tallies what each session spent.

The public names; everything else may change without notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spantally.api.fold import Totals
    from spantally.api.logs import LogFilter
    from spantally.api.pausing import paused
    from spantally.api.processor import SpanProcessor
    from spantally.api.runtime import flush, instrument, uninstrument
    from spantally.api.session import Session, session
    from spantally.api.work import agent, tool, wrap_tools
    from spantally.ground.errors import ArgumentError, LedgerError, SettingsError, SpantallyError
    from spantally.instrumentors.baggage import BaggageInstrumentor
    from spantally.instrumentors.openai import OpenAIInstrumentor
    from spantally.instrumentors.threads import ThreadingInstrumentor
    from spantally.instrumentors.tools import ToolsInstrumentor
    from spantally.queries.ledger import Ledger, open_ledger
    from spantally.redaction import Redactor, redact

    __version__: str

__all__ = [
    "ArgumentError",
    "BaggageInstrumentor",
    "Ledger",
    "LedgerError",
    "LogFilter",
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
    "ArgumentError": "spantally.ground.errors",
    "LedgerError": "spantally.ground.errors",
    "SettingsError": "spantally.ground.errors",
    "SpantallyError": "spantally.ground.errors",
    "Session": "spantally.api.session",
    "session": "spantally.api.session",
    "Totals": "spantally.api.fold",
    "agent": "spantally.api.work",
    "tool": "spantally.api.work",
    "wrap_tools": "spantally.api.work",
    "paused": "spantally.api.pausing",
    "flush": "spantally.api.runtime",
    "instrument": "spantally.api.runtime",
    "uninstrument": "spantally.api.runtime",
    "Ledger": "spantally.queries.ledger",
    "open_ledger": "spantally.queries.ledger",
    "OpenAIInstrumentor": "spantally.instrumentors.openai",
    "ThreadingInstrumentor": "spantally.instrumentors.threads",
    "ToolsInstrumentor": "spantally.instrumentors.tools",
    "SpanProcessor": "spantally.api.processor",
    "Redactor": "spantally.redaction",
    "redact": "spantally.redaction",
    "BaggageInstrumentor": "spantally.instrumentors.baggage",
    "LogFilter": "spantally.api.logs",
}
"""Public names and their modules, imported at the first use: ``import spantally`` costs next to nothing, and
a hook that loads an entry point of ours cannot fail before its guard stands."""


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
