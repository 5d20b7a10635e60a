"""Reasoning that a host bills as output and leaves out of its count of output tokens.

The conventions and the ledger count it within the output, whatever the host does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_XAI: Final = ("x_ai", "xai")
_PERPLEXITY: Final = "perplexity"
_GOOGLE: Final = "gcp."


def may_leave_out(provider: str) -> bool:
    """True for a ``gen_ai.provider.name`` whose output count may lack its reasoning."""
    return provider in _XAI or provider == _PERPLEXITY or provider.startswith(_GOOGLE)


def thoughts_outside(
    provider: str, count: Callable[[str], int], total: int | None, known: int, reasoning: int
) -> tuple[int, int]:
    """Output tokens that the provider bills and leaves out of its output count, and all reasoning.

    xAI counts reasoning beside ``completion_tokens`` and adds both to ``total_tokens``
    (docs.x.ai/docs/guides/reasoning); so does Perplexity, at the top level and only for deep research, where
    no total contains it (docs.perplexity.ai/docs/sonar/models). Gemini leaves thoughts out of the candidates'
    count and adds them to the total (ai.google.dev/gemini-api/docs/thinking). OpenAI counts reasoning inside
    (platform.openai.com/docs/guides/reasoning): there a larger total says nothing.

    Args:
        provider: ``gen_ai.provider.name``.
        count: gives a count of the usage object by its name, 0 where there is none.
        total: ``total_tokens``, None where there is none.
        known: input and output as counted.
        reasoning: reasoning tokens in the details.
    """
    if provider in _XAI:
        told = reasoning or count("reasoning_tokens")
        return (told if total is None or total == known + told else 0), told
    if provider == _PERPLEXITY:
        told = count("reasoning_tokens")
        return told, told or reasoning
    if provider.startswith(_GOOGLE):
        return max(0, (total or 0) - known), reasoning
    return 0, reasoning
