"""spantally: watches LLM, tool and agent calls, emits them redacted, and tallies what each session spent.

The public names; everything else may change without notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spantally.api.attribution import attribute, bind
    from spantally.api.evaluation import evaluation, feedback
    from spantally.api.fold import Totals
    from spantally.api.logs import LogFilter
    from spantally.api.opening import session
    from spantally.api.pausing import paused, untracked
    from spantally.api.processor import SpanProcessor
    from spantally.api.runtime import flush, instrument, uninstrument
    from spantally.api.said import decision
    from spantally.api.session import Session
    from spantally.api.sinks import add_exporter, remove_exporter
    from spantally.api.work import agent, tool, workflow, wrap_tools
    from spantally.budgets.budget import Budget, BudgetNotice, Remaining
    from spantally.budgets.loops import LoopGuard
    from spantally.ground.errors import (
        ArgumentError,
        BudgetExceeded,
        LedgerError,
        LoopDetected,
        SettingsError,
        SpantallyError,
    )
    from spantally.instrumentors.anthropic import AnthropicInstrumentor
    from spantally.instrumentors.baggage import BaggageInstrumentor
    from spantally.instrumentors.fastapi import FastAPIInstrumentor
    from spantally.instrumentors.httpx2 import HTTPX2Instrumentor
    from spantally.instrumentors.langchain import LangChainInstrumentor
    from spantally.instrumentors.mcp import MCPInstrumentor
    from spantally.instrumentors.openai import OpenAIInstrumentor
    from spantally.instrumentors.openai_agents import OpenAIAgentsInstrumentor
    from spantally.instrumentors.processes import ProcessesInstrumentor
    from spantally.instrumentors.pydantic_ai import PydanticAIInstrumentor
    from spantally.instrumentors.threads import ThreadingInstrumentor
    from spantally.instrumentors.tools import ToolsInstrumentor
    from spantally.ledger.merging import Merged, merge_ledgers
    from spantally.ledger.repricing import RepriceRow, Repricing
    from spantally.otel.exporters import RedactingSpanExporter
    from spantally.otel.log_exporter import RedactingLogExporter
    from spantally.otel.metric_exporter import RedactingMetricExporter
    from spantally.pricing.price import Cost, price
    from spantally.queries.figures import Figures
    from spantally.queries.graph import GraphEdge, GraphNode, SessionGraph
    from spantally.queries.ledger import Ledger, open_ledger
    from spantally.queries.summary import Summary, SummaryRow
    from spantally.redaction import Redactor, redact
    from spantally.sinks.exporters import CallbackExporter, FilterExporter, JsonlExporter, LoggingExporter

    __version__: str

__all__ = [
    "AnthropicInstrumentor",
    "ArgumentError",
    "BaggageInstrumentor",
    "Budget",
    "BudgetExceeded",
    "BudgetNotice",
    "CallbackExporter",
    "Cost",
    "FastAPIInstrumentor",
    "Figures",
    "FilterExporter",
    "GraphEdge",
    "GraphNode",
    "HTTPX2Instrumentor",
    "JsonlExporter",
    "LangChainInstrumentor",
    "Ledger",
    "LedgerError",
    "LogFilter",
    "LoggingExporter",
    "LoopDetected",
    "LoopGuard",
    "MCPInstrumentor",
    "Merged",
    "OpenAIAgentsInstrumentor",
    "OpenAIInstrumentor",
    "ProcessesInstrumentor",
    "PydanticAIInstrumentor",
    "RedactingLogExporter",
    "RedactingMetricExporter",
    "RedactingSpanExporter",
    "Redactor",
    "Remaining",
    "RepriceRow",
    "Repricing",
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
    "add_exporter",
    "agent",
    "attribute",
    "bind",
    "decision",
    "evaluation",
    "feedback",
    "flush",
    "instrument",
    "merge_ledgers",
    "open_ledger",
    "paused",
    "price",
    "redact",
    "remove_exporter",
    "session",
    "tool",
    "uninstrument",
    "untracked",
    "workflow",
    "wrap_tools",
]

_LAZY = {
    "add_exporter": "spantally.api.sinks",
    "remove_exporter": "spantally.api.sinks",
    "CallbackExporter": "spantally.sinks.exporters",
    "FilterExporter": "spantally.sinks.exporters",
    "JsonlExporter": "spantally.sinks.exporters",
    "LoggingExporter": "spantally.sinks.exporters",
    "RepriceRow": "spantally.ledger.repricing",
    "Repricing": "spantally.ledger.repricing",
    "Figures": "spantally.queries.figures",
    "SummaryRow": "spantally.queries.summary",
    "Summary": "spantally.queries.summary",
    "SessionGraph": "spantally.queries.graph",
    "GraphNode": "spantally.queries.graph",
    "GraphEdge": "spantally.queries.graph",
    "merge_ledgers": "spantally.ledger.merging",
    "Merged": "spantally.ledger.merging",
    "workflow": "spantally.api.work",
    "evaluation": "spantally.api.evaluation",
    "feedback": "spantally.api.evaluation",
    "decision": "spantally.api.said",
    "ArgumentError": "spantally.ground.errors",
    "Budget": "spantally.budgets.budget",
    "BudgetExceeded": "spantally.ground.errors",
    "BudgetNotice": "spantally.budgets.budget",
    "LedgerError": "spantally.ground.errors",
    "LoopDetected": "spantally.ground.errors",
    "LoopGuard": "spantally.budgets.loops",
    "Remaining": "spantally.budgets.budget",
    "SettingsError": "spantally.ground.errors",
    "SpantallyError": "spantally.ground.errors",
    "Session": "spantally.api.session",
    "session": "spantally.api.opening",
    "Totals": "spantally.api.fold",
    "agent": "spantally.api.work",
    "tool": "spantally.api.work",
    "wrap_tools": "spantally.api.work",
    "attribute": "spantally.api.attribution",
    "bind": "spantally.api.attribution",
    "paused": "spantally.api.pausing",
    "untracked": "spantally.api.pausing",
    "flush": "spantally.api.runtime",
    "instrument": "spantally.api.runtime",
    "uninstrument": "spantally.api.runtime",
    "Ledger": "spantally.queries.ledger",
    "open_ledger": "spantally.queries.ledger",
    "AnthropicInstrumentor": "spantally.instrumentors.anthropic",
    "FastAPIInstrumentor": "spantally.instrumentors.fastapi",
    "HTTPX2Instrumentor": "spantally.instrumentors.httpx2",
    "LangChainInstrumentor": "spantally.instrumentors.langchain",
    "MCPInstrumentor": "spantally.instrumentors.mcp",
    "ProcessesInstrumentor": "spantally.instrumentors.processes",
    "OpenAIAgentsInstrumentor": "spantally.instrumentors.openai_agents",
    "PydanticAIInstrumentor": "spantally.instrumentors.pydantic_ai",
    "OpenAIInstrumentor": "spantally.instrumentors.openai",
    "ThreadingInstrumentor": "spantally.instrumentors.threads",
    "ToolsInstrumentor": "spantally.instrumentors.tools",
    "SpanProcessor": "spantally.api.processor",
    "RedactingLogExporter": "spantally.otel.log_exporter",
    "RedactingMetricExporter": "spantally.otel.metric_exporter",
    "RedactingSpanExporter": "spantally.otel.exporters",
    "Redactor": "spantally.redaction",
    "price": "spantally.pricing.price",
    "Cost": "spantally.pricing.price",
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
    from spantally.ground.importing import imported

    value = getattr(imported(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
