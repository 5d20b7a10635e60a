"""Checks spans of any package against the GenAI conventions: rules as data, findings that advise.

Reads OTLP JSON and knows neither SDKs nor ledger. Attribute names are spelled out here once more, on purpose:
a checker that took them from the table that our own spans are made with would agree with its misspellings.
"""

from spantally.conformance.engine import RULES, check, genai_events, genai_spans
from spantally.conformance.model import Event, Finding, Scope, Severity, Span
from spantally.conformance.profiles import PROFILES, Profile

__all__ = [
    "PROFILES",
    "RULES",
    "Event",
    "Finding",
    "Profile",
    "Scope",
    "Severity",
    "Span",
    "check",
    "genai_events",
    "genai_spans",
]
