"""Results of OpenAI's batches: what reads their lines, for the rows that each becomes."""

from __future__ import annotations

from typing import Any

from spantally.calls.operation import Operation
from spantally.instrumentors.openai.background import add_price_facts
from spantally.instrumentors.openai.wire.batch import batch_line, is_batch_line
from spantally.instrumentors.stainless import batches
from spantally.instrumentors.stainless.batches import BatchLine, ResultLines


class _Reader:
    """Reads the lines of a file that the Files API serves."""

    def is_line(self, line: bytes) -> bool:
        """True if a line is one of a results file."""
        return is_batch_line(line)

    def read_line(self, line: bytes, provider: str | None) -> BatchLine | None:
        """What a line bills."""
        return batch_line(line, provider)

    def add_price_facts(self, context: dict[str, Any], facts: Any) -> None:
        """Put what chooses the rate into a price context."""
        add_price_facts(context, facts)


_READER = _Reader()


def read_file(operation: Operation, content: bytes) -> None:
    """Read a file that is in memory as a whole."""
    batches.read_file(operation, _READER, content)


def lines(operation: Operation, content_encoding: str | None) -> ResultLines:
    """What reads a file piece by piece."""
    return ResultLines(operation, _READER, content_encoding)
