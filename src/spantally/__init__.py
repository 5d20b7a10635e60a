"""spantally: watches LLM, tool and agent calls, emits them redacted, and tallies what each session spent.

The public names; everything else may change without notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spantally.api.fold import Totals
    from spantally.api.pausing import paused
    from spantally.api.processor import SpanProcessor
    from spantally.api.runtime import flush, instrument, uninstrument
    from spantally.api.said import decision, evaluation
    from spantally.api.session import Session, session
    from spantally.api.work import agent, tool, workflow, wrap_tools
    from spantally.ground.errors import ArgumentError, LedgerError, SettingsError, SpantallyError
    from spantally.instrumentors.openai import OpenAIInstrumentor
    from spantally.instrumentors.threads import ThreadingInstrumentor
    from spantally.instrumentors.tools import ToolsInstrumentor
    from spantally.ledger.merging import Merged, merge_ledgers
    from spantally.queries.figures import Figures
    from spantally.queries.graph import GraphEdge, GraphNode, SessionGraph
    from spantally.queries.ledger import Ledger, open_ledger
    from spantally.queries.summary import Summary, SummaryRow
    from spantally.redaction import Redactor, redact

    __version__: str

__all__ = [
    "ArgumentError",
    "Figures",
    "GraphEdge",
    "GraphNode",
    "Ledger",
    "LedgerError",
    "Merged",
    "OpenAIInstrumentor",
    "Redactor",
    "Session",
    "SessionGraph",
    "SettingsError",
    "SpanProcessor",
    "SpantallyError",
    "Summary",
    "SummaryRow",
    "ThreadingInstrumentor",
    "ToolsInstrumentor",
    "Totals",
    "__version__",
    "agent",
    "decision",
    "evaluation",
    "flush",
    "instrument",
    "merge_ledgers",
    "open_ledger",
    "paused",
    "redact",
    "session",
    "tool",
    "uninstrument",
    "workflow",
    "wrap_tools",
]

_LAZY = {
    "Figures": "spantally.queries.figures",
    "SummaryRow": "spantally.queries.summary",
    "Summary": "spantally.queries.summary",
    "SessionGraph": "spantally.queries.graph",
    "GraphNode": "spantally.queries.graph",
    "GraphEdge": "spantally.queries.graph",
    "merge_ledgers": "spantally.ledger.merging",
    "Merged": "spantally.ledger.merging",
    "workflow": "spantally.api.work",
    "evaluation": "spantally.api.said",
    "decision": "spantally.api.said",
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
