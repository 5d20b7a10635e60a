"""From a provider's usage object to disjoint parts: the counting rules, a module for each family.

Every rule names the document it follows. A part that lies *inside* a total is taken out of it, so that
each token is counted once; what cannot be (more cached tokens than input, a negative count) is
:class:`BadUsage`, never a repaired number. Fields that are not known are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from spantally.ground.money import UsageParts
from spantally.ground.records import UsageFormat
from spantally.pricing.usage import anthropic, bedrock, cohere, conventions, google, openai
from spantally.pricing.usage.counts import MAX_COUNT, BadUsage, NoUsage, Pass, Reading
from spantally.pricing.usage.reported import MAX_REPORTED_USD, REPORTS, reported_cost
from spantally.pricing.usage.tools import with_server_tools

__all__ = [
    "MAX_COUNT",
    "MAX_REPORTED_USD",
    "REPORTS",
    "BadUsage",
    "NoUsage",
    "Pass",
    "Reading",
    "normalise",
    "read",
    "reported_cost",
    "with_server_tools",
]

_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], str | None], Reading]]] = {
    UsageFormat.OPENAI_CHAT: openai.chat,
    UsageFormat.OPENAI_RESPONSES: openai.responses,
    UsageFormat.SEMCONV: conventions.attributes,
    UsageFormat.PARTS: conventions.already_parts,
    UsageFormat.ANTHROPIC: anthropic.messages,
    UsageFormat.GEMINI: google.usage_metadata,
    UsageFormat.BEDROCK: bedrock.converse,
    UsageFormat.COHERE: cohere.billed,
    UsageFormat.RECORDED: conventions.recorded,
}


def read(raw: Mapping[str, Any], usage_format: str, provider: str | None = None) -> Reading:
    """Read a usage object, and tell what it leaves open.

    Args:
        raw: the provider's usage object.
        usage_format: a :class:`~spantally.ground.records.UsageFormat`.
        provider: ``gen_ai.provider.name``; some compatible hosts count on another basis.

    Raises:
        NoUsage: when it holds no count at all.
        BadUsage: when it cannot be true, or the format is not known.
    """
    reader = _READERS.get(usage_format)
    if reader is None:
        raise BadUsage("the usage format is not known")
    return reader(raw, provider)


def normalise(raw: Mapping[str, Any], usage_format: str, *, provider: str | None = None) -> UsageParts:
    """The disjoint parts of a usage object.

    Args:
        raw: the provider's usage object.
        usage_format: a :class:`~spantally.ground.records.UsageFormat`.
        provider: ``gen_ai.provider.name``.

    Returns:
        Counts of tokens, and of what else a part's name says.

    Raises:
        BadUsage: when the object cannot be true or holds no count.
    """
    return read(raw, usage_format, provider).parts
