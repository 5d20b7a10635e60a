"""Results of Anthropic's batches: what reads their lines, for the rows that each becomes."""

from __future__ import annotations

from typing import Any, Final

from spantally.calls.operation import Operation
from spantally.instrumentors.anthropic.wire.batch import batch_line, is_batch_line
from spantally.instrumentors.stainless import batches
from spantally.instrumentors.stainless.batches import BatchLine, ResultLines


class _Reader:
    """Reads the lines that the results of a batch come in."""

    def is_line(self, line: bytes) -> bool:
        """True if a line is one of a batch's results."""
        return is_batch_line(line)

    def read_line(self, line: bytes, provider: str | None) -> BatchLine | None:
        """What a line bills."""
        return batch_line(line, provider)

    def add_price_facts(self, context: dict[str, Any], facts: Any) -> None:
        """Put what chooses the rate into a price context."""
        add_price_facts(context, facts)


_READER: Final = _Reader()


def read_file(operation: Operation, content: bytes) -> None:
    """Read results that are in memory as a whole."""
    batches.read_file(operation, _READER, content)


def lines(operation: Operation, content_encoding: str | None) -> ResultLines:
    """What reads them piece by piece."""
    return ResultLines(operation, _READER, content_encoding)


_TOLD: Final = (("speed", "speed"), ("inference_geo", "geography"))
"""Fields of the usage, and what a price context calls them."""


def add_price_facts(context: dict[str, Any], facts: Any) -> None:
    """Put what chooses the rate into a price context: tier, speed and place of an answer.

    Args:
        context: of the call.
        facts: of its answer.
    """
    usage = facts.usage or {}
    tier = usage.get("service_tier")
    if tier == "batch":  # a way of submission, which has rates of its own; no tier
        context["batch"] = True
    elif isinstance(tier, str):
        context["service_tier"] = tier
    for name, key in _TOLD:
        value = usage.get(name)
        if isinstance(value, str) and value and value != "not_available":
            context[key] = value
    if facts.server_tools:
        context["server_tools"] = dict(facts.server_tools)
