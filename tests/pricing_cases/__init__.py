"""Calls with what they cost, worked out by hand: one module for each family of providers."""

from __future__ import annotations

from pricing_cases import anthropic, azure_and_hosts, bedrock, google, openai, openai_tools
from pricing_cases.case import Case

CASES: tuple[Case, ...] = (
    *openai.CASES,
    *openai_tools.CASES,
    *anthropic.CASES,
    *google.CASES,
    *bedrock.CASES,
    *azure_and_hosts.CASES,
)
