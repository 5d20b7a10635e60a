"""Redaction: value in, safe value out. Pure, linear in time, and closed on failure."""

from __future__ import annotations

from spantally.redaction.default import default_redactor, redact
from spantally.redaction.presidio import presidio_rule
from spantally.redaction.redactor import Redactor, Rule
from spantally.redaction.registry import follow_environment, register_environment, register_literal
from spantally.redaction.tags import ERROR_TAG

__all__ = [
    "ERROR_TAG",
    "Redactor",
    "Rule",
    "default_redactor",
    "follow_environment",
    "presidio_rule",
    "redact",
    "register_environment",
    "register_literal",
]
