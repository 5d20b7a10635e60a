"""Calls of MCP tools that are under way: which row their client's span stands for.

A client and its server each see one execution of a tool. The row's id follows from the client's span, which
the server knows as the parent of what it does, so that both sides' rows are one wherever they meet.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from opentelemetry.trace import SpanContext

from spantally.ground import ids

MOST_OPEN: Final = 4096
"""Client spans of this process that are remembered."""

_rows: Final[OrderedDict[int, str]] = OrderedDict()


def note_client(span: SpanContext, call_id: str) -> None:
    """Note that a client's span stands for the row of a work around it, not for one of its own.

    Args:
        span: the client's.
        call_id: of the tool around it, which is the same execution.
    """
    _rows[span.span_id] = call_id
    while len(_rows) > MOST_OPEN:
        try:
            _rows.popitem(last=False)
        except KeyError:
            break  # another thread has emptied it


def row_of(client: SpanContext, request_id: object) -> str | None:
    """The id of the row of an execution; None where the client has no span.

    Args:
        client: the client's span; of clients that make none, whatever span is around the request.
        request_id: of the message, which tells requests beneath one span apart.
    """
    if not client.is_valid:
        return None
    known = _rows.get(client.span_id)
    if known is not None:
        return known
    return f"mcp-{ids.foreign_call_id(f'{client.trace_id:032x}', f'{client.span_id:016x}')}-{request_id}"
